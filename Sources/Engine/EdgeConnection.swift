// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A connection to the TLS port until it is known what it is for: its ClientHello, the TLS handshake, and on `rstrm/1` the
/// first message. All of that has one deadline.
final class EdgeConnection: Session, ByteChannelDelegate {
  /// Bytes of records around a ClientHello of the largest size.
  private static let helloLimit = 2 * ClientHelloReader.limit

  private let engine: Engine
  private let socket: SocketChannel
  private var timer: LoopTimer?
  private var reader = ClientHelloReader()
  /// As they came, for whoever does the handshake.
  private var helloBytes: [UInt8] = []
  private var tls: TLSChannel?
  private let begin: UInt64

  init(_ engine: Engine, _ socket: SocketChannel) {
    self.engine = engine
    self.socket = socket
    begin = Clock.uptime
    engine.sessions.add(self)
    timer = LoopTimer(engine.loop, after: engine.handshakeTimeout) { [self] in
      Log.debug("engine", "\(peer): no handshake in time")
      cut()
    }
    socket.delegate = self
    socket.readStart()
  }

  private var peer: String { socket.peer?.description ?? "unknown peer" }

  func drain() { cut() }

  func cut() {
    leave()
    if let tls { tls.reset() } else { socket.reset() }
  }

  /// The connection belongs to somebody else now, or is closed.
  private func leave() {
    timer?.close()
    timer = nil
    engine.sessions.remove(self)
  }

  // MARK: ClientHello

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    helloBytes.append(contentsOf: bytes)
    switch reader.append(bytes) {
    case .complete(let hello):
      socket.delegate = nil
      socket.readStop()
      helloBytes.withUnsafeBytes { socket.unread($0) }
      helloBytes = []
      route(hello)
    case .incomplete where helloBytes.count <= Self.helloLimit:
      break
    case .incomplete, .invalid:
      Log.debug("engine", "\(peer): not TLS")
      cut()
    }
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    leave()
    socket.close()
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) { leave() }

  private func route(_ hello: ClientHello) {
    switch EdgeRoute(hello, engine) {
    case .wire:
      handshake(engine.certificates?.current().wire) { connection, tls in connection.awaitMessage(tls) }
    case .api:
      handshake(engine.certificates?.current().api) { connection, tls in connection.serveAPI(tls, hello) }
    case .mtlsAPI:
      handshake(engine.certificates?.current().mtlsAPI) { connection, tls in connection.serveAPI(tls, hello) }
    case .http:
      handshake(engine.certificates?.current().http) { connection, tls in
        connection.leave()
        PublishedHTTP.serve(tls, hello, connection.engine)
      }
    case .terminated(let tunnel):
      guard tunnel.admits(socket.peer) else { return refuse(.accessDenied) }
      handshake(PublishedTLS.context(of: tunnel, engine)) { connection, tls in
        connection.leave()
        PublishedTLS.serve(tls, tunnel, connection.engine)
      }
    case .passthrough(let tunnel):
      guard tunnel.admits(socket.peer) else { return refuse(.accessDenied) }
      leave()
      ConsumerStream.open(tunnel, for: socket, engine)
    case .refused(let alert):
      refuse(alert)
    }
  }

  private func awaitMessage(_ tls: TLSChannel) {
    leave()
    let gone = Clock.uptime - begin
    let left = engine.handshakeTimeout > gone ? engine.handshakeTimeout - gone : 0
    WireConnection(engine, tls, certificate: tls.peerCertificate, timeout: left)
  }

  private func serveAPI(_ tls: TLSChannel, _ hello: ClientHello) {
    leave()
    EngineAPI.serve(tls, hello, engine)
  }

  private func refuse(_ alert: TLSAlert) {
    Log.debug("engine", "\(peer): refused with TLS alert \(alert.rawValue)")
    leave()
    alert.send(over: socket)
  }

  // MARK: TLS

  private func handshake(_ context: TLSContext?, _ then: @escaping (EdgeConnection, TLSChannel) -> Void) {
    guard let context else { return refuse(.internalError) }
    do throws(Failure) {
      tls = try TLSChannel(server: context, over: socket) { [self] failure in
        if let failure {
          Log.debug("engine", "\(peer): \(failure.message)")
          return leave()
        }
        guard let tls else { return }
        then(self, tls)
      }
    } catch {
      Log.error("engine", "\(peer): \(error.message)")
      cut()
    }
  }
}
