// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct InventoryTests {
  private func tunnel(_ change: (inout TunnelProperties) -> Void = { _ in }) -> JSONValue {
    var properties = TunnelProperties()
    properties.id = "t1"
    properties.name = "web"
    properties.publish = true
    properties.labels = ["team": "red", "empty": ""]
    change(&properties)
    return TunnelRecord(properties: properties, clientID: "c1", userID: nil).json
  }

  private func query(_ params: String, _ resource: InventoryFilter.Resource = .tunnels) throws -> InventoryQuery {
    try InventoryQuery(json: Array(params.utf8), for: resource)
  }

  private func matches(_ filters: String, _ record: JSONValue) throws -> Bool {
    try query(#"{"filters":\#(filters)}"#).filter.matches(record)
  }

  @Test func tunnelsAreShownWithEveryProperty() {
    #expect(
      String(decoding: TunnelRecord.full.json.encoded, as: UTF8.self)
        == #"{"id":"i","creation_date":"1970-01-01T00:00:00Z","name":"n","type":"bytestream","publish":true,"#
        + #""protocol":"tls","labels":{"a":"1","b":"2"},"geo_ip":["FR"],"trusted_ips":["::1"],"host":"h:1","#
        + #""hostname":"h","port":1,"tls_mode":"terminated","tls_alpns":["h2"],"tls_min_version":"tls1.3","#
        + #""tls_ciphers":["c"],"mtls_auth":false,"http_version":"http/1.1","http_use_tls":false,"upstream_tls":false,"#
        + #""token_auth":true,"rstream_auth":false,"challenge_mode":false,"datagram_guaranteed_delivery":false,"#
        + #""allow_cross_region_routing":true,"client_id":"c","user_id":"u","workspace_id":"w","#
        + #""project_id":"p","status":"online"}"#)
  }

  @Test func absentValuesAreLeftOut() {
    let tunnel = TunnelRecord(properties: TunnelProperties(), clientID: "c", userID: nil)
    #expect(String(decoding: tunnel.json.encoded, as: UTF8.self) == #"{"client_id":"c","status":"online"}"#)
    let client = ClientRecord(id: "c", userID: nil, details: ClientDetails(agent: "a", token: "secret"))
    #expect(String(decoding: client.json.encoded, as: UTF8.self) == #"{"id":"c","status":"online","agent":"a"}"#)
  }

  @Test func filtersAreCombined() throws {
    #expect(try matches("{}", tunnel()))
    #expect(try matches("null", tunnel()))
    #expect(try matches(#"{"name":"web","publish":true,"status":"online","client_id":"c1"}"#, tunnel()))
    #expect(try !matches(#"{"name":"web","publish":false}"#, tunnel()))
    #expect(try !matches(#"{"name":"Web"}"#, tunnel()))
    #expect(try !matches(#"{"hostname":"a"}"#, tunnel()))
    #expect(try matches(#"{"hostname":null}"#, tunnel()))
    #expect(try !matches(#"{"status":"offline"}"#, tunnel()))
  }

  @Test func labelsMatchByValueOrByPresence() throws {
    #expect(try matches(#"{"labels":{"team":"red"}}"#, tunnel()))
    #expect(try matches(#"{"labels":{"team":null,"empty":""}}"#, tunnel()))
    #expect(try !matches(#"{"labels":{"team":"blue"}}"#, tunnel()))
    #expect(try !matches(#"{"labels":{"other":null}}"#, tunnel()))
    #expect(try !matches(#"{"labels":{"team":"red"}}"#, tunnel { $0.labels = Labels() }))
    #expect(try matches(#"{"labels":{}}"#, tunnel { $0.labels = Labels() }))
  }

  @Test func clientsHaveOtherFilters() throws {
    let details = ClientDetails(agent: "a", version: "1", os: "linux", protocolVersion: "1.4.5")
    let client = ClientRecord(id: "c", userID: "u", details: details).json
    #expect(
      try query(#"{"filters":{"agent":"a","os":"linux","protocol_version":"1.4.5"}}"#, .clients).filter.matches(client))
    #expect(try !query(#"{"filters":{"arch":"arm64"}}"#, .clients).filter.matches(client))
    #expect(throws: InventoryFilter.Malformed.self) { try query(#"{"filters":{"name":"a"}}"#, .clients) }
    #expect(throws: InventoryFilter.Malformed.self) { try query(#"{"filters":{"publish":true}}"#, .clients) }
  }

  @Test(arguments: [
    "", "{", "[]", "1", #"{"limit":0}"#, #"{"limit":-1}"#, #"{"limit":1.5}"#, #"{"limit":"1"}"#, #"{"other":1}"#,
    #"{"filters":[]}"#, #"{"filters":{"nam":"x"}}"#, #"{"filters":{"name":1}}"#, #"{"filters":{"publish":"true"}}"#,
    #"{"filters":{"labels":[]}}"#, #"{"filters":{"labels":{"a":1}}}"#, #"{"limit":1,"limit":2}"#,
  ])
  func malformedParamsAreRefusedWithWords(params: String) {
    let failure = #expect(throws: InventoryFilter.Malformed.self) { try query(params) }
    #expect(failure?.message.isEmpty == false)
  }

  @Test func unknownFiltersTellWhatIsKnown() {
    let failure = #expect(throws: InventoryFilter.Malformed.self) { try query(#"{"filters":{"nam":"x"}}"#) }
    #expect(failure?.message.contains("http_version, publish, labels") == true)
  }

  @Test func theLimitCountsMatches() throws {
    let records = (1...5).map { number in
      tunnel {
        $0.id = "t\(number)"
        $0.publish = number % 2 == 1
      }
    }
    func ids(_ params: String) throws -> [String] {
      guard case .array(let selected) = try query(params).select(records, shown: { $0 }) else { return [] }
      return selected.compactMap { $0["id"]?.string }
    }
    #expect(try ids("null").count == 5)
    #expect(try ids(#"{"limit":2}"#) == ["t1", "t2"])
    #expect(try ids(#"{"limit":2,"filters":{"publish":false}}"#) == ["t2", "t4"])
    #expect(try ids(#"{"limit":99,"filters":{"id":"t3"}}"#) == ["t3"])
    #expect(try ids(#"{"filters":{"id":"none"}}"#) == [])
  }

  @Test func paramsComeInTheQuery() throws {
    func limit(_ path: String) throws -> Int? { try InventoryQuery(path: Array(path.utf8), for: .tunnels).limit }
    #expect(try limit("/api/tunnels") == nil)
    #expect(try limit("/api/tunnels?") == nil)
    #expect(try limit("/api/tunnels?x=1&params=%7B%22limit%22%3A+3%7D") == 3)
    #expect(try limit("/api/tunnels?params=null") == nil)
    for bad in [
      "?params=", "?params", "?params=%7", "?params=%zz", "?params={}&params={}", "?params=%ff", "?p%61rams=1",
    ] {
      #expect(throws: InventoryFilter.Malformed.self, "\(bad)") { try limit("/api/tunnels\(bad)") }
    }
  }
}

@Suite struct QueryStringTests {
  private func value(_ path: String, _ name: String) -> QueryString.Lookup {
    QueryString(ofPath: Array(path.utf8)).value(name)
  }

  @Test func valuesAreDecoded() {
    #expect(value("/?a=%41+b%2B", "a") == .value(Array("A b+".utf8)))
    #expect(value("/?a", "a") == .value([]))
    #expect(value("/?a=b=c", "a") == .value(Array("b=c".utf8)))
    #expect(value("/?b=1", "a") == .absent)
    #expect(value("/?", "a") == .absent)
    #expect(value("/?a=1&a=2", "a") == .malformed)
    #expect(value("/?a=%4", "a") == .malformed)
    #expect(value("/?%4=1&a=2", "a") == .value([0x32]))
  }

  @Test(arguments: [
    ("/p?t=1", "/p"), ("/p?t=1&a=%20", "/p?a=%20"), ("/p?a&t=1&&b=", "/p?a&&b="), ("/p?%74=1&a", "/p?a"), ("/p", "/p"),
    ("/p?", "/p"), ("/p?tt=1", "/p?tt=1"), ("/p?t=1&t=2", "/p"), ("/p??t=1", "/p??t=1"),
  ])
  func pairsAreRemoved(path: String, expected: String) {
    let result = QueryString.removing("t", fromPath: Array(path.utf8))
    #expect(String(decoding: result, as: UTF8.self) == expected)
  }
}

extension TunnelRecord {
  /// A record with a value under every name.
  static var full: TunnelRecord {
    var properties = TunnelProperties()
    properties.id = "i"
    properties.creationDate = Timestamp(seconds: 0)
    properties.name = "n"
    properties.type = "bytestream"
    properties.publish = true
    properties.protocol = "tls"
    properties.labels = ["b": "2", "a": "1"]
    properties.geoip = ["FR"]
    properties.trustedIPs = ["::1"]
    properties.host = "h:1"
    properties.hostname = "h"
    properties.port = 1
    properties.tlsMode = "terminated"
    properties.tlsALPNs = ["h2"]
    properties.tlsMinVersion = "tls1.3"
    properties.tlsCiphers = ["c"]
    properties.mtlsAuth = false
    properties.httpVersion = "http/1.1"
    properties.httpUseTLS = false
    properties.upstreamTLS = false
    properties.tokenAuth = true
    properties.rstreamAuth = false
    properties.challengeMode = false
    properties.datagramGuaranteedDelivery = false
    properties.allowCrossRegionRouting = true
    return TunnelRecord(
      properties: properties, clientID: "c", userID: "u", place: RecordPlace(workspaceID: "w", projectID: "p"))
  }
}
