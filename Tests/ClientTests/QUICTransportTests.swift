// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

/// A client's connections over QUIC: to one engine, and to the nodes that it redirects streams to.
struct QUICTransportTests {
  /// A transport to a server that takes what comes.
  private final class World {
    let pair: QUICPair
    let transport: QUICTransport
    let path: NetworkPath
    var test: TestLoop { pair.test }

    init(
      _ settings: QUICSettings = QUICSettings(), limits: QUICListener.Limits = QUICListener.Limits(),
      client: QUICSettings = QUICSettings(), nodeIdleTime: UInt64 = 15_000
    ) throws {
      pair = try QUICPair(TestLoop(), settings, limits)
      path = NetworkPath()
      transport = QUICTransport(
        pair.test.loop, to: Self.endpoint(pair), by: path, try QUICPair.credentials(), client,
        nodeIdleTime: nodeIdleTime)
    }

    static func endpoint(_ pair: QUICPair) -> ServerEndpoint {
      ServerEndpoint(host: "127.0.0.1", port: pair.listener.address.port)
    }

    /// As a node that streams are redirected to, or as the engine.
    func stream(redirected: Bool = false) throws -> QUICStream {
      var result: Result<ByteChannel, Failure>?
      let attempt =
        redirected
        ? transport.connect(redirectedTo: Self.endpoint(pair), timeout: 10_000) { result = $0 }
        : transport.connect(timeout: 10_000, onStep: nil) { result = $0 }
      test.run("a stream") { result != nil }
      withExtendedLifetime(attempt) {}
      return try #require(try result?.get() as? QUICStream)
    }

    func close() {
      transport.finish()
      pair.close()
    }
  }

  @Test func aLostConnectionIsLeftToItsStreams() throws {
    let world = try World()
    world.pair.echo()
    let control = try world.stream()
    let old = try world.stream()
    #expect(old.connection === control.connection)
    world.transport.controlEnded(control, isLost: true)
    control.reset()
    let new = try world.stream()
    #expect(new.connection !== old.connection)
    let recorder = Recorder(reading: old)
    old.write(Array("goes on".utf8))
    world.test.run("an echo") { recorder.text == "goes on" }
    old.shutdown()
    old.reset()
    world.test.run("the end of the connection that was lost") { old.connection.isEnded }
    #expect(new.connection.isOpen)
    world.close()
  }

  @Test func anEndInOrderKeepsTheConnection() throws {
    let world = try World()
    let control = try world.stream()
    world.transport.controlEnded(control, isLost: false)
    #expect(try world.stream().connection === control.connection)
    world.close()
  }

  @Test func theEndOfAnAttemptWithdrawsItsStream() throws {
    var settings = QUICSettings()
    settings.streams = 1
    let world = try World(settings)
    let first = try world.stream()
    world.test.run("the first stream at the server") { world.pair.atServer.isOpen }
    for _ in 0..<3 {
      let attempt = world.transport.connect(timeout: 10_000, onStep: nil) { _ in Issue.record("it was given up") }
      var turns = 0
      let timer = LoopTimer(world.test.loop) { turns += 1 }
      timer.start(after: 1, every: 1)
      world.test.run("some time") { turns > 20 }
      timer.close()
      attempt.cancel()
    }
    #expect(!world.transport.main.isIdle)
    first.write([1])
    world.test.run("the first stream") { !world.pair.atServer.streams.isEmpty }
    first.reset()
    for stream in world.pair.atServer.streams { stream.reset() }
    let next = try world.stream()
    next.write([2])
    world.test.run("the next stream") { world.pair.atServer.streams.count == 2 }
    // Each stream that had been opened in between would have had a number.
    #expect(next.id == first.id + 4)
    world.close()
  }

  @Test func nodesWithoutStreamsAreLeft() throws {
    let world = try World(nodeIdleTime: 50)
    let used = try world.stream(redirected: true)
    let connection = used.connection
    var turns = 0
    let timer = LoopTimer(world.test.loop) { turns += 1 }
    timer.start(after: 50, every: 50)
    world.test.run("some time") { turns > 6 }
    #expect(connection.isOpen && world.transport.nodes.count == 1)
    used.reset()
    world.test.run("the end of the node's connection") { connection.isEnded }
    #expect(world.transport.nodes.isEmpty)
    timer.close()
    world.close()
  }

  @Test func nodesAreLeftWithTheControlChannel() throws {
    let world = try World()
    let control = try world.stream()
    let used = try world.stream(redirected: true)
    let connection = used.connection
    #expect(connection !== control.connection)
    world.transport.controlEnded(control, isLost: false)
    #expect(world.transport.nodes.isEmpty && world.transport.retired.count == 1)
    #expect(try world.stream(redirected: true).connection !== connection)
    #expect(connection.isOpen)
    used.reset()
    world.test.run("the end of the node's connection") { connection.isEnded }
    #expect(control.connection.isOpen)
    world.close()
  }

  /// Asked for while the link is retired: the stream comes, and the connection ends with it.
  @Test func whoHasAskedGetsAStreamOfARetiredLink() throws {
    let world = try World()
    let control = try world.stream()
    var result: Result<ByteChannel, Failure>?
    let attempt = world.transport.connect(redirectedTo: World.endpoint(world.pair), timeout: 10_000) { result = $0 }
    #expect(!world.transport.nodes[0].isIdle)
    world.transport.controlEnded(control, isLost: false)
    world.test.run("a stream") { result != nil }
    let stream = try #require(try result?.get() as? QUICStream)
    #expect(stream.connection.isOpen)
    stream.reset()
    world.test.run("the end of its connection") { stream.connection.isEnded }
    withExtendedLifetime(attempt) {}
    world.close()
  }

  /// A transport to somebody who answers nothing.
  private final class Silence {
    let test: TestLoop
    let transport: QUICTransport
    private let mute: QUICSocket

    init() throws {
      test = try TestLoop()
      mute = try QUICSocket(test.loop, on: #require(SocketAddress(literal: "127.0.0.1", port: 0)))
      transport = QUICTransport(
        test.loop, to: ServerEndpoint(host: "127.0.0.1", port: mute.address.port), by: NetworkPath(),
        try QUICPair.credentials(), QUICSettings())
    }

    func pass(milliseconds: UInt64) {
      var isOver = false
      let timer = LoopTimer(test.loop, after: milliseconds) { isOver = true }
      test.run("some time") { isOver }
      timer.close()
    }

    func close() {
      transport.finish()
      mute.close()
      test.close()
    }
  }

  @Test func whoWaitsIsToldOfTheEnd() throws {
    let silence = try Silence()
    var failures: [Int32] = []
    func connect() -> any ConnectionAttempt {
      silence.transport.connect(timeout: 10_000, onStep: nil) {
        if case .failure(let failure) = $0 { failures.append(failure.code) }
      }
    }
    let first = connect()
    silence.pass(milliseconds: 20)
    // This one has only just asked.
    let second = connect()
    silence.transport.finish()
    silence.test.run("their ends") { failures.count == 2 }
    #expect(failures == [-ECANCELED, -ECANCELED])
    withExtendedLifetime((first, second)) {}
    silence.close()
  }

  /// A connection is given the time of whoever asked first; others may have more.
  @Test func theFirstOnesLimitIsNotTheOthers() throws {
    let silence = try Silence()
    var ends: [Int] = []
    let first = silence.transport.connect(timeout: 200, onStep: nil) { _ in ends.append(1) }
    silence.pass(milliseconds: 50)
    let start = ContinuousClock.now
    let second = silence.transport.connect(timeout: 1_000, onStep: nil) { _ in ends.append(2) }
    silence.test.run("both ends") { ends == [1, 2] }
    #expect(ContinuousClock.now - start > .milliseconds(900))
    withExtendedLifetime((first, second)) {}
    silence.close()
  }

  @Test func theNextConnectionBringsAToken() throws {
    var limits = QUICListener.Limits()
    limits.validation = .always
    var template = Array("/tmp/rstream-qlog-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    defer { system("rm -r \(directory)") }
    var client = QUICSettings()
    client.qlogDirectory = directory
    let world = try World(limits: limits, client: client)
    for _ in 0..<3 {
      let stream = try world.stream()
      world.test.run("a token") { !world.transport.main.token.isEmpty }
      for connection in world.pair.served { connection.close() }
      world.test.run("the end of the connection") { stream.connection.isEnded }
    }
    world.close()
    let retries = system("test $(cat \(directory)/* | grep -c '\"packet_type\":\"retry\"') = 1")
    #expect(retries == 0, "only the first connection was asked to prove its address")
  }
}
