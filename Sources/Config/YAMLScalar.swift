// SPDX-License-Identifier: Apache-2.0

/// What a scalar without quotes stands for under YAML 1.1, as the official clients read it: `name: on` is no text.
enum YAMLScalar: Equatable {
  case null
  case flag(Bool)
  /// Nothing for a number that is written or sized in another way than settings need.
  case number(Int?)
  case date
  case text

  init(plain text: String) {
    let bytes = Array(text.utf8)
    if ["", "~", "null", "Null", "NULL"].contains(text) {
      self = .null
    } else if ["yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"].contains(text) {
      self = .flag(true)
    } else if ["no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"].contains(text) {
      self = .flag(false)
    } else if let first = bytes.first, isDigit(first) || [0x2B, 0x2D, 0x2E].contains(first) {
      self = YAMLScalar.isDate(bytes) ? .date : YAMLScalar.isNumber(bytes) ? .number(Int(text)) : .text
    } else {
      self = .text
    }
  }

  private static func isNumber(_ text: [UInt8]) -> Bool {
    var bytes = text[...]
    if bytes.first == 0x2B || bytes.first == 0x2D { bytes = bytes.dropFirst() }
    let word = String(decoding: bytes, as: UTF8.self)
    if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(word) { return true }
    for (prefix, digits) in [("0b", "01"), ("0x", "0123456789abcdefABCDEF")] where word.hasPrefix(prefix) {
      return bytes.count > 2 && bytes.dropFirst(2).allSatisfy { $0 == 0x5F || digits.utf8.contains($0) }
    }
    return isDecimal(bytes) || isSexagesimal(bytes)
  }

  /// Digits, at most one dot among them, and an exponent that has a sign.
  private static func isDecimal(_ text: ArraySlice<UInt8>) -> Bool {
    var bytes = text
    var hasDigits = false
    var hasDot = false
    while let byte = bytes.first, isDigit(byte) || byte == 0x2E || (byte == 0x5F && (hasDigits || hasDot)) {
      if byte == 0x2E {
        if hasDot { return false }
        hasDot = true
      }
      hasDigits = hasDigits || isDigit(byte)
      bytes = bytes.dropFirst()
    }
    guard hasDigits else { return false }
    if bytes.isEmpty { return hasDot || text.first != 0x30 || text.allSatisfy { $0 != 0x38 && $0 != 0x39 } }
    guard hasDot, bytes.first == 0x65 || bytes.first == 0x45 else { return false }
    let exponent = bytes.dropFirst()
    guard exponent.first == 0x2B || exponent.first == 0x2D else { return false }
    return exponent.count > 1 && exponent.dropFirst().allSatisfy(isDigit)
  }

  /// 1:30 is ninety.
  private static func isSexagesimal(_ text: ArraySlice<UInt8>) -> Bool {
    let parts = text.split(separator: 0x3A, omittingEmptySubsequences: false)
    guard parts.count > 1, let first = parts.first, let leading = first.first, isDigit(leading) else { return false }
    guard first.allSatisfy({ isDigit($0) || $0 == 0x5F }) else { return false }
    return parts.dropFirst().enumerated().allSatisfy { index, part in
      var digits = part
      // A last part may have a fraction.
      if index == parts.count - 2, let dot = digits.firstIndex(of: 0x2E) {
        guard digits[(dot + 1)...].allSatisfy({ isDigit($0) || $0 == 0x5F }) else { return false }
        digits = digits[..<dot]
      } else if leading == 0x30 {
        return false
      }
      guard (1...2).contains(digits.count), digits.allSatisfy(isDigit), let tens = digits.first else { return false }
      return digits.count == 1 || tens < 0x36
    }
  }

  /// 2026-01-31, alone or with a time after it.
  private static func isDate(_ text: [UInt8]) -> Bool {
    guard text.count >= 8, text[..<4].allSatisfy(isDigit), text[4] == 0x2D else { return false }
    let parts = text.split(separator: 0x2D, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, (1...2).contains(parts[1].count), parts[1].allSatisfy(isDigit) else { return false }
    let day = parts[2].prefix(while: isDigit)
    guard (1...2).contains(day.count) else { return false }
    let rest = parts[2].dropFirst(day.count)
    if rest.isEmpty { return day.count == 2 && parts[1].count == 2 }
    guard let separator = rest.first, [0x54, 0x74, 0x20, 0x09].contains(separator) else { return false }
    return rest.contains(0x3A) && rest.dropFirst().allSatisfy { isDigit($0) || " \t:.+-Zz".utf8.contains($0) }
  }
}
