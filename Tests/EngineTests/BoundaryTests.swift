// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire
import Testing

@testable import RstreamEngine

/// What tokens are restricted to, as a table: boundaries, and what is left of tunnels and requests.
@Suite struct BoundaryTests {
  private static let here = Boundary.Place(workspaces: ["w1"], projects: ["edge", "p1"])

  private func grant(_ tunnels: String) throws -> AccessGrant {
    try AccessGrant(claims: claims(#"{"type":"auth","resources":{"tunnels":\#(tunnels)}}"#), at: Self.here)
  }

  private func claims(_ text: String) throws -> JSONValue { try JSONParser.parse(Array(text.utf8)) }

  private func scopes(_ text: String) -> String { #"{"scopes":{"tunnels":{\#(text)}}}"# }

  private let web: JSONValue = TunnelRecord(
    properties: {
      var properties = TunnelProperties()
      properties.id = "t1"
      properties.name = "web"
      properties.publish = true
      properties.protocol = "http"
      properties.labels = ["team": "red", "empty": ""]
      properties.port = 443
      return properties
    }(), clientID: "c1", userID: "u1"
  ).json

  // MARK: Places

  @Test(arguments: [
    (#"{"projects":["edge"]}"#, true), (#"{"projects":["p1"]}"#, true), (#"{"projects":["other","p1"]}"#, true),
    (#"{"projects":["other"]}"#, false), (#"{"projects":[]}"#, false), (#"{"projects":["EDGE"]}"#, false),
    (#"{"workspaces":["w1"]}"#, true), (#"{"workspaces":["w2"]}"#, false), (#"{"workspaces":["edge"]}"#, false),
    (#"{"workspaces":["w1"],"projects":["p1"]}"#, true), (#"{"workspaces":["w2"],"projects":["p1"]}"#, false),
    (#"{"AND":[{"projects":["p1"]},{"projects":["p2"]}]}"#, false),
    (#"{"AND":[{"projects":["p1"]},{"workspaces":["w1"]}]}"#, true),
    (#"{"OR":[{"projects":["p1"]},{"projects":["p2"]}]}"#, true),
    (#"{"OR":[{"projects":["p3"]},{"projects":["p2"]}]}"#, false),
    (#"{"AND":[{"OR":[{"projects":["p2"]},{"workspaces":["w1"]}]},{"projects":["edge"]}]}"#, true),
  ])
  func placesAreThisEnginesOrNot(boundary: String, isHere: Bool) throws {
    let grant = try grant(boundary)
    #expect(grant.isForThisEngine == isHere)
    for permission in Permission.allCases { #expect(grant.permits(permission) == isHere) }
    #expect((grant.shown(.tunnels, web) == web) == isHere)
    #expect((grant.shown(.clients, web) == web) == isHere)
    #expect(grant.permitsStream(of: web) == isHere)
    #expect((grant.properties(for: TunnelProperties()) == TunnelProperties()) == isHere)
  }

  // MARK: Scopes

  @Test func whatIsNotNamedIsNotPermitted() throws {
    func permitted(_ tunnels: String) throws -> [Permission] { try Permission.allCases.filter(grant(tunnels).permits) }
    #expect(try permitted(scopes(#""create":true"#)) == [.createTunnels])
    #expect(try permitted(scopes(#""connect":{}"#)) == [.createStreams])
    #expect(try permitted(scopes(#""list":{"filters":{}},"create":false,"connect":null"#)) == [.readResources])
    #expect(try permitted(scopes(#""future":true"#)).isEmpty)
    #expect(try permitted(#"{"scopes":{"turn":true}}"#).isEmpty)
    #expect(try permitted(#"{"AND":[\#(scopes(#""create":true"#)),\#(scopes(#""list":true"#))]}"#).isEmpty)
    #expect(try permitted(#"{"projects":["p2"],"scopes":{"tunnels":{"list":true}}}"#).isEmpty)
    #expect(try permitted(#"{"projects":["p1"],"scopes":{"tunnels":{"list":true}}}"#) == [.readResources])
  }

  @Test func permissionsAreNeededAsWell() throws {
    let text =
      #"{"type":"auth","permissions":["tunnels.streams.create-delete"],"#
      + #""resources":{"tunnels":{"scopes":{"tunnels":{"connect":true,"list":true}}}}}"#
    let grant = try AccessGrant(claims: claims(text), at: Self.here)
    #expect(grant.permits(.createStreams) && !grant.permits(.readResources) && !grant.permits(.createTunnels))
    #expect(!grant.has(.readResources))
  }

  @Test func theOlderNameHoldsTogetherWithTheNewer() throws {
    func permitted(_ more: String) throws -> [Permission] {
      let grant = try AccessGrant(claims: claims(#"{"type":"auth",\#(more)}"#), at: Self.here)
      return Permission.allCases.filter(grant.permits)
    }
    #expect(try permitted(#""tunnelsGrants":{"projects":["p2"]}"#).isEmpty)
    #expect(try permitted(#""tunnelsGrants":\#(scopes(#""list":true"#))"#) == [.readResources])
    #expect(
      try permitted(#""tunnelsGrants":\#(scopes(#""list":true"#)),"resources":{"tunnels":{"projects":["p2"]}}"#).isEmpty
    )
  }

  // MARK: Filters

  @Test(arguments: [
    (#"{}"#, true), (#"{"name":"web"}"#, true), (#"{"name":{"exact":"web"}}"#, true), (#"{"name":"Web"}"#, false),
    (#"{"name":"web","protocol":"tls"}"#, false), (#"{"publish":true}"#, true),
    (#"{"publish":{"exact":false}}"#, false),
    (#"{"token_auth":false}"#, true), (#"{"token_auth":true}"#, false), (#"{"port":443}"#, true),
    (#"{"port":444}"#, false),
    (#"{"hostname":"x"}"#, false), (#"{"user_id":"u1","client_id":"c1","status":"online","id":"t1"}"#, true),
    (#"{"labels":{"team":"red"}}"#, true), (#"{"labels":{"team":{"exact":"red"},"empty":""}}"#, true),
    (#"{"labels":{"team":null}}"#, true), (#"{"labels":{"none":null}}"#, false),
    (#"{"labels":{"team":"blue"}}"#, false),
    (#"{"labels":{}}"#, true), (#"{"labels":{"OR":[{"team":"blue"},{"empty":""}]}}"#, true),
    (#"{"labels":{"AND":[{"team":"red"},{"none":null}]}}"#, false),
    (#"{"labels":{"team":{"OR":["blue","red"]}}}"#, true), (#"{"labels":{"OR":"x"}}"#, false),
    (#"{"OR":[{"name":"a"},{"name":"web"}]}"#, true), (#"{"OR":[{"name":"a"},{"name":"b"}]}"#, false),
    (#"{"AND":[{"name":"web"},{"OR":[{"protocol":"tls"},{"labels":{"team":"red"}}]}]}"#, true),
    (#"{"AND":[{"name":"web"},{"name":"a"}]}"#, false), (#"{"name":{"OR":["a",{"exact":"web"}]}}"#, true),
    (#"{"name":{"AND":["web","a"]}}"#, false), (#"{"name":"web","OR":[{"publish":false},{"port":443}]}"#, true),
    (#"{"name":"web","OR":[{"publish":false},{"port":1}]}"#, false),
  ])
  func filtersChooseTunnels(filters: String, matches: Bool) throws {
    let grant = try grant(scopes(#""list":{"filters":\#(filters)},"connect":{"filters":\#(filters)}"#))
    #expect((grant.shown(.tunnels, web) != nil) == matches)
    #expect(grant.permitsStream(of: web) == matches)
    #expect(grant.permits(.readResources) && !grant.permits(.createTunnels))
  }

  @Test func aLabelIsNotAnotherThatOnlyLooksTheSame() throws {
    let record = JSONValue.object([JSONMember("name", .string("e\u{301}"))])
    #expect(try grant(scopes("\"list\":{\"filters\":{\"name\":\"\u{E9}\"}}")).shown(.tunnels, record) == nil)
    #expect(try grant(scopes("\"list\":{\"filters\":{\"name\":\"e\u{301}\"}}")).shown(.tunnels, record) != nil)
  }

  // MARK: What is shown

  private func shown(_ tunnels: String) throws -> [String]? {
    guard case .object(let members)? = try grant(tunnels).shown(.tunnels, web) else { return nil }
    return members.map(\.name)
  }

  @Test func selectionsLeaveOutTheRest() throws {
    let name = scopes(#""list":{"select":{"name":true,"host":true,"id":false}}"#)
    let id = scopes(#""list":{"filters":{"name":"web"},"select":{"id":true,"name":true}}"#)
    let other = scopes(#""list":{"filters":{"name":"other"},"select":{"port":true}}"#)
    #expect(try shown(name) == ["name"])
    #expect(try shown(scopes(#""list":{"select":{}}"#)) == [])
    #expect(try shown(#"{"OR":[\#(name),\#(id),\#(other)]}"#) == ["id", "name"])
    #expect(try shown(#"{"AND":[\#(name),\#(id)]}"#) == ["name"])
    #expect(try shown(#"{"AND":[\#(name),\#(other)]}"#) == nil)
    #expect(try shown(#"{"AND":[{"projects":["p1"]},\#(id)]}"#) == ["id", "name"])
    #expect(try shown(#"{"AND":[{"projects":["p2"]},\#(id)]}"#) == nil)
    #expect(try shown(#"{"OR":[{"projects":["p2"]},\#(id)]}"#) == ["id", "name"])
    #expect(try shown(#"{"OR":[{"projects":["p1"]},\#(id)]}"#)?.count ?? 0 > 5)
  }

  @Test func clientsAreShownToThoseWhoSeeEveryTunnel() throws {
    let client = JSONValue.object([JSONMember("id", .string("c"))])
    for (boundary, isShown) in [
      (scopes(#""list":true"#), true), (scopes(#""list":{"filters":{"name":"web"}}"#), false),
      (scopes(#""list":{"select":{"id":true}}"#), false), (scopes(#""connect":true"#), false),
    ] {
      #expect(try grant(boundary).showsClients == isShown)
      #expect(try (grant(boundary).shown(.clients, client) != nil) == isShown)
    }
  }

  // MARK: Streams

  @Test func pathsAreForRequestsOnly() throws {
    func permits(_ path: String?, _ params: String) throws -> Bool {
      let grant = try grant(scopes(#""connect":{"params":\#(params)}"#))
      return grant.permitsStream(of: web, path: path.map { Array($0.utf8)[...] })
    }
    #expect(try permits("/ping", #"{"path":{"exact":"/ping"}}"#))
    #expect(try permits("/ping", #"{"path":"/ping"}"#))
    #expect(try permits("/b", #"{"path":{"OR":["/a",{"exact":"/b"}]}}"#))
    #expect(try !permits("/a", #"{"path":{"AND":["/a","/b"]}}"#))
    for path in ["/", "/ping/", "/Ping", "", nil] { #expect(try !permits(path, #"{"path":{"exact":"/ping"}}"#)) }
    #expect(try permits(nil, "{}"))
  }

  // MARK: Properties that are filled in

  private func forced(_ tunnels: String, _ adjust: (inout TunnelProperties) -> Void = { _ in }) throws
    -> TunnelProperties?
  {
    var requested = TunnelProperties()
    adjust(&requested)
    return try grant(tunnels).properties(for: requested)
  }

  @Test func whatARequestLeavesOutIsFilledIn() throws {
    let create = scopes(
      #""create":{"filters":{"AND":[{"name":{"exact":"x"}},{"protocol":"http"},{"publish":true},{"token_auth":true},"#
        + #"{"port":8080},{"labels":{"k":"v"}}]}}"#)
    let filled = try #require(try forced(create) { $0.labels = ["own": "1"] })
    #expect(filled.name == "x" && filled.protocol == "http" && filled.publish == true && filled.tokenAuth == true)
    #expect(filled.port == 8080 && filled.labels == ["own": "1", "k": "v"])
    #expect(try forced(create) { $0.name = "x" } != nil)
    #expect(try forced(create) { $0.name = "" }?.name == "x")
    #expect(try forced(create) { $0.name = "y" } == nil)
    #expect(try forced(create) { $0.publish = false } == nil)
    #expect(try forced(create) { $0.tokenAuth = false } == nil)
    #expect(try forced(create) { $0.labels = ["k": "w"] } == nil)
    #expect(try forced(create) { $0.port = 1 } == nil)
  }

  @Test func theFirstWayThatFitsIsTaken() throws {
    let either = scopes(#""create":{"filters":{"OR":[{"name":"a","publish":true},{"name":"b","publish":false}]}}"#)
    #expect(try forced(either)?.name == "a")
    #expect(try forced(either) { $0.publish = false }?.name == "b")
    #expect(try forced(either) { $0.name = "b" }?.publish == false)
    #expect(
      try forced(either) {
        $0.name = "a"
        $0.publish = false
      } == nil)
    let branches =
      #"{"OR":[{"AND":[{"projects":["p2"]},\#(scopes(#""create":{"filters":{"name":"a"}}"#))]},"#
      + #"{"AND":[{"projects":["p1"]},\#(scopes(#""create":{"filters":{"name":"b"}}"#))]}]}"#
    #expect(try forced(branches)?.name == "b")
    #expect(try forced(branches) { $0.name = "a" } == nil)
    #expect(
      try forced(
        #"{"AND":[\#(scopes(#""create":{"filters":{"name":"a"}}"#)),\#(scopes(#""create":{"filters":{"publish":true}}"#))]}"#
      ).map { [$0.name, $0.publish.map(String.init)] } == ["a", "true"])
  }

  @Test func whatNobodyCanChooseFitsNothing() throws {
    for filters in [#"{"id":"x"}"#, #"{"user_id":"u"}"#, #"{"labels":{"k":null}}"#, #"{"port":-1}"#] {
      #expect(try forced(scopes(#""create":{"filters":\#(filters)}"#)) == nil, "\(filters)")
    }
    #expect(try forced(scopes(#""create":{"filters":{"labels":{"k":null}}}"#)) { $0.labels = ["k": "v"] } != nil)
    #expect(try forced(scopes(#""list":true"#)) == nil)
  }

  @Test func manyWaysAreNotAllFollowed() throws {
    let pair = #"{"OR":[{"name":"a"},{"name":"b"}]}"#
    let tree = Array(repeating: pair, count: 40).joined(separator: ",")
    #expect(try forced(scopes(#""create":{"filters":{"AND":[\#(tree)]}}"#)) { $0.name = "b" }?.name == "b")
    let labels = (0..<40).map { #"{"OR":[{"labels":{"\#($0)":"a"}},{"labels":{"\#($0)":"b"}}]}"# }.joined(
      separator: ",")
    #expect(try forced(scopes(#""create":{"filters":{"AND":[\#(labels)]}}"#))?.labels.count == 40)
  }

  // MARK: Tokens in addresses

  @Test func onlyShortLookingTokensMayBeSeen() throws {
    func mayBeSeen(_ tunnels: String, _ lifetime: Int = 3600, permissions: String = "null") throws -> Bool {
      try AccessGrant(
        claims: claims(
          #"{"type":"auth","iat":1000,"exp":\#(1000 + lifetime),"permissions":\#(permissions),"#
            + #""resources":{"tunnels":\#(tunnels)}}"#), at: Self.here
      ).mayBeSeen
    }
    #expect(try mayBeSeen(scopes(#""list":true"#)))
    #expect(try !mayBeSeen(scopes(#""list":true"#), 3601))
    #expect(try !mayBeSeen(scopes(#""list":true,"connect":{"filters":{"name":"x"}}"#)))
    #expect(try !mayBeSeen(scopes(#""list":true,"create":true"#)))
    #expect(try !mayBeSeen(#"{"projects":["p1"]}"#))
    #expect(try mayBeSeen(#"{"projects":["p1"]}"#, permissions: #"["tunnels.resources.read-only"]"#))
    #expect(
      try !mayBeSeen(#"{"projects":["p1"]}"#, permissions: #"["tunnels.resources.read-only","account.tokens.create"]"#))
  }

  // MARK: What is no boundary

  @Test(arguments: [
    "[]", #"[{"projects":["p1"]}]"#, #""x""#, "1", "true", #"{"AND":[]}"#, #"{"OR":{}}"#, #"{"AND":[{}]}"#,
    #"{"OR":[[]]}"#, #"{"XOR":[]}"#, #"{"and":[{"projects":["p1"]}]}"#, #"{"projects":"p1"}"#, #"{"projects":[1]}"#,
    #"{"workspaces":null}"#, #"{"scopes":[]}"#, #"{"scopes":true}"#, #"{"scopes":{"tunnels":true}}"#,
    #"{"scopes":{"tunnels":{"list":"yes"}}}"#, #"{"scopes":{"tunnels":{"list":1}}}"#,
    #"{"scopes":{"tunnels":{"list":{"params":{}}}}}"#, #"{"scopes":{"tunnels":{"create":{"select":{}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":[]}}}}"#, #"{"scopes":{"tunnels":{"list":{"filters":{"name":1}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"name":null}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"publish":"true"}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"port":"443"}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"unknown":"x"}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"name":{"exact":{"exact":"x"}}}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"name":{"exact":"x","OR":["y"]}}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"name":{"prefix":"x"}}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"OR":[]}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"AND":{"name":"x"}}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"labels":{"k":1}}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"filters":{"labels":"x"}}}}}"#,
    #"{"scopes":{"tunnels":{"list":{"select":["name"]}}}}"#, #"{"scopes":{"tunnels":{"list":{"select":{"name":1}}}}}"#,
    #"{"scopes":{"tunnels":{"connect":{"params":{"host":"x"}}}}}"#,
    #"{"scopes":{"tunnels":{"connect":{"params":{"path":{"prefix":"/"}}}}}}"#,
    #"{"scopes":{"tunnels":{"connect":{"params":{"path":1}}}}}"#,
  ])
  func isRefused(boundary: String) throws {
    #expect(throws: AuthenticationFailure.self) { try grant(boundary) }
  }

  @Test func tooMuchIsRefused() throws {
    let names = Array(repeating: #""x""#, count: BoundaryReader.maximumValues - 2)
    #expect(throws: Never.self) { try grant(#"{"projects":[\#(names.joined(separator: ","))]}"#) }
    #expect(throws: AuthenticationFailure.self) {
      try grant(#"{"projects":[\#((names + [#""x""#]).joined(separator: ","))]}"#)
    }
    let deep = String(repeating: #"{"AND":["#, count: 20)
    #expect((try? claims(deep + #"{"projects":["p1"]}"# + String(repeating: "]}", count: 20))) == nil)
  }
}
