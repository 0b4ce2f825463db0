// SPDX-License-Identifier: Apache-2.0

/// Blocks of memory for bulk, used again and again: what goes back to the system in every turn of a transfer would have to
/// be asked for, and cleared, in the next one.
final class BlockPool {
  static let blockSize = 65_536
  /// Blocks that are kept; more than these go back.
  private static let limit = 16

  private var free: [UnsafeMutableRawPointer] = []

  deinit { for block in free { block.deallocate() } }

  func take() -> UnsafeMutableRawPointer {
    free.popLast() ?? .allocate(byteCount: Self.blockSize, alignment: 16)
  }

  func giveBack(_ block: UnsafeMutableRawPointer) {
    if free.count < Self.limit { free.append(block) } else { block.deallocate() }
  }
}
