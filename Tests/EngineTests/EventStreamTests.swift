// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet
import Testing

@testable import RstreamEngine

/// Watching over server-sent events.
@Suite struct EventStreamTests {
  private func watch(_ harness: Harness, _ query: String = "", _ more: String = "") throws -> RawPeer {
    let peer = RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
    peer.send("GET /api/sse\(query) HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\(more)\r\n")
    return peer
  }

  /// The events that have come, framing of chunks left out.
  private func events(_ peer: RawPeer) -> [JSONValue] {
    peer.text.split(separator: "\r\n").filter { $0.hasPrefix("data: ") }.compactMap {
      try? JSONParser.parse(Array($0.dropFirst(6).prefix { $0 != "\n" }.utf8))
    }
  }

  private func types(_ peer: RawPeer) -> [String] { events(peer).map { $0["type"]?.string ?? "" } }

  private func status(_ harness: Harness, _ query: String = "", _ more: String = "") throws -> String {
    let peer = try watch(harness, query, more)
    harness.run("a response") { peer.text.contains("\r\n\r\n") }
    return String(peer.text.dropFirst(9).prefix(3))
  }

  @Test func theSnapshotComesFirstAndThenWhatHappens() throws {
    let harness = try Harness()
    let client = try harness.client(agent: "early")
    let early = try client.privateTunnel("early")
    let peer = try watch(harness)
    harness.run("a snapshot") { events(peer).count == 1 }
    #expect(peer.text.contains("\r\nContent-Type: text/event-stream\r\n"))
    let snapshot = try #require(events(peer).first)
    #expect(snapshot["type"]?.string == "state.initial")
    #expect(snapshot["id"]?.string?.isEmpty == false && snapshot["created_at"]?.string?.hasSuffix("Z") == true)
    guard case .array(let clients)? = snapshot["object"]?["clients"],
      case .array(let tunnels)? = snapshot["object"]?["tunnels"]
    else { return #expect(Bool(false), "no lists in the snapshot") }
    #expect(clients.map { $0["id"]?.string } == [client.clientID])
    #expect(tunnels.map { $0["id"]?.string } == [early.id])

    let second = try harness.client(agent: "late")
    let late = try second.privateTunnel("late")
    second.close()
    harness.run("four more events") { events(peer).count == 5 }
    #expect(
      types(peer).dropFirst() == ["client.created", "tunnel.created", "tunnel.deleted", "client.deleted"])
    #expect(events(peer)[2]["object"]?["id"]?.string == late.id)
    #expect(events(peer)[2]["object"]?["status"]?.string == "online")
    #expect(events(peer)[3]["object"]?["status"]?.string == "offline")
    #expect(Set(events(peer).map { $0["id"]?.string }).count == 5)
    harness.finish()
  }

  @Test func filtersHoldForBothSnapshotAndEvents() throws {
    let harness = try Harness()
    let client = try harness.client(agent: "a")
    for name in ["x", "y"] { _ = try client.privateTunnel(name) }
    // {"tunnels":{"name":"x"},"clients":{"agent":"b"}}
    let query = "?params=%7B%22tunnels%22:%7B%22name%22:%22x%22%7D,%22clients%22:%7B%22agent%22:%22b%22%7D%7D"
    let peer = try watch(harness, query)
    harness.run("a snapshot") { events(peer).count == 1 }
    let object = try #require(events(peer).first?["object"])
    #expect(object["clients"] == .array([]))
    guard case .array(let tunnels)? = object["tunnels"] else { return #expect(Bool(false)) }
    #expect(tunnels.map { $0["name"]?.string } == ["x"])
    let other = try harness.client(agent: "b")
    for name in ["y", "x"] { _ = try other.privateTunnel(name) }
    client.close()
    harness.run("three more events") { events(peer).count == 4 }
    #expect(types(peer).dropFirst() == ["client.created", "tunnel.created", "tunnel.deleted"])
    harness.finish()
  }

  @Test func requestsThatCannotBeAnswered() throws {
    let harness = try Harness()
    for params in ["%7B", "[]", "%7B%22limit%22:1%7D", "%7B%22tunnels%22:%7B%22agent%22:%22x%22%7D%7D", "%zz"] {
      #expect(try status(harness, "?params=\(params)") == "400", "\(params)")
    }
    #expect(try status(harness, "?params=null") == "200")
    #expect(try status(harness, "?params=%7B%22clients%22:null%7D") == "200")
    let peer = RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
    peer.send("HEAD /api/sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
    harness.run("a response") { peer.text.contains("\r\n\r\n") }
    #expect(peer.text.hasPrefix("HTTP/1.1 405 ") && peer.text.contains("\r\nAllow: GET\r\n"))
    harness.finish()
  }

  @Test func whoMayWatch() throws {
    let harness = try Harness([
      "auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret,
      "auth.tokens": "static",
    ])
    let now = Clock.seconds
    func token(_ permissions: String, lifetime: Int64 = 3600) -> String {
      TokenMaker.token(
        #"{"type":"auth","permissions":\#(permissions),"iat":\#(now),"exp":\#(now + lifetime)}"#)
    }
    let look = token(#"["tunnels.resources.read-only"]"#)
    #expect(try status(harness) == "401")
    #expect(try status(harness, "", "Authorization: Bearer static\r\n") == "200")
    #expect(try status(harness, "", "Authorization: Bearer \(look)\r\n") == "200")
    #expect(try status(harness, "", "Authorization: Bearer \(token("[]"))\r\n") == "403")
    #expect(try status(harness, "?rstream.token=\(look)") == "200")
    #expect(try status(harness, "?rstream.token=\(look)", "Authorization: Bearer \(look)\r\n") == "401")
    #expect(try status(harness, "?rstream.token=static") == "401")
    #expect(try status(harness, "?rstream.token=\(token("null"))") == "401")
    #expect(try status(harness, "?rstream.token=\(token("[]"))") == "403")
    let long = token(#"["tunnels.resources.read-only"]"#, lifetime: 3601)
    #expect(try status(harness, "?rstream.token=\(long)") == "401")
    let more = token(#"["tunnels.resources.read-only","tunnels.streams.create-delete"]"#)
    #expect(try status(harness, "?rstream.token=\(more)") == "401")
    #expect(try status(harness, "?rstream.token=") == "401")
    harness.finish()
  }

  @Test func pitfall70_theBoundaryHoldsForBothSnapshotAndEvents() throws {
    let harness = try Harness(["auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret])
    func header(_ list: String) -> String {
      let scopes = #"{"scopes":{"tunnels":{"list":\#(list)}}}"#
      return "Authorization: Bearer \(TokenMaker.token(#"{"type":"auth","resources":{"tunnels":\#(scopes)}}"#))\r\n"
    }
    let client = try harness.client()
    for name in ["x", "y"] { _ = try client.privateTunnel(name) }
    let some = try watch(harness, "", header(#"{"filters":{"name":"x"},"select":{"name":true,"status":true}}"#))
    let all = try watch(harness, "", header("true"))
    let none = try watch(harness, "", header(#"{"filters":{"name":"z"}}"#))
    harness.run("snapshots") { [some, all, none].allSatisfy { events($0).count == 1 } }
    let seen = JSONValue.object([JSONMember("name", .string("x")), JSONMember("status", .string("online"))])
    #expect(events(some)[0]["object"]?["tunnels"] == .array([seen]))
    #expect(events(some)[0]["object"]?["clients"] == .array([]))
    #expect(events(none)[0]["object"]?["tunnels"] == .array([]))
    for name in ["y", "x"] { _ = try client.privateTunnel(name) }
    client.close()
    harness.run("events") { events(all).count == 8 && events(some).count == 4 }
    #expect(types(some) == ["state.initial", "tunnel.created", "tunnel.deleted", "tunnel.deleted"])
    #expect(events(some)[1]["object"] == seen)
    let gone = JSONValue.object([JSONMember("name", .string("x")), JSONMember("status", .string("offline"))])
    #expect(events(some)[2]["object"] == gone && events(some)[3]["object"] == gone)
    #expect(types(all).last == "client.deleted")
    #expect(events(none).count == 1)
    harness.finish()
  }

  @Test func aWatchEndsWithItsToken() throws {
    let harness = try Harness(["auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret])
    let end = Clock.seconds + 2
    func header(_ end: Int64) -> String {
      "Authorization: Bearer \(TokenMaker.token(#"{"type":"auth","exp":\#(end)}"#))\r\n"
    }
    let long = try watch(harness, "", header(end + 3600))
    let short = try watch(harness, "", header(end))
    let endless = try watch(harness)
    harness.run("snapshots") { [long, short, endless].allSatisfy { events($0).count == 1 } }
    harness.run("the end of the short one") { short.text.hasSuffix("0\r\n\r\n") }
    #expect(Clock.seconds >= end && Clock.seconds <= end + 2)
    #expect(harness.engine.feed.count == 2)
    _ = try harness.client()
    harness.run("events for the others") { events(long).count == 2 && events(endless).count == 2 }
    #expect(events(short).count == 1)
    long.channel.close()
    endless.channel.close()
    harness.run("their end") { harness.engine.feed.count == 0 }
    harness.finish()
  }

  @Test func whoLeavesIsForgotten() throws {
    let harness = try Harness()
    let peers = [try watch(harness), try watch(harness)]
    harness.run("snapshots") { peers.allSatisfy { events($0).count == 1 } }
    #expect(harness.engine.feed.count == 2)
    peers[0].channel.close()
    peers[1].channel.reset()
    harness.run("their end") { harness.engine.feed.count == 0 }
    harness.finish()
  }

  @Test func whoDoesNotReadIsCutOff() throws {
    let harness = try Harness()
    let reading = try watch(harness)
    let silent = try watch(harness)
    harness.run("snapshots") { events(reading).count == 1 && events(silent).count == 1 }
    silent.channel.readStop()
    let record = JSONValue.object([JSONMember("name", .string(String(repeating: "x", count: 100_000)))])
    var told = 0
    harness.run("one watcher less") {
      harness.engine.feed.tell(.tunnels, .created, record)
      told += 1
      return harness.engine.feed.count == 1 || told == 1000
    }
    #expect(harness.engine.feed.count == 1)
    let length = reading.received.count
    harness.engine.feed.tell(.tunnels, .created, .object([JSONMember("name", .string("last"))]))
    harness.run("the last event") { reading.received.count > length && reading.text.contains(#""name":"last""#) }
    harness.finish()
  }

  @Test func anEngineThatStopsEndsTheWatch() throws {
    let harness = try Harness()
    let peer = try watch(harness)
    harness.run("a snapshot") { events(peer).count == 1 }
    var isStopped = false
    try harness.engine.stop { isStopped = true }
    harness.run("its end") { isStopped && peer.isEnded }
    #expect(peer.text.hasSuffix("0\r\n\r\n"))
    harness.finish()
  }
}
