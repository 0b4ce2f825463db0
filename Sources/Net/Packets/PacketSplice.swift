// SPDX-License-Identifier: Apache-2.0

/// Joins two packet channels: what arrives on one is sent on the other, and the end of one is the end of both. While one
/// side has as many packets waiting as it may, the other is not read.
public final class PacketSplice: PacketChannelDelegate {
  public typealias End = (PacketSplice, Failure?) -> Void

  private let a: PacketChannel
  private let b: PacketChannel
  private var onEnd: End?
  public private(set) var bytesFromA: UInt64 = 0
  public private(set) var bytesFromB: UInt64 = 0
  /// Packets in both directions that were handed on.
  public private(set) var packets: UInt64 = 0

  /// - Parameter onEnd: called once, when one side has ended or failed; not called after `cut`
  public init(_ a: PacketChannel, _ b: PacketChannel, _ onEnd: @escaping End) {
    self.a = a
    self.b = b
    self.onEnd = onEnd
    a.delegate = self
    b.delegate = self
    a.readStart()
    b.readStart()
  }

  /// Packets that one side had no room for, or could not carry.
  public var dropped: UInt64 { Self.dropped(a.counters) &+ Self.dropped(b.counters) }

  private static func dropped(_ counters: PacketCounters) -> UInt64 {
    counters.droppedSending &+ counters.droppedReceiving
  }

  /// Ends both sides at once.
  public func cut() {
    onEnd = nil
    a.reset()
    b.reset()
  }

  /// Ends both sides; packets that were taken are still sent.
  public func close(_ failure: Failure?) {
    a.close()
    b.close()
    finish(failure)
  }

  private func other(_ channel: PacketChannel) -> PacketChannel { channel === a ? b : a }

  public func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    let sink = other(channel)
    if channel === a { bytesFromA &+= UInt64(packet.count) } else { bytesFromB &+= UInt64(packet.count) }
    packets &+= 1
    sink.cork()
    sink.send(packet)
    if sink.isFull { channel.readStop() }
  }

  public func packetChannelPaused(_ channel: PacketChannel) {
    let sink = other(channel)
    sink.uncork()
    // What was gathered may have left at once.
    if !sink.isFull { channel.readStart() }
  }

  public func packetChannelDrained(_ channel: PacketChannel) { other(channel).readStart() }

  public func packetChannelEnded(_ channel: PacketChannel) {
    other(channel).close()
    finish(nil)
  }

  public func packetChannel(_ channel: PacketChannel, failed failure: Failure) {
    other(channel).reset(because: failure)
    finish(failure)
  }

  private func finish(_ failure: Failure?) {
    let report = onEnd
    onEnd = nil
    report?(self, failure)
  }
}
