// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct EngineAPITests {
  private struct Answer {
    var status = 0
    var head = ""
    var body: [UInt8] = []
    var json: JSONValue? { try? JSONParser.parse(body) }
    func has(_ field: String) -> Bool { head.contains("\r\n\(field)\r\n") }
  }

  private func connect(_ harness: Harness) throws -> RawPeer {
    RawPeer(try harness.handshake(alpn: ["http/1.1"]).get(), harness)
  }

  /// Sends a request and takes its answer apart, by Content-Length.
  private func ask(
    _ peer: RawPeer, _ path: String, method: String = "GET", _ more: String = "", body: String = "",
    _ location: SourceLocation = #_sourceLocation
  ) throws -> Answer {
    peer.send("\(method) \(path) HTTP/1.1\r\nHost: localhost:1\r\n\(more)\r\n\(body)")
    var answer = Answer()
    peer.harness.run("a response", location) {
      guard let end = peer.received.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound else { return false }
      answer.head = String(decoding: peer.received[..<end], as: UTF8.self)
      answer.body = Array(peer.received[end...])
      let length = answer.head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }?.dropFirst(16)
      return answer.body.count == (method == "HEAD" ? 0 : length.flatMap { Int($0) } ?? -1)
    }
    _ = peer.take()
    answer.status = Int(answer.head.dropFirst(9).prefix(3)) ?? 0
    return answer
  }

  @Test func oneConnectionServesEverything() throws {
    let harness = try Harness()
    let peer = try connect(harness)
    for (path, text) in [("live", "live"), ("ready", "ready")] {
      let answer = try ask(peer, "/api/health/\(path)")
      #expect(answer.status == 200 && answer.has("Content-Type: application/json"))
      #expect(answer.body == Array("{\"status\":\"\(text)\"}".utf8))
    }
    #expect(try ask(peer, "/api/auth").status == 200)
    #expect(try ask(peer, "/api/tunnels").body == Array("[]".utf8))
    #expect(try ask(peer, "/api/clients?params=%7B%7D").body == Array("[]".utf8))
    let head = try ask(peer, "/api/health/live", method: "HEAD")
    #expect(head.status == 200 && head.has("Content-Length: 17"))
    for path in ["/", "/api", "/api/", "/api/x", "/api/tunnels/", "/api/tunnels/a/b", "/.well-known/rstream"] {
      #expect(try ask(peer, path).status == 404)
    }
    let refused = try ask(peer, "/api/tunnels", method: "DELETE", "Content-Length: 2\r\n", body: "{}")
    #expect(refused.status == 405 && refused.has("Allow: GET, HEAD"))
    #expect(try ask(peer, "/api/nothing", method: "POST").status == 404)
    #expect(try ask(peer, "x.test:1", method: "CONNECT").status == 501)
    harness.finish()
  }

  @Test func tunnelsAreListedTheNewestFirst() throws {
    let harness = try Harness()
    let client = try harness.client()
    var ids: [String] = []
    for name in ["a", "b", "a"] { ids.append(try #require(try client.privateTunnel(name).id)) }
    let peer = try connect(harness)
    func list(_ params: String) throws -> [String?] {
      guard case .array(let records) = try ask(peer, "/api/tunnels?params=\(params)").json else { return [] }
      return records.map { $0["id"]?.string }
    }
    #expect(try list("null") == ids.reversed())
    #expect(try list("%7B%22limit%22:2%7D") == [ids[2], ids[1]])
    #expect(try list("%7B%22filters%22:%7B%22name%22:%22a%22%7D%7D") == [ids[2], ids[0]])

    let one = try ask(peer, "/api/tunnels/\(ids[1])")
    #expect(one.json?["name"]?.string == "b" && one.json?["client_id"]?.string == client.clientID)
    #expect(try ask(peer, "/api/tunnels/b").status == 404)
    let clients = try ask(peer, "/api/clients")
    #expect(
      clients.json
        == .array([
          .object([
            JSONMember("id", .string(client.clientID)), JSONMember("status", .string("online")),
            JSONMember("agent", .string("test")), JSONMember("protocol_version", .string("1.4.5")),
          ])
        ]))
    client.close()
    harness.run("the client's end") { harness.engine.clients.isEmpty }
    #expect(try list("null").isEmpty)
    #expect(try ask(peer, "/api/tunnels/\(ids[1])").status == 404)
    harness.finish()
  }

  @Test func pitfall73_malformedParamsAre400() throws {
    let harness = try Harness()
    let peer = try connect(harness)
    for params in ["%7B", "%5B%5D", "%7B%22limit%22:0%7D", "%7B%22filters%22:1%7D", "%zz", "%FF", ""] {
      for list in ["tunnels", "clients"] {
        let answer = try ask(peer, "/api/\(list)?params=\(params)")
        #expect(answer.status == 400 && answer.has("Content-Type: text/plain; charset=utf-8"))
      }
    }
    harness.finish()
  }

  @Test func tokensAndPermissions() throws {
    let harness = try Harness([
      "auth.open": "false", "auth.tokens": "static", "auth.jwt.enabled": "true",
      "auth.jwt.token_jwt_secret": TokenMaker.secret,
    ])
    let peer = try connect(harness)
    func status(_ path: String, _ header: String?) throws -> Int {
      let answer = try ask(peer, path, header.map { "Authorization: \($0)\r\n" } ?? "")
      #expect(answer.status != 401 || answer.has("WWW-Authenticate: Bearer"))
      return answer.status
    }
    let create = TokenMaker.token(#"{"type":"app","permissions":["tunnels.tunnels.create-delete"]}"#)
    let list = TokenMaker.token(#"{"type":"app","permissions":["tunnels.resources.read-only"]}"#)
    for path in ["/api/tunnels", "/api/clients", "/api/auth"] {
      for header in [nil, "", "Bearer", "Bearer wrong", "Basic eDp5", "static", "Bearer \(create)x"] {
        #expect(try status(path, header) == 401)
      }
      #expect(try status(path, "Bearer static") == 200)
      #expect(try status(path, "bearer \(list)") == 200)
      #expect(try status(path + "?rstream.token=static", nil) == 401)
      #expect(try status(path + "?rstream.token=static", "Bearer static") == 401)
    }
    #expect(try status("/api/auth", "Bearer \(create)") == 200)
    for path in ["/api/tunnels", "/api/clients", "/api/tunnels/x"] {
      #expect(try status(path, "Bearer \(create)") == 403)
    }
    for path in ["/api/health/live", "/api/health/ready", "/api/openapi.json"] { #expect(try status(path, nil) == 200) }
    harness.finish()
  }

  @Test func anOpenEngineRefusesWrongTokensOnlyWhenItKnowsRightOnes() throws {
    for (settings, status) in [([:], 200), (["auth.tokens": "right"], 401)] as [([String: String], Int)] {
      let harness = try Harness(settings)
      let peer = try connect(harness)
      #expect(try ask(peer, "/api/tunnels").status == 200)
      for header in ["Bearer wrong", "Basic eDp5"] {
        #expect(try ask(peer, "/api/tunnels", "Authorization: \(header)\r\n").status == status)
      }
      harness.finish()
    }
  }

  @Test func hostsOfTunnelsAreElsewhere() throws {
    let harness = try Harness()
    let peer = try connect(harness)
    peer.send("GET /api/health/live HTTP/1.1\r\nHost: x.t.localhost\r\n\r\n")
    harness.run("a response") { peer.received.last == UInt8(ascii: "\n") }
    #expect(peer.text.hasPrefix("HTTP/1.1 421 Misdirected Request\r\n"))
    harness.finish()
  }

  @Test func theDescriptionIsTrue() throws {
    let harness = try Harness()
    let answer = try ask(connect(harness), "/api/openapi.json")
    #expect(answer.has("Content-Type: application/vnd.oai.openapi+json;version=3.1"))
    let document = try #require(answer.json)
    #expect(document["info"]?["title"]?.string == "rstream Engine API")
    #expect(document["info"]?["version"]?.string == "1.0.0")
    for path in names(document["paths"]) {
      #expect(EngineAPIRoute(path: Array("/api\(path)".utf8)) != nil)
    }
    #expect(names(document["paths"]).count == 9)

    let schemas = document["components"]?["schemas"]
    let everything = TunnelRecord.full.json
    #expect(Set(names(schemas?["Tunnel"]?["properties"])) == Set(names(everything)))
    let details = ClientDetails(
      agent: "a", channel: "b", version: "c", os: "d", arch: "e", token: "f", protocolVersion: "g")
    #expect(
      Set(names(schemas?["Client"]?["properties"]))
        == Set(
          names(
            ClientRecord(
              id: "x", userID: "y", details: details, place: RecordPlace(workspaceID: "w", projectID: "p")
            ).json)))
    for (schema, resource) in [("TunnelFilters", InventoryFilter.Resource.tunnels), ("ClientFilters", .clients)] {
      let filters = names(schemas?[schema]?["properties"])
      for filter in filters {
        let value: JSONValue = filter == "publish" ? .bool(true) : filter == "labels" ? .object([]) : .string("")
        #expect(throws: Never.self) { try InventoryFilter(.object([JSONMember(filter, value)]), for: resource) }
      }
      #expect(filters.count == (resource == .tunnels ? 11 : 10))
    }
    harness.finish()
  }

  private func names(_ value: JSONValue?) -> [String] {
    guard case .object(let members) = value else { return [] }
    return members.map(\.name)
  }
}

@Suite struct PlainHTTPTests {
  @Test func everybodyIsSentToHTTPS() throws {
    let harness = try Harness(["http.enabled": "true", "http.listen_addr": "127.0.0.1:0"])
    let port = try #require(harness.engine.port(of: "tls"))
    let peer = RawPeer(try harness.connect(port: harness.engine.port(of: "http")), harness)
    for (host, location) in [
      ("localhost", "localhost"), ("LocalHost.:80", "localhost"), ("web.t.localhost:8080", "web.t.localhost"),
    ] {
      peer.send("GET /a%20b?c HTTP/1.1\r\nHost: \(host)\r\n\r\n")
      harness.run("a response") { peer.received.last == UInt8(ascii: "\n") }
      let answer = peer.take()
      #expect(answer.hasPrefix("HTTP/1.1 308 Permanent Redirect\r\n"))
      #expect(answer.contains("\r\nLocation: https://\(location):\(port)/a%20b?c\r\n"))
    }
    peer.send("GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
    harness.run("a response") { peer.received.last == UInt8(ascii: "\n") }
    #expect(peer.take().hasPrefix("HTTP/1.1 404 Not Found\r\n"))
    harness.finish()
  }
}

@Suite struct MetricsTests {
  @Test func numbersAreReadWithTheToken() throws {
    let harness = try Harness([
      "metrics.prometheus.enabled": "true", "metrics.prometheus.listen_addr": "127.0.0.1:0",
      "metrics.prometheus.path": "numbers", "metrics.prometheus.bearer_token": "scraper",
    ])
    let peer = RawPeer(try harness.connect(port: harness.engine.port(of: "metrics")), harness)
    func get(_ path: String, _ fields: String) -> String {
      peer.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
      harness.run("a response") { peer.received.last == UInt8(ascii: "\n") }
      return peer.take()
    }
    #expect(get("/numbers", "").hasPrefix("HTTP/1.1 401 "))
    #expect(get("/numbers", "Authorization: Bearer other\r\n").hasPrefix("HTTP/1.1 401 "))
    #expect(get("/metrics", "Authorization: Bearer scraper\r\n").hasPrefix("HTTP/1.1 404 "))
    let answer = get("/numbers", "Authorization: Bearer scraper\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(answer.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
    #expect(answer.contains("\nrstream_engine_clients 0\n"))
    #expect(answer.contains("\nrstream_engine_tunnels{kind=\"http\"} 0\n"))
    #expect(answer.contains("\nrstream_engine_connections_accepted_total 1\n"))
    harness.finish()
  }
}
