// SPDX-License-Identifier: Apache-2.0

/// Reads from a JSON Web Token when it ends, without verifying it: a client that knows its token has expired need not
/// ask the engine.
enum TokenExpiry {
  /// Seconds since 1970; nothing for opaque tokens and those without an integer `exp`.
  static func of(_ token: String) -> Int64? {
    let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, let payload = Base64URL.decode(parts[1]) else { return nil }
    var reader = JSONReader(payload)
    return reader.integer(ofKey: "exp")
  }
}

/// A strict reader of one JSON object that looks for one number and builds nothing.
private struct JSONReader {
  private static let maximumDepth = 32
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The integer under a key of the outermost object; nothing when the text is not valid JSON as a whole, or the key is
  /// missing, repeated or not an integer.
  mutating func integer(ofKey wanted: String) -> Int64? {
    var found: Int64?
    var occurrences = 0
    skipSpace()
    guard take("{") else { return nil }
    skipSpace()
    if !take("}") {
      repeat {
        guard let key = memberKey() else { return nil }
        let start = position
        guard skipValue(depth: 1) else { return nil }
        if key.elementsEqual(wanted.utf8) {
          occurrences += 1
          found = Int64(String(decoding: bytes[start..<position], as: UTF8.self))
        }
        skipSpace()
      } while take(",")
      guard take("}") else { return nil }
    }
    skipSpace()
    return position == bytes.count && occurrences == 1 ? found : nil
  }

  private mutating func skipValue(depth: Int) -> Bool {
    guard depth < JSONReader.maximumDepth, position < bytes.count else { return false }
    switch bytes[position] {
    case UInt8(ascii: "{"): return skipContainer(open: "{", close: "}", depth: depth)
    case UInt8(ascii: "["): return skipContainer(open: "[", close: "]", depth: depth)
    case UInt8(ascii: "\""): return string() != nil
    case UInt8(ascii: "t"): return takeWord("true")
    case UInt8(ascii: "f"): return takeWord("false")
    case UInt8(ascii: "n"): return takeWord("null")
    default: return skipNumber()
    }
  }

  private mutating func skipContainer(open: Unicode.Scalar, close: Unicode.Scalar, depth: Int) -> Bool {
    guard take(open) else { return false }
    skipSpace()
    if take(close) { return true }
    repeat {
      if open == "{", memberKey() == nil { return false }
      skipSpace()
      guard skipValue(depth: depth + 1) else { return false }
      skipSpace()
    } while take(",")
    return take(close)
  }

  /// A key and the colon after it.
  private mutating func memberKey() -> ArraySlice<UInt8>? {
    skipSpace()
    guard let key = string() else { return nil }
    skipSpace()
    guard take(":") else { return nil }
    skipSpace()
    return key
  }

  /// The bytes between the quotes. A key written with escapes is returned as it is written: none that matters has any.
  private mutating func string() -> ArraySlice<UInt8>? {
    guard take("\"") else { return nil }
    let start = position
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        defer { position += 1 }
        return bytes[start..<position]
      case UInt8(ascii: "\\"):
        position += 2
      case 0..<0x20:
        return nil
      default:
        position += 1
      }
    }
    return nil
  }

  private mutating func skipNumber() -> Bool {
    _ = take("-")
    if !take("0") { guard skipDigits() else { return false } }
    if take("."), !skipDigits() { return false }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      return skipDigits()
    }
    return true
  }

  private mutating func skipDigits() -> Bool {
    let start = position
    while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    return position > start
  }

  private mutating func skipSpace() {
    while position < bytes.count, isSpace(bytes[position]) { position += 1 }
  }

  private func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
    position += 1
    return true
  }

  private mutating func takeWord(_ word: String) -> Bool {
    for character in word.utf8 {
      guard position < bytes.count, bytes[position] == character else { return false }
      position += 1
    }
    return true
  }
}
