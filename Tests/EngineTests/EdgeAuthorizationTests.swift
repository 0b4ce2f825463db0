// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamJSON
import RstreamNet
import Testing

@testable import RstreamEngine

@Suite struct EdgeAuthorizationTests {
  private func judge(
    _ path: String, _ authorization: [String] = [], tokenAuth: Bool = true, open: Bool = false
  ) throws -> EdgeAuthorization {
    var settings = EngineSettings()
    if open {
      try settings.set("auth.open", "true")
    } else {
      try settings.set("auth.tokens", "static")
      try settings.set("auth.jwt.enabled", "true")
      try settings.set("auth.jwt.token_jwt_secret", TokenMaker.secret)
    }
    var headers = HTTPHeaders()
    for value in authorization { headers.append("Authorization", value) }
    let head = HTTPRequestHead(method: "GET", scheme: "https", authority: "a", path: Array(path.utf8), headers: headers)
    let tunnel = JSONValue.object([JSONMember("name", .string("web")), JSONMember("publish", .bool(true))])
    return EdgeAuthorization.judge(head, to: tunnel, tokenAuth: tokenAuth, Authenticator(settings), now: 1000)
  }

  private func status(_ verdict: EdgeAuthorization) -> Int? {
    if case .denied(let status, _) = verdict { return status }
    return nil
  }

  private let connects = TokenMaker.token(#"{"permissions":["tunnels.streams.create-delete"]}"#)
  private let lists = TokenMaker.token(#"{"permissions":["tunnels.resources.read-only"]}"#)
  private let expired = TokenMaker.token(#"{"type":"auth","exp":999}"#)

  @Test func tunnelsWithoutItPassEverythingOn() throws {
    #expect(
      try judge("/?rstream.token=x", ["Basic x"], tokenAuth: false)
        == .allowed(path: Array("/?rstream.token=x".utf8), withoutAuthorization: false))
  }

  @Test func theHeaderIsTakenAndNotPassedOn() throws {
    for value in ["Bearer static", "bearer  static", "BEARER \(connects)"] {
      #expect(try judge("/a?b", [value]) == .allowed(path: Array("/a?b".utf8), withoutAuthorization: true))
    }
  }

  @Test func theQueryIsTakenWhenThereIsNoHeader() throws {
    #expect(
      try judge("/a?x=1&rstream.token=\(connects)&y")
        == .allowed(path: Array("/a?x=1&y".utf8), withoutAuthorization: false))
    #expect(status(try judge("/a?rstream.token=static", ["Basic x"])) == 401)
    #expect(status(try judge("/a?rstream.token=static&rstream.token=static")) == 401)
  }

  @Test func wrongTokensAreUnauthorized() throws {
    #expect(status(try judge("/")) == 401)
    #expect(status(try judge("/?rstream.token=")) == 401)
    for value in ["Bearer", "Bearer ", "Bearer wrong", "Bearer \(expired)", "Basic static", "static", "Bearer a b", ""]
    {
      #expect(status(try judge("/", [value])) == 401, "\(value)")
    }
    #expect(status(try judge("/", ["Bearer static", "Bearer static"])) == 401)
  }

  @Test func missingPermissionIsForbidden() throws {
    #expect(status(try judge("/", ["Bearer \(lists)"])) == 403)
    #expect(status(try judge("/?rstream.token=\(lists)")) == 403)
  }

  @Test func boundariesHoldForTunnelAndPath() throws {
    func token(_ connect: String) -> String {
      TokenMaker.token(#"{"type":"auth","resources":{"tunnels":{"scopes":{"tunnels":{"connect":\#(connect)}}}}}"#)
    }
    let web = token(#"{"filters":{"name":"web"},"params":{"path":{"exact":"/ping"}}}"#)
    #expect(status(try judge("/ping", ["Bearer \(web)"])) == nil)
    #expect(status(try judge("/ping?a=b", ["Bearer \(web)"])) == nil)
    #expect(status(try judge("/ping?rstream.token=\(web)")) == nil)
    for path in ["/private", "/ping/", "/ping/../private", "/%70ing", "/PING", "//ping", "/", "?/ping", "/x?/ping"] {
      #expect(status(try judge(path, ["Bearer \(web)"])) == 403, "\(path)")
    }
    #expect(status(try judge("/ping", ["Bearer \(token(#"{"filters":{"name":"other"}}"#))"])) == 403)
    #expect(status(try judge("/ping", ["Bearer \(token("false"))"])) == 403)
    #expect(status(try judge("/ping", ["Bearer \(token("true"))"])) == nil)
  }

  @Test func openEnginesLetNobodyThrough() throws {
    #expect(status(try judge("/", open: true)) == 401)
    #expect(status(try judge("/", ["Bearer anything"], open: true)) == 401)
  }
}
