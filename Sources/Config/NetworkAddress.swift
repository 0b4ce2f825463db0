// SPDX-License-Identifier: Apache-2.0

/// host[:port] of an engine.
public struct EngineAddress: Hashable, Sendable {
  public static let defaultPort: UInt16 = 443

  /// Lower-case host name, IPv4 address, or IPv6 address without brackets.
  public let host: String
  public let port: UInt16

  /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; the port is 443 when absent.
  public init(_ text: String) throws(ConfigError) {
    let trimmed = text.trimmed()
    func refusal(_ why: String) -> ConfigError {
      // What is before an @ is mostly a password.
      let shown = trimmed.utf8.contains(0x40) ? "" : " \(trimmed.quoted())"
      return ConfigError(.invalidEngine, "engine address\(shown): \(why); expected host, host:port or [IPv6]:port")
    }
    if trimmed.contains(text: "://") { throw refusal("a URL scheme is not part of it") }
    guard let parts = HostAndPort(trimmed) else {
      throw refusal("it does not split into host and port (IPv6 addresses need brackets)")
    }
    if parts.isBracketed {
      guard let address = IPLiteral(parts.host), address.isV6 else { throw refusal("no IPv6 address in brackets") }
      host = address.text
    } else {
      guard let name = HostName.normalized(parts.host) else {
        throw refusal("the host may consist of letters, digits and inner hyphens, separated by dots")
      }
      host = name
    }
    guard let portText = parts.port else {
      port = EngineAddress.defaultPort
      return
    }
    guard let value = portNumber(portText), value > 0 else {
      throw refusal("the port must be a number from 1 to 65535")
    }
    port = value
  }

  /// host:port, IPv6 in brackets.
  public var text: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// host:port, [v6]:port or :port of a listener.
public struct ListenAddress: Hashable, Sendable {
  /// Host name or address without brackets; nothing means every address of the machine.
  public let host: String?
  /// 0 asks for any free port.
  public let port: UInt16

  /// Whether only this machine reaches it.
  public var isLoopback: Bool {
    guard let host else { return false }
    return host == "localhost" || host == "::1" || IPRange("127.0.0.0/8")?.contains(text: host) == true
  }

  public init?(_ text: String) {
    guard let parts = HostAndPort(text.trimmed()), let portText = parts.port, let port = portNumber(portText) else {
      return nil
    }
    self.port = port
    if parts.isBracketed {
      guard let address = IPLiteral(parts.host), address.isV6 else { return nil }
      host = address.text
    } else if parts.host.isEmpty {
      host = nil
    } else {
      guard let name = HostName.normalized(parts.host) else { return nil }
      host = name
    }
  }
}

/// Ports from the first to the last, both included.
public struct PortRange: Hashable, Sendable {
  public let first: UInt16
  public let last: UInt16

  /// Reads "first-last".
  public init?(_ text: String) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = portNumber(ends[0].trimmed()), let last = portNumber(ends[1].trimmed()),
      first > 0, first <= last
    else { return nil }
    self.first = first
    self.last = last
  }

  public func contains(_ port: UInt16) -> Bool { first <= port && port <= last }
}

func portNumber(_ text: String) -> UInt16? {
  guard text.utf8.count <= 5, let number = text.wholeNumber() else { return nil }
  return UInt16(exactly: number)
}

/// `host`, `host:port`, `[host]` or `[host]:port` taken apart; what the parts mean is the caller's business.
struct HostAndPort {
  let host: String
  let port: String?
  let isBracketed: Bool

  init?(_ text: String) {
    let bytes = Array(text.utf8)
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      isBracketed = true
      host = String(decoding: bytes[1..<end], as: UTF8.self)
      let rest = bytes[(end + 1)...]
      guard rest.isEmpty || rest.first == UInt8(ascii: ":") else { return nil }
      port = rest.isEmpty ? nil : String(decoding: rest.dropFirst(), as: UTF8.self)
    } else {
      let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard parts.count <= 2, let first = parts.first else { return nil }
      isBracketed = false
      host = String(decoding: first, as: UTF8.self)
      port = parts.count == 2 ? String(decoding: parts[1], as: UTF8.self) : nil
    }
  }
}
