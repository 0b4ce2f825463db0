// SPDX-License-Identifier: Apache-2.0

/// Joins two channels: what arrives on one is written to the other, half closes and resets are carried over, and a side
/// that does not take its bytes stops the other side's source and nothing else.
public final class Splice: ByteChannelDelegate {
  public typealias End = (Splice, Failure?) -> Void

  private let a: ByteChannel
  private let b: ByteChannel
  private var aEnded = false
  private var bEnded = false
  private var onEnd: End?
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
    a.reset()
    b.reset()
  }

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    let fromA = channel === a
    let other = fromA ? b : a
    if fromA { bytesFromA &+= UInt64(bytes.count) } else { bytesFromB &+= UInt64(bytes.count) }
    other.write(bytes)
    if other.queuedBytes > ByteChannel.highWater { channel.readStop() }
  }

  public func channelDrained(_ channel: ByteChannel) {
    if channel === a {
      if !bEnded { b.readStart() }
    } else {
      if !aEnded { a.readStart() }
    }
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
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
    // Who had ended its direction before it broke gave all it had: that still arrives.
    let hasEnded = channel === a ? aEnded : bEnded
    let other = channel === a ? b : a
    if hasEnded { other.close() } else { other.reset() }
    finish(failure)
  }

  private func finish(_ failure: Failure?) {
    let report = onEnd
    onEnd = nil
    report?(self, failure)
  }
}
