// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import Testing

@testable import RstreamEngine
@testable import RstreamNet

/// Watching over WebSocket.
@Suite struct WebSocketWatchTests {
  /// What a client makes of what the engine sends.
  private final class Client {
    let peer: RawPeer
    let codec = WebSocketCodec(.client, limit: 1 << 24)
    private(set) var found: [WebSocketCodec.Event] = []
    private var read = 0

    init(_ peer: RawPeer) { self.peer = peer }

    /// The end of the response's head, once it is there.
    private var headEnd: Int? {
      let end = Array("\r\n\r\n".utf8)
      return peer.received.indices.first { peer.received[$0...].starts(with: end) }.map { $0 + 4 }
    }

    var events: [JSONValue] {
      guard let headEnd else { return [] }
      found += peer.received[max(read, headEnd)...].withUnsafeBytes { codec.feed($0) }
      read = peer.received.count
      return found.compactMap {
        if case .message(let bytes, isText: true) = $0 { try? JSONParser.parse(bytes) } else { nil }
      }
    }

    var end: WebSocketCodec.Event? {
      _ = events
      return found.last {
        switch $0 {
        case .closed, .violated: true
        default: false
        }
      }
    }

    func send() { peer.channel.write(codec.takeOutput()) }
  }

  private static let handshake = """
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n
    """

  private func ask(_ harness: Harness, _ query: String = "", _ fields: String = handshake) throws -> RawPeer {
    let peer = RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
    peer.send("GET /api/websocket\(query) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
    return peer
  }

  private func watch(_ harness: Harness, _ query: String = "") throws -> Client { Client(try ask(harness, query)) }

  private func answer(_ harness: Harness, _ query: String = "", _ fields: String = handshake) throws -> String {
    let peer = try ask(harness, query, fields)
    harness.run("a response") { peer.text.contains("\r\n\r\n") }
    let head = peer.text.prefix { $0 != "{" }
    return String(head.dropFirst(9))
  }

  private func status(_ harness: Harness, _ query: String = "", _ fields: String = handshake) throws -> String {
    String(try answer(harness, query, fields).prefix(3))
  }

  @Test func theSnapshotComesFirstAndThenWhatHappens() throws {
    let harness = try Harness()
    let early = try harness.client(agent: "early").privateTunnel("early")
    let client = try watch(harness)
    harness.run("a snapshot") { client.events.count == 1 }
    #expect(client.peer.text.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
    #expect(client.peer.text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    let snapshot = try #require(client.events.first)
    #expect(snapshot["type"]?.string == "state.initial")
    guard case .array(let tunnels)? = snapshot["object"]?["tunnels"] else { return #expect(Bool(false), "no tunnels") }
    #expect(tunnels.map { $0["id"]?.string } == [early.id])
    let second = try harness.client(agent: "late")
    _ = try second.privateTunnel("late")
    second.close()
    harness.run("four more events") { client.events.count == 5 }
    #expect(
      client.events.dropFirst().map { $0["type"]?.string }
        == ["client.created", "tunnel.created", "tunnel.deleted", "client.deleted"])
    client.codec.ping()
    client.codec.send(text: Array("ignored".utf8))
    client.send()
    harness.run("a pong") { client.events.count == 5 && client.found.last == .pong }
    harness.finish()
  }

  @Test func filtersHoldForBothSnapshotAndEvents() throws {
    let harness = try Harness()
    let agent = try harness.client(agent: "a")
    for name in ["x", "y"] { _ = try agent.privateTunnel(name) }
    // {"tunnels":{"name":"x"},"clients":{"agent":"b"}}
    let client = try watch(
      harness, "?params=%7B%22tunnels%22:%7B%22name%22:%22x%22%7D,%22clients%22:%7B%22agent%22:%22b%22%7D%7D")
    harness.run("a snapshot") { client.events.count == 1 }
    guard case .array(let tunnels)? = client.events.first?["object"]?["tunnels"] else { return #expect(Bool(false)) }
    #expect(tunnels.map { $0["name"]?.string } == ["x"])
    _ = try agent.privateTunnel("y")
    agent.close()
    harness.run("another event") { client.events.count == 2 }
    #expect(client.events.last?["type"]?.string == "tunnel.deleted")
    harness.finish()
  }

  @Test func requestsThatAreNoHandshake() throws {
    let harness = try Harness()
    func without(_ name: String, _ other: String = "") -> String {
      Self.handshake.split(separator: "\r\n").filter { !$0.hasPrefix("\(name):") }.map { "\($0)\r\n" }.joined() + other
    }
    for fields in [
      "", without("Upgrade"), without("Connection"), without("Upgrade", "Upgrade: h2c\r\n"),
      without("Sec-WebSocket-Version"), without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n"),
      without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\nConnection: close\r\n"),
      without("Sec-WebSocket-Version", "Content-Length: 0\r\n"),
    ] {
      let answer = try answer(harness, "", fields)
      #expect(answer.hasPrefix("426 Upgrade Required\r\n"), "\(fields)")
      #expect(answer.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"))
      #expect(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"))
    }
    for key in ["", "Sec-WebSocket-Key: short\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n"] {
      #expect(try status(harness, "", without("Sec-WebSocket-Key", key)) == "400")
    }
    for params in ["%7B", "[]", "%7B%22limit%22:1%7D", "%zz"] {
      #expect(try status(harness, "?params=\(params)") == "400", "\(params)")
    }
    for method in ["HEAD", "POST"] {
      let peer = RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
      peer.send("\(method) /api/websocket HTTP/1.1\r\nHost: localhost\r\n\(Self.handshake)\r\n")
      harness.run("a response") { peer.text.contains("\r\n\r\n") }
      #expect(peer.text.hasPrefix("HTTP/1.1 405 ") && peer.text.contains("\r\nAllow: GET\r\n"))
    }
    #expect(harness.engine.feed.count == 0)
    harness.finish()
  }

  @Test func whoMayWatch() throws {
    let harness = try Harness([
      "auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret,
      "auth.tokens": "static",
    ])
    let now = Clock.seconds
    func token(_ permissions: String, lifetime: Int64 = 3600) -> String {
      TokenMaker.token(#"{"type":"auth","permissions":\#(permissions),"iat":\#(now),"exp":\#(now + lifetime)}"#)
    }
    let look = token(#"["tunnels.resources.read-only"]"#)
    func header(_ token: String) -> String { "\(Self.handshake)Authorization: Bearer \(token)\r\n" }
    #expect(try status(harness) == "401")
    #expect(try status(harness, "", "") == "401")
    #expect(try status(harness, "", header("static")) == "101")
    #expect(try status(harness, "", header(look)) == "101")
    #expect(try status(harness, "", header(token("[]"))) == "403")
    #expect(
      try status(harness, "?rstream.token=\(look)", "\(Self.handshake)Origin: https://other.example\r\n") == "101")
    #expect(try status(harness, "?rstream.token=\(look)", header(look)) == "401")
    #expect(try status(harness, "?rstream.token=static") == "401")
    #expect(try status(harness, "?rstream.token=\(token("null"))") == "401")
    let long = token(#"["tunnels.resources.read-only"]"#, lifetime: 3601)
    #expect(try status(harness, "?rstream.token=\(long)") == "401")
    harness.finish()
  }

  @Test func foreignPagesNeedAToken() throws {
    let harness = try Harness()
    for (origin, expected) in [("https://localhost", "101"), ("https://other", "403"), ("null", "403")] {
      #expect(try status(harness, "", "\(Self.handshake)Origin: \(origin)\r\n") == expected)
    }
    harness.finish()
  }

  @Test func bytesRightBehindTheHandshakeAreRead() throws {
    let harness = try Harness()
    let peer = RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
    let client = Client(peer)
    client.codec.ping()
    let request = "GET /api/websocket HTTP/1.1\r\nHost: localhost\r\n\(Self.handshake)\r\n"
    peer.channel.write(Array(request.utf8) + client.codec.takeOutput())
    harness.run("a pong") { client.events.count == 1 && client.found.last == .pong }
    harness.finish()
  }

  @Test func whoLeavesIsForgotten() throws {
    let harness = try Harness()
    let clients = [try watch(harness), try watch(harness), try watch(harness), try watch(harness)]
    harness.run("snapshots") { clients.allSatisfy { $0.events.count == 1 } }
    #expect(harness.engine.feed.count == 4)
    clients[0].codec.close(1000)
    clients[0].send()
    clients[1].peer.channel.close()
    clients[2].peer.channel.reset()
    // A frame that is not masked.
    clients[3].peer.channel.write([0x81, 0])
    harness.run("their end") { harness.engine.feed.count == 0 && clients[3].end != nil && clients[0].end != nil }
    #expect(clients[0].end == .closed(code: 1000, reason: ""))
    #expect(clients[3].end == .closed(code: 1002, reason: ""))
    harness.run("the connections' end") { clients[0].peer.isEnded && clients[3].peer.isEnded }
    harness.finish()
  }

  @Test func whoDoesNotReadIsCutOff() throws {
    let harness = try Harness()
    let reading = try watch(harness)
    let silent = try watch(harness)
    harness.run("snapshots") { reading.events.count == 1 && silent.events.count == 1 }
    silent.peer.channel.readStop()
    let record = JSONValue.object([JSONMember("name", .string(String(repeating: "x", count: 100_000)))])
    var told = 0
    harness.run("one watcher less") {
      harness.engine.feed.tell(.tunnels, .created, record)
      told += 1
      return harness.engine.feed.count == 1 || told == 1000
    }
    #expect(harness.engine.feed.count == 1)
    harness.engine.feed.tell(.tunnels, .created, .object([JSONMember("name", .string("last"))]))
    harness.run("the last event") { reading.events.last?["object"]?["name"]?.string == "last" }
    #expect(reading.events.count == told + 2)
    harness.finish()
  }

  @Test func whoReadsLateMissesNothing() throws {
    let harness = try Harness()
    var head = HTTPRequestHead(
      method: "GET", scheme: "https", authority: "localhost", path: Array("/api/websocket".utf8))
    head.askForWebSocket(key: WebSocketHandshake.makeKey())
    let slow = SlowClient(harness.loop)
    WebSocketWatch.serve(HTTPExchange(head, .none, from: slow), try WatchQuery(path: head.path), harness.engine)
    #expect(harness.engine.feed.count == 1)
    let filling = JSONMember("filling", .string(String(repeating: "x", count: 10_000)))
    func tell(_ numbers: Range<Int>) {
      for number in numbers {
        let name = JSONMember("name", .string(String(number)))
        harness.engine.feed.tell(.tunnels, .created, .object([name, filling]))
      }
    }
    var names: [String] {
      let events = slow.channel.written.withUnsafeBytes { WebSocketCodec(.client, limit: 1 << 20).feed($0) }
      return events.compactMap {
        guard case .message(let bytes, _) = $0, let json = try? JSONParser.parse(bytes) else { return nil }
        return json["object"]?["name"]?.string ?? json["type"]?.string
      }
    }
    tell(0..<90)
    #expect(names == ["state.initial"] + (0..<7).map { String($0) })
    slow.channel.drain()
    #expect(names.count == 15)
    tell(90..<100)
    #expect(names.count == 15)
    while names.count < 101 { slow.channel.drain() }
    #expect(names == ["state.initial"] + (0..<100).map { String($0) })
    slow.channel.drain()
    tell(100..<101)
    #expect(names.last == "100")
    slow.channel.drain()
    tell(0..<105)
    #expect(!slow.channel.isReset && harness.engine.feed.count == 1)
    tell(0..<10)
    #expect(slow.channel.isReset && harness.engine.feed.count == 0)
    harness.finish()
  }

  @Test func anEngineThatStopsCloses() throws {
    let harness = try Harness()
    let clients = [try watch(harness), try watch(harness)]
    harness.run("snapshots") { clients.allSatisfy { $0.events.count == 1 } }
    var isStopped = false
    try harness.engine.stop { isStopped = true }
    harness.run("closing") { clients.allSatisfy { $0.end == .closed(code: 1001, reason: "") } }
    // One agrees, the other does not care.
    clients[0].send()
    harness.run("the end of what agreed") { clients[0].peer.isEnded }
    harness.run("the engine's end") { isStopped }
    harness.finish()
  }
}
