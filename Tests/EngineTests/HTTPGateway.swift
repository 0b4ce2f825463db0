// SPDX-License-Identifier: Apache-2.0
import CPlatform
import RstreamNet
import TestSupport
import Testing

@testable import RstreamEngine

/// A client, a service, and the two sides of an HTTP exchange between them.
final class HTTPGateway: HTTPHandler {
  let test: TestLoop
  let sessions = SessionTable()
  let client: Peer
  private(set) var downstream: HTTP1Downstream?
  private(set) var services: [Peer] = []
  private(set) var upstreams: [HTTP1Upstream] = []
  private(set) var hasEnded = false
  /// What is done with a request; by default it goes to a service on a new connection.
  var onRequest: (HTTPGateway, HTTPExchange) -> Void = { $0.forward($1) }

  init(firstHead: UInt64 = 10_000, idle: UInt64 = 10_000) throws {
    test = try TestLoop()
    let (near, far) = try test.socketPair()
    client = Peer(far)
    downstream = HTTP1Downstream(near, scheme: "https", self, .init(firstHead: firstHead, idle: idle), sessions)
  }

  func handle(_ exchange: HTTPExchange) { onRequest(self, exchange) }

  func connectionEnded() { hasEnded = true }

  func forward(_ exchange: HTTPExchange) {
    var ends: [Int32] = [-1, -1]
    guard rstream_socket_pair(&ends) == 0,
      let near = try? SocketChannel(test.loop, descriptor: ends[0], peer: nil),
      let far = try? SocketChannel(test.loop, descriptor: ends[1], peer: nil)
    else { return exchange.answer(500, "no sockets") }
    services.append(Peer(far))
    let upstream = HTTP1Upstream(near)
    upstreams.append(upstream)
    exchange.connect(upstream, exchange.request)
  }

  /// The service that the newest request went to, when it has come there.
  func service() throws -> Peer {
    let before = services.count
    test.run { services.count > 0 && !(services.last?.received.isEmpty ?? true) && services.count >= before }
    return try #require(services.last)
  }

  /// Lets everything that is on its way arrive.
  func settle() {
    var rounds = 0
    let timer = LoopTimer(test.loop) { rounds += 1 }
    timer.start(after: 1, every: 1)
    test.run { rounds > 30 }
    timer.close()
  }

  /// Ends everything and checks that nothing is left on the loop.
  func close() {
    client.channel.reset()
    for service in services { service.channel.reset() }
    test.run { hasEnded }
    for upstream in upstreams { upstream.close() }
    downstream = nil
    upstreams = []
    #expect(sessions.isEmpty)
    test.close()
  }
}

/// The far end of a connection: writes text and collects what comes back.
final class Peer {
  let channel: ByteChannel
  private let recorder = Recorder()

  init(_ channel: ByteChannel) {
    self.channel = channel
    channel.delegate = recorder
    channel.readStart()
  }

  var received: [UInt8] { recorder.received }
  var text: String { recorder.text }
  var hasEnded: Bool { recorder.ended }
  var isOver: Bool { recorder.ended || recorder.failure != nil }

  func send(_ text: String) { channel.write(Array(text.utf8)) }

  /// Gives what has come and forgets it.
  func take() -> String {
    defer { recorder.received = [] }
    return text
  }
}
