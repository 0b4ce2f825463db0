// SPDX-License-Identifier: Apache-2.0

/// The query of a request target: `name=value` pairs, percent-encoded.
struct QueryString {
  /// The query without its "?", as it came.
  let bytes: ArraySlice<UInt8>

  /// Takes the query from a request's path; it is empty when there is none.
  init(ofPath path: [UInt8]) {
    let mark = path.firstIndex(of: UInt8(ascii: "?"))
    bytes = mark.map { path[path.index(after: $0)...] } ?? []
  }

  enum Lookup: Equatable {
    case absent
    case value([UInt8])
    /// There several times, or not correctly encoded.
    case malformed
  }

  func value(_ name: String) -> Lookup {
    var found = Lookup.absent
    for pair in pairs {
      let (key, value) = QueryString.split(pair)
      guard let key = QueryString.decoded(key), key.elementsEqual(name.utf8) else { continue }
      guard found == .absent, let value = QueryString.decoded(value) else { return .malformed }
      found = .value(value)
    }
    return found
  }

  /// The path of a request without the pairs under a name; everything else stays as it came.
  static func removing(_ name: String, fromPath path: [UInt8]) -> [UInt8] {
    guard let mark = path.firstIndex(of: UInt8(ascii: "?")) else { return path }
    let kept = QueryString(ofPath: path).pairs.filter { pair in
      QueryString.decoded(split(pair).name)?.elementsEqual(name.utf8) != true
    }
    let query = kept.joined(separator: [UInt8(ascii: "&")])
    return kept.isEmpty ? Array(path[..<mark]) : Array(path[...mark]) + query
  }

  private var pairs: [ArraySlice<UInt8>] {
    bytes.isEmpty ? [] : bytes.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
  }

  private static func split(_ pair: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
    guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else { return (pair, []) }
    return (pair[..<equals], pair[pair.index(after: equals)...])
  }

  /// The bytes that percent-encoding stands for; nothing when a "%" is not followed by two hexadecimal digits.
  private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var rest = text
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"):
        result.append(0x20)
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
          return nil
        }
        result.append(high << 4 | low)
      default:
        result.append(byte)
      }
    }
    return result
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
