// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct StreamBrokerTests {
  /// A client with a private tunnel, and a dialer that waits for a stream of it.
  private func waiting(_ harness: Harness, zeroRTT: Bool? = false) throws -> (
    client: WirePeer, dialer: WirePeer, request: ProxyConnReq
  ) {
    let client = try harness.client()
    let id = try client.privateTunnel("t").id ?? ""
    let dialer = try harness.wire()
    dialer.detachesAfterFirst = true
    dialer.sendStreamReq(id, zeroRTT: zeroRTT)
    return (client, dialer, try client.nextRequest())
  }

  private func error(_ dialer: WirePeer) -> PeerError? {
    guard case .streamRsp(let response) = dialer.next(), case .error(let error) = response.payload else { return nil }
    return error
  }

  private func expectRefusal(_ harness: Harness, _ request: ProxyConnReq, secret: String?) throws {
    let peer = try harness.wire()
    peer.sendProxyReq(request, zeroRTT: false, secret: secret)
    guard case .proxyRsp(let response) = peer.next() else { throw Harness.HarnessError.refused }
    #expect(response.error?.code == .invalidStream)
    peer.expectEnd()
  }

  @Test func pitfall27_idsAndSecretsAreNeverTheSame() throws {
    let harness = try Harness()
    let client = try harness.client()
    let id = try client.privateTunnel("t").id ?? ""
    var seen: Set<String> = []
    for _ in 0..<40 {
      try harness.wire().sendStreamReq(id)
      let request = try client.nextRequest()
      #expect(StreamID.isCanonical(request.streamID))
      #expect(seen.insert(request.streamID).inserted)
      #expect(seen.insert(request.secret ?? "").inserted)
    }
    harness.finish()
  }

  @Test func pitfall28_theSecretIsCheckedAndUsedOnce() throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    let secret = request.secret ?? ""
    for wrong in ["", "x", String(secret.dropLast()), secret + "0", secret.uppercased() + " "] {
      try expectRefusal(harness, request, secret: wrong)
    }
    let other = try harness.wire()
    other.send(.proxyReq(ProxyReq(clientDetails: nil, streamID: request.streamID, zeroRTT: true)))
    other.expectEnd()
    let service = try client.deliver(request)
    #expect(dialer.next() == .streamRsp(StreamRsp(.streamID(request.streamID))))
    try expectRefusal(harness, request, secret: secret)
    service.send("fine")
    try #require(dialer.raw).expect("fine")
    harness.finish()
  }

  @Test func pitfall28_aStreamThatDoesNotComeFailsInTime() throws {
    let harness = try Harness(["timeouts.stream_request_seconds": "1"])
    let (_, dialer, request) = try waiting(harness)
    #expect(error(dialer)?.code == .serviceUnavailable)
    try expectRefusal(harness, request, secret: request.secret)
    harness.finish()
  }

  @Test func pitfall29_theConnectionThatDeliversWins() throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    let stalled = try harness.wire()
    let service = try client.deliver(request, zeroRTT: false)
    stalled.sendProxyReq(request, zeroRTT: false)
    guard case .proxyRsp(let response) = stalled.next() else { throw Harness.HarnessError.refused }
    #expect(response.error?.code == .invalidStream)
    guard case .streamRsp = dialer.next() else { throw Harness.HarnessError.refused }
    service.send("second")
    try #require(dialer.raw).expect("second")
    harness.finish()
  }

  @Test func pitfall30_answersOnTheControlChannelDecideNothing() throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID)))
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: "unknown", error: PeerError(.internal))))
    harness.settle()
    let service = try client.deliver(request)
    guard case .streamRsp = dialer.next() else { throw Harness.HarnessError.refused }
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID, error: PeerError(.internal))))
    service.send("goes on")
    try #require(dialer.raw).expect("goes on")
    harness.finish()
  }

  @Test(arguments: [Int32(6000), 4000, 7, -104])
  func pitfall31_and_32_aRefusalReachesTheDialerAtOnce(code: Int32) throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    let error = PeerError(PeerError.Code(rawValue: code), "queue is full")
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID, error: error)))
    #expect(self.error(dialer) == PeerError(.serviceUnavailable, "queue is full"))
    dialer.messages.close()
    try expectRefusal(harness, request, secret: request.secret)
    harness.finish()
  }

  @Test func aRefusalOfAnotherClientsStreamIsIgnored() throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    let stranger = try harness.client()
    stranger.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID, error: PeerError(.internal))))
    harness.settle()
    _ = try client.deliver(request)
    guard case .streamRsp(let response) = dialer.next(), case .streamID = response.payload else {
      throw Harness.HarnessError.refused
    }
    harness.finish()
  }

  @Test func pitfall33_payloadBehindTheHandshakeIsNotLost() throws {
    let harness = try Harness()
    let client = try harness.client()
    let id = try client.privateTunnel("t").id ?? ""
    let dialer = try harness.wire()
    let details = ClientDetails(protocolVersion: "1.4.5")
    let dial = Message.streamReq(StreamReq(clientDetails: details, tunnelIDOrName: id, zeroRTT: true))
    dialer.messages.channel.write(try dial.framed() + Array("early question".utf8))
    let consumer = dialer.detach()
    let request = try client.nextRequest()
    let owner = try harness.wire()
    let proxy = Message.proxyReq(
      ProxyReq(clientDetails: ClientDetails(token: request.secret), streamID: request.streamID, zeroRTT: true))
    owner.messages.channel.write(try proxy.framed() + Array("early answer".utf8))
    owner.detach().expect("early question")
    consumer.expect("early answer")
    harness.finish()
  }

  @Test func pitfall37_onlySoManyRequestsAreOutstanding() throws {
    let harness = try Harness()
    let client = try harness.client()
    let id = try client.privateTunnel("t").id ?? ""
    let limit = StreamRequests.outstandingLimit
    var dialers: [WirePeer] = []
    for _ in 0..<(limit + 20) {
      let dialer = try harness.wire()
      dialer.sendStreamReq(id, zeroRTT: false)
      dialers.append(dialer)
    }
    harness.run("the requests") { client.received.count == limit }
    harness.settle()
    #expect(client.received.count == limit)
    for done in 1...20 {
      let request = try client.nextRequest()
      client.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID, error: PeerError(.serviceUnavailable))))
      harness.run("the next request") {
        client.received.count == limit && dialers.count { !$0.received.isEmpty } == done
      }
    }
    harness.finish()
  }

  @Test func pitfall38_theOwnersEndFailsWhatWaits() throws {
    let harness = try Harness()
    let (client, dialer, _) = try waiting(harness)
    client.messages.reset()
    #expect(error(dialer)?.code == .serviceUnavailable)
    harness.finish()
  }

  @Test func aDialerThatGaveUpKeepsItsPlaceUntilTheOwnerIsDone() throws {
    let harness = try Harness()
    let (client, dialer, request) = try waiting(harness)
    dialer.messages.reset()
    harness.run("the dialer's end") { harness.engine.connections.count == 1 }
    try expectRefusal(harness, request, secret: request.secret)
    try harness.wire().sendStreamReq(request.tunnelID)
    _ = try client.nextRequest()
    harness.finish()
  }

  @Test func dialsAreRefusedWithTheRightCode() throws {
    let harness = try Harness()
    _ = try harness.client().privateTunnel("t")
    let unknown = try harness.wire()
    unknown.sendStreamReq("nothing", zeroRTT: false)
    #expect(error(unknown)?.code == .tunnelNotFound)
    unknown.expectEnd()
    let silent = try harness.wire()
    silent.sendStreamReq("nothing", zeroRTT: true)
    silent.expectEnd()
    #expect(silent.received.isEmpty)
    let datagrams = try harness.wire()
    datagrams.sendStreamReq("t", zeroRTT: false, datagrams: true)
    #expect(error(datagrams)?.code == .invalidRequest)
    harness.finish()
  }

  @Test func pitfall36_aStalledStreamStallsNothingElse() throws {
    let harness = try Harness()
    let client = try harness.client(interval: 1000)
    let id = try client.privateTunnel("t").id ?? ""
    let stalled = try harness.wire()
    stalled.sendStreamReq(id)
    let flooder = try client.deliver(client.nextRequest())
    let consumer = stalled.detach()
    consumer.channel.readStop()
    flooder.channel.write([UInt8](repeating: 1, count: 16 << 20))
    harness.settle()
    #expect(flooder.channel.queuedBytes > 1 << 20)
    let dialer = try harness.wire()
    dialer.sendStreamReq(id)
    let service = try client.deliver(client.nextRequest())
    service.send("moves")
    dialer.detach().expect("moves")
    client.send(.heartbeat(Heartbeat(sequence: 1)))
    #expect(client.next() == .heartbeat(Heartbeat(acknowledgement: 1)))
    consumer.channel.readStart()
    harness.run("the rest") { consumer.received.count == 16 << 20 }
    harness.finish()
  }
}
