// SPDX-License-Identifier: Apache-2.0

extension HTTPHeaders {
  /// Takes out the fields that are meant for the next hop only (RFC 9110 7.6.1): those that `Connection` names and
  /// those that are by definition. Credentials for a proxy stay for CONNECT, whose target is the proxy asked.
  ///
  /// Names in `Connection` cannot remove what frames or routes the message, nor the credentials of the user.
  public mutating func removeHopByHop(keepProxyCredentials: Bool = false) {
    let named = contains("connection") ? listElements("connection") : []
    removeAll { name in
      if HTTPHeaders.isHopByHop(name) { return true }
      if !keepProxyCredentials, HTTPHeaders.isProxyCredential(name) { return true }
      return named.contains { equalsIgnoringCase(name, $0.utf8) } && !HTTPHeaders.isProtected(name)
    }
  }

  /// Takes out what has no business after a body: fields that frame, route or authorize a message (RFC 9110 6.5.1).
  mutating func removeForbiddenInTrailers() {
    removeAll { HTTPHeaders.isHopByHop($0) || HTTPHeaders.isProtected($0) }
  }

  static func isHopByHop(_ name: UnsafeRawBufferPointer) -> Bool {
    // Nearly every field is told apart by its length.
    switch name.count {
    case 2: HTTPCharacter.isSame(name, "te")
    case 7: HTTPCharacter.isSame(name, "upgrade")
    case 10: HTTPCharacter.isSame(name, "connection") || HTTPCharacter.isSame(name, "keep-alive")
    case 16: HTTPCharacter.isSame(name, "proxy-connection")
    case 17: HTTPCharacter.isSame(name, "transfer-encoding")
    default: false
    }
  }

  private static func isProxyCredential(_ name: UnsafeRawBufferPointer) -> Bool {
    HTTPCharacter.isSame(name, "proxy-authorization") || HTTPCharacter.isSame(name, "proxy-authenticate")
  }

  private static func isProtected(_ name: UnsafeRawBufferPointer) -> Bool {
    let names: [StaticString] = [
      "content-length", "content-type", "host", "authorization", "cookie", "set-cookie", "origin", "trailer", "date",
    ]
    return names.contains { HTTPCharacter.isSame(name, $0) }
  }
}
