// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import RstreamConfig
import RstreamNet

/// Finds out what keeps a client from its engine, one check after the other.
public final class Doctor: LoopChild {
  /// A certificate that ends sooner is worth a word.
  private static let certificateDays: Int32 = 14

  private let loop: Loop
  private let settings: ClientSettings
  private let environment: (String) -> String?
  private let onFinding: (Finding) -> Void
  private let onEnd: (Finding.Status) -> Void
  private var pending = Finding.Check.allCases[...]
  private var worst = Finding.Status.pass
  private var begin = uv_hrtime()
  private var client: Client?
  private var connection: (any ConnectionAttempt)?
  private var clock: ClockCheck?
  private var hasEnded = false

  /// - Parameters:
  ///   - onFinding: called for each check in its turn, never from inside this call
  ///   - onEnd: called once, with the worst of them
  public init(
    _ loop: Loop, _ settings: ClientSettings, environment: @escaping (String) -> String?,
    onFinding: @escaping (Finding) -> Void, onEnd: @escaping (Finding.Status) -> Void
  ) throws(Failure) {
    guard !loop.isClosing else {
      throw Failure(ErrorCode.loopClosed, "check the way to the engine: the loop is closed")
    }
    self.loop = loop
    self.settings = settings
    self.environment = environment
    self.onFinding = onFinding
    self.onEnd = onEnd
    loop.childOpened(self)
    loop.later { [self] in checkConfiguration() }
  }

  public func loopIsClosing() {
    connection?.cancel()
    connection = nil
    clock?.cancel()
    clock = nil
    loop.later { [self] in end("the loop is being closed") }
  }

  // MARK: Findings

  private func found(_ status: Finding.Status, _ detail: String, advice: String? = nil) {
    guard !hasEnded, let check = pending.popFirst() else { return }
    let now = uv_hrtime()
    let microseconds = status == .skip ? 0 : (now - begin) / 1000
    begin = now
    if status == .fail || status == .warn && worst == .pass { worst = status }
    onFinding(Finding(check: check, status: status, microseconds: microseconds, detail: detail, advice: advice))
  }

  /// What is left is skipped, and the client ended.
  private func end(_ reason: String) {
    guard !hasEnded else { return }
    while !pending.isEmpty { found(.skip, reason) }
    hasEnded = true
    guard let client, client.isOpen, (try? client.close { [self] in finish() }) != nil else { return finish() }
  }

  private func finish() {
    client = nil
    onEnd(worst)
    loop.childClosed(self)
  }

  // MARK: Configuration and project

  private func checkConfiguration() {
    guard !hasEnded else { return }
    do throws(Failure) {
      client = try Client(loop, settings, environment: environment)
    } catch {
      found(.fail, error.message, advice: "mend the setting; rstreamctl context list shows what the file says")
      return end("not possible without a configuration that works")
    }
    let identity: String
    if settings.token != nil {
      identity = "a token"
    } else if client?.transport.hasCertificate == true {
      identity = "a client certificate"
    } else {
      identity = "no token and no client certificate"
    }
    let target =
      settings.engine.map { "engine \($0.text)" } ?? "the engine of project \(settings.projectEndpoint ?? "")"
    if settings.insecureSkipVerify {
      found(
        .warn, "\(target), \(identity), and the engine's certificate is not verified",
        advice:
          "unset transport.tls.insecureSkipVerify; transport.tls.caFile trusts a certificate authority of your own")
    } else {
      found(.pass, "\(target), \(identity)")
    }
    checkProject()
  }

  private func checkProject() {
    guard let client else { return }
    guard client.engineSource.project != nil else {
      found(.skip, "the engine's address is configured")
      return checkPath()
    }
    client.whenEngineIsKnown("ask the control plane") { [self] in
      found(.pass, "the control plane tells \(client.settings.engine?.text ?? "the engine")")
      checkPath()
    } orElse: { [self] failure in
      found(.fail, failure.message, advice: "check apiUrl and the token, or set the engine's address")
      end("not possible without the engine's address")
    }
  }

  // MARK: From look-up to TLS

  private func checkPath() {
    guard let client, !hasEnded else { return }
    begin = uv_hrtime()
    connection = client.transport.connect(
      timeout: client.transport.connectTimeout, onStep: { [self] in passed($0) },
      { [self] result in
        connection = nil
        switch result {
        case .failure(let failure): failed(failure)
        case .success(let channel): secured(channel)
        }
      })
  }

  private func passed(_ step: OutgoingConnection.Step) {
    let proxy = client?.transport.proxy
    switch step {
    case .lookedUp(let addresses):
      let who = proxy == nil ? "the engine" : "the proxy"
      let source = client?.transport.nameServer.map { "name server \($0)" } ?? "the platform"
      found(.pass, "\(who) has \(addresses.map(\.hostText).joined(separator: ", ")), says \(source)")
    case .connected(let address):
      found(.pass, "connected to \(address)")
      if proxy == nil { found(.skip, "no proxy is configured") }
    case .proxied:
      found(.pass, "the \(proxy ?? "proxy") has opened a connection to the engine")
    }
  }

  private func failed(_ failure: Failure) {
    let advice: String =
      switch pending.first {
      case .dns: "check the engine's host name, and the name server: transport.dns.override, or the platform's"
      case .tcp: "check host and port, and whether a firewall or a proxy is in between (transport.proxy)"
      case .proxy:
        "check the proxy's address and credentials, and that it allows CONNECT, or UDP for QUIC, to the engine's port"
      default: "check that the address is an rstream engine's; transport.tls.caFile trusts an authority of your own"
      }
    found(.fail, failure.message, advice: advice)
    end("not possible without a connection to the engine")
  }

  private func secured(_ channel: ByteChannel) {
    let tls = channel as? TLSChannel
    let quic = (channel as? QUICStream)?.connection
    let session = tls?.sessionDescription ?? quic?.sessionDescription ?? "TLS"
    let detail = "\(session), protocol \(TLSTransport.alpn)"
    let days = tls?.peerCertificateDays ?? quic?.peerCertificateDays
    channel.reset()
    if let days, days < Self.certificateDays {
      found(
        .warn, "\(detail), and the engine's certificate ends in \(days) days",
        advice: "have the engine's operator renew it")
    } else {
      found(.pass, days.map { "\(detail), a certificate for \($0) more days" } ?? detail)
    }
    checkEngine()
  }

  // MARK: Engine and clock

  private func checkEngine() {
    guard let client, client.isOpen else { return }
    do throws(Failure) {
      try client.connect { [self] result in
        guard !hasEnded else { return }
        switch result {
        case .failure(let failure):
          found(.fail, failure.message, advice: advice(for: failure))
        case .success(let control):
          let server = control.serverDetails
          let name = [server.agent, server.version, server.region].compactMap { $0 }.joined(separator: " ")
          found(.pass, "a control channel was opened by \(name.isEmpty ? "the engine" : name)")
          try? control.close {}
        }
        checkClock()
      }
    } catch {
      found(.fail, error.message)
      end("not possible without a client")
    }
  }

  private func advice(for failure: Failure) -> String {
    switch failure.engineCode {
    case 1000..<2000: "log in again, or check auth.token and auth.mtls"
    case 2000..<3000: "the engine speaks another version of the protocol: update librstream or the engine"
    default: "ask the engine's operator; RSTREAM_LOG=debug tells more"
    }
  }

  private func checkClock() {
    guard let client, !hasEnded else { return }
    begin = uv_hrtime()
    clock = ClockCheck(client) { [self] result in
      clock = nil
      switch result {
      case .failure(let failure):
        found(.skip, "the engine told no time: \(failure.message)")
      case .success(let difference) where abs(difference) > 30:
        let direction = difference > 0 ? "behind" : "ahead of"
        found(
          .warn, "this machine's clock is \(abs(difference)) s \(direction) the engine's",
          advice: "set the clock (NTP): tokens and certificates are valid for a time")
      case .success:
        found(.pass, "this machine's clock agrees with the engine's")
      }
      end("")
    }
  }
}
