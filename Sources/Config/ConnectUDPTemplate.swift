// SPDX-License-Identifier: Apache-2.0

/// The URI template of a proxy that carries UDP over HTTP/3 (RFC 9298, section 2): where to ask for a target.
public struct ConnectUDPTemplate: Equatable, Sendable {
  /// RFC 9298, section 2: what is meant when only the proxy itself is known.
  private static let wellKnown = "/.well-known/masque/udp/{target_host}/{target_port}/"
  private static let hostVariable = "{target_host}"
  private static let portVariable = "{target_port}"

  public let host: String
  public let port: UInt16
  private let target: String

  init(_ url: ProxyURL) throws(ConfigError) {
    func refusal(_ why: String) -> ConfigError { ConfigError(.invalidConfig, "UDP over this proxy: \(why)") }

    guard url.scheme == .https else { throw refusal("CONNECT-UDP needs an https:// proxy") }
    guard url.username == nil else {
      throw refusal("CONNECT-UDP has no user name and password; leave them out of the address")
    }
    host = url.host
    port = url.port
    let query = url.target.firstIndex(of: "?").map { url.target[$0...] } ?? ""
    let path = url.target.dropLast(query.count)
    // A query with variables in it is a template of the proxy's own, even without a path.
    let isWellKnown = ["", "/"].contains(path) && !query.contains("{")
    let template = isWellKnown ? Self.wellKnown + query : url.target
    let withoutHost = Self.replace(Self.hostVariable, in: template, by: "")
    let constant = Self.replace(Self.portVariable, in: withoutHost, by: "")
    guard withoutHost != template, constant != withoutHost else {
      throw refusal("its path has to contain \(Self.hostVariable) and \(Self.portVariable)")
    }
    guard Self.isTarget(constant) else {
      throw refusal("its path holds characters or expressions that are not known")
    }
    // A query may stand without a path, an HTTP request's target may not.
    target = template.hasPrefix("/") ? template : "/" + template
  }

  /// The path and query to ask for.
  public func path(host: String, port: UInt16) -> String {
    // The host holds no brace any more when the port's turn comes.
    Self.replace(
      Self.portVariable, in: Self.replace(Self.hostVariable, in: target, by: Self.encoded(host)), by: "\(port)")
  }

  private static func replace(_ variable: String, in text: String, by value: String) -> String {
    var result: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      if rest.starts(with: variable.utf8) {
        result += value.utf8
        rest = rest.dropFirst(variable.utf8.count)
      } else {
        result += rest.prefix(1)
        rest = rest.dropFirst()
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// Simple expansion: all but the unreserved characters is percent-encoded (RFC 6570, section 3.2.2).
  private static func encoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      if isUnreserved(byte) {
        result.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return result
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: false
    }
  }

  /// Path and query of RFC 3986, without further expressions in braces.
  private static func isTarget(_ text: String) -> Bool {
    text.utf8.allSatisfy { isUnreserved($0) || "%/?:@!$&'()*+,;=".utf8.contains($0) }
  }
}
