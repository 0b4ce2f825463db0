// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct WebSocketHandshakeTests {
  @Test func keys() {
    // The example of RFC 6455 1.3.
    #expect(WebSocketHandshake.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    let key = WebSocketHandshake.makeKey()
    #expect(Base64.decode(key)?.count == 16)
    #expect(WebSocketHandshake.makeKey() != key)
  }

  private func request(_ fields: [(String, String)]) -> HTTPRequestHead {
    var head = HTTPRequestHead(method: "GET", scheme: "https", authority: "a", path: [0x2F], upgrade: "WebSocket")
    for (name, value) in fields { head.headers.append(name, value) }
    return head
  }

  @Test(arguments: [
    ("dGhlIHNhbXBsZSBub25jZQ==", true), ("", false), ("dGhlIHNhbXBsZSBub25jZQ", false),
    ("dGhlIHNhbXBsZSBub25jZS4=", false), ("dGhlIHNhbXBsZSBub25j*Q==", false), ("dGhlIHNhbXBsZSBub25=ZQ==", false),
  ])
  func keysOfClients(key: String, isGood: Bool) {
    #expect((request([("Sec-WebSocket-Key", key)]).webSocketKey == key) == isGood)
    #expect(request([("Sec-WebSocket-Key", key), ("Sec-WebSocket-Key", key)]).webSocketKey == nil)
  }

  @Test func versions() {
    #expect(request([("Sec-WebSocket-Version", "13")]).hasWebSocketVersion)
    for versions in [[], ["8"], ["13, 8"], ["13", "8"]] {
      #expect(!request(versions.map { ("Sec-WebSocket-Version", $0) }).hasWebSocketVersion)
    }
  }

  @Test func whatIsAskedIsUnderstood() {
    var head = HTTPRequestHead(method: "GET", scheme: "https", authority: "a", path: [0x2F])
    let key = WebSocketHandshake.makeKey()
    head.askForWebSocket(key: key)
    #expect(head.isWebSocketUpgrade && head.webSocketKey == key)
  }

  @Test(arguments: [
    ("Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Accept: GOOD\r\n", nil),
    ("Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: GOOD\r\n", "something else"),
    ("Upgrade: websocket\r\nSec-WebSocket-Accept: GOOD\r\n", "something else"),
    ("Connection: Upgrade\r\nSec-WebSocket-Accept: GOOD\r\n", "something else"),
    ("Upgrade: websocket\r\nConnection: Upgrade\r\n", "Sec-WebSocket-Accept"),
    ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n", "Sec-WebSocket-Accept"),
    (
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: GOOD\r\nSec-WebSocket-Extensions: x\r\n",
      "extension"
    ),
    (
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: GOOD\r\nSec-WebSocket-Protocol: x\r\n",
      "subprotocol"
    ),
  ])
  func answersOfServers(fields: String, objection: String?) {
    let key = "dGhlIHNhbXBsZSBub25jZQ=="
    var head = HTTPResponseHead(status: 101)
    for line in fields.split(separator: "\r\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      let value = parts[1].drop { $0 == " " }
      head.headers.append(String(parts[0]), value == "GOOD" ? WebSocketHandshake.accept(for: key) : String(value))
    }
    let found = WebSocketHandshake.objection(to: head, key: key)
    #expect(objection.map { found?.contains($0) == true } ?? (found == nil), "\(found ?? "agreed")")
  }
}
