// SPDX-License-Identifier: Apache-2.0

/// The opening handshake of WebSocket over HTTP/1.1 (RFC 6455 section 4). Neither extensions nor subprotocols are offered
/// or agreed to.
public enum WebSocketHandshake {
  public static let version = "13"

  /// A key that no other handshake has.
  public static func makeKey() -> String {
    var generator = SystemRandomNumberGenerator()
    return Base64.encode((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
  }

  /// What a server answers to a key, to show that it has understood.
  public static func accept(for key: String) -> String {
    Base64.encode(Digest.sha1(Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
  }

  /// The response of a server that agrees; Connection and Upgrade are the connection's to write.
  public static func response(to key: String) -> HTTPResponseHead {
    var head = HTTPResponseHead(status: 101, reason: "Switching Protocols")
    head.headers.append("Sec-WebSocket-Accept", accept(for: key))
    return head
  }

  /// What is wrong with a response of status 101; nil when the server agrees.
  public static func objection(to head: HTTPResponseHead, key: String) -> String? {
    let headers = head.headers
    guard headers.all("upgrade").count == 1, let upgrade = headers.first("upgrade"),
      equalsIgnoringCase(upgrade.utf8, "websocket".utf8), headers.contains("connection", token: "upgrade")
    else { return "it changes to something else than WebSocket" }
    guard headers.all("sec-websocket-accept") == [accept(for: key)] else {
      return "its Sec-WebSocket-Accept does not answer this request's key"
    }
    if headers.contains("sec-websocket-extensions") { return "it uses an extension that nobody offered" }
    if headers.contains("sec-websocket-protocol") { return "it uses a subprotocol that nobody offered" }
    return nil
  }
}

extension HTTPRequestHead {
  /// Makes a GET ask for WebSocket.
  public mutating func askForWebSocket(key: String) {
    upgrade = "websocket"
    headers.append("Sec-WebSocket-Key", key)
    headers.append("Sec-WebSocket-Version", WebSocketHandshake.version)
  }

  /// Whether the client asks to go on with WebSocket, by HTTP/1.1 (RFC 6455) or by extended CONNECT (RFC 8441, 9220).
  public var isWebSocketUpgrade: Bool {
    guard namesWebSocket else { return false }
    if method == "CONNECT" { return true }
    return method == "GET" && hasWebSocketVersion && webSocketKey != nil
  }

  /// Whether WebSocket is what the client wants to change to, however well it asks for it.
  public var namesWebSocket: Bool { upgrade.map { equalsIgnoringCase($0.utf8, "websocket".utf8) } ?? false }

  public var hasWebSocketVersion: Bool { headers.all("sec-websocket-version") == [WebSocketHandshake.version] }

  /// The key, which is 16 bytes in base64; nil for anything else.
  public var webSocketKey: String? {
    let keys = headers.all("sec-websocket-key")
    guard keys.count == 1, let key = keys.first, key.utf8.count == 24, Base64.decode(key)?.count == 16 else {
      return nil
    }
    return key
  }
}
