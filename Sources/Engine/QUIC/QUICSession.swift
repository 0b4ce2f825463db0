// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The QUIC connection of an agent or dialer: each of its streams is what a TLS connection is otherwise. Until the handshake
/// is done, that of a tunnel's consumer as well. It has to show in time that it may ask for something; after that it may idle.
final class QUICSession: Session, QUICConnectionDelegate {
  let connection: QUICConnection
  private let engine: Engine
  private let place: AnyObject
  private var timer: LoopTimer?
  /// Verified when the first stream asks for it, and not once more for each.
  private lazy var certificate = connection.peerCertificate

  /// Takes over a connection whose handshake begins. It is closed when there are too many.
  static func serve(_ connection: QUICConnection, _ engine: Engine) {
    guard let place = engine.connections.admit() else { return connection.close() }
    _ = QUICSession(connection, engine, place)
  }

  private init(_ connection: QUICConnection, _ engine: Engine, _ place: AnyObject) {
    self.connection = connection
    self.engine = engine
    self.place = place
    connection.attachment = self
    connection.delegate = self
    engine.sessions.add(self)
    timer = LoopTimer(engine.loop, after: engine.handshakeTimeout) { [self] in
      Log.debug("engine", "\(connection.peer?.description ?? ""): no request that was accepted in time")
      connection.close(QUICClose(reason: "no request was accepted in time"))
      leave()
    }
  }

  /// A request on one of the streams of a connection was accepted: control channel, dialed or delivered stream.
  static func accepted(over channel: ByteChannel) {
    guard let stream = channel as? QUICStream, let session = stream.connection.attachment as? QUICSession else {
      return
    }
    session.stopTimer()
  }

  private func stopTimer() {
    timer?.close()
    timer = nil
  }

  /// Streams go on until they end; then the client is told that the connection is over.
  func drain() { connection.drain() }

  func cut() {
    connection.close()
    leave()
  }

  private func leave() {
    stopTimer()
    connection.attachment = nil
    engine.sessions.remove(self)
  }

  func connectionOpened(_ connection: QUICConnection) {
    Log.debug("engine", "\(connection.peer?.description ?? ""): \(connection.sessionDescription)")
    let name = connection.clientHello?.serverName
    if QUICEdge.isEngine(name, engine) {
      guard connection.negotiatedProtocol == HTTP3Connection.alpn else { return }
      leave()
      return EngineAPI.serve(connection, place, engine)
    }
    guard let name else { return }
    leave()
    PublishedQUIC.serve(connection, name, place, engine)
  }

  func connection(_ connection: QUICConnection, opened stream: QUICStream) {
    guard !stream.isUnidirectional, let place = engine.connections.admit() else { return stream.reset() }
    stream.attachment = place
    WireConnection(engine, stream, certificate: certificate, timeout: engine.handshakeTimeout)
  }

  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    connection.datagramChannels.received(datagram)
  }

  func connection(_ connection: QUICConnection, ended failure: Failure) {
    Log.debug("engine", failure.message)
    leave()
  }
}
