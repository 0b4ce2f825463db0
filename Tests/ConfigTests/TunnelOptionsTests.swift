// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct TunnelOptionsTests {
  private func options(_ values: KeyValuePairs<String, String>) throws -> TunnelOptions {
    var options = TunnelOptions()
    for (name, value) in values { try options.set(name, value) }
    return options
  }

  private func refusal(_ values: KeyValuePairs<String, String>) -> ConfigError? {
    do { try options(values).validate() } catch { return error as? ConfigError }
    return nil
  }

  @Test func namesAreThoseOfTheHeader() {
    let names = HeaderTable.rows("tunnel.h").map { $0[0] }.filter { $0 != "labels.<key>" }
    #expect(Set(names) == Set(TunnelProperty.allCases.filter { !$0.isReadOnly }.map(\.rawValue)))
    #expect(TunnelProperty.allCases.filter(\.isReadOnly).map(\.rawValue) == ["id", "creation_date", "host"])
  }

  @Test(arguments: [
    ("name", "web"), ("type", "bytestream"), ("publish", "false"), ("protocol", "http"), ("labels.team", "red"),
    ("labels.a.b", ""), ("geoip", "FR,DE"), ("trusted_ips", "192.0.2.0/24,::1"), ("hostname", "web.t.localhost"),
    ("port", "65535"), ("tls_mode", "passthrough"), ("tls_alpns", "h2,http/1.1"), ("tls_min_version", "tls1.3"),
    ("tls_ciphers", "A,B"), ("mtls_auth", "true"), ("http_version", "h2c"), ("http_use_tls", "false"),
    ("upstream_tls", "true"), ("datagram_guaranteed_delivery", "true"), ("allow_cross_region_routing", "false"),
    ("token_auth", "true"), ("rstream_auth", "true"), ("challenge_mode", "false"),
  ])
  func everyPropertyIsSetReadAndUnset(name: String, value: String) throws {
    var options = TunnelOptions()
    #expect(options.get(name) == nil)
    try options.set(name, value)
    #expect(options.get(name) == value)
    try options.set(name, nil)
    #expect(options == TunnelOptions())
  }

  @Test func whatIsSetIsListed() throws {
    #expect(TunnelOptions().names == [])
    let set = try options(["labels.b": "", "port": "1", "name": "web", "labels.a": "x", "publish": "false"])
    #expect(set.names == ["name", "publish", "port", "labels.a", "labels.b"])
  }

  @Test func listsAreTrimmed() throws {
    #expect(try options(["tls_alpns": " h2 ,, http/1.1 "]).tlsALPNs == ["h2", "http/1.1"])
  }

  @Test(arguments: [
    ("nme", "x"), ("id", "x"), ("host", "x"), ("creation_date", "x"), ("labels.", "x"), ("labels", "x"), ("name", " "),
    ("type", "stream"), ("publish", "1"), ("protocol", "ftp"), ("geoip", "FRA"), ("geoip", "1X"),
    ("trusted_ips", "lan"),
    ("port", "0"), ("port", "65536"), ("port", "8o"), ("tls_mode", "off"), ("tls_min_version", "1.2"),
    ("tls_alpns", ","),
    ("http_version", "http/2"), ("upstream_tls", ""),
  ])
  func badValuesAreRefused(name: String, value: String) {
    var options = TunnelOptions()
    do {
      try options.set(name, value)
      Issue.record("accepted")
    } catch {
      #expect(error.kind == .invalidTunnel)
      #expect(error.message.contains(name))
    }
  }

  @Test func readOnlyPropertiesAreReadable() {
    var options = TunnelOptions()
    options.id = "i"
    options.creationDate = "2026-01-02T03:04:05Z"
    options.host = "h:1"
    #expect(options.get("id") == "i")
    #expect(options.get("creation_date") == "2026-01-02T03:04:05Z")
    #expect(options.get("host") == "h:1")
    #expect(options.get("nothing") == nil)
  }

  @Test func aPortNeedsTCP() {
    #expect(refusal(["port": "22"])?.message.contains("a published port requires protocol tcp") == true)
    #expect(refusal(["port": "22", "protocol": "tls"])?.kind == .invalidTunnel)
    #expect(refusal(["port": "22", "protocol": "tcp"]) == nil)
    #expect(refusal(["protocol": "tcp"]) == nil)
  }

  @Test(arguments: [
    ("publish", "false"), ("type", "datagram"), ("hostname", "a"), ("tls_mode", "terminated"), ("tls_alpns", "h2"),
    ("tls_min_version", "tls1.2"), ("tls_ciphers", "A"), ("mtls_auth", "false"), ("http_version", "http/1.1"),
    ("http_use_tls", "false"), ("upstream_tls", "false"), ("datagram_guaranteed_delivery", "false"),
    ("token_auth", "false"), ("rstream_auth", "false"), ("challenge_mode", "false"),
  ])
  func tcpExcludes(name: String, value: String) {
    let refusal = refusal(["protocol": "tcp", name: value])
    #expect(refusal?.kind == .invalidTunnel)
    #expect(refusal?.message.contains(name) == true)
  }

  @Test func tcpAllowsTheRest() throws {
    let options = try options([
      "protocol": "tcp", "name": "ssh", "labels.a": "b", "geoip": "FR", "trusted_ips": "::1", "port": "22",
      "publish": "true", "type": "bytestream", "allow_cross_region_routing": "true",
    ])
    try options.validate()
    #expect(try self.options(["protocol": "tcp"]).normalized().publish == true)
    #expect(try self.options(["protocol": "tcp"]).normalized().type == "bytestream")
    #expect(try self.options(["protocol": "http"]).normalized().type == nil)
  }

  @Test func whatCarriesPacketsIsNotABytestream() {
    let wanted: [KeyValuePairs<String, String>] = [
      ["type": "datagram"], ["http_version": "h3"], ["protocol": "dtls"], ["protocol": "quic"],
      ["type": "datagram", "publish": "false"], ["type": "datagram", "publish": "true", "protocol": "dtls"],
      ["protocol": "webtty", "publish": "false"],
    ]
    for values in wanted { #expect(refusal(values) == nil) }
    for name in ["dtls", "quic"] {
      #expect(refusal(["protocol": name, "type": "bytestream"])?.message.contains("protocol \(name)") == true)
    }
    #expect(refusal(["http_version": "h3", "type": "bytestream"])?.kind == .invalidTunnel)
  }

  @Test func barePacketsAreNotPublished() {
    let refused = refusal(["type": "datagram", "publish": "true"])
    #expect(refused?.message.contains("dtls, quic or http") == true)
    #expect(refusal(["type": "datagram", "publish": "true", "protocol": "tls"])?.kind == .invalidTunnel)
  }
}
