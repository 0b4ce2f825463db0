// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

/// Requests to the engine's API: what is sent, what is made of the answers, and what is tried again.
struct APIRequestTests {
  private func outcome(
    _ answer: String, _ settings: [String: String] = [:], attempts: Int = 1,
    _ location: SourceLocation = #_sourceLocation
  ) throws -> Result<Inventory, Failure> {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(answer)
    let result = try api.client(settings).listed(test)
    #expect(api.requests.count == attempts, sourceLocation: location)
    api.close()
    test.close()
    return result
  }

  @Test func asksWithTheClientsIdentity() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(FakeAPI.response("[]"))
    let client = try api.client(["auth.token": "top-secret"])
    #expect(try client.listed(test).get().items.isEmpty)
    var filters = InventoryFilters(.clients)
    try filters.set("agent", "a \"b\" é")
    try filters.set("labels.team", "edge")
    try filters.requireLabel("owner")
    _ = try client.listed(test, filters, limit: 3).get()
    #expect(api.requests[0].lines[0] == "GET /api/tunnels HTTP/1.1")
    #expect(api.requests[0].field("Host") == "localhost:\(api.port)")
    #expect(api.requests[0].field("Authorization") == "Bearer top-secret")
    #expect(api.requests[0].field("Accept") == "application/json")
    let json = #"{"limit":3,"filters":{"agent":"a \"b\" é","labels":{"team":"edge","owner":null}}}"#
    #expect(api.requests[1].target == "/api/clients?params=\(percentEncoded(json.utf8))")
    #expect(api.accepted.count == 1, "the connection was kept")
    api.close()
    test.close()
  }

  @Test func everyFramingOfAnAnswerIsRead() throws {
    let body = #"[{"id":"1"},5,{"id":"2","port":443,"publish":true,"labels":{"a":"b"},"trusted_ips":["x","y"]}]"#
    let chunks = body.map { "1\r\n\($0)\r\n" }.joined()
    for answer in [
      FakeAPI.response(body), FakeAPI.response(body, type: "text/html"),
      "HTTP/1.1 103 Early Hints\r\n\r\n" + FakeAPI.response(body),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n",
    ] {
      let inventory = try outcome(answer).get()
      #expect(inventory.items.map { $0.property("id") } == ["1", "2"])
      #expect(inventory.items[1].property("port") == "443")
      #expect(inventory.items[1].property("publish") == "true")
      #expect(inventory.items[1].property("labels.a") == "b")
      #expect(inventory.items[1].property("trusted_ips") == "x,y")
      #expect(inventory.items[1].propertyNames == ["id", "port", "publish", "labels.a", "trusted_ips"])
    }
  }

  @Test func wrongTypesCountAsUnset() throws {
    let body = #"[{"id":7,"publish":"yes","port":"1","labels":[],"geo_ip":"CH","name":null,"future":"kept"}]"#
    let inventory = try outcome(FakeAPI.response(body)).get()
    #expect(inventory.items[0].propertyNames == ["future"])
    #expect(inventory.items[0].forwardingAddress == nil)
    #expect(inventory.json == body)
  }

  @Test func anAnswerThatLastsUntilTheEndOfTheConnectionIsRead() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.onRequest = { request in
      request.connection.write(Array("HTTP/1.1 200 OK\r\n\r\n[{\"id\":\"1\"}]".utf8))
      request.connection.close()
    }
    #expect(try api.client().listed(test).get().items.count == 1)
    api.close()
    test.close()
  }

  @Test(arguments: [
    ("401 Unauthorized", "A token is required.\n", 401), ("403 Forbidden", "no", 403), ("404 Not Found", "", 404),
    ("302 Found", "", 302), ("500 Internal Server Error", "<html>oops</html>", 500), ("503 x", "draining", 503),
  ])
  func otherStatusesAreFailuresAndFinal(status: String, body: String, code: Int32) throws {
    let failure = try #require(try outcome(FakeAPI.response(body, status: status, type: "text/plain")).failure)
    #expect(failure.code == ErrorCode.engineAPIHTTP)
    #expect(failure.engineCode == code)
    #expect(failure.message.hasPrefix("list tunnels: the engine answered \(code)"))
    #expect(!failure.message.contains("<") && !failure.message.contains("\n"))
  }

  @Test func theTokenIsNotRepeated() throws {
    let echo = FakeAPI.response("bad token: top-secret!", status: "401 Unauthorized", type: "text/plain")
    let failure = try #require(try outcome(echo, ["auth.token": "top-secret"]).failure)
    #expect(failure.message == "list tunnels: the engine answered 401: bad token: ...!")
  }

  @Test(arguments: ["{}", "", "null", "[1", "<html>", "[]x", #"[{"a":1,"a":2}]"#])
  func payloadsThatAreNoListAreRefused(body: String) throws {
    #expect(try outcome(FakeAPI.response(body)).failure?.code == ErrorCode.engineAPIPayload)
  }

  @Test(arguments: ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
  func whatIsNotHTTPIsRefused(answer: String) throws {
    #expect(try outcome(answer).failure?.code == ErrorCode.protocolViolation)
  }

  @Test func switchingProtocolsIsNoAnswer() throws {
    let failure = try outcome("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").failure
    #expect(failure?.engineCode == 101)
  }

  @Test func hugeAnswersEndTheConnection() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.onRequest = { request in
      request.connection.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[".utf8))
      request.connection.write([UInt8](repeating: 0x20, count: APIRequest.bodyLimit + 1))
    }
    #expect(try api.client().listed(test).failure?.code == ErrorCode.engineAPIPayload)
    #expect(api.requests.count == 1)
    api.close()
    test.close()
  }

  @Test func aBrokenConnectionIsTriedOnceMore() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.onRequest = { $0.connection.reset() }
    let client = try api.client()
    #expect(try client.listed(test).failure != nil)
    #expect(api.requests.count == 2)
    api.onRequest = { [unowned api] request in
      if api.requests.count == 3 { return request.connection.close() }
      request.connection.write(Array(FakeAPI.response("[]").utf8))
    }
    #expect(try client.listed(test).get().items.isEmpty)
    #expect(api.requests.count == 4)
    api.close()
    test.close()
  }

  @Test func aTruncatedAnswerIsTriedOnceMore() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.onRequest = { request in
      request.connection.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{".utf8))
      request.connection.close()
    }
    #expect(try api.client().listed(test).failure?.code == -ECONNRESET)
    #expect(api.requests.count == 2)
    api.close()
    test.close()
  }

  @Test func silenceIsTriedOnceMoreWithinTheLimit() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let client = try api.client(["timeouts.operationMs": "400"])
    #expect(try client.listed(test).failure?.code == ErrorCode.operationTimeout)
    #expect(api.requests.count == 2)
    api.close()
    test.close()
  }

  @Test func aConnectionEndedWhileIdleIsNotUsedAgain() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(FakeAPI.response("[]"))
    let client = try api.client()
    _ = try client.listed(test).get()
    api.accepted[0].close()
    test.run { client.apiConnections.count == 0 }
    _ = try client.listed(test).get()
    // Neither is one that says what nobody asked for.
    api.accepted[1].write(Array(FakeAPI.response("[5]").utf8))
    test.run { client.apiConnections.count == 0 }
    _ = try client.listed(test).get()
    #expect(api.accepted.count == 3)
    #expect(api.resumed == [false, true, true])
    api.close()
    test.close()
  }

  @Test func nothingIsKeptOfAConnectionThatIsToClose() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let client = try api.client()
    for answer in [
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]more",
    ] {
      api.answer(answer)
      _ = try client.listed(test).get()
    }
    test.run { api.ended == 3 }
    api.close()
    test.close()
  }

  @Test func fourConnectionsAreKept() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let client = try api.client()
    var answered = 0
    for _ in 0..<6 { try client.list(InventoryFilters(.tunnels)) { if $0.failure == nil { answered += 1 } } }
    test.run { api.requests.count == 6 }
    for request in api.requests { request.connection.write(Array(FakeAPI.response("[]").utf8)) }
    test.run { answered == 6 && api.ended == 2 }
    var isClosed = false
    try client.close { isClosed = true }
    test.run { isClosed && api.ended == 6 }
    api.close()
    test.close()
  }

  @Test func closingTheClientEndsWhatIsUnderWay() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let client = try api.client()
    var outcomes: [Int32?] = []
    try client.list(InventoryFilters(.tunnels)) { outcomes.append($0.failure?.code) }
    test.run { api.requests.count == 1 }
    try client.getTunnel("x") { outcomes.append($0.failure?.code) }
    try client.check(.ready) { outcomes.append($0?.code) }
    var isClosed = false
    try client.close { isClosed = true }
    #expect(outcomes.isEmpty)
    test.run { isClosed }
    #expect(outcomes == [ErrorCode.clientClosed, ErrorCode.clientClosed, ErrorCode.clientClosed])
    #expect(throws: Failure.self) { try client.list(InventoryFilters(.tunnels)) { _ in } }
    api.close()
    test.close()
  }

  @Test func oneTunnelAndHealth() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(FakeAPI.response(#"{"id":"a/b","name":"n"}"#))
    let client = try api.client()
    var found: Result<Inventory, Failure>?
    try client.getTunnel(" a/b ") { found = $0 }
    test.run { found != nil }
    #expect(try found?.get().json == #"{"id":"a/b","name":"n"}"#)
    #expect(try found?.get().items[0].forwardingAddress == "rstrm://n (unpublished)")
    #expect(api.requests[0].target == "/api/tunnels/a%2Fb")
    #expect(throws: Failure.self) { try client.getTunnel(" ") { _ in } }
    var answers: [Int32?] = []
    for check in [EngineCheck.live, .ready, .auth] { try client.check(check) { answers.append($0?.engineCode) } }
    test.run { answers.count == 3 }
    #expect(answers == [nil, nil, nil])
    #expect(Set(api.requests.dropFirst().map(\.target)) == ["/api/health/live", "/api/health/ready", "/api/auth"])
    api.close()
    test.close()
  }

  @Test func anotherProtocolIsNoEngine() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test, alpn: .require(["rstrm/1"]))
    #expect(try api.client().listed(test).failure?.code == ErrorCode.tls)
    api.close()
    let silent = try FakeAPI(test, alpn: .ignore)
    silent.answer(FakeAPI.response("[]"))
    _ = try silent.client().listed(test).get()
    silent.close()
    test.close()
  }

  @Test func filtersAreChecked() throws {
    var tunnels = InventoryFilters(.tunnels)
    for (name, value) in [("agent", "x"), ("publish", "yes"), ("labels.", "x"), ("", "x"), ("limit", "1")] {
      #expect(throws: Failure.self, "\(name)") { try tunnels.set(name, value) }
    }
    #expect(throws: Failure.self) { try tunnels.requireLabel("") }
    #expect(tunnels.isEmpty)
    try tunnels.set("publish", "true")
    try tunnels.set("publish", "false")
    try tunnels.set("labels.a", "1")
    try tunnels.requireLabel("a")
    #expect(String(decoding: tunnels.json.encoded, as: UTF8.self) == #"{"publish":false,"labels":{"a":null}}"#)
    try tunnels.set("publish", nil)
    try tunnels.set("labels.a", nil)
    #expect(tunnels.isEmpty)
    var clients = InventoryFilters(.clients)
    #expect(throws: Failure.self) { try clients.set("name", "x") }
    #expect(throws: Failure.self) { try clients.set("publish", "true") }
  }
}
