// SPDX-License-Identifier: Apache-2.0

/// A strict reader of the little JSON that settings contain (RFC 8259): it builds nothing but what is asked for.
struct JSONReader {
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

  /// The members of an object whose values are all strings, in their order; nothing for other text.
  mutating func strings() -> [(name: String, value: String)]? {
    var members: [(name: String, value: String)] = []
    skipSpace()
    guard take("{") else { return nil }
    skipSpace()
    if !take("}") {
      repeat {
        guard let key = memberKey(), let name = JSONReader.decoded(key) else { return nil }
        guard let text = string(), let value = JSONReader.decoded(text) else { return nil }
        members.append((name, value))
        skipSpace()
      } while take(",")
      guard take("}") else { return nil }
    }
    skipSpace()
    return position == bytes.count ? members : nil
  }

  /// The elements of a list of strings; nothing for other text.
  mutating func list() -> [String]? {
    var elements: [String] = []
    skipSpace()
    guard take("[") else { return nil }
    skipSpace()
    if !take("]") {
      repeat {
        skipSpace()
        guard let text = string(), let element = JSONReader.decoded(text) else { return nil }
        elements.append(element)
        skipSpace()
      } while take(",")
      guard take("]") else { return nil }
    }
    skipSpace()
    return position == bytes.count ? elements : nil
  }

  /// The text between two quotes without its escapes; nothing when they, or the bytes, are no text.
  private static func decoded(_ raw: ArraySlice<UInt8>) -> String? {
    var result: [UInt8] = []
    var rest = raw
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        result.append(byte)
        continue
      }
      guard let escape = rest.popFirst() else { return nil }
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escape)
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        guard let scalar = scalar(&rest) else { return nil }
        result += Array(String(scalar).utf8)
      default: return nil
      }
    }
    return String(validating: result, as: UTF8.self)
  }

  /// The character of `\uXXXX`, or of two of them that stand for one.
  private static func scalar(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
    guard let unit = hexadecimal(&rest) else { return nil }
    guard (0xD800..<0xDC00).contains(unit) else { return Unicode.Scalar(unit) }
    guard rest.starts(with: "\\u".utf8) else { return nil }
    rest = rest.dropFirst(2)
    guard let low = hexadecimal(&rest), (0xDC00..<0xE000).contains(low) else { return nil }
    return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
  }

  private static func hexadecimal(_ rest: inout ArraySlice<UInt8>) -> UInt32? {
    let digits = rest.prefix(4)
    guard digits.count == 4, digits.allSatisfy({ isHexadecimal($0) }) else { return nil }
    rest = rest.dropFirst(4)
    return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
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
