// SPDX-License-Identifier: Apache-2.0

/// The URL of a control plane: http or https, a host, perhaps a port and a path. Nothing in it is shown when it has a
/// user, because what follows is a password.
public struct APIURL: Hashable, Sendable {
  /// Without slashes at the end.
  public let text: String
  public let isSecure: Bool
  /// Host name, IPv4 address, or IPv6 address without brackets.
  public let host: String
  public let port: UInt16
  /// Without a slash at the end; empty for the root.
  public let path: String

  public init(_ text: String) throws(ConfigError) {
    let trimmed = text.trimmed()
    func refusal(_ why: String) -> ConfigError {
      let shown = trimmed.utf8.contains(0x40) ? "" : " \(trimmed.quoted())"
      return ConfigError(
        .invalidAPIURL, "API URL\(shown): \(why); expected https://host, with a port or path if need be")
    }
    guard trimmed.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw refusal("it contains white space or other characters that no URL has")
    }
    let lower = HostName.lowercased(trimmed)
    guard let scheme = ["https://", "http://"].first(where: { lower.hasPrefix($0) }) else {
      throw refusal("it does not begin with https:// or http://")
    }
    isSecure = scheme == "https://"
    var rest = Array(trimmed.utf8.dropFirst(scheme.utf8.count))
    while rest.last == UInt8(ascii: "/") { rest.removeLast() }
    guard !rest.contains(UInt8(ascii: "?")), !rest.contains(UInt8(ascii: "#")) else {
      throw refusal("a query or a fragment is not part of it")
    }
    let authority = rest.prefix { $0 != UInt8(ascii: "/") }
    guard !authority.contains(UInt8(ascii: "@")) else { throw refusal("a user and a password are not part of it") }
    guard !authority.isEmpty else { throw refusal("the host is missing") }
    let address: EngineAddress
    let authorityText = String(decoding: authority, as: UTF8.self)
    do { address = try EngineAddress(authorityText) } catch { throw refusal("its host or port is not valid") }
    host = address.host
    port = isSecure || APIURL.hasPort(authorityText) ? address.port : 80
    path = String(decoding: rest[authority.endIndex...], as: UTF8.self)
    self.text = scheme + String(decoding: rest, as: UTF8.self)
  }

  private static func hasPort(_ authority: String) -> Bool {
    guard let last = authority.utf8.lastIndex(of: UInt8(ascii: ":")) else { return false }
    return !authority.utf8[last...].contains(UInt8(ascii: "]"))
  }
}
