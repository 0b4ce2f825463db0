// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct ControlSessionTests {
  private func opened(_ peer: WirePeer) -> OpenControlChannelRsp.Payload? {
    guard case .openControlChannelRsp(let response) = peer.next() else { return nil }
    return response.payload
  }

  private func heartbeat(_ peer: WirePeer, _ sequence: UInt64) { peer.send(.heartbeat(Heartbeat(sequence: sequence))) }

  @Test func pitfall1_noHeartbeatWithoutLiveness() throws {
    let harness = try Harness()
    let client = try harness.client()
    client.send(.heartbeat(Heartbeat()))
    heartbeat(client, 7)
    _ = try client.privateTunnel("after")
    #expect(client.received.isEmpty)
    harness.finish()
  }

  @Test(arguments: [UInt32(1000), 5000, 300_000])
  func pitfall2_livenessIsEchoedOnlyWhenAskedFor(interval: UInt32) throws {
    let harness = try Harness()
    let peer = try harness.wire()
    peer.openControl(interval: interval)
    guard case .ok(let ok) = opened(peer) else { throw Harness.HarnessError.refused }
    #expect(!ok.clientID.isEmpty)
    #expect(ok.liveness?.heartbeatIntervalMS == interval)
    #expect(ok.liveness?.heartbeatTimeoutMS == max(3 * interval, 15_000))
    let legacy = try harness.wire()
    legacy.openControl()
    guard case .ok(let plain) = opened(legacy) else { throw Harness.HarnessError.refused }
    #expect(plain.liveness == nil)
    harness.finish()
  }

  @Test func pitfall3_acknowledgementsOnlyGrow() throws {
    let harness = try Harness()
    let client = try harness.client(interval: 1000)
    for sequence: UInt64 in [0, 1, 1, 4, 2, 5] { heartbeat(client, sequence) }
    for expected: UInt64 in [1, 4, 5] {
      #expect(client.next() == .heartbeat(Heartbeat(acknowledgement: expected)))
    }
    _ = try client.privateTunnel("after")
    #expect(client.received.isEmpty)
    harness.finish()
  }

  @Test func pitfall5_acknowledgementsPassABacklog() throws {
    let harness = try Harness()
    let client = try harness.client(interval: 1000)
    _ = try client.privateTunnel("busy")
    for _ in 0..<200 { try harness.wire().sendStreamReq("busy") }
    harness.run("the requests") { client.received.count == StreamRequests.outstandingLimit }
    heartbeat(client, 1)
    harness.run("the acknowledgement") { client.received.contains(.heartbeat(Heartbeat(acknowledgement: 1))) }
    #expect(client.received.count == StreamRequests.outstandingLimit + 1)
    harness.finish()
  }

  @Test func pitfall8_silenceEndsRegistrationsAndLeavesStreams() throws {
    let harness = try Harness()
    harness.engine.patience = 100
    let client = try harness.client(interval: 10)
    let tunnel = try client.privateTunnel("quiet")
    let dialer = try harness.wire()
    dialer.sendStreamReq("quiet")
    let service = try client.deliver(client.nextRequest())
    let consumer = dialer.detach()
    consumer.send("one")
    service.expect("one")
    client.expectEnd()
    #expect(harness.engine.registry.tunnel(idOrName: tunnel.id ?? "") == nil)
    #expect(harness.engine.clients.isEmpty)
    consumer.send(" two")
    service.expect("one two")
    harness.finish()
  }

  @Test func anyMessageShowsThatTheClientLives() throws {
    let harness = try Harness()
    harness.engine.patience = 300
    let client = try harness.client(interval: 50)
    var sent: UInt64 = 0
    let timer = LoopTimer(harness.loop) {
      sent += 1
      heartbeat(client, sent)
    }
    timer.start(after: 0, every: 50)
    harness.run("heartbeats for twice the timeout") { sent > 12 }
    timer.close()
    #expect(!client.isEnded)
    harness.finish()
  }

  @Test(
    arguments: [
      (nil, PeerError.Code.protocolVersionMissing), ("", .protocolVersionMissing), ("new", .protocolVersionInvalid),
      ("1.4.5.6", .protocolVersionInvalid), ("1.5.0", .protocolVersionIncompatible),
      ("2.4", .protocolVersionIncompatible),
    ] as [(String?, PeerError.Code)])
  func versionsThatDoNotFitAreRefused(version: String?, code: PeerError.Code) throws {
    let harness = try Harness()
    let peer = try harness.wire()
    peer.openControl(version: version)
    guard case .error(let error) = opened(peer) else { throw Harness.HarnessError.refused }
    #expect(error.code == code)
    peer.expectEnd()
    harness.finish()
  }

  @Test(arguments: ["1.2", "1.3.0", "1.4", "1.4.99"])
  func olderVersionsAndLaterPatchesAreAccepted(version: String) throws {
    let harness = try Harness()
    _ = try harness.client(version: version)
    harness.finish()
  }

  @Test func tokenAndCertificateTogetherAreRefused() throws {
    let harness = try Harness()
    let peer = WirePeer(try harness.handshake(certificate: true).get(), harness)
    peer.openControl(token: "some-token")
    guard case .error(let error) = opened(peer) else { throw Harness.HarnessError.refused }
    #expect(error.code == .unauthorized)
    peer.expectEnd()
    harness.finish()
  }

  @Test func pitfall12_and_14_closeIsAnsweredAndWhatFollowsIsIgnored() throws {
    let harness = try Harness()
    let client = try harness.client()
    _ = try client.privateTunnel("x")
    client.send(.closeControlChannelReq(CloseControlChannelReq()))
    client.requestTunnel { $0.name = "late" }
    client.send(.closeControlChannelReq(CloseControlChannelReq()))
    #expect(client.next() == .closeControlChannelRsp(CloseControlChannelRsp()))
    client.expectEnd()
    #expect(client.received.isEmpty)
    #expect(harness.engine.registry.tunnels.isEmpty)
    harness.finish()
  }

  @Test func pitfall15_everythingIsFreeAtOnceAfterAnAbruptEnd() throws {
    let harness = try Harness(["tcp.port_range": "20000-60000"])
    let client = try harness.client()
    var hostnames: [String] = []
    for index in 0..<5 { hostnames.append(try client.tunnel { $0.hostname = "label\(index)" }.hostname ?? "") }
    let port = try client.tunnel { $0.protocol = "tcp" }.port
    client.messages.reset()
    harness.run("the loss") { harness.engine.clients.isEmpty }
    let again = try harness.client()
    for hostname in hostnames { #expect(try again.tunnel { $0.hostname = hostname }.hostname == hostname) }
    let reopened = try again.tunnel {
      $0.protocol = "tcp"
      $0.port = port
    }
    #expect(reopened.port == port)
    harness.finish()
  }

  @Test func messagesOfOtherVersionsAreIgnored() throws {
    let harness = try Harness()
    let client = try harness.client()
    client.messages.channel.write([0, 0, 0, 0, 0, 0, 0, 4, 0xFA, 0x0F, 0x01, 0x00])
    client.send(.serverMessage(ServerMessage("hello")))
    _ = try client.privateTunnel("after")
    harness.finish()
  }

  @Test func pitfall10_garbageEndsTheChannelWithoutAnAnswer() throws {
    let harness = try Harness()
    for bytes: [UInt8] in [
      [0, 1, 0, 0], [0, 0, 0, 2, 0x0A, 0x7F], Array("GET / HTTP/1.1\r\n".utf8), [0, 0, 0, 2, 0x22, 0],
    ] {
      let peer = try harness.wire()
      peer.messages.channel.write(bytes)
      peer.expectEnd()
      #expect(peer.received.isEmpty)
    }
    let client = try harness.client()
    client.messages.channel.write([0xFF, 0xFF, 0xFF, 0xFF])
    client.expectEnd()
    #expect(harness.engine.clients.isEmpty)
    harness.finish()
  }

  @Test func aClientThatNeverReadsIsNotAskedForMoreThanItCanTake() throws {
    let harness = try Harness()
    let client = try harness.client()
    client.messages.channel.readStop()
    let request = Message.openTunnelReq(
      OpenTunnelReq(requestID: String(repeating: "r", count: 30_000), tunnelProperties: nil))
    for _ in 0..<400 { client.send(request) }
    harness.settle()
    #expect(harness.engine.clients.values.first?.isCongested == true)
    #expect(harness.engine.clients.values.first?.queuedBytes ?? .max < 400_000)
    _ = try harness.client().privateTunnel("others go on")
    harness.finish()
  }
}
