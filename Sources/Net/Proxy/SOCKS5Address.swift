// SPDX-License-Identifier: Apache-2.0

/// Address type, address and port, as they stand in SOCKS5 requests, replies and datagrams (RFC 1928, section 5).
enum SOCKS5Address {
  private enum AddressType {
    static let v4: UInt8 = 1
    static let name: UInt8 = 3
    static let v6: UInt8 = 4
  }

  enum Reading {
    case incomplete
    case unknown(UInt8)
    /// What was read, and where it ended.
    case address(ProxyTarget, end: Int)
  }

  static func encoded(_ target: ProxyTarget) throws(Failure) -> [UInt8] {
    guard (1...255).contains(target.host.utf8.count) else {
      throw Failure(ErrorCode.invalidConfig, "SOCKS5 takes host names of 1 to 255 bytes")
    }
    let host: [UInt8] =
      switch SocketAddress(literal: target.host, port: 0)?.host {
      case .v4(let value): [AddressType.v4] + (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
      case .v6(let bytes): [AddressType.v6] + (0..<16).map { bytes[$0] }
      default: [AddressType.name, UInt8(truncatingIfNeeded: target.host.utf8.count)] + Array(target.host.utf8)
      }
    return host + [UInt8(target.port >> 8), UInt8(target.port & 0xFF)]
  }

  static func read(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Reading {
    switch end(of: bytes, from: start) {
    case .failure(let type): return .unknown(type.value)
    case .success(nil): return .incomplete
    case .success(let end?):
      let isName = bytes[start] == AddressType.name
      let host = UnsafeRawBufferPointer(rebasing: bytes[(start + (isName ? 2 : 1))..<(end - 2)])
      let port = UInt16(bytes[end - 2]) << 8 | UInt16(bytes[end - 1])
      return .address(ProxyTarget(host: text(host, isName), port: port), end: end)
    }
  }

  struct UnknownType: Error {
    let value: UInt8
  }

  /// Where the address that begins at `start` ends; nil when bytes are missing.
  static func end(of bytes: UnsafeRawBufferPointer, from start: Int) -> Result<Int?, UnknownType> {
    guard bytes.count > start + 1 else { return .success(nil) }
    let length: Int
    switch bytes[start] {
    case AddressType.v4: length = 4
    case AddressType.name: length = 1 + Int(bytes[start + 1])
    case AddressType.v6: length = 16
    default: return .failure(UnknownType(value: bytes[start]))
    }
    let end = start + 1 + length + 2
    return .success(bytes.count < end ? nil : end)
  }

  private static func text(_ host: UnsafeRawBufferPointer, _ isName: Bool) -> String {
    if isName { return String(decoding: host, as: UTF8.self) }
    if host.count == 4 { return SocketAddress(.v4(host.reduce(0) { $0 << 8 | UInt32($1) }), port: 0).hostText }
    var bytes = SIMD16<UInt8>()
    for (index, byte) in host.prefix(16).enumerated() { bytes[index] = byte }
    return SocketAddress(.v6(bytes), port: 0).hostText
  }
}
