// SPDX-License-Identifier: Apache-2.0

/// Classes of bytes in HTTP messages.
enum HTTPCharacter {
  /// One bit for each ASCII character that a token may contain (RFC 9110 5.6.2).
  private static let tokenLow: UInt64 = 0x03FF_6CFA_0000_0000
  private static let tokenHigh: UInt64 = 0x57FF_FFFF_C7FF_FFFE

  static func isToken(_ byte: UInt8) -> Bool {
    byte < 128 && (byte < 64 ? tokenLow : tokenHigh) >> UInt64(byte & 63) & 1 == 1
  }

  /// Visible ASCII, white space, and bytes above ASCII (RFC 9110 5.5).
  static func isFieldValue(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x7F || byte == 0x09
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// Compares names in any case.
  static func isSame(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    guard one.count == other.count else { return false }
    for index in 0..<one.count where lowercased(one[index]) != lowercased(other[index]) { return false }
    return true
  }

  static func isSame(_ one: UnsafeRawBufferPointer, _ other: StaticString) -> Bool {
    isSame(one, UnsafeRawBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount))
  }

  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  /// One bit for each character that a host with optional port may contain (RFC 3986 3.2.2 and 3.2.3); in particular
  /// no "/", "@" or space.
  private static let authorityLow: UInt64 = 0x2FFF_7FF2_0000_0000
  private static let authorityHigh: UInt64 = 0x47FF_FFFE_AFFF_FFFE

  static func isAuthority(_ byte: UInt8) -> Bool {
    byte < 128 && (byte < 64 ? authorityLow : authorityHigh) >> UInt64(byte & 63) & 1 == 1
  }
}

/// Compares ASCII text in any case; other bytes have to be equal.
func equalsIgnoringCase(_ one: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
  one.count == other.count
    && zip(one, other).allSatisfy { HTTPCharacter.lowercased($0) == HTTPCharacter.lowercased($1) }
}
