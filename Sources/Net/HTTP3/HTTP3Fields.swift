// SPDX-License-Identifier: Apache-2.0
import CHTTP3

/// A header section that has come: its pseudo-fields and the others (RFC 9114, section 4.3).
public struct HTTP3Fields {
  /// What a section may have, counted as RFC 9114, section 4.2.2 does.
  public static let sizeLimit = 65_536
  private static let overhead = 32

  private var pseudo: [(name: String, value: String)] = []
  public private(set) var headers = HTTPHeaders()
  /// Whether the message has neither body nor anything else after this section.
  public internal(set) var isAll = false
  private var size = 0

  /// Whether fields are missing because there were too many.
  public var isTooLarge: Bool { size > Self.sizeLimit }

  /// A pseudo-field by its name with the colon.
  public subscript(name: String) -> String? { pseudo.first { $0.name == name }?.value }

  /// What of the fields may stand after a body.
  public var trailers: HTTPHeaders {
    var allowed = headers
    allowed.removeForbiddenInTrailers()
    return allowed
  }

  public var status: Int? { self[":status"].flatMap { $0.utf8.count == 3 ? Int($0) : nil } }

  /// - Parameters: as nghttp3 has checked them, lent
  mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    size += name.count + value.count + Self.overhead
    guard !isTooLarge else { return }
    if name.first == UInt8(ascii: ":") {
      pseudo.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
    } else {
      headers.append(checkedName: name, value: value)
    }
  }
}

extension HTTPRequestHead {
  /// Nil when the section does not make a request that can be answered.
  public init?(_ fields: HTTP3Fields) {
    var headers = fields.headers
    guard let method = fields[":method"], let authority = fields[":authority"] ?? headers.first("host"),
      authority.utf8.allSatisfy(HTTPCharacter.isAuthority)
    else { return nil }
    headers.remove("host")
    let path = Array((fields[":path"] ?? "").utf8)
    let isAbsolute = path.first == UInt8(ascii: "/") && path.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    guard isAbsolute || method == "CONNECT" && path.isEmpty || method == "OPTIONS" && path == [UInt8(ascii: "*")] else {
      return nil
    }
    self.init(
      method: method, scheme: fields[":scheme"] ?? "https", authority: authority, path: path,
      upgrade: fields[":protocol"], headers: headers)
  }
}

extension HTTPResponseHead {
  public init?(_ fields: HTTP3Fields) {
    guard let status = fields.status, status >= 100 else { return nil }
    self.init(status: status, headers: fields.headers)
  }
}

/// A header section to be sent. Names are in lower case, and what concerns a connection of HTTP/1 is left out (RFC 9114,
/// section 4.2).
public struct HTTP3FieldList {
  private var storage: [UInt8] = []
  /// Where names end and values end.
  private var ends: [(name: Int, value: Int)] = []

  public init(_ fields: [(name: String, value: String)]) {
    for (name, value) in fields { append(name.utf8, value.utf8) }
  }

  public init(_ response: HTTPResponseHead) {
    append(":status".utf8, String(response.status).utf8)
    append(response.headers)
  }

  public init(_ request: HTTPRequestHead) {
    append(":method".utf8, request.method.utf8)
    if let name = request.upgrade { append(":protocol".utf8, name.utf8) }
    if request.method != "CONNECT" || request.upgrade != nil {
      append(":scheme".utf8, request.scheme.utf8)
      append(":path".utf8, request.path)
    }
    append(":authority".utf8, request.authority.utf8)
    append(request.headers)
  }

  public init(trailers: HTTPHeaders) { append(trailers) }

  private mutating func append(_ headers: HTTPHeaders) {
    var headers = headers
    headers.removeAll(where: HTTPHeaders.isHopByHop)
    headers.forEachField { append($0, $1) }
  }

  private mutating func append(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
    storage.append(contentsOf: name.lazy.map(HTTPCharacter.lowercased))
    let nameEnd = storage.count
    storage.append(contentsOf: value)
    ends.append((nameEnd, storage.count))
  }

  /// Lends the section to nghttp3, which copies it.
  func lend(_ body: (UnsafePointer<nghttp3_nv>?, Int) -> Int32) -> Int32 {
    var storage = storage
    return storage.withUnsafeMutableBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return body(nil, 0) }
      var start = 0
      let list = ends.map { end in
        defer { start = end.value }
        return nghttp3_nv(
          name: base + start, value: base + end.name, namelen: end.name - start, valuelen: end.value - end.name,
          flags: UInt8(NGHTTP3_NV_FLAG_NONE))
      }
      return list.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }
}
