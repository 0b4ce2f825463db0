// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4, IPv6 or Unix address as the system takes it.
public struct SocketAddress: Equatable, Sendable {
  public enum Host: Equatable, Sendable {
    case v4(UInt32)
    /// Sixteen bytes in network order.
    case v6(SIMD16<UInt8>)
    case unix(String)
  }

  public var host: Host
  public var port: UInt16
  /// Interface index of a link-local IPv6 address.
  public var scope: UInt32 = 0

  public init(_ host: Host, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// An address from an IP literal, without brackets.
  public init?(literal: String, port: UInt16) {
    var v4 = in_addr()
    var v6 = in6_addr()
    if inet_pton(AF_INET, literal, &v4) == 1 {
      self.init(.v4(UInt32(bigEndian: v4.s_addr)), port: port)
    } else if inet_pton(AF_INET6, literal, &v6) == 1 {
      self.init(.v6(withUnsafeBytes(of: v6) { $0.loadUnaligned(as: SIMD16<UInt8>.self) }), port: port)
    } else {
      return nil
    }
  }

  public init?(_ address: UnsafePointer<sockaddr>) {
    let raw = UnsafeRawPointer(address)
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      let v4 = raw.loadUnaligned(as: sockaddr_in.self)
      self.init(.v4(UInt32(bigEndian: v4.sin_addr.s_addr)), port: UInt16(bigEndian: v4.sin_port))
    case AF_INET6:
      let v6 = raw.loadUnaligned(as: sockaddr_in6.self)
      self.init(
        .v6(withUnsafeBytes(of: v6.sin6_addr) { $0.loadUnaligned(as: SIMD16<UInt8>.self) }),
        port: UInt16(bigEndian: v6.sin6_port))
      scope = v6.sin6_scope_id
    case AF_UNIX:
      self.init(.unix(""), port: 0)
    default:
      return nil
    }
  }

  public var family: Int32 {
    switch host {
    case .v4: AF_INET
    case .v6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Lends the address in the system's form. Nil when a Unix path is too long.
  func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R? {
    var storage = sockaddr_storage()
    let length: Int? = withUnsafeMutableBytes(of: &storage) { raw in
      switch host {
      case .v4(let value):
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        v4.sin_addr.s_addr = value.bigEndian
        raw.storeBytes(of: v4, as: sockaddr_in.self)
        return MemoryLayout<sockaddr_in>.size
      case .v6(let bytes):
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        v6.sin6_scope_id = scope
        withUnsafeMutableBytes(of: &v6.sin6_addr) { $0.storeBytes(of: bytes, as: SIMD16<UInt8>.self) }
        raw.storeBytes(of: v6, as: sockaddr_in6.self)
        return MemoryLayout<sockaddr_in6>.size
      case .unix(let path):
        let path = Array(path.utf8)
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        guard path.count < MemoryLayout<sockaddr_un>.size - start, !path.contains(0) else { return nil }
        raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
        raw[start...].copyBytes(from: path)
        return start + path.count + 1
      }
    }
    guard let length else { return nil }
    return withUnsafePointer(to: storage) {
      body(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self), socklen_t(length))
    }
  }

  /// The IP address without port, "" for Unix sockets. IPv4 that came in through a dual-stack socket is shown as IPv4.
  public var hostText: String {
    switch unmapped.host {
    case .v4(let value):
      return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    case .v6(let bytes):
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      withUnsafeBytes(of: bytes) { _ = inet_ntop(AF_INET6, $0.baseAddress, &text, socklen_t(text.count)) }
      return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    case .unix:
      return ""
    }
  }

  /// The same address with ::ffff:a.b.c.d turned into a.b.c.d.
  public var unmapped: SocketAddress {
    guard case .v6(let bytes) = host, bytes[10] == 255, bytes[11] == 255 else { return self }
    for index in 0..<10 where bytes[index] != 0 { return self }
    let value = (12..<16).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[$1]) }
    return SocketAddress(.v4(value), port: port)
  }
}

extension SocketAddress: CustomStringConvertible {
  /// "192.0.2.1:443", "[2001:db8::1]:443", "unix:/path".
  public var description: String {
    switch unmapped.host {
    case .v4: "\(hostText):\(port)"
    case .v6: "[\(hostText)]:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}
