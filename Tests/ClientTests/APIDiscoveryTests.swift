// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

@Suite struct DiscoveryDocumentTests {
  private static func document(
    version: String = "1", project: String = #""edge""#, url: String = #""https://edge.mtls.test/api""#,
    capabilities: String = #"["engine-api-mtls"]"#
  ) -> String {
    #"{"version":\#(version),"projectEndpoint":\#(project),"mtlsApiUrl":\#(url),"capabilities":\#(capabilities)}"#
  }

  private func address(_ text: String) throws -> String {
    try DiscoveryDocument(Array(text.utf8), ofEngine: "edge.example.test").api.text
  }

  @Test(arguments: [
    (document(), "edge.mtls.test:443"),
    (document(url: #""https://edge.mtls.test:8443/api""#), "edge.mtls.test:8443"),
    (document(url: #""HTTPS://EDGE.Mtls.Test:1/api""#), "edge.mtls.test:1"),
    (document(url: #""https://edge/api""#), "edge:443"),
    (document(capabilities: #"["a","engine-api-mtls","b"]"#), "edge.mtls.test:443"),
    (" \n\(document().dropLast()),\"more\":{\"x\":[null]}}\n\n", "edge.mtls.test:443"),
  ])
  func isUsed(document: String, address: String) throws {
    #expect(try self.address(document) == address)
  }

  static let urls = [
    "http://edge.mtls.test/api", "wss://edge.mtls.test/api", "edge.mtls.test/api", "//edge.mtls.test/api", "",
    "https://edge.mtls.test", "https://edge.mtls.test/", "https://edge.mtls.test/api/", "https://edge.mtls.test/API",
    "https://edge.mtls.test/api/tunnels", "https://edge.mtls.test//api", "https://edge.mtls.test/x/../api",
    "https://edge.mtls.test/%61pi", "https://edge.mtls.test/api?x", "https://edge.mtls.test/api?",
    "https://edge.mtls.test/api#x", "https://edge.mtls.test/api#", "https://user@edge.mtls.test/api",
    "https://user:secret@edge.mtls.test/api", "https://@edge.mtls.test/api", "https://edge.mtls.test:0/api",
    "https://edge.mtls.test:65536/api", "https://edge.mtls.test:/api", "https://edge.mtls.test:x/api",
    "https://edge.mtls.test:44 3/api", "https://edge .mtls.test/api", " https://edge.mtls.test/api",
    "https://edge.mtls.test/api ", "https://edge.mtls.test\\\\@evil.test/api", "https://edge\\\\.evil.test/api",
    "https://edge%2emtls.test/api", "https://edge.mtls.test\\t/api", "https://edge.mtls.test\\u0000/api",
    "https://other.mtls.test/api", "https://edged.mtls.test/api", "https://.edge.mtls.test/api",
    "https://mtls.edge.test/api", "https://[::1]/api", "https://1.2.3.4/api", "https:///api", "https:/edge.test/api",
    "https://ed\u{E4}ge.test/api", "https://edge.mtls.test,edge.evil.test/api",
  ]

  @Test(
    arguments: urls.map { document(url: "\"\($0)\"") } + [
      "", "null", "[]", "1", "\"x\"", "{}", "{", document() + "x", document() + document(), "[\(document())]",
      document(version: "2"), document(version: "0"), document(version: "1.0"), document(version: "1e0"),
      document(version: "\"1\""), document(version: "true"), document(version: "null"), document(version: "[1]"),
      document(project: #""other""#), document(project: #""EDGE""#), document(project: #""edge.example.test""#),
      document(project: "null"), document(project: #"["edge"]"#), document(url: "null"), document(url: "{}"),
      document(capabilities: "[]"), document(capabilities: #"["other"]"#), document(capabilities: "null"),
      document(capabilities: #""engine-api-mtls""#), document(capabilities: #"["engine-api-mtls",1]"#),
      document(capabilities: #"["engine-api-mtls",null]"#), document(capabilities: #"{"engine-api-mtls":true}"#),
      #"{"version":1,"projectEndpoint":"edge","capabilities":["engine-api-mtls"]}"#,
      String(document().dropLast()) + #","version":1}"#, "\u{FEFF}" + document(),
      document(capabilities: #"["engine-api-mtls","\#(String(repeating: "x", count: 16_384))"]"#),
    ])
  func isNotUsed(document: String) {
    #expect(throws: DiscoveryDocument.Invalid.self) { try address(document) }
  }

  @Test func refusalsDoNotRepeatWhatIsSecret() {
    do {
      _ = try address(Self.document(url: #""https://user:secret@edge.mtls.test/api""#))
      #expect(Bool(false), "it was used")
    } catch let error as DiscoveryDocument.Invalid {
      #expect(!error.reason.contains("secret"))
    } catch {
      #expect(Bool(false))
    }
  }

  @Test(
    arguments: [
      ([], 3600), (["Cache-Control: max-age=60"], 60), (["Cache-Control: public, MAX-AGE=60"], 60),
      (["Cache-Control: max-age=\"60\""], 60), (["Cache-Control: max-age = 60 "], 60),
      (["Cache-Control: max-age=999999999999999999999999"], 86_400), (["Cache-Control: max-age=86401"], 86_400),
      (["Cache-Control: max-age=0"], 0), (["Cache-Control: max-age=-1"], 0), (["Cache-Control: max-age=x"], 0),
      (["Cache-Control: max-age"], 0), (["Cache-Control: max-age="], 0), (["Cache-Control: max-age=6 0"], 0),
      (["Cache-Control: max-age=60, no-store"], 0), (["Cache-Control: no-cache, max-age=60"], 0),
      (["Cache-Control: no-cache=\"x\""], 0), (["Cache-Control: max-age=60", "cache-control: no-store"], 0),
      (["Cache-Control: max-age=60, max-age=30"], 30), (["Cache-Control: s-maxage=5, x-max-age=6"], 3600),
      (["Age: 10", "Cache-Control: max-age=60"], 50), (["Age: 60", "Cache-Control: max-age=60"], 0),
      (["Age: 600", "Cache-Control: max-age=60"], 0), (["Age: 100"], 3500), (["Age: x"], 0), (["Age: -1"], 0),
      (["Age: 1", "Age: 2"], 0), (["Age: 99999999999999999999", "Cache-Control: max-age=60"], 0),
    ] as [([String], UInt64)])
  func freshness(fields: [String], seconds: UInt64) {
    var headers = HTTPHeaders()
    for field in fields {
      let parts = field.split(separator: ":", maxSplits: 1)
      headers.append(String(parts[0]), String(parts[1].dropFirst()))
    }
    #expect(Freshness.seconds(headers) == seconds)
  }
}

/// Clients with a certificate ask where the API is before they use it.
@Suite struct APIDiscoveryTests {
  private let test: TestLoop
  private let api: FakeAPI
  private var certificate: [String: String] {
    [
      "auth.mtls.certificateFile": TestCertificate.certificateFile, "auth.mtls.keyFile": TestCertificate.keyFile,
    ]
  }

  init() throws {
    test = try TestLoop()
    api = try FakeAPI(test)
  }

  private func document(port: UInt16? = nil) -> String {
    #"{"version":1,"projectEndpoint":"localhost","mtlsApiUrl":"https://localhost:\#(port ?? api.port)/api","#
      + #""capabilities":["engine-api-mtls"]}"#
  }

  private func discovery(_ more: String = "", port: UInt16? = nil) -> String {
    let body = document(port: port)
    return "HTTP/1.1 200 OK\r\n\(more)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  private func answer(discovery: String, _ rest: String = FakeAPI.response("[]")) {
    api.onRequest = { request in
      request.connection.write(Array((request.target == DiscoveryDocument.path ? discovery : rest).utf8))
    }
  }

  private func finish() {
    api.close()
    test.close()
  }

  private var targets: [String] { api.requests.map(\.target) }

  @Test func theAPIIsUsedWithTheCertificateAndTheDocumentWithout() throws {
    answer(discovery: discovery())
    let client = try api.client(certificate)
    for _ in 0..<3 { #expect(try client.listed(test).get().items.isEmpty) }
    #expect(targets == [DiscoveryDocument.path, "/api/tunnels", "/api/tunnels", "/api/tunnels"])
    #expect(api.requests.map(\.hasCertificate) == [false, true, true, true])
    #expect(api.accepted.count == 2)
    let asked = api.requests[0]
    #expect(asked.field("Host") == "localhost:\(api.port)" && asked.field("Accept") == "application/json")
    for name in ["Authorization", "Cookie"] { #expect(api.requests.allSatisfy { $0.field(name) == nil }) }
    finish()
  }

  @Test func tokensAndStrangersGoStraightThere() throws {
    answer(discovery: discovery())
    for settings in [[:], ["auth.token": "x"], ["auth.token": "x", "mtlsApiUrl": "https://localhost:1/api"]] {
      #expect(try api.client(settings).listed(test).get().items.isEmpty)
    }
    #expect(targets == ["/api/tunnels", "/api/tunnels", "/api/tunnels"])
    finish()
  }

  @Test func aConfiguredURLIsNotLookedUp() throws {
    answer(discovery: discovery())
    var settings = certificate
    settings["mtlsApiUrl"] = "https://localhost:\(api.port)/api"
    // The engine is not even there.
    settings["engine"] = "localhost:1"
    #expect(try api.client(settings).listed(test).get().items.isEmpty)
    #expect(targets == ["/api/tunnels"] && api.requests[0].hasCertificate)
    #expect(api.requests[0].field("Host") == "localhost:\(api.port)")
    finish()
  }

  @Test func theNameOfTheEngineIsNotThatOfItsAPI() throws {
    answer(discovery: discovery())
    var settings = certificate
    settings["transport.tls.serverName"] = "127.0.0.1"
    #expect(try api.client(settings).listed(test).get().items.isEmpty)
    settings["transport.tls.serverName"] = "wrong.test"
    #expect(try api.client(settings).listed(test).failure?.code == ErrorCode.engineDiscovery)
    settings["mtlsApiUrl"] = "https://localhost:\(api.port)/api"
    #expect(try api.client(settings).listed(test).get().items.isEmpty)
    finish()
  }

  @Test func theEngineIsVerifiedWhateverIsSkippedElsewhere() throws {
    answer(discovery: discovery())
    var settings = certificate
    settings["transport.tls.insecureSkipVerify"] = "true"
    #expect(try api.client(settings).listed(test).get().items.isEmpty)
    settings["transport.tls.caFile"] = TestCertificate.strangerFile
    let failure = try api.client(settings).listed(test).failure
    #expect(failure?.code == ErrorCode.engineDiscovery && failure?.message.contains("certificate") == true)
    finish()
  }

  @Test func whoAsksAtOnceAsksOnce() throws {
    var asked: [FakeAPI.Request] = []
    api.onRequest = { request in
      if request.target == DiscoveryDocument.path {
        asked.append(request)
      } else {
        request.connection.write(Array(FakeAPI.response("[]").utf8))
      }
    }
    let client = try api.client(certificate)
    var outcomes: [Result<Inventory, Failure>] = []
    for _ in 0..<3 { try client.list(InventoryFilters(.tunnels)) { outcomes.append($0) } }
    let watch = try client.watch(tunnels: nil, clients: nil, reconnects: false)
    test.run { asked.count == 1 }
    // One who does not want to wait any more takes nothing from the others.
    var isClosed = false
    try watch.close { isClosed = true }
    test.run { isClosed }
    asked[0].connection.write(Array(discovery().utf8))
    test.run { outcomes.count == 3 }
    #expect(outcomes.allSatisfy { $0.failure == nil })
    #expect(targets.filter { $0 == DiscoveryDocument.path }.count == 1 && !targets.contains("/api/sse"))
    finish()
  }

  @Test(arguments: [("Cache-Control: no-store\r\n", 2), ("Cache-Control: max-age=60\r\n", 1)])
  func whatWasToldIsKeptAsLongAsItSays(field: String, lookUps: Int) throws {
    answer(discovery: discovery(field))
    let client = try api.client(certificate)
    for _ in 0..<2 { #expect(try client.listed(test).get().items.isEmpty) }
    #expect(targets.filter { $0 == DiscoveryDocument.path }.count == lookUps)
    #expect(api.requests.filter(\.hasCertificate).count == 2)
    finish()
  }

  @Test func errorsAreNotKept() throws {
    answer(discovery: FakeAPI.response("", status: "404 Not Found"))
    let client = try api.client(certificate)
    let failure = try client.listed(test).failure
    #expect(failure?.code == ErrorCode.engineDiscovery && failure?.message.contains("mTLS API discovery") == true)
    answer(discovery: discovery())
    #expect(try client.listed(test).get().items.isEmpty)
    finish()
  }

  @Test func aFailedConnectionHasItLookedUpAnew() throws {
    answer(discovery: discovery(port: 1))
    let client = try api.client(certificate)
    #expect(try client.listed(test).failure?.code == -111)
    #expect(targets == [DiscoveryDocument.path, DiscoveryDocument.path], "the second attempt looks as well")
    answer(discovery: discovery())
    #expect(try client.listed(test).get().items.isEmpty)
    #expect(targets.count == 4)
    finish()
  }

  @Test func anErrorOfTheAPIKeepsIt() throws {
    answer(discovery: discovery(), FakeAPI.response("no", status: "403 Forbidden"))
    let client = try api.client(certificate)
    for _ in 0..<2 { #expect(try client.listed(test).failure?.engineCode == 403) }
    #expect(targets.filter { $0 == DiscoveryDocument.path }.count == 1)
    finish()
  }

  @Test func watchesGoThereAsWell() throws {
    let events = "data: {\"type\":\"state.initial\",\"object\":{\"clients\":[],\"tunnels\":[]}}\n\n"
    answer(discovery: discovery(), FakeAPI.response(events, type: "text/event-stream"))
    var told = 0
    var outcome: Failure??
    let watch = try api.client(certificate).watch(tunnels: nil, clients: nil, reconnects: false)
    watch.onEvent = { _ in told += 1 }
    watch.onEnd = { outcome = .some($0) }
    test.run { outcome != nil }
    #expect(told == 1 && outcome.map { $0 == nil } == true)
    #expect(targets == [DiscoveryDocument.path, "/api/sse"] && api.requests[1].hasCertificate)
    finish()
  }

  @Test(arguments: [
    "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 16385\r\n\r\n" + String(repeating: " ", count: 16_385), "nonsense\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n    \r\n0\r\n\r\n",
  ])
  func otherAnswersAreRefused(answer text: String) throws {
    answer(discovery: text)
    #expect(try api.client(certificate).listed(test).failure?.code == ErrorCode.engineDiscovery)
    #expect(targets == [DiscoveryDocument.path])
    finish()
  }

  @Test func anEngineThatDoesNotAnswerIsNotWaitedForForever() throws {
    api.onRequest = { _ in }
    let failure = try api.client(certificate.merging(["timeouts.operationMs": "200"]) { $1 }).listed(test).failure
    #expect(failure?.code == ErrorCode.engineDiscovery && failure?.message.contains("within 200 ms") == true)
    finish()
  }

  @Test func aClientThatClosesTellsWhoWaits() throws {
    api.onRequest = { _ in }
    let client = try api.client(certificate)
    var outcome: Result<Inventory, Failure>?
    try client.list(InventoryFilters(.tunnels)) { outcome = $0 }
    test.run { api.requests.count == 1 }
    try client.close {}
    test.run { outcome != nil }
    #expect(outcome?.failure?.code == ErrorCode.clientClosed)
    finish()
  }
}
