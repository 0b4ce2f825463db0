// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

/// Reading server-sent events.
struct EventStreamParserTests {
  private func events(_ text: String, pieces: Int, limit: Int = 1000) throws -> [String] {
    var parser = EventStreamParser(limit: limit)
    var found: [[UInt8]] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      found += try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { try parser.feed($0) }
    }
    if let last = try parser.finish() { found.append(last) }
    return found.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(arguments: [
    ("data: a\n\n", ["a"]), ("data: a\r\n\r\ndata:b\r\rdata:  c\n\n", ["a", "b", " c"]),
    ("data: a\ndata: b\n\n", ["a\nb"]), (": ping\n\n\n: x\ndata: a\n\n", ["a"]),
    ("event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"]), ("event: x\n\n", []), ("data\n\ndata:\n\n", ["", ""]),
    ("\u{FEFF}data: a\n\n", ["a"]), ("data: a\n\ndata: b", ["a", "b"]), ("dataa: x\nDATA: y\n data: z\n\n", []),
    ("", []), ("data: é\u{1}\n\n", ["é\u{1}"]),
  ])
  func isTheSameInAnyPieces(text: String, expected: [String]) throws {
    for pieces in [1, 2, 3, 1000] { #expect(try events(text, pieces: pieces) == expected) }
  }

  @Test func isBounded() {
    #expect(throws: EventStreamParser.TooLarge.self) { try events("data: 0123456789", pieces: 5, limit: 10) }
    #expect(throws: EventStreamParser.TooLarge.self) {
      try events("data: 12\ndata: 34\ndata: 56\n", pieces: 5, limit: 6)
    }
    #expect(throws: Never.self) { try events("data: 1\n\ndata: 2\n\ndata: 3\n\n", pieces: 5, limit: 10) }
  }
}

struct WatchTests {
  private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
  private static let snapshot =
    "data: {\"type\":\"state.initial\",\"object\":{\"clients\":[{\"id\":\"c\"}],\"tunnels\":[{\"id\":\"t\"},5]}}\n\n"

  /// What a watch tells, as words.
  private final class Log {
    var words: [String] = []
    var end: Failure??

    func listen(to watch: Watch) {
      watch.onEvent = { [self] event in
        let items = event.clients.items + event.tunnels.items
        words.append(([event.type] + items.map { $0.property("id") ?? "?" }).joined(separator: " "))
      }
      watch.onEnd = { [self] in end = .some($0) }
    }
  }

  private func run(
    _ answers: [String], reconnects: Bool = false, _ settings: [String: String] = [:],
    _ check: (FakeAPI, Log) -> Void
  ) throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.onRequest = { [unowned api] request in
      request.connection.write(Array(answers[min(api.requests.count, answers.count) - 1].utf8))
      request.connection.close()
    }
    let log = Log()
    let watch = try api.client(settings).watch(tunnels: nil, clients: nil, reconnects: reconnects)
    log.listen(to: watch)
    test.run("the end of the watch") { log.end != nil }
    check(api, log)
    var isClosed = false
    try watch.close { isClosed = true }
    #expect(throws: Failure.self) { try watch.close {} }
    test.run { isClosed }
    api.close()
    test.close()
  }

  @Test func everyEventIsTold() throws {
    let events =
      Self.snapshot + "data: {\"type\":\"tunnel.created\",\ndata: \"object\":{\"id\":\"t2\"}}\n\n: ping\n\n"
      + "data: {\"type\":\"client.deleted\",\"object\":{\"id\":\"c\"}}\n\ndata: {\"type\":\"stream.summary\"}\n\n"
      + "data: [1]\n\ndata: {\"no\":\"type\"}\n\ndata: {\"type\":\"tunnel.updated\",\"object\":null}"
    try run([Self.head + events]) { api, log in
      #expect(
        log.words == [
          "state.initial c t", "tunnel.created t2", "client.deleted c", "stream.summary", "tunnel.updated",
        ])
      #expect(log.end != nil && (log.end ?? nil) == nil)
      #expect(api.requests[0].target == "/api/sse")
      #expect(api.requests[0].field("Accept") == "text/event-stream")
    }
  }

  @Test func filtersAreSent() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let client = try api.client(["auth.token": "secret"])
    var filters = InventoryFilters(.tunnels)
    try filters.set("publish", "true")
    let watch = try client.watch(tunnels: filters, clients: InventoryFilters(.clients), reconnects: false)
    test.run { api.requests.count == 1 }
    let params = #"{"clients":{},"tunnels":{"publish":true}}"#
    #expect(api.requests[0].target == "/api/sse?params=\(percentEncoded(params.utf8))")
    #expect(api.requests[0].field("Authorization") == "Bearer secret")
    var isClosed = 0
    try watch.close { isClosed += 1 }
    try client.close { isClosed += 1 }
    test.run { isClosed == 2 && api.ended == 1 }
    api.close()
    test.close()
  }

  @Test func refusalsAndNonsenseEndIt() throws {
    func end(_ answer: String) throws -> Failure? {
      var failure: Failure?
      try run([answer], reconnects: true) { api, log in
        failure = log.end ?? nil
        #expect(api.requests.count == 1)
      }
      return failure
    }
    #expect(try end(FakeAPI.response("no", status: "403 Forbidden"))?.engineCode == 403)
    #expect(try end("HTTP/1.1 500 x\r\n\r\n" + String(repeating: "x", count: 9000))?.engineCode == 500)
    #expect(try end("\u{1}\u{2}")?.code == ErrorCode.protocolViolation)
    #expect(try end(Self.head + "data: {\n\n")?.code == ErrorCode.eventJSON)
    #expect(try end(Self.head + Self.snapshot + "data: nonsense\n\n")?.code == ErrorCode.eventJSON)
    #expect(try end("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")?.code != nil)
  }

  @Test func itConnectsAgainAndTellsASnapshot() throws {
    let gone = FakeAPI.response("", status: "503 Service Unavailable")
    let last = Self.head + Self.snapshot + "data: {\"type\":\"tunnel.deleted\",\"object\":{\"id\":\"t\"}}\n\n"
    let refused = FakeAPI.response("", status: "401 Unauthorized")
    try run([Self.head + Self.snapshot, gone, last, refused], reconnects: true) { api, log in
      #expect(log.words == ["state.initial c t", "state.initial c t", "tunnel.deleted t"])
      #expect(api.requests.count == 4)
      #expect((log.end ?? nil)?.engineCode == 401)
    }
  }

  @Test func silenceInsteadOfAnAnswerEndsIt() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    let log = Log()
    let watch = try api.client(["timeouts.operationMs": "200"]).watch(tunnels: nil, clients: nil, reconnects: true)
    log.listen(to: watch)
    test.run { log.end != nil }
    #expect((log.end ?? nil)?.code == ErrorCode.operationTimeout)
    api.close()
    test.close()
  }

  @Test func closingFromInsideAnEvent() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(Self.head + Self.snapshot + Self.snapshot)
    let client = try api.client()
    var events = 0
    var isClosed = false
    let watch = try client.watch(tunnels: nil, clients: nil, reconnects: true)
    watch.onEvent = { _ in
      events += 1
      try? watch.close { isClosed = true }
    }
    test.run { isClosed }
    #expect(events == 1)
    api.close()
    test.close()
  }

  @Test func closingTheClientIsTold() throws {
    let test = try TestLoop()
    let api = try FakeAPI(test)
    api.answer(Self.head + Self.snapshot)
    let client = try api.client()
    let log = Log()
    log.listen(to: try client.watch(tunnels: nil, clients: nil, reconnects: true))
    test.run { log.words.count == 1 }
    var isClosed = false
    try client.close { isClosed = true }
    test.run { isClosed }
    #expect((log.end ?? nil)?.code == ErrorCode.clientClosed)
    #expect(throws: Failure.self) { try client.watch(tunnels: nil, clients: nil, reconnects: false) }
    api.close()
    test.close()
  }
}
