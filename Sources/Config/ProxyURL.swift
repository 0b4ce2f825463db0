// SPDX-License-Identifier: Apache-2.0

/// The URL of a proxy taken apart: scheme://[user:password@]host[:port][/path][?query]. Only CONNECT-UDP looks at what
/// follows the port.
public struct ProxyURL: Equatable, Sendable {
  public enum Scheme: Equatable, Sendable {
    case http
    case https
    case socks5

    public var defaultPort: UInt16 {
      switch self {
      case .http: 80
      case .https: 443
      case .socks5: 1080
      }
    }
  }

  public let scheme: Scheme
  /// Lower-case host name, IPv4 address, or IPv6 address without brackets.
  public let host: String
  public let port: UInt16
  /// Percent-decoded; nothing when the URL carries no user name.
  public let username: String?
  /// Percent-decoded; "" when the URL carries a user name only.
  public let password: String?
  /// Path and query as they were written, "" where there are none.
  public let target: String

  /// An HTTP proxy: http:// or https://.
  public static func http(_ text: String) throws(ConfigError) -> ProxyURL {
    try ProxyURL(text, schemes: ["http": .http, "https": .https], bare: nil, expected: "http:// or https://")
  }

  /// A SOCKS5 proxy: socks5://, socks5h:// or host[:port]; the scheme makes no difference.
  public static func socks5(_ text: String) throws(ConfigError) -> ProxyURL {
    try ProxyURL(
      text, schemes: ["socks5": .socks5, "socks5h": .socks5], bare: .socks5,
      expected: "socks5://, socks5h:// or nothing")
  }

  /// What a proxy variable of the environment holds: any of these, and http:// where no scheme is given.
  public static func environment(_ text: String) throws(ConfigError) -> ProxyURL {
    try ProxyURL(
      text, schemes: ["http": .http, "https": .https, "socks5": .socks5, "socks5h": .socks5], bare: .http,
      expected: "http://, https://, socks5:// or socks5h://")
  }

  /// No message repeats the URL: it may hold a password.
  private init(_ text: String, schemes: [String: Scheme], bare: Scheme?, expected: String) throws(ConfigError) {
    var rest = Array(text.trimmed().utf8)[...]
    func refusal(_ why: String) -> ConfigError {
      ConfigError(.invalidConfig, "the proxy address is not usable: \(why)")
    }

    if let separator = rest.indices.first(where: { rest[$0...].starts(with: "://".utf8) }) {
      let name = HostName.lowercased(String(decoding: rest[..<separator], as: UTF8.self))
      guard let known = schemes[name] else {
        throw refusal("unsupported proxy URL scheme \(name.quoted()); expected \(expected)")
      }
      scheme = known
      rest = rest[(separator + 3)...]
    } else if let bare {
      scheme = bare
    } else {
      throw refusal("the scheme is missing; expected \(expected)")
    }
    if let fragment = rest.firstIndex(of: UInt8(ascii: "#")) { rest = rest[..<fragment] }
    let end = rest.firstIndex { [UInt8(ascii: "/"), UInt8(ascii: "?")].contains($0) } ?? rest.endIndex
    target = String(decoding: rest[end...], as: UTF8.self)
    rest = rest[..<end]
    if let at = rest.lastIndex(of: UInt8(ascii: "@")) {
      let parts = rest[..<at].split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
      guard let user = parts.first.flatMap(percentDecoded),
        let password = parts.count == 2 ? percentDecoded(parts[1]) : ""
      else { throw refusal("user name or password are not percent-encoded text") }
      username = user
      self.password = password
      rest = rest[(at + 1)...]
    } else {
      username = nil
      password = nil
    }
    guard let parts = HostAndPort(String(decoding: rest, as: UTF8.self)), !parts.host.isEmpty else {
      throw refusal("the host is missing")
    }
    if parts.isBracketed {
      guard let address = IPLiteral(parts.host), address.isV6 else { throw refusal("no IPv6 address in brackets") }
      host = address.text
    } else {
      guard let name = HostName.normalized(parts.host) else { throw refusal("the host is not a name or address") }
      host = name
    }
    guard let portText = parts.port, !portText.isEmpty else {
      port = scheme.defaultPort
      return
    }
    guard let value = portNumber(portText), value > 0 else { throw refusal("the port must be from 1 to 65535") }
    port = value
  }
}

/// The UTF-8 text that percent-encoded bytes stand for (RFC 3986 2.1), without NUL, CR and LF.
private func percentDecoded(_ bytes: ArraySlice<UInt8>) -> String? {
  var decoded: [UInt8] = []
  var rest = bytes
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      decoded.append(byte)
      continue
    }
    guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else { return nil }
    decoded.append(high << 4 | low)
  }
  guard !decoded.contains(where: { [0, 0x0A, 0x0D].contains($0) }) else { return nil }
  return String(validating: decoded, as: UTF8.self)
}

private func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 0x30...0x39: byte - 0x30
  case 0x41...0x46: byte - 0x41 + 10
  case 0x61...0x66: byte - 0x61 + 10
  default: nil
  }
}
