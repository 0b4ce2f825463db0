// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import RstreamNet

struct StreamGatheringTests {
  /// Notes what it is handed, after something else has happened.
  private final class Taker: ByteChannelDelegate {
    var received: [UInt8] = []
    var before: () -> Void = {}
    func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
      before()
      received += bytes
    }
    func channelReceivedEnd(_ channel: ByteChannel) {}
    func channelDrained(_ channel: ByteChannel) {}
    func channel(_ channel: ByteChannel, failed failure: Failure) {}
  }

  /// What a stream brings may be the packets of another connection, whose streams' bytes come in the middle of it.
  @Test func bytesThatComeInTheMiddleOfOthersReachTheirOwnStream() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let streams = try (0..<3).map { _ in try #require(try client.openStream()) }
    let takers = streams.map { stream in
      let taker = Taker()
      stream.delegate = taker
      stream.readStart()
      return taker
    }
    let gathering = pair.test.loop.gathering
    func gather(_ bytes: [UInt8], of index: Int, withEnd: Bool = false) {
      bytes.withUnsafeBytes { gathering.append($0, of: streams[index], withEnd: withEnd) }
    }
    takers[0].before = { gather([2, 2], of: 1) }
    gather([1], of: 0)
    gather([3, 3, 3], of: 2)
    gather([1], of: 0)
    gather([3], of: 2, withEnd: true)
    gather([1], of: 0)
    gathering.deliver()
    #expect(takers.map(\.received) == [[1, 1, 1], [2, 2, 2, 2, 2, 2], [3, 3, 3, 3]])
    client.close()
    pair.close()
  }
}
