// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet

/// The engine's UDP port, which has the number of its TLS port unless the settings say otherwise.
enum QUICEdge {
  static func listen(_ engine: Engine, on address: SocketAddress, keyFile: String?) throws(Failure) -> QUICListener {
    let settings = engine.settings
    var limits = QUICListener.Limits()
    limits.connections = settings.maximumConnections
    switch settings.quicRetry {
    case "always": limits.validation = .always
    case "never": limits.validation = .never
    default: break
    }
    let listener = try QUICListener(
      engine.loop, on: address, quicSettings(engine), limits, secret: keyFile.flatMap(secret),
      choose: { [weak engine] hello, peer in engine.map { choose(hello, peer, $0) } ?? .fail },
      accept: { [weak engine] connection in
        if let engine { QUICSession.serve(connection, engine) } else { connection.close() }
      })
    let buffers = listener.buffers
    Log.info(
      "engine", "QUIC on UDP \(listener.address), socket buffers of \(buffers.receive) and \(buffers.send) bytes")
    return listener
  }

  /// What holds for all connections of the engine.
  static func quicSettings(_ engine: Engine) -> QUICSettings {
    var quic = QUICSettings()
    // More than three of a client's keep-alives, so that a few lost ones do no harm.
    quic.idleTimeout = 45_000
    quic.keepAlive = 0
    // As many as clients with HTTP/3 on their minds want of any server. Nothing that comes on them is read.
    quic.unidirectionalStreams = 3
    quic.handshakeTimeout = engine.handshakeTimeout
    quic.congestionControl = engine.settings.quicCongestionControl == "bbr" ? .bbr : .cubic
    quic.qlogDirectory = engine.settings.quicQLogDirectory
    quic.keyLogFile = engine.settings.quicKeyLogFile
    return quic
  }

  /// What a client gets, by the name and the protocols that it asks for.
  private static func choose(_ hello: ClientHello, _ peer: SocketAddress?, _ engine: Engine) -> QUICServerChoice {
    guard let name = hello.serverName, !isEngine(name, engine) else { return chooseEngine(hello, engine) }
    guard let tunnel = PublishedQUIC.tunnel(name, engine) else {
      return engine.policy.namespace.contains(name) ? .refuseProtocol : .refuseName
    }
    guard tunnel.admits(peer) else { return .refuseAccess }
    guard let chosen = PublishedQUIC.chosenProtocol(of: tunnel, hello) else { return .refuseProtocol }
    let settings = PublishedQUIC.settings(engine)
    return serve(engine) { .serve($0, protocol: chosen, requestsCertificate: false, settings) }
  }

  /// Whether a name leads to the engine itself. Who connects to an address sends none.
  static func isEngine(_ name: String?, _ engine: Engine) -> Bool {
    guard let name else { return true }
    return name == engine.settings.host || name == engine.settings.mtlsAPIHost
  }

  private static func chooseEngine(_ hello: ClientHello, _ engine: Engine) -> QUICServerChoice {
    let isOfCertificates = hello.serverName.map { $0 != engine.settings.host } ?? false
    if !isOfCertificates, hello.protocols?.contains(EdgeRoute.wireProtocol) == true {
      return serve(engine) { .serve($0, protocol: EdgeRoute.wireProtocol, requestsCertificate: true) }
    }
    guard hello.protocols?.contains(HTTP3Connection.alpn) == true else { return .refuseProtocol }
    var settings = quicSettings(engine)
    settings.streams = HTTP3Session.requests
    HTTP3Connection.admitStreams(&settings)
    let asks = isOfCertificates || engine.certificates?.current().requestsCertificateForAPI == true
    return serve(engine) { .serve($0, protocol: HTTP3Connection.alpn, requestsCertificate: asks, settings) }
  }

  private static func serve(_ engine: Engine, _ choice: (QUICCredentials) -> QUICServerChoice) -> QUICServerChoice {
    do throws(Failure) {
      guard let credentials = try engine.certificates?.current().quic() else { return .fail }
      return choice(credentials)
    } catch {
      Log.error("engine", error.message)
      return .fail
    }
  }

  /// Made from the private key: an engine that was restarted makes the same, and tells clients of the last one that their
  /// connections are gone instead of leaving them to find out.
  private static func secret(_ keyFile: String) -> [UInt8]? {
    guard let file = fopen(keyFile, "r") else { return nil }
    defer { fclose(file) }
    var bytes = Array("rstream: secret of QUIC tokens".utf8)
    var room = [UInt8](repeating: 0, count: 65_536)
    let count = fread(&room, 1, room.count, file)
    guard count > 0 else { return nil }
    bytes += room.prefix(count)
    return Digest.sha256(bytes)
  }
}
