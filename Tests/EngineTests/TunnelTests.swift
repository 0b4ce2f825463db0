// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct TunnelTests {
  @Test func pitfall18_theAnswerComesBeforeTheFirstRequest() throws {
    let harness = try Harness()
    let client = try harness.client()
    let dialer = try harness.wire()
    client.requestTunnel {
      $0.name = "early"
      $0.publish = false
    }
    for _ in 0..<20 { dialer.sendStreamReq("early", zeroRTT: false) }
    guard case .openTunnelRsp = client.next() else { throw Harness.HarnessError.refused }
    harness.finish()
  }

  @Test func pitfall20_idsAreNeverUsedAgain() throws {
    let harness = try Harness()
    let client = try harness.client()
    var ids: Set<String> = []
    for _ in 0..<50 {
      let id = try client.privateTunnel("same").id ?? ""
      #expect(ids.insert(id).inserted)
      client.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
      #expect(client.next() == .closeTunnelRsp(CloseTunnelRsp(tunnelID: id)))
    }
    harness.finish()
  }

  @Test func pitfall21_closingAgainIsAnsweredAgainButNotToTheCPlusPlusClient() throws {
    let harness = try Harness()
    for (agent, answers) in [("rstream-python-runtime", 3), ("rstream-utils", 1)] {
      let client = try harness.client(agent: agent)
      let id = try client.privateTunnel("x").id ?? ""
      client.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
      client.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
      client.send(.closeTunnelReq(CloseTunnelReq(tunnelID: "unknown")))
      client.requestTunnel { $0.publish = false }
      var count = 0
      while case .closeTunnelRsp = client.next() { count += 1 }
      #expect(count == answers, "\(agent)")
    }
    harness.finish()
  }

  @Test func pitfall23_and_24_aClosedTunnelFailsWhatWaitsAndLeavesWhatRuns() throws {
    let harness = try Harness()
    let client = try harness.client()
    let id = try client.privateTunnel("x").id ?? ""
    let first = try harness.wire()
    first.sendStreamReq(id)
    let service = try client.deliver(client.nextRequest())
    let consumer = first.detach()
    var waiting: [WirePeer] = []
    for _ in 0..<(StreamRequests.outstandingLimit + 10) {
      let dialer = try harness.wire()
      dialer.sendStreamReq(id, zeroRTT: false)
      waiting.append(dialer)
    }
    harness.run("the requests") { client.received.count == StreamRequests.outstandingLimit }
    client.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
    for dialer in waiting {
      guard case .streamRsp(let response) = dialer.next(), case .error = response.payload else {
        throw Harness.HarnessError.refused
      }
    }
    harness.run("the answer") { client.received.last == .closeTunnelRsp(CloseTunnelRsp(tunnelID: id)) }
    #expect(client.received.count == StreamRequests.outstandingLimit + 1)
    consumer.send("still here")
    service.expect("still here")
    harness.finish()
  }

  @Test func pitfall25_aNameLeadsToTheNewestTunnel() throws {
    let harness = try Harness()
    let old = try harness.client()
    _ = try old.privateTunnel("name")
    let new = try harness.client()
    let newID = try new.privateTunnel("name").id
    #expect(harness.engine.registry.tunnels.first?.id == newID)
    try harness.wire().sendStreamReq("name")
    #expect(try new.nextRequest().tunnelID == newID)
    new.messages.reset()
    harness.run("the loss") { harness.engine.clients.count == 1 }
    try harness.wire().sendStreamReq("name")
    _ = try old.nextRequest()
    harness.finish()
  }

  @Test func aTakenHostnameIsAConflict() throws {
    let harness = try Harness()
    let client = try harness.client()
    let hostname = try client.tunnel { $0.hostname = "mine" }.hostname
    #expect(hostname == "mine.t.localhost")
    #expect(try harness.client().refusedTunnel { $0.hostname = "MINE.t.localhost." } == .resourceConflict)
    harness.finish()
  }

  @Test func clientsAndTunnelsAreLimited() throws {
    let harness = try Harness(["limits.clients": "1", "limits.tunnels_per_client": "2"])
    let client = try harness.client()
    _ = try client.privateTunnel("a")
    _ = try client.privateTunnel("b")
    #expect(client.refusedTunnel { $0.publish = false } == .capacityExhausted)
    let second = try harness.wire()
    second.openControl()
    guard case .openControlChannelRsp(let response) = second.next(), case .error(let error) = response.payload else {
      throw Harness.HarnessError.refused
    }
    #expect(error.code == .capacityExhausted)
    harness.finish()
  }
}
