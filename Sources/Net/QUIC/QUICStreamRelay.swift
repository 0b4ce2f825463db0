// SPDX-License-Identifier: Apache-2.0

/// A stream that one peer has opened, and the one that carries it on to the other peer. Each direction goes by itself:
/// bytes, FIN, RESET_STREAM and STOP_SENDING with their codes. Who does not read stops the sender.
final class QUICStreamRelay: ByteChannelDelegate, QUICStreamDirections {
  let near: QUICStream
  /// When it began to wait for `far`, on the loop's clock.
  let begin: UInt64
  private var far: QUICStream?
  /// Whether there is nothing more to do from near to far, and back.
  private var isForwardDone = false
  private var isBackwardDone: Bool
  // What has come before there was a stream to hand it on to.
  private var earlyReset: UInt64?
  private var earlyStop: UInt64?

  /// Takes over a stream that nobody reads.
  init(_ near: QUICStream, now: UInt64) {
    self.near = near
    begin = now
    isBackwardDone = near.isUnidirectional
    near.delegate = self
    near.directions = self
  }

  var isUnidirectional: Bool { near.isUnidirectional }

  /// Whether the stream was lost while it waited.
  private(set) var isOver = false

  /// Carries on over a stream that was opened for it.
  func join(_ far: QUICStream) {
    guard !isOver else { return far.reset() }
    self.far = far
    far.delegate = self
    far.directions = self
    far.announce()
    if earlyReset == nil { near.readStart() }
    if earlyStop == nil, !isUnidirectional { far.readStart() }
    guard earlyReset != nil || earlyStop != nil else { return }
    // Behind the announcement: a reset of a stream that it knows nothing of tells a peer little.
    near.loop.later { [self] in
      if let earlyReset { far.resetWriting(code: earlyReset) }
      if let earlyStop { far.stopReading(code: earlyStop) }
      settle()
    }
  }

  /// There will be no stream to carry it on.
  func refuse() {
    isOver = true
    near.reset()
  }

  private func other(_ stream: ByteChannel) -> QUICStream? { stream === near ? far : near }

  private func endDirection(from stream: ByteChannel) {
    if stream === near { isForwardDone = true } else { isBackwardDone = true }
    settle()
  }

  private func isDone(from stream: ByteChannel) -> Bool { stream === near ? isForwardDone : isBackwardDone }

  /// Lets go of both streams once nothing more is to be carried: what is queued still leaves, and they end by themselves.
  private func settle() {
    guard isForwardDone, isBackwardDone, far != nil else { return }
    letGo()
  }

  private func letGo() {
    isOver = true
    for stream in [near, far] {
      stream?.delegate = nil
      stream?.directions = nil
    }
    far = nil
  }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard let sink = other(channel), !isDone(from: channel) else { return }
    sink.write(bytes)
    if sink.queuedBytes > ByteChannel.highWater { channel.readStop() }
  }

  func channelDrained(_ channel: ByteChannel) {
    guard let source = other(channel), !isDone(from: source) else { return }
    source.readStart()
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    guard !isDone(from: channel) else { return }
    other(channel)?.shutdown()
    endDirection(from: channel)
  }

  /// The connection has ended; the relay of connections knows what the other peer is told.
  func channel(_ channel: ByteChannel, failed failure: Failure) { letGo() }

  // MARK: QUICStreamDirections

  func stream(_ stream: QUICStream, wasResetWith code: UInt64) {
    guard !isDone(from: stream) else { return }
    if let sink = other(stream) { sink.resetWriting(code: code) } else { earlyReset = code }
    endDirection(from: stream)
  }

  func stream(_ stream: QUICStream, wasStoppedWith code: UInt64) {
    // What was to be sent on this stream comes from the other one.
    guard let source = other(stream) else {
      earlyStop = code
      isBackwardDone = true
      return
    }
    guard !isDone(from: source) else { return }
    source.stopReading(code: code)
    endDirection(from: source)
  }
}
