// SPDX-License-Identifier: Apache-2.0

/// The part of a TLS ClientHello that decides where a connection goes (RFC 8446, section 4.1.2; RFC 6066; RFC 7301).
public struct ClientHello: Equatable, Sendable {
  /// Host name of the server_name extension, lower case, without a trailing dot; nil when there is none.
  public var serverName: String?
  /// Protocols of the ALPN extension; nil when there is none.
  public var protocols: [String]?

  public init(serverName: String? = nil, protocols: [String]? = nil) {
    self.serverName = serverName
    self.protocols = protocols
  }

  /// Reads the body of the handshake message; nil when it is none.
  init?(body: ArraySlice<UInt8>) {
    var cursor = Cursor(body)
    // legacy_version, random, session id, cipher suites, compression methods
    guard cursor.skip(2 + 32), cursor.vector8() != nil, cursor.vector16() != nil, cursor.vector8() != nil else {
      return nil
    }
    if cursor.isAtEnd { return }
    guard let extensions = cursor.vector16() else { return nil }
    var rest = Cursor(extensions)
    while !rest.isAtEnd {
      guard let type = rest.uint16(), let content = rest.vector16() else { return nil }
      switch type {
      case 0:
        guard let name = Self.serverName(content) else { return nil }
        serverName = name
      case 16:
        guard let names = Self.protocols(content) else { return nil }
        protocols = names
      default:
        break
      }
    }
  }

  private static func serverName(_ content: ArraySlice<UInt8>) -> String? {
    var list = Cursor(content)
    guard let names = list.vector16() else { return nil }
    var entries = Cursor(names)
    while !entries.isAtEnd {
      guard let type = entries.byte(), let name = entries.vector16() else { return nil }
      guard type == 0 else { continue }
      guard !name.isEmpty, name.count <= 255, name.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
      var text = String(decoding: name, as: UTF8.self).lowercased()
      if text.hasSuffix(".") { text.removeLast() }
      return text
    }
    return nil
  }

  private static func protocols(_ content: ArraySlice<UInt8>) -> [String]? {
    var list = Cursor(content)
    guard let names = list.vector16() else { return nil }
    var entries = Cursor(names)
    var protocols: [String] = []
    while !entries.isAtEnd {
      guard let name = entries.vector8(), !name.isEmpty else { return nil }
      protocols.append(String(decoding: name, as: UTF8.self))
    }
    return protocols
  }
}

/// Reads big-endian fields off a slice, never past its end.
private struct Cursor {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8? { rest.popFirst() }

  mutating func uint16() -> Int? {
    guard rest.count >= 2, let high = rest.popFirst(), let low = rest.popFirst() else { return nil }
    return Int(high) << 8 | Int(low)
  }

  mutating func skip(_ count: Int) -> Bool {
    guard rest.count >= count else { return false }
    rest = rest.dropFirst(count)
    return true
  }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func vector8() -> ArraySlice<UInt8>? { byte().flatMap { take(Int($0)) } }
  mutating func vector16() -> ArraySlice<UInt8>? { uint16().flatMap { take($0) } }
}
