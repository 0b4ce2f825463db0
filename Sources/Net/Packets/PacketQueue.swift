// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Packets that wait: a limited number, in the order of their arrival. One that comes too late is not taken.
struct PacketQueue {
  private var bytes = ByteQueue()
  private(set) var count = 0

  private static let headerSize = MemoryLayout<Int32>.size

  var isEmpty: Bool { count == 0 }
  var isFull: Bool { count >= PacketChannel.queueLimit }

  /// False when the queue is full.
  mutating func append(_ packet: UnsafeRawBufferPointer) -> Bool {
    guard !isFull, let size = Int32(exactly: packet.count) else { return false }
    withUnsafeBytes(of: size) { bytes.append($0) }
    bytes.append(packet)
    count += 1
    return true
  }

  /// The oldest packet; valid until the queue changes.
  var first: UnsafeRawBufferPointer? {
    guard count > 0 else { return nil }
    let size = Int(bytes.bytes.loadUnaligned(as: Int32.self))
    return UnsafeRawBufferPointer(rebasing: bytes.bytes[Self.headerSize..<(Self.headerSize + size)])
  }

  mutating func removeFirst() {
    guard let packet = first else { return }
    bytes.removeFirst(Self.headerSize + packet.count)
    count -= 1
  }

  mutating func removeAll() {
    bytes.removeAll()
    count = 0
  }
}
