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
      if !keepProxyCredentials, HTTPHeaders.proxyCredentials.contains(where: { equalsIgnoringCase(name, $0.utf8) }) {
        return true
      }
      return named.contains { equalsIgnoringCase(name, $0.utf8) } && !HTTPHeaders.isProtected(name)
    }
  }

  /// Takes out what has no business after a body: fields that frame, route or authorize a message (RFC 9110 6.5.1).
  mutating func removeForbiddenInTrailers() {
    removeAll { HTTPHeaders.isHopByHop($0) || HTTPHeaders.isProtected($0) }
  }

  private static let hopByHop = [
    "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
  ]
  private static let proxyCredentials = ["proxy-authorization", "proxy-authenticate"]
  private static let protected = [
    "content-length", "content-type", "host", "authorization", "cookie", "set-cookie", "origin", "trailer", "date",
  ]

  private static func isHopByHop(_ name: ArraySlice<UInt8>) -> Bool {
    hopByHop.contains { equalsIgnoringCase(name, $0.utf8) }
  }

  private static func isProtected(_ name: ArraySlice<UInt8>) -> Bool {
    protected.contains { equalsIgnoringCase(name, $0.utf8) }
  }
}
