// SPDX-License-Identifier: Apache-2.0

/// Bytes written as hexadecimal digits; colons and spaces between them are ignored.
enum HexadecimalText {
  /// Nothing for no or for half bytes, and for other characters.
  static func bytes(_ text: String) -> [UInt8]? {
    let digits = text.utf8.filter { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: " ") }
    guard !digits.isEmpty, digits.count % 2 == 0, digits.allSatisfy(isHexadecimal) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { index in value(digits[index]) << 4 | value(digits[index + 1])
    }
  }

  static func text(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func value(_ digit: UInt8) -> UInt8 {
    isDigit(digit) ? digit & 15 : (digit & 15) + 9
  }
}
