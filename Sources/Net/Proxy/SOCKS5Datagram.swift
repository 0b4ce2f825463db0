// SPDX-License-Identifier: Apache-2.0

/// A datagram on its way through a SOCKS5 relay: reserved bytes, fragment number, address, payload (RFC 1928, section 7).
enum SOCKS5Datagram {
  /// What precedes every payload that is meant for `target`.
  static func header(to target: ProxyTarget) throws(Failure) -> [UInt8] {
    [0, 0, 0] + (try SOCKS5Address.encoded(target))
  }

  /// Where the payload begins in what came from the relay. Nil for a fragment and for what is no such datagram.
  static func payloadStart(of datagram: UnsafeRawBufferPointer) -> Int? {
    guard datagram.count > 3, datagram[0] == 0, datagram[1] == 0, datagram[2] == 0 else { return nil }
    guard case .success(let end?) = SOCKS5Address.end(of: datagram, from: 3) else { return nil }
    return end
  }
}
