// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV

/// Told what the peer does to one direction of a stream, for whom that is not the end of the other.
public protocol QUICStreamDirections: AnyObject {
  /// RESET_STREAM: nothing more comes from the peer.
  func stream(_ stream: QUICStream, wasResetWith code: UInt64)
  /// STOP_SENDING: the peer reads no more, and nothing more is sent. Told where the settings say so.
  func stream(_ stream: QUICStream, wasStoppedWith code: UInt64)
}

/// A stream of a QUIC connection as a channel of bytes: FIN ends a direction, and credit for more is given as the owner
/// reads. Idle it holds no buffer.
public final class QUICStream: ByteChannel {
  /// How long a closed stream may take to send what is queued, in milliseconds.
  static let flushTimeout: UInt64 = 10_000
  /// How long the owner may take nothing of what is left when the connection has ended, in milliseconds.
  static let leftoverTimeout: UInt64 = 60_000

  public let id: Int64
  public let connection: QUICConnection
  /// Without it a direction that the peer ends before its time is the end of the whole stream.
  public var directions: (any QUICStreamDirections)?
  /// Whether a peer that reads no more ends the stream at once. Otherwise what it has sent is delivered first.
  public var needsBothDirections = false
  /// Its place among the connection's streams; nil when the connection knows it no more.
  var slot: Int?
  /// Whether it waits for its turn to write.
  var isPending = false
  /// Whether the peer has to give credit first.
  var isBlocked = false
  private(set) var buffer: QUICSendBuffer
  /// Bytes that arrived while nobody read.
  private var held = ByteQueue()
  private var endReceived = false
  private var endDelivered = false
  /// Whether nothing follows the bytes that are being delivered but the end.
  private(set) var deliversLast = false
  private var endRequested = false
  private(set) var endSent = false
  private var isWriteBroken = false
  /// The peer reads no more: what is written is dropped, and the stream ends behind what the peer sends.
  private var isStopped = false
  /// Watches that what is left of a stream to be delivered comes and goes.
  private var restTimer: LoopTimer?
  private var isMoving = false
  /// What went wrong while the stream was nobody's: told to who reads it next.
  private var missedFailure: Failure?
  private var wantsAnnouncing = false
  private var wasQueued = false
  private var closeTimer: LoopTimer?

  init(_ connection: QUICConnection, id: Int64) {
    self.connection = connection
    self.id = id
    buffer = QUICSendBuffer(connection.loop.blocks)
    super.init(connection.loop)
  }

  deinit {
    buffer.removeAll()
    held.removeAll()
  }

  /// RFC 9000, section 2.1.
  public var isUnidirectional: Bool { id & 2 != 0 }

  public override var queuedBytes: Int { buffer.unsent }
  public override var peer: SocketAddress? { connection.peer }

  // MARK: Writing

  public override func write(_ bytes: UnsafeRawBufferPointer) {
    // A stream that takes nothing any more fails once what has come from the peer is delivered.
    guard !isClosed, !endRequested, !isWriteBroken, slot != nil, bytes.count > 0 else { return }
    buffer.append(bytes)
    wasQueued = true
    if !isBlocked { connection.wantsToWrite(self) }
  }

  public override func shutdown() {
    guard !isClosed, !endRequested, slot != nil else { return }
    endRequested = true
    connection.wantsToWrite(self)
  }

  public override func close() {
    guard !isClosed else { return }
    end()
    guard slot != nil else { return }
    if !endReceived { connection.stopReceiving(self, 0) }
    connection.peerEnded(self)
    guard !isWriteBroken, slot != nil else { return }
    endRequested = true
    if !isBlocked || buffer.unsent == 0 { connection.wantsToWrite(self) }
    if buffer.unsent > 0 {
      closeTimer = LoopTimer(loop, after: Self.flushTimeout) { [weak self] in self?.abandon() }
    }
  }

  public override func reset() { reset(code: 0) }

  /// Ends both directions at once: RESET_STREAM and STOP_SENDING.
  public func reset(code: UInt64) {
    guard !isClosed else { return }
    end()
    abandon(code)
  }

  private func abandon(_ code: UInt64 = 0) {
    closeTimer?.close()
    closeTimer = nil
    guard slot != nil else { return }
    isWriteBroken = true
    connection.resetStream(self, code)
    connection.peerEnded(self)
  }

  /// Ends the own direction before its time: RESET_STREAM. What is queued is dropped, reading goes on.
  public func resetWriting(code: UInt64) {
    guard !isClosed, !isWriteBroken, slot != nil else { return }
    breakWriting()
    connection.stopSending(self, code)
  }

  /// Asks the peer to end its direction: STOP_SENDING. What has come is dropped, writing goes on.
  public func stopReading(code: UInt64) {
    guard !isClosed, !endDelivered else { return }
    let hasEnded = endReceived
    endReading()
    guard !hasEnded, slot != nil else { return }
    connection.stopReceiving(self, code)
    connection.peerEnded(self)
  }

  private func breakWriting() {
    isWriteBroken = true
    buffer.removeUnsent()
    closeTimer?.close()
    closeTimer = nil
  }

  private func endReading() {
    endReceived = true
    endDelivered = true
    connection.consumedHeld(held.count, of: self)
    held.removeAll()
  }

  /// Lets the peer know of a stream that was opened here, before there are bytes for it.
  public func announce() {
    guard !isClosed, slot != nil else { return }
    wantsAnnouncing = true
    connection.wantsToWrite(self)
  }

  private func end() {
    isClosed = true
    delegate = nil
    directions = nil
    stopWatching()
    dropPushedBack()
    connection.consumedHeld(held.count, of: self)
    held.removeAll()
  }

  /// Whether FIN is to go out with the last of the queued bytes.
  var wantsEnd: Bool { endRequested && !endSent && !isWriteBroken }
  var hasToWrite: Bool { !isWriteBroken && (buffer.unsent > 0 || wantsEnd || wantsAnnouncing) }

  func pieces(_ room: UnsafeMutableBufferPointer<ngtcp2_vec>) -> (count: Int, bytes: Int) { buffer.pieces(room) }

  /// Bytes have been put into packets, and FIN with the last of them.
  func sent(_ count: Int, withEnd: Bool) {
    buffer.sent(count)
    wantsAnnouncing = false
    if withEnd { endSent = true }
    guard closeTimer != nil, buffer.unsent == 0 else { return }
    closeTimer?.close()
    closeTimer = nil
  }

  /// Whether nothing of a closed stream is left to be sent or acknowledged.
  var isFlushed: Bool { isWriteBroken || (buffer.isEmpty && endSent) }

  /// Whether all that was written has been acknowledged.
  var hasArrived: Bool { isWriteBroken || (buffer.isEmpty && !wantsEnd) }

  func acknowledged(_ count: Int) { buffer.acknowledged(count) }

  /// Tells that everything queued has left; called when no packet is being made.
  func tellDrained() {
    guard wasQueued, buffer.unsent == 0, !isClosed else { return }
    wasQueued = false
    delegate?.channelDrained(self)
  }

  /// The peer takes no more bytes.
  func peerStopped() {
    // Who cares for directions is told with the code, or has ended this one.
    if directions != nil { return wasStopped(0) }
    breakWriting()
    guard !isClosed else { return }
    isStopped = true
    if endDelivered || isUnidirectional || needsBothDirections { return failAsStopped() }
    if !endReceived { watch(every: connection.settings.stopTimeout) }
    tellDrained()
  }

  /// A STOP_SENDING has come.
  func wasStopped(_ code: UInt64) {
    guard !isClosed, !isWriteBroken, let directions else { return }
    breakWriting()
    directions.stream(self, wasStoppedWith: code)
  }

  private func failAsStopped() {
    stopWatching()
    fail(Failure(UV_EPIPE.rawValue, "QUIC stream: the peer does not read any more"))
    abandon()
  }

  // MARK: What is left to be delivered

  private func watch(every milliseconds: UInt64) {
    stopWatching()
    isMoving = false
    let timer = LoopTimer(loop) { [weak self] in self?.lookForMovement() }
    timer.start(after: milliseconds, every: milliseconds)
    restTimer = timer
  }

  private func stopWatching() {
    restTimer?.close()
    restTimer = nil
  }

  private func lookForMovement() {
    // As long as the connection is there, nothing is the peer's fault while the owner has yet to take something.
    if isMoving || (!held.isEmpty && missedFailure == nil) {
      isMoving = false
    } else if let missedFailure {
      endReading()
      fail(missedFailure)
    } else {
      failAsStopped()
    }
  }

  // MARK: Reading

  func received(_ bytes: UnsafeRawBufferPointer, withEnd: Bool) {
    isMoving = true
    if withEnd {
      endReceived = true
      stopWatching()
      // Who has closed altogether is told apart from who has ended one direction by trying to write.
      if isBlocked { connection.wantsToWrite(self) }
      connection.peerEnded(self)
    }
    guard !isClosed, !endDelivered else { return connection.consumed(bytes.count, of: self) }
    if mustWait || !held.isEmpty {
      held.append(bytes)
      connection.held(bytes.count)
      return
    }
    if bytes.count > 0 {
      deliversLast = withEnd
      delegate?.channel(self, received: bytes)
      connection.consumed(bytes.count, of: self)
    }
    deliverEnd()
  }

  private func deliverEnd() {
    guard endReceived, !endDelivered, !isClosed, !mustWait, held.isEmpty else { return }
    endDelivered = true
    delegate?.channelReceivedEnd(self)
    if isStopped || wasClosedByPeer { loop.later { [weak self] in self?.failAsStopped() } }
  }

  /// Whether the peer has ended both directions, the own one without being asked to.
  private var wasClosedByPeer: Bool { slot == nil && !endSent && !isClosed && directions == nil && !isUnidirectional }

  override func readingChanged() {
    if isReading, !held.isEmpty || (endReceived && !endDelivered) || missedFailure != nil { deferDelivery() }
  }

  override func deliverHeld() {
    guard !held.isEmpty else { return deliverRest() }
    // Taken out: what is lent must not be freed by a close inside the call.
    var lent = held
    held = ByteQueue()
    while !mustWait, !isClosed, !lent.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: lent.bytes.prefix(Loop.chunkSize))
      deliversLast = endReceived && piece.count == lent.count
      delegate?.channel(self, received: piece)
      connection.consumedHeld(piece.count, of: self)
      isMoving = true
      lent.removeFirst(piece.count)
    }
    if isClosed {
      connection.consumedHeld(lent.count, of: self)
      return lent.removeAll()
    }
    held = lent
    deliverRest()
  }

  /// What comes behind the bytes.
  private func deliverRest() {
    deliverEnd()
    guard let missedFailure, !isClosed else { return }
    if !mustWait, held.isEmpty { fail(missedFailure) } else if restTimer == nil { awaitDelivery() }
  }

  /// The peer has reset its direction.
  func wasReset(_ code: UInt64) {
    loop.gathering.deliver(of: self)
    defer { connection.peerEnded(self) }
    // Nothing is lost when all has come before, and who was told to stop answers with it.
    guard !isClosed, !endReceived else { return }
    if let directions {
      endReading()
      return directions.stream(self, wasResetWith: code)
    }
    fail(Failure(UV_ECONNRESET.rawValue, "QUIC stream: reset by the peer (code \(code))"))
    abandon()
  }

  /// Told by the connection when it has ended.
  func fail(_ failure: Failure) {
    closeTimer?.close()
    closeTimer = nil
    guard !isClosed else { return }
    guard let listener = delegate, !isAllThere else {
      missedFailure = missedFailure ?? failure
      if delegate != nil, restTimer == nil { awaitDelivery() }
      return
    }
    end()
    listener.channel(self, failed: failure)
  }

  /// Whether the peer has sent all it wanted, and the owner has yet to take some of it.
  private var isAllThere: Bool { endReceived && !endDelivered && directions == nil }

  private func awaitDelivery() {
    breakWriting()
    watch(every: Self.leftoverTimeout)
    tellDrainedLater()
  }

  /// Who waits to write may have to write before it reads.
  private func tellDrainedLater() {
    if wasQueued, !isClosed { loop.later { [weak self] in self?.tellDrained() } }
  }

  /// Both directions are over, and what was sent is acknowledged.
  func finished() {
    slot = nil
    closeTimer?.close()
    closeTimer = nil
    buffer.removeAll()
    tellDrainedLater()
    if wasClosedByPeer, endDelivered { loop.later { [weak self] in self?.failAsStopped() } }
  }
}
