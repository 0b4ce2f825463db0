// SPDX-License-Identifier: Apache-2.0

/// The URL of an engine's API for clients with a certificate: https://host[:port]/api and nothing else.
public struct MTLSAPIURL: Hashable, Sendable {
  public let address: EngineAddress

  public init(_ text: String) throws(ConfigError) {
    func refusal(_ why: String) -> ConfigError {
      ConfigError(.invalidAPIURL, "API URL: \(why); expected https://host[:port]/api")
    }
    let scheme = "https://"
    guard HostName.lowercased(String(text.prefix(scheme.count))) == scheme else {
      throw refusal("it does not begin with https://")
    }
    let rest = text.utf8.dropFirst(scheme.utf8.count)
    let authority = rest.prefix { $0 != UInt8(ascii: "/") }
    guard rest[authority.endIndex...].elementsEqual("/api".utf8) else {
      throw refusal("its path is not /api, or more follows")
    }
    // What else URLs may contain here means something else to other readers of them: users, escapes, several hosts.
    let usual = authority.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"),
        UInt8(ascii: "["), UInt8(ascii: "]"):
        true
      default: false
      }
    }
    guard usual, !authority.isEmpty else { throw refusal("its host is not one") }
    do { address = try EngineAddress(String(decoding: authority, as: UTF8.self)) } catch {
      throw refusal("its host or port is not one")
    }
  }

  /// The first label of the host.
  public var project: String { String(address.host.prefix { $0 != "." }) }
}
