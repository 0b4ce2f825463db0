// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct PrivateDialTests {
  @Test(arguments: [true, false, nil], [true, false, nil])
  func bytesGoBothWays(dialer: Bool?, owner: Bool?) throws {
    let harness = try Harness()
    let agent = try harness.client()
    let tunnel = try agent.privateTunnel("echo")
    let dialing = try harness.wire()
    dialing.detachesAfterFirst = true
    dialing.sendStreamReq(dialer == true ? "echo" : tunnel.id ?? "", zeroRTT: dialer)
    let request = try agent.nextRequest()
    #expect(request.tunnelID == tunnel.id)
    #expect(StreamID.isCanonical(request.streamID))
    #expect(request.secret?.utf8.count == 64)
    #expect(request.sourceIP == .v4(0x7F00_0001))
    let service = try agent.deliver(request, zeroRTT: owner)
    let consumer: RawPeer
    if dialer == true {
      consumer = dialing.detach()
    } else {
      #expect(dialing.next() == .streamRsp(StreamRsp(.streamID(request.streamID))))
      consumer = try #require(dialing.raw)
    }
    service.send("banner")
    consumer.expect("banner")
    consumer.send("ping")
    consumer.channel.shutdown()
    service.expect("ping")
    service.expectEnd()
    service.send(" pong")
    consumer.expect("banner pong")
    service.channel.shutdown()
    consumer.expectEnd()
    harness.run("the session's end") { harness.engine.connections.count == 1 }
    harness.finish()
  }
}
