// SPDX-License-Identifier: Apache-2.0

/// Lengths of time as configuration files write them: "500ms", "1.5s", "1m30s".
enum DurationText {
  /// Nothing for other text, for negative lengths and for more than a day.
  static func milliseconds(_ text: String) -> Int? {
    var rest = Array(text.trimmed().utf8)[...]
    var nanoseconds = 0
    guard !rest.isEmpty else { return nil }
    if rest.elementsEqual("0".utf8) { return 0 }
    while !rest.isEmpty {
      guard let part = part(&rest) else { return nil }
      nanoseconds += part
      guard nanoseconds <= 86_400_000_000_000 else { return nil }
    }
    // What is shorter than a millisecond is not nothing.
    return (nanoseconds + 999_999) / 1_000_000
  }

  /// One number with its unit, in nanoseconds.
  private static func part(_ rest: inout ArraySlice<UInt8>) -> Int? {
    let number = rest.prefix { isDigit($0) || $0 == UInt8(ascii: ".") }
    rest = rest.dropFirst(number.count)
    let unitName = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: ".") }
    rest = rest.dropFirst(unitName.count)
    let units = ["ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9]
    guard let unit = units[String(decoding: unitName, as: UTF8.self)], number.count <= 32,
      let value = Double(String(decoding: number, as: UTF8.self)), value * unit <= 86_400e9
    else { return nil }
    return Int(value * unit)
  }
}
