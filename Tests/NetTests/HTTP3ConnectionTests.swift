// SPDX-License-Identifier: Apache-2.0
import CUV
import TestSupport
import Testing

@testable import RstreamNet

/// What one end of a stream was told.
private final class HTTP3Recorder: HTTP3StreamDelegate {
  var sections: [HTTP3Fields] = []
  var trailers: HTTPHeaders?
  var body: [UInt8] = []
  var hasEnded = false
  var failure: Failure?
  var onBody: (HTTP3Stream) -> Void = { _ in }

  func http3(_ stream: HTTP3Stream, received fields: HTTP3Fields, isTrailer: Bool) {
    if isTrailer { trailers = fields.trailers } else { sections.append(fields) }
  }

  func http3(_ stream: HTTP3Stream, receivedBody bytes: UnsafeRawBufferPointer) {
    body += bytes
    onBody(stream)
  }

  func http3ReceivedEnd(_ stream: HTTP3Stream) { hasEnded = true }

  func http3(_ stream: HTTP3Stream, failed failure: Failure) { self.failure = failure }
}

/// HTTP/3 on one end of a connection.
private final class HTTP3End: HTTP3ConnectionDelegate, QUICConnectionDelegate {
  let http: HTTP3Connection
  var settings: HTTP3Settings?
  var streams: [HTTP3Stream] = []
  var recorders: [HTTP3Recorder] = []
  var ended = 0
  var failure: (Failure, UInt64)?

  init(_ quic: QUICConnection, enablesDatagrams: Bool = false) throws {
    http = HTTP3Connection(quic, enablesDatagrams: enablesDatagrams)
    http.delegate = self
    quic.delegate = self
    try http.start()
  }

  func http3(_ connection: HTTP3Connection, learned settings: HTTP3Settings) { self.settings = settings }

  func http3(_ connection: HTTP3Connection, began stream: HTTP3Stream) { keep(stream) }

  func keep(_ stream: HTTP3Stream) {
    let recorder = HTTP3Recorder()
    stream.delegate = recorder
    streams.append(stream)
    recorders.append(recorder)
  }

  func http3(_ connection: HTTP3Connection, ended stream: HTTP3Stream) { ended += 1 }

  func http3(_ connection: HTTP3Connection, failed failure: Failure, code: UInt64) { self.failure = (failure, code) }

  func connectionOpened(_ connection: QUICConnection) {}
  func connection(_ connection: QUICConnection, opened stream: QUICStream) { http.accepted(stream) }
  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {}
  func connection(_ connection: QUICConnection, ended failure: Failure) { http.close(failure) }
}

struct HTTP3ConnectionTests {
  private struct World {
    let pair: QUICPair
    let client: HTTP3End
    let server: HTTP3End

    init(_ settings: QUICSettings = QUICSettings(), enablesDatagrams: Bool = false) throws {
      var settings = settings
      HTTP3Connection.admitStreams(&settings)
      pair = try QUICPair(TestLoop(), settings)
      let (near, far) = try pair.connected(QUICRecorder(), settings)
      server = try HTTP3End(far, enablesDatagrams: enablesDatagrams)
      client = try HTTP3End(near)
    }

    /// A request with this body, and the server's end of it.
    func ask(
      _ method: String = "GET", _ body: [UInt8]? = nil, ends: Bool = true
    ) throws -> (HTTP3Recorder, HTTP3Stream, HTTP3Recorder, HTTP3Stream) {
      let before = server.streams.count
      let stream = try #require(try client.http.openRequest())
      client.keep(stream)
      var head = HTTPRequestHead(method: method, scheme: "https", authority: "localhost:1", path: Array("/a?b".utf8))
      head.headers.append("X-Thing", "one")
      head.headers.append("Connection", "close")
      stream.request(HTTP3FieldList(head), isAll: body == nil && ends)
      body?.withUnsafeBytes { stream.write($0) }
      if body != nil, ends { stream.end() }
      pair.test.run("a request") { server.recorders.count > before && server.recorders.last?.sections.count == 1 }
      return (
        try #require(client.recorders.last), stream, try #require(server.recorders.last),
        try #require(server.streams.last)
      )
    }

    func close() {
      client.http.quic.close()
      server.http.quic.close()
      pair.close()
    }
  }

  @Test func settingsComeOnNoOtherStream() throws {
    var settings = QUICSettings()
    HTTP3Connection.admitStreams(&settings)
    let pair = try QUICPair(TestLoop(), settings)
    let (near, far) = try pair.connected(QUICRecorder(), settings)
    let server = try HTTP3End(far)
    let other = try #require(try near.openUnidirectionalStream())
    // A type that nobody knows (RFC 9114, section 7.2.8), and later what would be the beginning of a control stream.
    for bytes: [UInt8] in [[0x21], [0x00, 0x04, 0x02, 0x33, 0x01]] {
      other.write(bytes)
      pair.test.run("its arrival") { other.hasArrived }
    }
    #expect(server.settings == nil)
    let control = try #require(try near.openUnidirectionalStream())
    control.write([0x00, 0x04, 0x00])
    pair.test.run("the settings") { server.settings != nil }
    #expect(server.settings == HTTP3Settings())
    server.http.quic.close()
    near.close()
    pair.close()
  }

  @Test func carriesARequestAndItsResponse() throws {
    let world = try World()
    let (near, _, far, stream) = try world.ask()
    let request = try #require(HTTPRequestHead(far.sections[0]))
    #expect(request.method == "GET" && request.scheme == "https" && request.authority == "localhost:1")
    #expect(request.path == Array("/a?b".utf8) && far.sections[0].isAll)
    #expect(request.headers.first("x-thing") == "one" && !request.headers.contains("connection"))
    stream.respondInterim(HTTP3FieldList(HTTPResponseHead(status: 103)))
    stream.respond(HTTP3FieldList(HTTPResponseHead(status: 200)), isAll: false)
    [UInt8]("body".utf8).withUnsafeBytes { stream.write($0) }
    var trailers = HTTPHeaders()
    trailers.append("X-Sum", "7")
    trailers.append("Transfer-Encoding", "chunked")
    stream.end(HTTP3FieldList(trailers: trailers))
    world.pair.test.run("a response") { near.hasEnded && world.client.ended == 1 && world.server.ended == 1 }
    #expect(near.sections.map(\.status) == [103, 200] && near.body == Array("body".utf8))
    #expect(near.trailers?.first("x-sum") == "7" && near.trailers?.count == 1)
    #expect(!world.client.http.hasRequests && !world.server.http.hasRequests)
    #expect(world.client.settings == HTTP3Settings())
    world.close()
  }

  @Test func saysThatItCarriesDatagrams() throws {
    let world = try World(enablesDatagrams: true)
    world.pair.test.run("the settings") { world.client.settings != nil }
    #expect(world.client.settings?.enablesDatagrams == true)
    world.close()
  }

  @Test func bulkWaitsForItsReader() throws {
    let world = try World()
    let bulk = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let (near, request, far, stream) = try world.ask("POST", bulk)
    world.pair.test.run("the request's body") { far.hasEnded }
    // Not compared in place: to tell how long arrays differ takes minutes.
    var isWhole = far.body == bulk
    #expect(isWhole)
    near.onBody = { $0.readStop() }
    stream.respond(HTTP3FieldList(HTTPResponseHead(status: 200)), isAll: false)
    bulk.withUnsafeBytes { stream.write($0) }
    stream.end()
    world.pair.test.run("the first of the response's") { !near.body.isEmpty }
    // What does not fit the peer's credit stays where it is.
    #expect(stream.queuedBytes > bulk.count / 2)
    near.onBody = { _ in }
    request.readStart()
    world.pair.test.run("the rest") { near.hasEnded }
    isWhole = near.body == bulk
    #expect(isWhole)
    world.close()
  }

  @Test func anAnswerMayComeBeforeTheRequestIsOver() throws {
    let world = try World()
    let (near, _, _, stream) = try world.ask("POST", [1, 2, 3], ends: false)
    stream.respond(HTTP3FieldList(HTTPResponseHead(status: 405)), isAll: true)
    world.pair.test.run("the response") { near.sections.first?.status == 405 && near.hasEnded }
    #expect(world.server.ended == 1 && near.failure == nil)
    // The connection is as good as before.
    let (again, _, _, second) = try world.ask()
    second.respond(HTTP3FieldList(HTTPResponseHead(status: 204)), isAll: true)
    world.pair.test.run("another response") { again.hasEnded }
    world.close()
  }

  @Test func aResetEndsItsStreamAlone() throws {
    let world = try World()
    let (near, _, _, stream) = try world.ask()
    stream.reset(code: HTTP3Code.internalError)
    world.pair.test.run("the reset") { near.failure != nil && world.client.ended == 1 }
    #expect(near.failure?.message.contains("\(HTTP3Code.internalError)") == true)
    let (_, second, far, _) = try world.ask()
    second.reset(code: HTTP3Code.requestCancelled)
    world.pair.test.run("the other side's") { far.failure != nil && world.server.ended == 2 }
    #expect(world.client.failure == nil && world.server.failure == nil)
    world.close()
  }

  @Test func theEndOfTheConnectionEndsItsStreams() throws {
    let world = try World()
    let (near, _, far, _) = try world.ask()
    world.client.http.close()
    world.client.http.quic.close()
    world.pair.test.run("the end") { far.failure != nil }
    #expect(near.failure == nil)
    world.close()
  }

  @Test func brokenRulesEndTheConnection() throws {
    let world = try World()
    let stream = try #require(try world.client.http.quic.openUnidirectionalStream())
    // A second control stream (RFC 9114, section 6.2.1).
    stream.write([0, 4, 0])
    world.pair.test.run("the complaint") { world.server.failure != nil }
    // H3_STREAM_CREATION_ERROR
    #expect(world.server.failure?.1 == 0x103)
    world.close()
  }

  @Test func aPeerWithoutRoomForItsStreamsIsRefused() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    #expect(throws: Failure.self) { try HTTP3Connection(client).start() }
    client.close()
    pair.close()
  }
}

struct HTTP3FieldsTests {
  private func fields(_ list: [(String, String)]) -> HTTP3Fields {
    var fields = HTTP3Fields()
    for (name, value) in list {
      Array(name.utf8).withUnsafeBytes { name in Array(value.utf8).withUnsafeBytes { fields.append(name, $0) } }
    }
    return fields
  }

  @Test(
    arguments: [
      [], [(":method", "GET")], [(":method", "GET"), (":path", "/")],
      [(":method", "GET"), (":path", ""), (":authority", "a")],
      [(":method", "GET"), (":path", "a"), (":authority", "a")],
      [(":method", "GET"), (":path", "*"), (":authority", "a")],
      [(":method", "GET"), (":path", "/a b"), (":authority", "a")],
      [(":method", "GET"), (":path", "/"), (":authority", "a@b")],
    ])
  func isNoRequest(_ list: [(String, String)]) { #expect(HTTPRequestHead(fields(list)) == nil) }

  @Test func takesTheHostForTheAuthority() {
    let head = HTTPRequestHead(fields([(":method", "OPTIONS"), (":path", "*"), ("host", "a:1")]))
    #expect(head?.authority == "a:1" && head?.headers.isEmpty == true && head?.scheme == "https")
  }

  @Test func forgetsWhatIsTooMuch() {
    let large = fields([(":method", "GET"), ("x", String(repeating: "y", count: 70_000)), ("z", "1")])
    #expect(large.isTooLarge && large.headers.isEmpty && large[":method"] == "GET")
  }

  @Test func statusHasThreeDigits() {
    for text in ["", "20", "2000", "abc", "-20"] { #expect(HTTPResponseHead(fields([(":status", text)])) == nil) }
    #expect(HTTPResponseHead(fields([(":status", "204")]))?.status == 204)
  }
}
