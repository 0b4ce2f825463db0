// SPDX-License-Identifier: Apache-2.0

/// A connection ID (RFC 9000, section 5.1): up to twenty bytes that a packet is assigned to its connection by.
struct ConnectionID: Hashable {
  /// Bytes of those that this side gives out.
  static let ownCount = 8
  static let limit = 20

  private var low: UInt64 = 0
  private var middle: UInt64 = 0
  private var high: UInt32 = 0
  private let count: UInt8

  /// Nil when there are more bytes than QUIC version 1 has.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= Self.limit else { return nil }
    count = UInt8(bytes.count)
    var padded: (UInt64, UInt64, UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &padded) { $0.copyMemory(from: bytes) }
    low = padded.0
    middle = padded.1
    high = UInt32(truncatingIfNeeded: UInt64(littleEndian: padded.2))
  }
}
