// SPDX-License-Identifier: Apache-2.0

// What the text of a setting may look like. Everything here works on bytes: settings are ASCII where it matters.

extension StringProtocol {
  /// Without the white space around it.
  func trimmed() -> String {
    let bytes = Array(utf8)
    guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
    else { return "" }
    return String(decoding: bytes[first...last], as: UTF8.self)
  }

  /// Whether `part` is somewhere in the text.
  func contains(text part: String) -> Bool {
    let bytes = Array(utf8)
    return bytes.indices.contains { bytes[$0...].starts(with: part.utf8) }
  }

  /// The number that the text is, when it consists of 1 to 18 decimal digits and nothing else.
  func wholeNumber() -> Int? {
    guard (1...18).contains(utf8.count), utf8.allSatisfy(isDigit) else { return nil }
    return Int(self)
  }

  /// The text in quotes for a message, shortened when it is long and without control characters.
  func quoted() -> String {
    let shown = unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }.joined()
    return unicodeScalars.count > 80 ? "\"\(shown)...\"" : "\"\(shown)\""
  }

  /// The elements of a comma-separated list, trimmed, empty ones left out.
  func listElements() -> [String] {
    split(separator: ",").map { $0.trimmed() }.filter { !$0.isEmpty }
  }
}

func isBlank(_ byte: UInt8) -> Bool {
  byte == 0x20 || (0x09...0x0D).contains(byte)
}

func isDigit(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte)
}

func isAlphanumeric(_ byte: UInt8) -> Bool {
  isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}

func isHexadecimal(_ byte: UInt8) -> Bool {
  isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
