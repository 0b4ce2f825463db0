// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct SpliceTests {
  /// consumer - [splice] - service
  private func chain(_ test: TestLoop) throws -> (SocketChannel, SocketChannel, SocketChannel, SocketChannel) {
    let (left, consumer) = try test.socketPair()
    let (right, service) = try test.socketPair()
    return (consumer, left, right, service)
  }

  @Test func carriesHalfCloseBothWays() throws {
    let test = try TestLoop()
    let (consumer, left, right, service) = try chain(test)
    var ended = false
    var counted: (UInt64, UInt64) = (0, 0)
    let splice = Splice(left, right) { splice, failure in
      #expect(failure == nil)
      counted = (splice.bytesFromA, splice.bytesFromB)
      ended = true
    }
    let atService = Recorder()
    let atConsumer = Recorder()
    service.delegate = atService
    consumer.delegate = atConsumer
    service.readStart()
    consumer.readStart()
    consumer.write(Array("question".utf8))
    consumer.shutdown()
    test.run { atService.ended }
    #expect(!ended)
    service.write(Array("the answer after the end".utf8))
    service.shutdown()
    test.run { atConsumer.ended && ended }
    #expect(atConsumer.text == "the answer after the end")
    #expect(counted.0 == 8)
    #expect(counted.1 == 24)
    withExtendedLifetime(splice) {}
    consumer.close()
    service.close()
    test.close()
  }

  @Test func resetIsCarriedOver() throws {
    let test = try TestLoop()
    let (consumer, left, right, service) = try chain(test)
    var reason: Failure?
    let splice = Splice(left, right) { _, failure in reason = failure }
    let atService = Recorder(reading: service)
    consumer.reset()
    test.run { atService.failure != nil && reason != nil }
    #expect(atService.failure?.code == -ECONNRESET)
    withExtendedLifetime(splice) {}
    test.close()
  }

  @Test func aSideThatDoesNotReadStopsTheOther() throws {
    let test = try TestLoop()
    let (consumer, left, right, service) = try chain(test)
    let splice = Splice(left, right) { _, _ in }
    let atConsumer = Recorder()
    consumer.delegate = atConsumer
    let block = [UInt8](repeating: 1, count: 1 << 20)
    var written = 0
    var isStuck = false
    let timer = LoopTimer(test.loop) {
      if consumer.queuedBytes > 0 {
        isStuck = true
      } else {
        consumer.write(block)
        written += block.count
      }
    }
    timer.start(after: 0, every: 1)
    test.run { isStuck && !left.isReading }
    // What the splice itself holds is bounded, however much the consumer would send.
    #expect(right.queuedBytes <= ByteChannel.highWater + Loop.chunkSize)
    timer.close()
    let atService = Recorder(reading: service)
    test.run { atService.received.count == written }
    withExtendedLifetime(splice) {}
    for channel in [consumer, service] { channel.close() }
    test.close()
  }
}
