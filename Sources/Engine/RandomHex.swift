// SPDX-License-Identifier: Apache-2.0

/// Random text that cannot be guessed: ids and secrets.
enum RandomHex {
  private static let digits = Array("0123456789abcdef".utf8)

  /// Lowercase hexadecimal digits for so many random bytes.
  static func text(bytes count: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    var text: [UInt8] = []
    text.reserveCapacity(2 * count)
    while text.count < 2 * count {
      var random: UInt64 = generator.next()
      for _ in 0..<min(16, 2 * count - text.count) {
        text.append(digits[Int(random & 15)])
        random >>= 4
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
