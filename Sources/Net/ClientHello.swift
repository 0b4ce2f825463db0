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

  /// Hellos with hybrid key shares take a few kilobytes; nothing reasonable comes near this.
  public static let limit = 32_768

  public enum Outcome: Equatable {
    case complete(ClientHello)
    /// More bytes are needed.
    case incomplete
    /// This is no ClientHello.
    case invalid
  }

  /// Looks at the first bytes of a connection: TLS records that carry a ClientHello, split however the client likes.
  public static func parse(_ bytes: [UInt8]) -> Outcome {
    var handshake: [UInt8] = []
    var records = Cursor(bytes[...])
    while true {
      guard let type = records.byte() else { return .incomplete }
      guard type == 22 else { return .invalid }
      guard let major = records.byte() else { return .incomplete }
      guard major == 3 else { return .invalid }
      guard records.byte() != nil, let length = records.uint16() else { return .incomplete }
      guard length > 0, length <= 16_384 + 256 else { return .invalid }
      let fragment = records.upTo(length)
      handshake.append(contentsOf: fragment)
      if let first = handshake.first, first != 1 { return .invalid }
      if handshake.count >= 4 {
        let needed = 4 + (Int(handshake[1]) << 16 | Int(handshake[2]) << 8 | Int(handshake[3]))
        guard needed <= limit else { return .invalid }
        if handshake.count >= needed {
          guard let hello = body(handshake[4..<needed]) else { return .invalid }
          return .complete(hello)
        }
      }
      if fragment.count < length { return .incomplete }
    }
  }

  private static func body(_ bytes: ArraySlice<UInt8>) -> ClientHello? {
    var cursor = Cursor(bytes)
    // legacy_version, random, session id, cipher suites, compression methods
    guard cursor.skip(2 + 32), cursor.vector8() != nil, cursor.vector16() != nil, cursor.vector8() != nil else {
      return nil
    }
    var hello = ClientHello()
    if cursor.isAtEnd { return hello }
    guard let extensions = cursor.vector16() else { return nil }
    var rest = Cursor(extensions)
    while !rest.isAtEnd {
      guard let type = rest.uint16(), let content = rest.vector16() else { return nil }
      switch type {
      case 0:
        guard let name = serverName(content) else { return nil }
        hello.serverName = name
      case 16:
        guard let protocols = protocols(content) else { return nil }
        hello.protocols = protocols
      default:
        break
      }
    }
    return hello
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

  mutating func upTo(_ count: Int) -> ArraySlice<UInt8> {
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func vector8() -> ArraySlice<UInt8>? { byte().flatMap { take(Int($0)) } }
  mutating func vector16() -> ArraySlice<UInt8>? { uint16().flatMap { take($0) } }
}
