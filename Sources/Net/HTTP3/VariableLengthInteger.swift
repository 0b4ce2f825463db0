// SPDX-License-Identifier: Apache-2.0

/// Integers of 1, 2, 4 or 8 bytes whose first two bits tell the length (RFC 9000, section 16).
enum VariableLengthInteger {
  static let maximum: UInt64 = 1 << 62 - 1

  /// The integer at `start` and where it ends. Nil when bytes are missing.
  static func read(_ bytes: UnsafeRawBufferPointer, from start: Int) -> (value: UInt64, end: Int)? {
    guard start < bytes.count else { return nil }
    let length = 1 << Int(bytes[start] >> 6)
    guard bytes.count - start >= length else { return nil }
    var value = UInt64(bytes[start] & 0x3F)
    for index in (start + 1)..<(start + length) { value = value << 8 | UInt64(bytes[index]) }
    return (value, start + length)
  }

  /// The shortest form; values beyond the maximum have none and are cut.
  static func encoded(_ value: UInt64) -> [UInt8] {
    let value = min(value, maximum)
    let (length, prefix): (Int, UInt8) =
      switch value {
      case ..<(1 << 6): (1, 0x00)
      case ..<(1 << 14): (2, 0x40)
      case ..<(1 << 30): (4, 0x80)
      default: (8, 0xC0)
      }
    var bytes = (0..<length).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64(length - 1 - $0))) }
    bytes[0] |= prefix
    return bytes
  }
}
