// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

@testable import RstreamEngine

/// Who may open control channels and tunnels, and dial.
@Suite struct AdmissionTests {
  private func code(_ peer: WirePeer) -> PeerError.Code? {
    switch peer.next() {
    case .openControlChannelRsp(let response):
      if case .error(let error) = response.payload { return error.code }
    case .streamRsp(let response):
      if case .error(let error) = response.payload { return error.code }
    default: break
    }
    return nil
  }

  private func refusal(_ harness: Harness, token: String?) throws -> PeerError.Code? {
    let peer = try harness.wire()
    peer.openControl(token: token)
    return code(peer)
  }

  @Test func staticTokens() throws {
    let harness = try Harness(["auth.open": "false", "auth.tokens": "first-token,second-token"])
    _ = try harness.client(token: "first-token")
    _ = try harness.client(token: "second-token").privateTunnel("t")
    for wrong in [nil, "", "first-toke", "first-token,second-token", "FIRST-TOKEN"] {
      #expect(try refusal(harness, token: wrong) == .unauthorized)
    }
    let dialer = try harness.wire()
    dialer.sendStreamReq("t", zeroRTT: false, token: "wrong")
    #expect(code(dialer) == .unauthorized)
    let allowed = try harness.wire()
    allowed.sendStreamReq("unknown", zeroRTT: false, token: "first-token")
    #expect(code(allowed) == .tunnelNotFound)
    harness.finish()
  }

  @Test func permissionsOfWebTokens() throws {
    let harness = try Harness([
      "auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret,
    ])
    let everything = TokenMaker.token(#"{"type":"auth","permissions":null}"#)
    let opening = TokenMaker.token(#"{"permissions":["tunnels.tunnels.create-delete"]}"#)
    let dialing = TokenMaker.token(#"{"permissions":["tunnels.streams.create-delete"]}"#)
    _ = try harness.client(token: everything).privateTunnel("t")
    _ = try harness.client(token: opening).privateTunnel("other")
    #expect(try harness.client(token: dialing).refusedTunnel { $0.publish = false } == .unauthorized)
    for (token, expected) in [(everything, nil), (dialing, nil), (opening, PeerError.Code.unauthorized)] {
      let dialer = try harness.wire()
      dialer.sendStreamReq("t", zeroRTT: false, token: token)
      if expected != nil { #expect(code(dialer) == expected) }
    }
    harness.run("the dials that are allowed") { harness.engine.clients.values.contains { $0.requests.count == 2 } }
    #expect(try refusal(harness, token: TokenMaker.token(#"{"type":"auth","exp":1}"#)) == .unauthorized)
    #expect(try refusal(harness, token: TokenMaker.token(#"{"type":"auth"}"#, secret: "another")) == .unauthorized)
    #expect(try refusal(harness, token: nil) == .unauthorized)
    harness.finish()
  }

  @Test func aClientIsRememberedWithoutItsToken() throws {
    let harness = try Harness(["auth.tokens": "some-token"])
    let client = try harness.client(agent: "agent\nwith a line end", token: "some-token")
    let details = try #require(harness.engine.clients[client.clientID]?.details)
    #expect(details.token == nil)
    #expect(details.agent == nil)
    #expect(details.protocolVersion == "1.4.5")
    harness.finish()
  }
}
