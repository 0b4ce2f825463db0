// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// How sockets towards an engine are made: from which address, of which family, over several paths or one.
public struct SocketPolicy: Equatable, Sendable {
  public enum Family: Equatable, Sendable {
    case any
    case v4
    case v6

    func allows(_ address: SocketAddress) -> Bool {
      switch self {
      case .any: true
      case .v4: address.family == AF_INET
      case .v6: address.family == AF_INET6
      }
    }

    var name: String {
      switch self {
      case .any: "IP"
      case .v4: "IPv4"
      case .v6: "IPv6"
      }
    }
  }

  /// IP literal to bind to; goes before `interface`.
  public var localAddress: String?
  /// Network interface whose first address of the family sockets are bound to. Their packets may still leave through
  /// another one: the routing table decides that.
  public var interface: String?
  public var family = Family.any
  /// Multipath TCP (RFC 8684) where the system has it, TCP otherwise.
  public var multipath = false
  /// Whether further addresses are tried while the first has not answered (RFC 8305).
  public var races = true

  public init() {}

  /// The addresses that sockets of this policy can reach, in their order.
  func usable(_ addresses: [SocketAddress], of host: String) throws(Failure) -> [SocketAddress] {
    let usable = addresses.filter { family.allows($0) }
    guard usable.isEmpty else { return usable }
    throw Failure(UV_EADDRNOTAVAIL.rawValue, "\(host) has no \(family.name) address, and ipFamily allows no other")
  }

  /// A stream socket towards an address, bound as the policy wants it.
  func makeSocket(to address: SocketAddress) throws(Failure) -> Int32 {
    guard address.family != AF_UNIX else { return try checked(rstream_stream_socket(AF_UNIX), address) }
    var descriptor: Int32 = -1
    if multipath { descriptor = rstream_multipath_socket(address.family) }
    if descriptor < 0 { descriptor = rstream_stream_socket(address.family) }
    return try bound(try checked(descriptor, address), address)
  }

  /// The same for datagrams, and connected: nobody else's packets are received.
  func makeDatagramSocket(to address: SocketAddress, _ attempt: String) throws(Failure) -> Int32 {
    let descriptor = try bound(try checked(rstream_datagram_socket(address.family), address), address)
    guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
      let failure = Failure.errno("\(attempt) \(address)")
      Glibc.close(descriptor)
      throw failure
    }
    return descriptor
  }

  private func checked(_ descriptor: Int32, _ address: SocketAddress) throws(Failure) -> Int32 {
    guard descriptor >= 0 else { throw .uv(descriptor, "connect to \(address)") }
    return descriptor
  }

  private func bound(_ descriptor: Int32, _ address: SocketAddress) throws(Failure) -> Int32 {
    do throws(Failure) {
      if let source = try source(for: address) { try bind(descriptor, to: source) }
    } catch {
      Glibc.close(descriptor)
      throw error.during("connect to \(address)")
    }
    return descriptor
  }

  private func bind(_ descriptor: Int32, to source: SocketAddress) throws(Failure) {
    // The port is chosen at connect(), when it only has to be free towards that peer.
    SocketOption.set(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 1)
    guard source.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else {
      throw .errno("bind to \(source.hostText)")
    }
  }

  private func source(for address: SocketAddress) throws(Failure) -> SocketAddress? {
    if let localAddress {
      guard let source = SocketAddress(literal: localAddress, port: 0) else {
        throw Failure(ErrorCode.invalidConfig, "bind to \(localAddress): it is not an IP address")
      }
      guard source.family == address.family else {
        throw Failure(UV_EADDRNOTAVAIL.rawValue, "the local address \(localAddress) is of another family")
      }
      return source
    }
    return try interface.map { (name) throws(Failure) in try Self.firstAddress(of: name, like: address) }
  }

  private static func firstAddress(of interface: String, like address: SocketAddress) throws(Failure) -> SocketAddress {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { throw .errno("list the network interfaces") }
    defer { freeifaddrs(list) }
    var isKnown = false
    var entry = list
    while let current = entry {
      entry = current.pointee.ifa_next
      guard let name = current.pointee.ifa_name, String(cString: name) == interface else { continue }
      isKnown = true
      guard let raw = current.pointee.ifa_addr, let found = SocketAddress(raw), found.family == address.family else {
        continue
      }
      return found
    }
    let family: Family = address.family == AF_INET ? .v4 : .v6
    throw Failure(
      isKnown ? UV_EADDRNOTAVAIL.rawValue : UV_ENODEV.rawValue,
      isKnown
        ? "network interface \(interface) has no \(family.name) address" : "there is no network interface \(interface)")
  }
}
