// SPDX-License-Identifier: Apache-2.0

/// The data of an SVCB or HTTPS record (RFC 9460, section 2.2), as far as it matters here.
struct ServiceBinding: Equatable {
  private enum Key {
    static let alpn: UInt16 = 1
    static let ech: UInt16 = 5
  }

  /// 0 makes the record an alias of `target`.
  let priority: UInt16
  /// Lower case, without the last dot; "" for ".", the owner itself.
  let target: String
  /// Nothing when the record does not name protocols.
  let protocols: [String]?
  /// An ECHConfigList (RFC 9849) as it stands in the record.
  let ech: [UInt8]?

  /// Nothing when the bytes are malformed.
  init?(_ data: [UInt8]) {
    var rest = data[...]
    guard let priority = rest.takeUInt16(), let target = rest.takeName() else { return nil }
    var protocols: [String]?
    var ech: [UInt8]?
    var lastKey = -1
    while !rest.isEmpty {
      guard let key = rest.takeUInt16(), Int(key) > lastKey, let length = rest.takeUInt16(),
        let value = rest.take(Int(length))
      else { return nil }
      lastKey = Int(key)
      switch key {
      case Key.alpn:
        guard let names = Self.protocols(value) else { return nil }
        protocols = names
      case Key.ech:
        ech = Array(value)
      default:
        break
      }
    }
    self.priority = priority
    self.target = target
    self.protocols = protocols
    self.ech = ech
  }

  private static func protocols(_ value: ArraySlice<UInt8>) -> [String]? {
    var rest = value
    var names: [String] = []
    while let length = rest.popFirst() {
      guard length > 0, let name = rest.take(Int(length)) else { return nil }
      names.append(String(decoding: name, as: UTF8.self))
    }
    return names.isEmpty ? nil : names
  }
}

/// An ECHConfigList (RFC 9849, section 4).
enum ECHConfigList {
  private static let version: UInt16 = 0xFE0D

  /// Whether the bytes are a list with at least one configuration of a version that is known.
  static func isUsable(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    guard let length = rest.takeUInt16(), Int(length) == rest.count, length > 0 else { return false }
    var isUsable = false
    while !rest.isEmpty {
      guard let version = rest.takeUInt16(), let length = rest.takeUInt16(), let config = rest.take(Int(length)) else {
        return false
      }
      if version == Self.version, !config.isEmpty { isUsable = true }
    }
    return isUsable
  }
}

extension ArraySlice<UInt8> {
  fileprivate mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= self.count else { return nil }
    defer { removeFirst(count) }
    return prefix(count)
  }

  fileprivate mutating func takeUInt16() -> UInt16? {
    guard let bytes = take(2), let high = bytes.first, let low = bytes.last else { return nil }
    return UInt16(high) << 8 | UInt16(low)
  }

  /// An uncompressed DNS name.
  fileprivate mutating func takeName() -> String? {
    var labels: [String] = []
    var total = 0
    while let length = popFirst() {
      if length == 0 { return labels.joined(separator: ".") }
      total += Int(length) + 1
      guard length < 64, total < 255, let label = take(Int(length)),
        label.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ".") })
      else { return nil }
      labels.append(String(decoding: label.map(HTTPCharacter.lowercased), as: UTF8.self))
    }
    return nil
  }
}
