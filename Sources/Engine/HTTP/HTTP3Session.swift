// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A client's HTTP/3 connection: many requests at once, each on a stream of its own.
final class HTTP3Session: Session, QUICConnectionDelegate, HTTP3ConnectionDelegate {
  /// Requests that a client may have open at once.
  static let requests: UInt64 = 100
  /// What is queued may take so long to arrive when the engine stops, in milliseconds.
  private static let farewell: UInt64 = 5_000

  private let engine: Engine
  private let handler: any HTTPHandler
  private let quic: QUICConnection
  private let http: HTTP3Connection
  private let place: AnyObject
  private var exchanges: [Int64: HTTP3Downstream] = [:]
  private var idle: LoopTimer?
  private var isDraining = false

  /// Takes over a connection whose handshake is done.
  /// - Parameter place: the connection's among those of the engine
  static func serve(_ quic: QUICConnection, _ handler: any HTTPHandler, _ place: AnyObject, _ engine: Engine) {
    let session = HTTP3Session(quic, handler, place, engine)
    engine.sessions.add(session)
    session.begin()
  }

  private init(_ quic: QUICConnection, _ handler: any HTTPHandler, _ place: AnyObject, _ engine: Engine) {
    self.quic = quic
    self.handler = handler
    self.place = place
    self.engine = engine
    http = HTTP3Connection(quic)
  }

  private func begin() {
    quic.delegate = self
    http.delegate = self
    idle = LoopTimer(engine.loop, after: engine.httpTimeouts.idle) { [weak self] in self?.drain() }
    do throws(Failure) { try http.start() } catch {
      Log.debug("engine", "\(quic.peer?.description ?? ""): \(error.message)")
      end(QUICClose(code: HTTP3Code.internalError, reason: "no streams for HTTP/3"))
    }
  }

  // MARK: Session

  /// Requests that have begun are answered.
  func drain() {
    guard !isDraining else { return }
    isDraining = true
    http.shutdown()
    leaveWhenIdle()
  }

  func cut() { end(QUICClose(code: HTTP3Code.noError, reason: "")) }

  private func leaveWhenIdle() {
    guard isDraining, exchanges.isEmpty else { return }
    quic.finish(with: QUICClose(code: HTTP3Code.noError, reason: ""), within: Self.farewell)
  }

  private func end(_ word: QUICClose) {
    quic.close(word)
    leave(nil)
  }

  private func leave(_ failure: Failure?) {
    idle?.close()
    idle = nil
    quic.attachment = nil
    http.close(failure)
    handler.connectionEnded()
    engine.sessions.remove(self)
  }

  // MARK: QUICConnectionDelegate

  func connectionOpened(_ connection: QUICConnection) {}

  func connection(_ connection: QUICConnection, opened stream: QUICStream) {
    if !stream.isUnidirectional {
      guard !isDraining, let place = engine.connections.admit() else {
        return stream.reset(code: HTTP3Code.requestRejected)
      }
      stream.attachment = place
    }
    http.accepted(stream)
  }

  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {}

  func connection(_ connection: QUICConnection, ended failure: Failure) { leave(failure) }

  // MARK: HTTP3ConnectionDelegate

  func http3(_ connection: HTTP3Connection, learned settings: HTTP3Settings) {}

  func http3(_ connection: HTTP3Connection, began stream: HTTP3Stream) {
    idle?.stop()
    exchanges[stream.id] = HTTP3Downstream(stream, engine.loop, handler, engine.httpTimeouts)
  }

  func http3(_ connection: HTTP3Connection, ended stream: HTTP3Stream) {
    exchanges.removeValue(forKey: stream.id)?.end()
    if exchanges.isEmpty { idle?.start(after: engine.httpTimeouts.idle) }
    leaveWhenIdle()
  }

  func http3(_ connection: HTTP3Connection, failed failure: Failure, code: UInt64) {
    Log.debug("engine", "\(quic.peer?.description ?? ""): \(failure.message)")
    end(QUICClose(code: code, reason: failure.message))
  }
}
