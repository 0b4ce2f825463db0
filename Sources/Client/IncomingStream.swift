// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire

/// One stream that the engine asked for: dials the engine, or the node it names, proves itself with the stream's secret,
/// and hands the stream to the tunnel.
final class IncomingStream {
  typealias Completion = (IncomingStream, PeerError?) -> Void

  /// Milliseconds for one attempt, and how many there are. Only a timeout is tried again.
  private static let attemptTimeout: UInt64 = 10_000
  private static let attempts = 2

  let tunnel: Tunnel
  private let client: Client
  private let request: ProxyConnReq
  private var completion: Completion?
  private var attempt = 1
  private var handshake: Handshake?
  private var delivery: Delivery?

  init(_ client: Client, _ request: ProxyConnReq, _ tunnel: Tunnel, _ completion: @escaping Completion) {
    self.client = client
    self.request = request
    self.tunnel = tunnel
    self.completion = completion
  }

  func begin() {
    guard let endpoint = request.proxyEndpoint else {
      if tunnel.takesDatagrams, let connection = tunnel.control.datagramConnection {
        return openChannel(on: connection)
      }
      return dial(nil)
    }
    // The secret is all that a redirected stream proves itself with.
    guard let secret = request.secret, !trimmed(secret).isEmpty else {
      return finish(PeerError(.invalidStream, "a redirected stream needs a secret"))
    }
    guard let target = ServerEndpoint(redirect: endpoint) else {
      return finish(PeerError(.invalidStream, "the redirected stream's endpoint is not host:port"))
    }
    dial(target)
  }

  /// Packets come as datagrams of the control channel's connection: no stream is opened.
  private func openChannel(on connection: QUICConnection) {
    guard let id = DatagramChannelID(streamID: request.streamID) else {
      return finish(PeerError(.invalidStream, "the stream's id does not name a datagram channel"))
    }
    let control = tunnel.control
    let streamID = request.streamID
    do throws(Failure) {
      let channel = try connection.datagramChannels.open(id)
      control.opened(channel, for: streamID)
      delivery = tunnel.deliver(.packets(channel), id: streamID, peer: request.sourceIP?.text ?? "") {
        [self] failure in
        delivery = nil
        if let failure {
          finish(PeerError(.serviceUnavailable, failure.message))
        } else {
          finish(nil)
          control.tellEnd(of: channel, for: streamID)
        }
      }
    } catch {
      finish(PeerError(.invalidStream, error.message))
    }
  }

  private func dial(_ target: ServerEndpoint?) {
    let transport = client.transport
    let zeroRTT = client.settings.zeroRtt
    let message = ProxyReq(
      clientDetails: client.details(token: request.secret), streamID: request.streamID, zeroRTT: zeroRTT)
    handshake = Handshake(
      client.loop, "open a stream", .proxyReq(message), answerTimeout: Self.attemptTimeout,
      check: zeroRTT ? nil : { [self] message throws(Failure) in try accept(message) },
      connect: { done in
        if let target {
          transport.connect(redirectedTo: target, timeout: Self.attemptTimeout, done)
        } else {
          transport.connect(timeout: Self.attemptTimeout, done)
        }
      },
      completion: { [self] result in
        let wasSent = handshake?.isRequestSent ?? false
        handshake = nil
        switch result {
        case .success(let messages):
          deliver(messages.detach())
        case .failure(let failure):
          if failure.code == ErrorCode.operationTimeout, !wasSent, attempt < Self.attempts {
            attempt += 1
            Log.debug("stream", "\(failure.message); trying again")
            dial(target)
          } else {
            Log.warn("stream", failure.message)
            finish(PeerError(.serviceUnavailable, failure.message))
          }
        }
      })
  }

  private func accept(_ message: Message) throws(Failure) {
    guard case .proxyRsp(let response) = message else {
      throw .brokenProtocol("open a stream", "the engine answered with another message than ProxyRsp")
    }
    if let error = response.error { throw Failure(error, during: "open a stream", hiding: Secrets([request.secret])) }
  }

  private func deliver(_ channel: ByteChannel) {
    let source = request.sourceIP?.text ?? ""
    delivery = tunnel.deliver(channel, id: request.streamID, peer: source) { [self] failure in
      delivery = nil
      finish(failure.map { PeerError(.serviceUnavailable, $0.message) })
    }
  }

  /// Ends with an answer.
  func refuse(_ error: PeerError) {
    handshake?.cancel()
    handshake = nil
    delivery?.cancel()
    delivery = nil
    finish(error)
  }

  /// Ends without one.
  func cancel() {
    completion = nil
    handshake?.cancel()
    handshake = nil
    delivery?.cancel()
    delivery = nil
  }

  private func finish(_ error: PeerError?) {
    let report = completion
    completion = nil
    report?(self, error)
  }
}

extension ServerEndpoint {
  /// The node that a stream is redirected to, "host[:port]"; the port is 443 when absent.
  init?(redirect text: String) {
    let text = trimmed(text)
    guard !text.isEmpty, let address = try? EngineAddress(text) else { return nil }
    self.init(host: address.host, port: address.port)
  }
}
