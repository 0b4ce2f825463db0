// SPDX-License-Identifier: Apache-2.0

/// Headers for requests to a control plane or to a proxy. Their values may be secrets and appear in no message.
public struct HeaderList: Sendable, Equatable {
  public enum Receiver: Sendable {
    /// Names are written in one way, and those that belong to the request itself are refused.
    case controlPlane
    /// Names stay as they are written.
    case proxy
  }

  public struct Header: Sendable, Equatable {
    public let name: String
    public let value: String
  }

  /// In the order of their names.
  public let headers: [Header]

  public static let none = HeaderList(headers: [])

  private init(headers: [Header]) {
    self.headers = headers.sorted { $0.name < $1.name }
  }

  init(_ members: [(name: String, value: String)], _ receiver: Receiver) throws(ConfigError) {
    var headers: [Header] = []
    for member in members {
      let header = try HeaderList.header(member.name, member.value, receiver)
      guard !headers.contains(where: { HeaderList.isSame($0, header) }) else {
        throw ConfigError(.invalidConfig, "the header \(header.name) is there twice")
      }
      headers.append(header)
    }
    self.init(headers: headers)
  }

  init(json: String, _ receiver: Receiver) throws(ConfigError) {
    var reader = JSONReader(Array(json.utf8))
    guard let members = reader.strings() else {
      throw ConfigError(.invalidConfig, "expected a JSON object of strings, as in {\"X-Name\":\"value\"}")
    }
    try self.init(members, receiver)
  }

  /// These headers and the others' over them.
  func merging(_ other: HeaderList) -> HeaderList {
    HeaderList(
      headers: headers.filter { old in !other.headers.contains { HeaderList.isSame($0, old) } } + other.headers)
  }

  var json: String { JSONText.object(headers.map { ($0.name, $0.value) }) }

  private static func isSame(_ a: Header, _ b: Header) -> Bool {
    HostName.lowercased(a.name) == HostName.lowercased(b.name)
  }

  private static func header(_ name: String, _ value: String, _ receiver: Receiver) throws(ConfigError) -> Header {
    var name = name.trimmed()
    guard !name.isEmpty, name.utf8.allSatisfy({ isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }) else {
      throw ConfigError(.invalidConfig, "\(name.quoted()) is not the name of a header")
    }
    guard value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
      throw ConfigError(.invalidConfig, "the value of the header \(name) contains control characters")
    }
    if case .controlPlane = receiver {
      let lower = HostName.lowercased(name)
      guard !reserved.contains(lower), !lower.hasPrefix("x-forwarded-") else {
        throw ConfigError(.invalidConfig, "the header \(name) is not for configuration to set")
      }
      name = canonical(name)
    }
    return Header(name: name, value: value)
  }

  private static let reserved: Set<String> = [
    "authorization", "connection", "content-length", "cookie", "forwarded", "host", "keep-alive",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  ]

  /// x-api-KEY as X-Api-Key.
  private static func canonical(_ name: String) -> String {
    var isFirst = true
    let bytes = name.utf8.map { byte in
      defer { isFirst = byte == UInt8(ascii: "-") }
      let isLetter = isAlphanumeric(byte) && !isDigit(byte)
      guard isLetter else { return byte }
      return isFirst ? byte & ~0x20 : byte | 0x20
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
