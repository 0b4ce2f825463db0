// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@testable import RstreamEngine

/// Boundaries of tokens where clients meet them: tunnels, dials, lists.
@Suite struct TokenBoundaryTests {
  private func harness() throws -> Harness {
    try Harness([
      "auth.open": "false", "auth.tokens": "static", "auth.jwt.enabled": "true",
      "auth.jwt.token_jwt_secret": TokenMaker.secret, "engine.project_id": "p1",
    ])
  }

  private func token(_ tunnels: String) -> String {
    TokenMaker.token(#"{"type":"auth","resources":{"tunnels":\#(tunnels)}}"#)
  }

  private func scopes(_ text: String) -> String { token(#"{"scopes":{"tunnels":{\#(text)}}}"#) }

  @Test func aTunnelGetsWhatTheBoundaryForces() throws {
    let harness = try harness()
    let client = try harness.client(
      token: scopes(
        #""create":{"filters":{"name":"forced","protocol":"http","publish":true,"token_auth":true,"labels":{"k":"v"}}}"#
      ))
    let tunnel = try client.tunnel { _ in }
    #expect(
      tunnel.name == "forced" && tunnel.tokenAuth == true && tunnel.publish == true && tunnel.labels == ["k": "v"])
    #expect(client.refusedTunnel { $0.name = "other" } == .unauthorized)
    #expect(client.refusedTunnel { $0.labels = ["k": "w"] } == .unauthorized)
    #expect(client.refusedTunnel { $0.publish = false } == .unauthorized)
    #expect(try client.tunnel { $0.labels = ["k": "v", "more": "x"] }.labels == ["k": "v", "more": "x"])
    harness.finish()
  }

  @Test func dialsAreForSomeTunnels() throws {
    let harness = try harness()
    let client = try harness.client(token: "static")
    for name in ["a", "b"] { _ = try client.privateTunnel(name) }
    func refusal(_ name: String, _ token: String) throws -> PeerError.Code? {
      let dialer = try harness.wire()
      dialer.sendStreamReq(name, zeroRTT: false, token: token)
      if case .streamRsp(let response) = dialer.next(), case .error(let error) = response.payload { return error.code }
      return nil
    }
    let onlyA = scopes(#""connect":{"filters":{"name":"a"}}"#)
    #expect(try refusal("b", onlyA) == .unauthorized)
    #expect(try refusal("none", onlyA) == .tunnelNotFound)
    #expect(try refusal("a", scopes(#""connect":{"params":{"path":"/"}}"#)) == .unauthorized)
    #expect(try refusal("a", scopes(#""list":true,"create":true"#)) == .unauthorized)
    let dialer = try harness.wire()
    dialer.sendStreamReq("a", token: onlyA)
    #expect(throws: Never.self) { try client.nextRequest() }
    harness.finish()
  }

  @Test func clientsOfOtherProjectsAreRefused() throws {
    let harness = try harness()
    let foreign = try harness.wire()
    foreign.openControl(token: token(#"{"projects":["p2"]}"#))
    guard case .openControlChannelRsp(let response) = foreign.next(), case .error(let error) = response.payload else {
      return #expect(Bool(false), "not refused")
    }
    #expect(error.code == .unauthorized && error.message?.contains("project") == true)
    _ = try harness.client(token: token(#"{"projects":["p1"]}"#)).privateTunnel("x")
    #expect(harness.engine.clients.values.first?.record["project_id"]?.string == "p1")
    #expect(harness.engine.registry.tunnels.first?.record["project_id"]?.string == "p1")
    let event = InventoryEvent(snapshotOf: harness.engine, WatchQuery()).json
    #expect(event["project_id"]?.string == "p1" && event["workspace_id"] == nil)
    harness.finish()
  }
}
