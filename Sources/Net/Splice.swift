// SPDX-License-Identifier: Apache-2.0

/// Joins two channels: what arrives on one is written to the other, half closes and resets are carried over, and a side
/// that does not take its bytes stops the other side's source and nothing else.
public final class Splice: ByteChannelDelegate {
  public typealias End = (Splice, Failure?) -> Void

  /// Once one side is gone, it is looked so often, in milliseconds, and so many times whether the other one has taken all;
  /// having done so it may still say this many bytes.
  private static let interval: UInt64 = 500
  private static let intervals = 20
  private static let dropLimit = 1 << 20

  private let a: ByteChannel
  private let b: ByteChannel
  private var aEnded = false
  private var bEnded = false
  private var onEnd: End?
  /// Why one side is gone, while the other one still has to take what that had sent.
  private var loss: Failure?
  private var dropped = 0
  private var looks = 0
  private var timer: LoopTimer?
  /// Keeps the splice alive while its channels are: they hold it as their delegate, and it holds them.
  public private(set) var bytesFromA: UInt64 = 0
  public private(set) var bytesFromB: UInt64 = 0

  /// - Parameters:
  ///   - aEnded: the end of what `a` sends was read before
  ///   - onEnd: called once, when both directions have ended or one side has failed; not called after `cut`
  public init(_ a: ByteChannel, _ b: ByteChannel, aEnded: Bool = false, _ onEnd: @escaping End) {
    self.a = a
    self.b = b
    self.onEnd = onEnd
    a.delegate = self
    b.delegate = self
    self.aEnded = aEnded
    if aEnded { b.shutdown() } else { a.readStart() }
    b.readStart()
  }

  /// Ends both sides at once.
  public func cut() {
    onEnd = nil
    stopTimer()
    a.reset()
    b.reset()
  }

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard loss == nil else { return drop(bytes.count, of: channel) }
    let fromA = channel === a
    let other = fromA ? b : a
    if fromA { bytesFromA &+= UInt64(bytes.count) } else { bytesFromB &+= UInt64(bytes.count) }
    other.write(bytes)
    if other.queuedBytes > ByteChannel.highWater { channel.readStop() }
  }

  public func channelDrained(_ channel: ByteChannel) {
    guard loss == nil else { return }
    if channel === a {
      if !bEnded { b.readStart() }
    } else {
      if !aEnded { a.readStart() }
    }
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    guard loss == nil else { return leave(channel) }
    if channel === a {
      aEnded = true
      b.shutdown()
    } else {
      bEnded = true
      a.shutdown()
    }
    guard aEnded, bEnded else { return }
    a.close()
    b.close()
    finish(nil)
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    if let loss { return finish(loss) }
    let (hasEnded, other, otherHasEnded) = channel === a ? (aEnded, b, bEnded) : (bEnded, a, aEnded)
    // Who had ended its direction before it broke gave all it had: that still arrives.
    if hasEnded, !otherHasEnded { return outlive(failure, other) }
    if hasEnded { other.close() } else { other.reset() }
    finish(failure)
  }

  private func finish(_ failure: Failure?) {
    stopTimer()
    let report = onEnd
    onEnd = nil
    report?(self, failure)
  }

  // MARK: One side is gone

  /// Lets a side take what is queued for it. What it says meanwhile is read, for it may not listen before that, and dropped.
  private func outlive(_ failure: Failure, _ left: ByteChannel) {
    loss = failure
    left.readStart()
    let timer = LoopTimer(left.loop) { [weak self] in self?.look(left) }
    timer.start(after: Self.interval, every: Self.interval)
    self.timer = timer
  }

  private func drop(_ count: Int, of left: ByteChannel) {
    guard left.queuedBytes == 0 else { return }
    dropped += count
    if dropped > Self.dropLimit { leave(left) }
  }

  private func look(_ left: ByteChannel) {
    looks += 1
    if left.queuedBytes == 0 || looks == Self.intervals { leave(left) }
  }

  private func leave(_ left: ByteChannel) {
    left.close()
    finish(loss)
  }

  private func stopTimer() {
    timer?.close()
    timer = nil
  }
}
