// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import RstreamNet
import Testing

/// A loop that runs until a test has what it waits for.
public final class TestLoop {
  public let loop: Loop

  public init() throws { loop = try Loop.make() }

  /// Runs the loop until `condition` holds; fails the test when that takes longer than a minute.
  public func run(
    _ what: String = "a result", _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool
  ) {
    var isLate = false
    let timer = LoopTimer(loop, after: 60_000) { isLate = true }
    while !condition() && !isLate { uv_run(loop.uv, UV_RUN_ONCE) }
    timer.close()
    #expect(!isLate, "the loop ran for a minute without \(what)", sourceLocation: location)
  }

  /// Closes the loop and checks that nothing was left on it.
  public func close() {
    var isClosed = false
    loop.close { isClosed = true }
    #expect(isClosed)
  }
}

/// Collects what a channel tells.
public final class Recorder: ByteChannelDelegate {
  public var received: [UInt8] = []
  public var ended = false
  public var failure: Failure?
  public var drained = 0
  public init() {}

  /// Collects what `channel` tells, and has it read.
  public init(reading channel: ByteChannel) {
    channel.delegate = self
    channel.readStart()
  }

  /// Called after each event.
  public var onEvent: (Recorder, ByteChannel) -> Void = { _, _ in }

  public var text: String { String(decoding: received, as: UTF8.self) }

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    received.append(contentsOf: bytes)
    onEvent(self, channel)
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    ended = true
    onEvent(self, channel)
  }

  public func channelDrained(_ channel: ByteChannel) {
    drained += 1
    onEvent(self, channel)
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    self.failure = failure
    onEvent(self, channel)
  }
}

extension TestLoop {
  /// Two ends of a TCP connection over loopback.
  public func socketPair() throws -> (SocketChannel, SocketChannel) {
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
