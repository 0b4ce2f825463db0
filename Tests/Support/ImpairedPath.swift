// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A path that loses and damages packets in both directions, and can be moved to another socket, as a NAT does that has
/// forgotten a client.
public final class ImpairedPath: DatagramPath, DatagramReceiver {
  public var receiver: (any DatagramReceiver)?
  public let largestPacket: Int
  public var isBlocked: Bool { lower.isBlocked }
  /// Of a hundred packets.
  public var loss = 0
  public var corruption = 0
  /// Whether nothing gets through.
  public var isCut = false
  public private(set) var lost = 0
  public private(set) var sent = 0
  /// Told of what is sent together: the packets' size, and all of it.
  public var onBatch: ((_ size: Int, _ bytes: Int) -> Void)?
  private var lower: any DatagramPath
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  public init(_ lower: any DatagramPath) {
    self.lower = lower
    largestPacket = lower.largestPacket
    lower.receiver = self
  }

  public func move(to other: any DatagramPath) {
    lower.close()
    lower = other
    lower.receiver = self
  }

  /// The same sequence in every run.
  private func percent() -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state % 100)
  }

  public func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    onBatch?(size, packets.count)
    var rest = packets
    while !rest.isEmpty {
      var packet = Array(rest.prefix(size))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
      sent += 1
      guard pass(&packet) else { continue }
      let status = packet.withUnsafeBytes { lower.send($0, size: $0.count, ecn: ecn, route) }
      if status != 0 { return status }
    }
    return 0
  }

  private func pass(_ packet: inout [UInt8]) -> Bool {
    if isCut || percent() < loss {
      lost += 1
      return false
    }
    if percent() < corruption, packet.count > 20 { packet[packet.count / 2] ^= 0x55 }
    return true
  }

  public func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    var copy = Array(packet)
    guard pass(&copy) else { return }
    copy.withUnsafeBytes { receiver?.pathReceived($0, ecn: ecn, route) }
  }

  public func pathCanSend() { receiver?.pathCanSend() }
  public func pathFailed(_ failure: Failure) { receiver?.pathFailed(failure) }
  public func pathEnded(_ failure: Failure) { receiver?.pathEnded(failure) }

  public func close() {
    receiver = nil
    lower.close()
  }
}
