// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import Testing

@testable import RstreamNet

/// A loop that runs until a test has what it waits for.
final class TestLoop {
  let loop: Loop

  init() throws { loop = try Loop.make() }

  /// Runs the loop until `condition` holds; fails the test when that takes longer than ten seconds.
  func run(until condition: () -> Bool) {
    var isLate = false
    let timer = LoopTimer(loop, after: 10_000) { isLate = true }
    while !condition() && !isLate { uv_run(loop.uv, UV_RUN_ONCE) }
    timer.close()
    #expect(!isLate, "the loop ran for ten seconds without result")
  }

  /// Closes the loop and checks that nothing was left on it.
  func close() {
    var isClosed = false
    loop.close { isClosed = true }
    #expect(isClosed)
  }
}

/// Collects what a channel tells.
final class Recorder: ByteChannelDelegate {
  var received: [UInt8] = []
  var ended = false
  var failure: Failure?
  var drained = 0
  /// Called after each event.
  var onEvent: (Recorder, ByteChannel) -> Void = { _, _ in }

  var text: String { String(decoding: received, as: UTF8.self) }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    received.append(contentsOf: bytes)
    onEvent(self, channel)
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    ended = true
    onEvent(self, channel)
  }

  func channelDrained(_ channel: ByteChannel) {
    drained += 1
    onEvent(self, channel)
  }

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    self.failure = failure
    onEvent(self, channel)
  }
}

extension TestLoop {
  /// Two ends of a TCP connection over loopback.
  func socketPair() throws -> (SocketChannel, SocketChannel) {
    var accepted: SocketChannel?
    var connected: SocketChannel?
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let listener = try Listener(loop, on: any) { accepted = $0 }
    let connector = SocketConnector(loop, to: [listener.address]) { connected = try? $0.get() }
    run { accepted != nil && connected != nil }
    listener.close()
    withExtendedLifetime(connector) {}
    return (try #require(accepted), try #require(connected))
  }
}
