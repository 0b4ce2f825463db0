// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A range of addresses: "192.0.2.0/24", "2001:db8::/32", or one address alone.
public struct IPRange: Hashable, Sendable {
  /// The first address of the range: bits after the prefix are zero.
  private let base: IPLiteral
  private let prefixLength: Int

  /// Reads an address or a CIDR range. Bits beyond the prefix are cleared; IPv4-mapped IPv6 becomes IPv4 where the
  /// prefix allows it.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let first = parts.first, var address = IPLiteral(first) else { return nil }
    var length = address.bytes.count * 8
    if parts.count == 2 {
      guard parts[1].utf8.count <= 3, let given = parts[1].wholeNumber(), given <= length else { return nil }
      length = given
    }
    if length >= 96, address.unmapped != address {
      address = address.unmapped
      length -= 96
    }
    var bytes = address.bytes
    for index in bytes.indices { bytes[index] &= IPRange.mask(ofByte: index, prefixLength: length) }
    guard let base = IPLiteral(bytes: bytes) else { return nil }
    self.base = base
    self.prefixLength = length
  }

  /// Whether an address, 4 or 16 bytes in network order, lies in the range. IPv4-mapped IPv6 addresses count as IPv4.
  public func contains(_ address: [UInt8]) -> Bool {
    guard let candidate = IPLiteral(bytes: address)?.unmapped, candidate.isV6 == base.isV6 else { return false }
    return zip(candidate.bytes, base.bytes).enumerated().allSatisfy { index, pair in
      pair.0 & IPRange.mask(ofByte: index, prefixLength: prefixLength) == pair.1
    }
  }

  /// The same for an address as text.
  public func contains(text: String) -> Bool {
    guard let address = IPLiteral(text) else { return false }
    return contains(address.bytes)
  }

  /// The canonical text: a single address without its prefix length.
  public var text: String {
    prefixLength == base.bytes.count * 8 ? base.text : "\(base.text)/\(prefixLength)"
  }

  private static func mask(ofByte index: Int, prefixLength: Int) -> UInt8 {
    let bits = min(max(prefixLength - index * 8, 0), 8)
    return UInt8(truncatingIfNeeded: 0xFF00 >> bits)
  }
}

/// An IPv4 or IPv6 address read from text, as bytes in network order.
struct IPLiteral: Hashable, Sendable {
  /// 4 or 16 bytes.
  let bytes: [UInt8]

  /// Takes 4 or 16 bytes; nothing for another count.
  init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// Reads dotted decimal IPv4 or IPv6 text, without brackets, zone or port.
  init?(_ text: some StringProtocol) {
    let isV6 = text.utf8.contains(0x3A)
    var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
    guard !text.utf8.contains(0), unsafe inet_pton(isV6 ? AF_INET6 : AF_INET, String(text), &bytes) == 1 else {
      return nil
    }
    self.bytes = bytes
  }

  var isV6: Bool { bytes.count == 16 }

  /// The IPv4 address inside an IPv4-mapped IPv6 address (::ffff:192.0.2.1), otherwise the address itself. A listener on
  /// "::" sees IPv4 peers in the mapped form.
  var unmapped: IPLiteral {
    let prefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    guard isV6, bytes.starts(with: prefix) else { return self }
    return IPLiteral(bytes: Array(bytes.dropFirst(12))) ?? self
  }

  /// The address in its shortest text form (RFC 5952).
  var text: String {
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard unsafe inet_ntop(isV6 ? AF_INET6 : AF_INET, bytes, &buffer, socklen_t(buffer.count)) != nil else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
