// SPDX-License-Identifier: Apache-2.0

extension HTTPRequestHead {
  /// Whether the client asks to go on with WebSocket, by HTTP/1.1 (RFC 6455) or by extended CONNECT (RFC 8441, 9220).
  public var isWebSocketUpgrade: Bool {
    guard let upgrade, equalsIgnoringCase(upgrade.utf8, "websocket".utf8) else { return false }
    if method == "CONNECT" { return true }
    return method == "GET" && headers.first("sec-websocket-version") == "13" && hasWebSocketKey
  }

  /// The key is 16 bytes in base64.
  private var hasWebSocketKey: Bool {
    let keys = headers.all("sec-websocket-key")
    guard keys.count == 1, let key = keys.first, key.utf8.count == 24, key.hasSuffix("==") else { return false }
    return key.utf8.dropLast(2).allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "+"), UInt8(ascii: "/"): true
      default: false
      }
    }
  }
}
