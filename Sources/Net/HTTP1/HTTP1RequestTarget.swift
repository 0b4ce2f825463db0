// SPDX-License-Identifier: Apache-2.0

/// The target of a request line taken apart (RFC 9112 3.2); nothing in it is normalized or decoded.
struct HTTP1RequestTarget {
  /// The authority that the target names itself, which then counts instead of Host.
  let authority: [UInt8]?
  let path: [UInt8]

  init(_ target: [UInt8], method: String) throws(HTTP1Error) {
    guard !target.contains(UInt8(ascii: "#")) else { throw HTTP1Error("the request target contains a fragment") }
    if method == "CONNECT" {
      guard target.contains(UInt8(ascii: ":")), target.allSatisfy(HTTPCharacter.isAuthority) else {
        throw HTTP1Error("CONNECT needs host:port")
      }
      authority = target
      path = []
    } else if target.first == UInt8(ascii: "/") {
      authority = nil
      path = target
    } else if target == [UInt8(ascii: "*")] {
      guard method == "OPTIONS" else { throw HTTP1Error("the target * is for OPTIONS only") }
      authority = nil
      path = target
    } else {
      (authority, path) = try HTTP1RequestTarget.split(absolute: target, method: method)
    }
  }

  private static func split(
    absolute target: [UInt8], method: String
  ) throws(HTTP1Error) -> (authority: [UInt8], path: [UInt8]) {
    let prefixes = ["http://", "https://"]
    guard let prefix = prefixes.first(where: { equalsIgnoringCase(target.prefix($0.utf8.count), $0.utf8) }) else {
      throw HTTP1Error("the request target is neither a path nor an http URL")
    }
    let rest = target.dropFirst(prefix.utf8.count)
    let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
    let authority = rest[..<end]
    guard !authority.isEmpty, authority.allSatisfy(HTTPCharacter.isAuthority) else {
      throw HTTP1Error("the request target names no valid host")
    }
    var path = Array(rest[end...])
    if path.first != UInt8(ascii: "/") {
      path.insert(UInt8(ascii: path.isEmpty && method == "OPTIONS" ? "*" : "/"), at: 0)
    }
    return (Array(authority), path)
  }
}
