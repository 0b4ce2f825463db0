// SPDX-License-Identifier: Apache-2.0
import CQUIC

/// Bytes of a stream that have not been acknowledged: blocks of memory that stay where they are, because ngtcp2 sends lost
/// bytes again from there. Empty it holds none.
struct QUICSendBuffer {
  /// Bytes of a block: for a message, and for bulk.
  private static let small = 2048 - headerSize
  private static let large = BlockPool.blockSize - headerSize
  private static let headerSize = MemoryLayout<Block>.stride

  private struct Block {
    var next: UnsafeMutablePointer<Block>?
    var capacity: Int
    var filled = 0

    static func bytes(of block: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<UInt8> {
      UnsafeMutableRawPointer(block).advanced(by: headerSize).assumingMemoryBound(to: UInt8.self)
    }
  }

  private let pool: BlockPool
  private var first: UnsafeMutablePointer<Block>?
  private var last: UnsafeMutablePointer<Block>?
  /// Where the next byte to be sent is.
  private var current: UnsafeMutablePointer<Block>?
  private var currentOffset = 0
  /// Bytes of the first block that were acknowledged.
  private var acknowledgedOffset = 0
  private(set) var unsent = 0
  /// Sent and not acknowledged.
  private(set) var inFlight = 0

  init(_ pool: BlockPool) { self.pool = pool }

  var isEmpty: Bool { unsent == 0 && inFlight == 0 }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard var source = bytes.baseAddress else { return }
    var left = bytes.count
    while left > 0 {
      if last.map({ $0.pointee.filled == $0.pointee.capacity }) ?? true { addBlock(for: left) }
      guard let last else { return }
      let count = min(left, last.pointee.capacity - last.pointee.filled)
      (Block.bytes(of: last) + last.pointee.filled).update(
        from: source.assumingMemoryBound(to: UInt8.self), count: count)
      last.pointee.filled += count
      unsent += count
      source += count
      left -= count
    }
  }

  private mutating func addBlock(for count: Int) {
    let isLarge = count > Self.small
    let raw = isLarge ? pool.take() : .allocate(byteCount: Self.headerSize + Self.small, alignment: 16)
    let block = raw.bindMemory(to: Block.self, capacity: 1)
    block.initialize(to: Block(next: nil, capacity: isLarge ? Self.large : Self.small))
    if let last {
      last.pointee.next = block
    } else {
      first = block
      acknowledgedOffset = 0
    }
    last = block
    if current == nil {
      current = block
      currentOffset = 0
    }
  }

  private func giveBack(_ block: UnsafeMutablePointer<Block>) {
    let memory = UnsafeMutableRawPointer(block)
    if block.pointee.capacity == Self.large { pool.giveBack(memory) } else { memory.deallocate() }
  }

  /// Writes where the unsent bytes are. Returns the number of pieces, and of the bytes in them.
  func pieces(_ room: UnsafeMutableBufferPointer<ngtcp2_vec>) -> (count: Int, bytes: Int) {
    var block = current
    var offset = currentOffset
    var count = 0
    var bytes = 0
    while let piece = block, count < room.count {
      let length = piece.pointee.filled - offset
      if length > 0 {
        room[count] = ngtcp2_vec(base: Block.bytes(of: piece) + offset, len: length)
        count += 1
        bytes += length
      }
      block = piece.pointee.next
      offset = 0
    }
    return (count, bytes)
  }

  mutating func sent(_ count: Int) {
    var left = min(count, unsent)
    unsent -= left
    inFlight += left
    while left > 0, let block = current {
      let step = min(left, block.pointee.filled - currentOffset)
      currentOffset += step
      left -= step
      guard currentOffset == block.pointee.filled, let next = block.pointee.next else { break }
      current = next
      currentOffset = 0
    }
  }

  mutating func acknowledged(_ count: Int) {
    var left = min(count, inFlight)
    inFlight -= left
    while left > 0, let block = first {
      let step = min(left, block.pointee.filled - acknowledgedOffset)
      acknowledgedOffset += step
      left -= step
      guard acknowledgedOffset == block.pointee.filled, let next = block.pointee.next else { break }
      if current == block {
        current = next
        currentOffset = 0
      }
      first = next
      acknowledgedOffset = 0
      giveBack(block)
    }
    if isEmpty { removeAll() }
  }

  /// Forgets what was not sent; the rest stays, for ngtcp2 may still look at it.
  mutating func removeUnsent() {
    unsent = 0
    if inFlight == 0 { removeAll() }
  }

  mutating func removeAll() {
    while let block = first {
      first = block.pointee.next
      giveBack(block)
    }
    last = nil
    current = nil
    currentOffset = 0
    acknowledgedOffset = 0
    unsent = 0
    inFlight = 0
  }
}
