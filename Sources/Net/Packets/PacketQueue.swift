// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Packets that wait: a limited number, in the order of their arrival. One that comes too late is not taken.
struct PacketQueue {
  private var bytes = ByteQueue()
  private(set) var count = 0
  /// What the queue has grown to since it was empty: as much is expected the next time.
  private var peak = 0

  private static let headerSize = MemoryLayout<Int32>.size

  var isEmpty: Bool { count == 0 }
  /// One packet always has room, however long it is.
  var isFull: Bool { count >= PacketChannel.queueLimit || bytes.count >= PacketChannel.queueByteLimit }

  /// Adds a packet, which may be made of two pieces. False when the queue is full.
  mutating func append(
    _ packet: UnsafeRawBufferPointer, after start: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) -> Bool {
    guard !isFull, let size = Int32(exactly: start.count + packet.count) else { return false }
    if isEmpty {
      bytes.reserve(max(peak, Self.headerSize + Int(size)))
      peak = 0
    }
    withUnsafeBytes(of: size) { bytes.append($0) }
    bytes.append(start)
    bytes.append(packet)
    count += 1
    peak = max(peak, bytes.count)
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
