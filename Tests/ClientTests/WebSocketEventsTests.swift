// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import TestSupport
import Testing

@testable import RstreamClient
@testable import RstreamNet

/// Watching over WebSocket, at an engine of the test's own making.
struct WebSocketEventsTests {
  private static let snapshot = #"{"type":"state.initial","object":{"clients":[{"id":"c"}],"tunnels":[{"id":"t"}]}}"#
  private static let created = #"{"type":"tunnel.created","object":{"id":"t2"}}"#

  /// The engine's end of a WebSocket.
  private final class Server: ByteChannelDelegate {
    let channel: ByteChannel
    let codec = WebSocketCodec(.server, limit: 1 << 16)
    /// Whether pings are answered.
    let answers: Bool
    var received: [WebSocketCodec.Event] = []
    var isEnded = false

    init(_ channel: ByteChannel, answers: Bool) {
      self.channel = channel
      self.answers = answers
      channel.delegate = self
    }

    func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
      received += codec.feed(bytes)
      let output = codec.takeOutput()
      if answers { channel.write(output) }
    }

    func channelReceivedEnd(_ channel: ByteChannel) { isEnded = true }
    func channelDrained(_ channel: ByteChannel) {}
    func channel(_ channel: ByteChannel, failed failure: Failure) { isEnded = true }
  }

  /// A client that watches, and what it is told.
  private final class Setting {
    let test: TestLoop
    let api: FakeAPI
    let client: Client
    var servers: [Server] = []
    var words: [String] = []
    var end: Failure??
    var watch: Watch?
    var answersPings = true

    init(_ settings: [String: String] = [:]) throws {
      test = try TestLoop()
      api = try FakeAPI(test)
      client = try api.client(settings)
    }

    func start(_ timing: WebSocketEvents.Timing = .init(), reconnects: Bool = false) throws {
      client.webSocketTiming = timing
      let watch = try client.watch(tunnels: nil, clients: nil, over: .webSocket, reconnects: reconnects)
      watch.onEvent = { [self] event in
        let items = event.clients.items + event.tunnels.items
        words.append(([event.type] + items.map { $0.property("id") ?? "?" }).joined(separator: " "))
      }
      watch.onEnd = { [self] in end = .some($0) }
      self.watch = watch
    }

    static func agreement(_ request: FakeAPI.Request) -> String {
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: \(WebSocketHandshake.accept(for: request.field("Sec-WebSocket-Key") ?? ""))\r\n\r\n"
    }

    /// Agrees to every handshake and sends what `frames` says, behind the head in the same piece.
    func agree(_ frames: @escaping (WebSocketCodec) -> [UInt8]) {
      api.onRequest = { [unowned self] request in
        let server = Server(request.connection, answers: answersPings)
        servers.append(server)
        request.connection.write(Array(Self.agreement(request).utf8) + frames(server.codec))
      }
    }

    func agree(telling messages: [String], closing code: UInt16? = nil, _ reason: String = "") {
      agree { codec in
        for message in messages { codec.send(text: Array(message.utf8)) }
        if let code { codec.close(code, reason) }
        return codec.takeOutput()
      }
    }

    func awaitEnd() -> Failure? {
      test.run("the end of the watch") { end != nil }
      return end ?? nil
    }

    func finish() throws {
      var isClosed = false
      try client.close { isClosed = true }
      test.run { isClosed }
      // The watch and what it tells hold each other.
      watch = nil
      api.close()
      test.close()
    }
  }

  @Test func whatIsAskedAndTold() throws {
    let setting = try Setting(["auth.token": "secret"])
    setting.agree(telling: [Self.snapshot, Self.created, "[1]", #"{"no":"type"}"#], closing: 1000)
    try setting.start()
    #expect(setting.awaitEnd() == nil && setting.words == ["state.initial c t", "tunnel.created t2"])
    let request = setting.api.requests[0]
    #expect(request.lines[0] == "GET /api/websocket HTTP/1.1")
    #expect(request.field("Authorization") == "Bearer secret")
    #expect(request.field("Upgrade") == "websocket" && request.field("Connection") == "Upgrade")
    #expect(request.field("Sec-WebSocket-Version") == "13")
    #expect(request.field("Sec-WebSocket-Extensions") == nil && request.field("Origin") == nil)
    #expect(Base64.decode(request.field("Sec-WebSocket-Key") ?? "")?.count == 16)
    setting.test.run("agreement to closing") { !setting.servers[0].received.isEmpty }
    #expect(setting.servers[0].received == [.closed(code: 1000, reason: "")])
    try setting.finish()
  }

  private static let codes: [(UInt16, Int32?)] = [
    (1000, nil), (1001, nil), (1002, ErrorCode.protocolViolation), (1003, ErrorCode.protocolViolation),
    (1007, ErrorCode.protocolViolation), (1008, -ECONNRESET), (1009, ErrorCode.protocolViolation),
    (1011, -ECONNRESET), (1012, -ECONNRESET), (4000, -ECONNRESET),
  ]

  @Test(arguments: codes)
  func codesOfClosing(code: UInt16, expected: Int32?) throws {
    let setting = try Setting(["auth.token": "secret"])
    setting.agree(telling: [Self.snapshot], closing: code, "because\r\nof secret things")
    try setting.start()
    let failure = setting.awaitEnd()
    #expect(failure?.code == expected)
    if let failure { #expect(failure.message.hasSuffix("the code \(code): because  of ... things")) }
    try setting.finish()
  }

  @Test func closingWithoutACode() throws {
    let setting = try Setting()
    setting.agree { _ in [0x88, 0] }
    try setting.start()
    #expect(setting.awaitEnd() == nil)
    try setting.finish()
  }

  @Test func answersThatDoNotAgree() throws {
    func end(_ answer: @escaping (FakeAPI.Request) -> String, closing: Bool = false) throws -> Failure? {
      let setting = try Setting()
      setting.api.onRequest = { request in
        request.connection.write(Array(answer(request).utf8))
        if closing { request.connection.close() }
      }
      try setting.start(reconnects: true)
      let failure = setting.awaitEnd()
      #expect(setting.api.requests.count == 1 && setting.words == [])
      try setting.finish()
      return failure
    }
    for status in ["400 Bad", "401 No", "403 No", "404 No", "426 No", "500 Oops", "503 Busy"] {
      let failure = try end { _ in FakeAPI.response("the reason", status: status, type: "text/plain") }
      #expect(failure?.code == ErrorCode.engineAPIHTTP && failure?.engineCode == Int32(status.prefix(3)))
      #expect(failure?.message.contains(": the reason") == true)
    }
    let page = try end { _ in FakeAPI.response("<html>hello", type: "text/html") }
    #expect(page?.code == ErrorCode.engineAPIPayload && page?.message.contains("answered 200") == true)
    let endless = try end { _ in "HTTP/1.1 200 OK\r\n\r\n<html>" }
    #expect(endless?.code == ErrorCode.engineAPIPayload)
    let good = "Sec-WebSocket-Accept: "
    let wrong = try end { Setting.agreement($0).replacing(good, with: "\(good)x") }
    #expect(wrong?.code == ErrorCode.protocolViolation && wrong?.message.contains("Sec-WebSocket-Accept") == true)
    let silent = try end { Setting.agreement($0).replacing(good, with: "Other: ") }
    #expect(silent?.code == ErrorCode.protocolViolation)
    #expect(try end { _ in "\u{1}\u{2}" }?.code == ErrorCode.protocolViolation)
    #expect(try end({ _ in "" }, closing: true)?.code == -ECONNRESET)
    #expect(try end({ _ in "HTTP/1.1 101 x\r\nUpgr" }, closing: true)?.code == -ECONNRESET)
  }

  @Test func framesThatBreakTheRules() throws {
    func end(_ frames: [UInt8]) throws -> (Failure?, UInt16?) {
      let setting = try Setting()
      setting.agree { _ in frames }
      try setting.start(reconnects: true)
      let failure = setting.awaitEnd()
      setting.test.run("a reason") { !setting.servers[0].received.isEmpty }
      #expect(setting.api.requests.count == 1)
      try setting.finish()
      if case .closed(let code, _)? = setting.servers[0].received.first { return (failure, code) }
      return (failure, nil)
    }
    #expect(try end([0x83, 0]) == (ErrorCode.protocolViolation, 1002))
    #expect(try end([0x81, 0x80, 1, 2, 3, 4]) == (ErrorCode.protocolViolation, 1002))
    #expect(try end([0x81, 1, 0xFF]) == (ErrorCode.protocolViolation, 1007))
    #expect(try end([0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1, 0x20]) == (ErrorCode.engineAPIPayload, 1009))
    #expect(try end([0x81, 1, 0x7B]) == (ErrorCode.eventJSON, 1000))
  }

  @Test func aFragmentedBinaryEvent() throws {
    let setting = try Setting()
    let event = Array(Self.snapshot.utf8)
    setting.agree { _ in
      [0x02, 10] + event[..<10] + [0x89, 0, 0x80, UInt8(event.count - 10)] + event[10...] + [0x88, 2, 3, 0xE8]
    }
    try setting.start()
    #expect(setting.awaitEnd() == nil && setting.words == ["state.initial c t"])
    #expect(setting.servers[0].received.first == .pong)
    try setting.finish()
  }

  @Test func anEngineThatIsSilentIsGone() throws {
    let setting = try Setting()
    setting.answersPings = false
    setting.agree(telling: [Self.snapshot])
    try setting.start(.init(pingInterval: 20, pingWrite: 5000, silence: 200))
    let failure = setting.awaitEnd()
    #expect(failure?.code == ErrorCode.operationTimeout && failure?.message.contains("silent for 200 ms") == true)
    #expect(setting.words == ["state.initial c t"])
    #expect(setting.servers[0].received.filter { $0 == .ping }.count > 2)
    setting.test.run("the connection's end") { setting.servers[0].isEnded }
    try setting.finish()
  }

  @Test func pongsAreEnough() throws {
    let setting = try Setting()
    setting.agree(telling: [Self.snapshot])
    try setting.start(.init(pingInterval: 20, pingWrite: 5000, silence: 300))
    setting.test.run("pings for longer than the silence") {
      setting.servers.first.map { $0.received.filter { $0 == .ping }.count > 40 } ?? false
    }
    #expect(setting.end == nil)
    try setting.finish()
  }

  @Test func anEngineThatDoesNotReadIsGone() throws {
    let setting = try Setting()
    setting.agree { [unowned setting] codec in
      setting.servers.last?.channel.readStop()
      codec.send(text: Array(Self.snapshot.utf8))
      // The answers to these fill all buffers on the way to an engine that does not take them.
      return codec.takeOutput() + (0..<200_000).flatMap { _ in [0x89, 125] + [UInt8](repeating: 0, count: 125) }
    }
    try setting.start(.init(pingInterval: 100, pingWrite: 300, silence: 60_000))
    let failure = setting.awaitEnd()
    #expect(failure?.code == ErrorCode.operationTimeout && failure?.message.contains("a ping for 300 ms") == true)
    try setting.finish()
  }

  @Test func itConnectsAgainAndTellsASnapshot() throws {
    let setting = try Setting()
    setting.api.onRequest = { request in
      let server = Server(request.connection, answers: true)
      setting.servers.append(server)
      switch setting.servers.count {
      case 1, 3:
        server.codec.send(text: Array(Self.snapshot.utf8))
        if setting.servers.count == 1 { server.codec.close(1001) }
        request.connection.write(Array(Setting.agreement(request).utf8) + server.codec.takeOutput())
        if setting.servers.count == 3 { request.connection.close() }
      case 2: request.connection.write(Array(FakeAPI.response("", status: "503 Busy").utf8))
      default: request.connection.write(Array(FakeAPI.response("", status: "401 No").utf8))
      }
    }
    try setting.start(reconnects: true)
    #expect(setting.awaitEnd()?.engineCode == 401)
    #expect(setting.words == ["state.initial c t", "state.initial c t"] && setting.servers.count == 4)
    try setting.finish()
  }

  @Test func aConnectionThatEndsWithoutAWord() throws {
    let setting = try Setting()
    setting.api.onRequest = { request in
      request.connection.write(Array(Setting.agreement(request).utf8))
      request.connection.close()
    }
    try setting.start()
    #expect(setting.awaitEnd()?.code == -ECONNRESET)
    try setting.finish()
  }

  @Test func closingHere() throws {
    let setting = try Setting()
    setting.agree(telling: [Self.snapshot])
    try setting.start()
    setting.test.run("a snapshot") { setting.words.count == 1 }
    var isClosed = false
    try setting.watch?.close { isClosed = true }
    setting.test.run("the engine's word of it") { isClosed && setting.servers[0].isEnded }
    #expect(setting.servers[0].received == [.closed(code: 1000, reason: "")] && setting.end == nil)
    try setting.finish()
  }

  @Test func closingBeforeThereIsAnAnswer() throws {
    let setting = try Setting(["timeouts.operationMs": "200"])
    try setting.start()
    #expect(setting.awaitEnd()?.code == ErrorCode.operationTimeout)
    try setting.start()
    setting.test.run("a request") { setting.api.requests.count == 2 }
    var isClosed = false
    try setting.watch?.close { isClosed = true }
    setting.test.run { isClosed && setting.api.ended == 2 }
    try setting.finish()
  }
}

private func == (one: (Failure?, UInt16?), other: (Int32, UInt16)) -> Bool {
  one.0?.code == other.0 && one.1 == other.1
}
