// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

struct AutoTransportTests {
  /// Those who wait for the choice at one engine wait for the one at the next, when the client goes there meanwhile.
  @Test func anotherEngineIsChosenAnewFor() throws {
    let test = try TestLoop()
    let tls = FakeTransport()
    let auto = AutoTransport(
      test.loop, tls: tls, quic: .failure(Failure(UV_ENOTSUP.rawValue, "there is no QUIC")))
    var told: [String] = []
    let attempts = (0..<2).map { _ in
      auto.connect(timeout: 60_000, onStep: nil) { told.append($0.failure?.message ?? "connected") }
    }
    test.run("the first choice") { tls.attempts.count == 1 }
    auto.use(ServerEndpoint(host: "elsewhere", port: 443), by: NetworkPath())
    test.run("the second choice") { tls.attempts.count == 2 }
    #expect(told.isEmpty)
    #expect(tls.attempts.first?.isOver == true)
    tls.attempts.last?.finish(.failure(Failure(UV_ECONNREFUSED.rawValue, "\(tls.engine ?? "") refuses")))
    test.run("the end") { told.count == 2 }
    #expect(told.allSatisfy { $0.contains("there is no QUIC") && $0.contains("elsewhere refuses") })
    for attempt in attempts { attempt.cancel() }
    auto.finish()
    test.close()
  }
}

/// Connects to nothing: the test says what becomes of an attempt.
private final class FakeTransport: TunnelTransport {
  private(set) var attempts: [FakeAttempt] = []
  private(set) var engine: String?

  let mayCarryDatagrams = false

  func connect(timeout: UInt64, onStep: OnStep?, _ done: @escaping Completion) -> any ConnectionAttempt {
    let attempt = FakeAttempt(done)
    attempts.append(attempt)
    return attempt
  }

  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    connect(timeout: timeout, onStep: nil, done)
  }

  func use(_ engine: ServerEndpoint, by path: NetworkPath) { self.engine = engine.host }

  func controlEnded(_ channel: ByteChannel, isLost: Bool) {}

  func finish() {}
}

private final class FakeAttempt: Attempt<ByteChannel>, ConnectionAttempt {}
