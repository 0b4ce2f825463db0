// SPDX-License-Identifier: Apache-2.0
import CUV

/// Joins two QUIC connections: every stream that one peer opens is opened towards the other, datagrams are handed on, and
/// the end of one connection is that of the other, with its code and reason. Nothing but the limits of the peers stands
/// between them: a stream waits for the other peer's credit, and is reset when that does not come in time.
public final class QUICRelay: QUICConnectionDelegate {
  /// Told once, when both connections have ended: why the first one did.
  public typealias End = (Failure?) -> Void

  /// How long the last bytes may take before a close is handed on, in milliseconds.
  private static let farewell: UInt64 = 5_000
  /// How often streams that wait are looked at, in milliseconds.
  private static let interval: UInt64 = 250

  /// Datagrams that were handed on.
  public private(set) var datagrams: UInt64 = 0
  private var droppedEarly: UInt64 = 0
  private var droppedOnSecond: UInt64 = 0
  /// Streams that were carried on, and those that found no credit in time.
  public private(set) var streams: UInt64 = 0
  public private(set) var refusedStreams: UInt64 = 0

  private let loop: Loop
  private let first: QUICConnection
  private var second: QUICConnection?
  private let patience: UInt64
  private let admit: () -> AnyObject?
  private var onEnd: End?
  /// Whether both connections have been open.
  private var isJoined = false
  private var isEnding = false
  private var failure: Failure?
  /// Datagrams from before there was a second connection.
  private var early = PacketQueue()
  /// Streams that wait for credit, in the order in which they came: those of the first connection and of the second.
  private var fromFirst: [QUICStreamRelay] = []
  private var fromSecond: [QUICStreamRelay] = []
  private var timer: LoopTimer?

  /// - Parameters:
  ///   - first: an open connection, which the relay takes over; it waits for `join`. The settings of both have `tellsStops`
  ///   - milliseconds: how long a stream waits to be opened towards the other peer
  ///   - admit: gives a stream its place among all that there are, or refuses it
  public init(
    _ first: QUICConnection, streamTimeout milliseconds: UInt64, admit: @escaping () -> AnyObject?, onEnd: @escaping End
  ) {
    loop = first.loop
    self.first = first
    patience = milliseconds
    self.admit = admit
    self.onEnd = onEnd
    take(first)
  }

  deinit { early.removeAll() }

  private func take(_ connection: QUICConnection) {
    connection.delegate = self
    connection.onStreamCredit = { [weak self] in self?.openWaiting() }
  }

  /// The other side, whose handshake may still be under way.
  public func join(_ second: QUICConnection) {
    guard !isEnding, self.second == nil else { return second.close() }
    self.second = second
    take(second)
    if second.isOpen { opened() }
  }

  private func other(_ connection: QUICConnection) -> QUICConnection? { connection === first ? second : first }

  /// Datagrams that did not get through here: too large, too many, or the other peer takes none.
  public var droppedDatagrams: UInt64 {
    droppedEarly &+ first.droppedDatagrams &+ (second?.droppedDatagrams ?? droppedOnSecond)
  }

  private func leaveSecond() {
    droppedOnSecond = second?.droppedDatagrams ?? droppedOnSecond
    second = nil
  }

  // MARK: Ending

  /// Ends both connections, the first with this word.
  public func close(_ word: QUICClose, _ failure: Failure? = nil) {
    guard !isEnding else { return }
    begin(failure)
    second?.close(.noError("the relay ends"))
    leaveSecond()
    first.finish(with: word, within: Self.farewell)
  }

  /// Ends both connections at once; `onEnd` is not called.
  public func cut(_ word: QUICClose) {
    onEnd = nil
    begin(nil)
    first.close(word)
    second?.close(word)
    leaveSecond()
  }

  private func begin(_ failure: Failure?) {
    isEnding = true
    self.failure = failure
    early.removeAll()
    timer?.close()
    timer = nil
    fromFirst = []
    fromSecond = []
  }

  public func connection(_ connection: QUICConnection, ended failure: Failure) {
    guard !isEnding else { return finish() }
    begin(failure)
    guard let left = other(connection), !left.isEnded else { return finish() }
    left.finish(with: word(for: connection), within: Self.farewell)
  }

  /// What the other peer is told of a connection's end.
  private func word(for connection: QUICConnection) -> QUICClose {
    if connection !== first, !isJoined { return .refused("the other side does not answer") }
    guard let close = connection.closeOfPeer else {
      return connection === first ? .noError("the other side has gone") : .internalError("the other side has gone")
    }
    if close.kind == .application { return close }
    // Errors between one peer and this relay say nothing to the other peer but that it is over.
    return close.code == 0 ? close : .internalError("the connection to the other side was ended")
  }

  private func finish() {
    leaveSecond()
    let report = onEnd
    onEnd = nil
    report?(failure)
  }

  // MARK: QUICConnectionDelegate

  public func connectionOpened(_ connection: QUICConnection) { opened() }

  private func opened() {
    isJoined = true
    while let datagram = early.first {
      if let second { relay(datagram, to: second) }
      early.removeFirst()
    }
    early.removeAll()
    openWaiting()
  }

  public func connection(_ connection: QUICConnection, opened stream: QUICStream) {
    guard !isEnding, let place = admit() else { return stream.reset() }
    stream.attachment = place
    let relay = QUICStreamRelay(stream, now: uv_now(loop.uv))
    if connection === first { fromFirst.append(relay) } else { fromSecond.append(relay) }
    openWaiting()
  }

  public func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    guard !isEnding else { return }
    if !isJoined {
      if !early.append(datagram) { droppedEarly &+= 1 }
      return
    }
    if let target = other(connection) { relay(datagram, to: target) }
  }

  private func relay(_ datagram: UnsafeRawBufferPointer, to target: QUICConnection) {
    if target.send(datagram: datagram) { datagrams &+= 1 }
  }

  // MARK: Streams that wait for credit

  private func openWaiting() {
    guard !isEnding, isJoined, let second else { return watch() }
    open(&fromFirst, on: second)
    open(&fromSecond, on: first)
    watch()
  }

  /// Opens as many as the peer allows, of each kind the oldest first.
  private func open(_ waiting: inout [QUICStreamRelay], on target: QUICConnection) {
    guard !waiting.isEmpty else { return }
    var isFull = (bidirectional: false, unidirectional: false)
    waiting.removeAll { relay in
      if relay.isOver { return true }
      if relay.isUnidirectional ? isFull.unidirectional : isFull.bidirectional { return false }
      do throws(Failure) {
        let opened = relay.isUnidirectional ? try target.openUnidirectionalStream() : try target.openStream()
        guard let opened else {
          if relay.isUnidirectional { isFull.unidirectional = true } else { isFull.bidirectional = true }
          return false
        }
        streams &+= 1
        relay.join(opened)
      } catch {
        relay.refuse()
      }
      return true
    }
  }

  private func watch() {
    if fromFirst.isEmpty, fromSecond.isEmpty || isEnding {
      timer?.close()
      timer = nil
    } else if timer == nil {
      let timer = LoopTimer(loop) { [weak self] in self?.refuseLate() }
      timer.start(after: Self.interval, every: Self.interval)
      self.timer = timer
    }
  }

  private func refuseLate() {
    // While there is no second connection, whoever opens it minds the time.
    guard isJoined else { return }
    let now = uv_now(loop.uv)
    func isLate(_ relay: QUICStreamRelay) -> Bool {
      guard now > relay.begin, now - relay.begin > patience else { return false }
      refusedStreams &+= 1
      relay.refuse()
      return true
    }
    fromFirst.removeAll(where: isLate)
    fromSecond.removeAll(where: isLate)
    watch()
  }
}
