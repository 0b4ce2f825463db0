// SPDX-License-Identifier: Apache-2.0

/// The beginning of a request, whatever version of HTTP it came by or leaves by.
public struct HTTPRequestHead: Sendable {
  public var method: String
  public var scheme: String
  /// Host and optional port as the client sent them; for CONNECT the target. Empty when HTTP/1.0 left it out.
  public var authority: String
  /// Path and query, not a byte of it changed; "*" or a path that begins with "/". Empty for CONNECT.
  public var path: [UInt8]
  /// The protocol that the client wants to change to: `Upgrade` of HTTP/1.1, `:protocol` of HTTP/2 and 3.
  public var upgrade: String?
  /// Without Host, which is `authority`.
  public var headers: HTTPHeaders

  public init(
    method: String, scheme: String, authority: String, path: [UInt8], upgrade: String? = nil,
    headers: HTTPHeaders = HTTPHeaders()
  ) {
    self.method = method
    self.scheme = scheme
    self.authority = authority
    self.path = path
    self.upgrade = upgrade
    self.headers = headers
  }

  /// The authority without its port, in lower case.
  public var host: String {
    let bytes = Array(authority.utf8)
    let end: Int
    if bytes.first == UInt8(ascii: "[") {
      end = bytes.firstIndex(of: UInt8(ascii: "]")).map { $0 + 1 } ?? bytes.count
    } else {
      end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
    }
    return String(decoding: bytes[..<end].map(HTTPCharacter.lowercased), as: UTF8.self)
  }
}

/// The beginning of a response.
public struct HTTPResponseHead: Sendable {
  /// 100 to 999.
  public var status: Int
  /// What HTTP/1 adds to the status in words; other versions have none.
  public var reason: String
  public var headers: HTTPHeaders

  public init(status: Int, reason: String = "", headers: HTTPHeaders = HTTPHeaders()) {
    self.status = status
    self.reason = reason
    self.headers = headers
  }

  /// A response that precedes the final one. 101 is final: it ends HTTP on the connection.
  public var isInterim: Bool { (100..<200).contains(status) && status != 101 }
}

/// How much body follows a head.
public enum HTTPBodyLength: Equatable, Sendable {
  case none
  case bytes(UInt64)
  /// Its end is marked, its length is not known before.
  case streamed
  /// It ends with the connection (HTTP/1 responses only).
  case untilClose
}
