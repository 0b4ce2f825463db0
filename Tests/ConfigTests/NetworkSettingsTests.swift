// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct NetworkSettingsTests {
  private func network(
    _ values: KeyValuePairs<String, String>, engine: String = "edge.example:443", _ environment: [String: String] = [:]
  ) throws -> NetworkSettings {
    var settings = ClientSettings()
    try settings.set("engine", engine)
    for (name, value) in values { try settings.set("transport.\(name)", value) }
    try settings.validate(now: 0)
    return try settings.network { environment[$0] }
  }

  private func refusal(_ values: KeyValuePairs<String, String>, _ environment: [String: String] = [:]) -> String {
    do { _ = try network(values, environment) } catch { return (error as? ConfigError)?.message ?? "\(error)" }
    return "accepted"
  }

  @Test func nothingIsSetByDefault() throws {
    #expect(try network([:], ["HTTPS_PROXY": "http://proxy"]) == NetworkSettings())
  }

  @Test func theModeOfBindingPicksAddressOrInterface() throws {
    let both: KeyValuePairs = ["bind.address": "10.0.0.7", "bind.interface": "eth1"]
    #expect(try network(both).localAddress == "10.0.0.7" && network(both).interface == nil)
    let byInterface = try network(["bind.address": "10.0.0.7", "bind.interface": "eth1", "bind.mode": "interface"])
    #expect(byInterface.localAddress == nil && byInterface.interface == "eth1")
  }

  @Test func familyMultipathAndRacing() throws {
    #expect(try network(["ipFamily": "ipv4"]).family == .v4)
    #expect(try network(["ipFamily": "ipv6", "mptcp": "true"]).multipath)
    #expect(try network(["happyEyeballs": "false"]).racesAddresses == false)
  }

  @Test(
    arguments: [
      ("192.0.2.1", "192.0.2.1", 53, 853), ("192.0.2.1:5353", "192.0.2.1", 5353, 5353),
      ("2001:DB8::1", "2001:db8::1", 53, 853), ("[2001:db8::1]:54", "2001:db8::1", 54, 54),
      ("[2001:db8::1]", "2001:db8::1", 53, 853), ("Dns.Example", "dns.example", 53, 853),
    ] as [(String, String, UInt16, UInt16)])
  func nameServers(_ text: String, _ host: String, _ port: UInt16, _ securePort: UInt16) throws {
    let plain = try #require(try network(["dns.override": text]).dns)
    #expect(plain.host == host && plain.port == port && plain.securityName == nil && !plain.requiresAuthenticated)
    let secure = try #require(
      try network(["dns.override": text, "dns.tls": "true", "dns.serverName": "dns.test", "dns.dnssec": "true"]).dns)
    #expect(secure.port == securePort && secure.securityName == "dns.test" && secure.requiresAuthenticated)
  }

  @Test func aNamedServerProvesItsName() throws {
    #expect(try network(["dns.override": "dns.example", "dns.tls": "true"]).dns?.securityName == "dns.example")
  }

  @Test func dnsThatCannotBe() {
    #expect(refusal(["dns.tls": "true"]).contains("DNS over TLS requires transport.dns.override"))
    #expect(refusal(["dns.dnssec": "true"]).contains("requires DNS over TLS with a verified resolver"))
    #expect(refusal(["dns.dnssec": "true", "dns.override": "192.0.2.1"]).contains("requires DNS over TLS"))
    #expect(refusal(["dns.tls": "true", "dns.override": "192.0.2.1"]).contains("requires transport.dns.serverName"))
    for text in ["a:b:c", "2001:db8::1:x", "[dns.example]:53", "dns.example:0", "dns.example:65536", ":53", "a b"] {
      #expect(refusal(["dns.override": text]).contains("is not a name server"), "\(text)")
    }
  }

  @Test func fieldsGoBeforeTheURL() throws {
    let url = try #require(try network(["proxy.http": "http://u:p@proxy:3128"]).proxy)
    #expect(url.username == "u" && url.password == "p" && url.url.port == 3128)
    let fields = try #require(
      try network([
        "proxy.http": "https://u:p@proxy", "proxy.username": "agent", "proxy.password": "secret",
        "proxy.headers": "{\"X-Company\":\"acme\"}", "proxy.tls.serverName": "inner",
      ]).proxy)
    #expect(fields.username == "agent" && fields.password == "secret" && fields.serverName == "inner")
    #expect(fields.headers.headers.map(\.name) == ["X-Company"])
    let socks = try #require(try network(["proxy.socks5": "proxy"]).proxy)
    #expect(socks.url.scheme == .socks5 && socks.url.port == 1080 && socks.username == nil)
  }

  @Test func theEnvironmentCountsWhereItIsAskedFor() throws {
    let variables = ["HTTPS_PROXY": "http://u:p@corp:3128", "NO_PROXY": "intern.example"]
    let asked: KeyValuePairs = ["proxy.fromEnvironment": "true"]
    #expect(try network(asked, variables).proxy?.url.host == "corp")
    #expect(try network(asked, variables).proxy?.username == "u")
    #expect(try network(asked, engine: "edge.intern.example", variables).proxy == nil)
    #expect(
      try network(["proxy.fromEnvironment": "true", "proxy.socks5": "own"], variables).proxy?.url.host == "own")
    #expect(refusal(asked, ["ALL_PROXY": "ftp://x"]).contains("ALL_PROXY: "))
  }

  @Test func proxiesThatCannotBe() {
    #expect(refusal(["proxy.http": "http://a", "proxy.socks5": "b"]).contains("only one proxy transport"))
    #expect(refusal(["proxy.http": "http://a", "proxy.username": "u"]).contains("belong together"))
    #expect(refusal(["proxy.socks5": "a", "proxy.password": "p"]).contains("belong together"))
    #expect(refusal(["proxy.http": "http://a", "proxy.tls.caFile": "c"]).contains("cannot use TLS with an http://"))
    #expect(refusal(["proxy.socks5": "a", "proxy.tls.serverName": "c"]).contains("has no TLS"))
    #expect(refusal(["proxy.tls.insecureSkipVerify": "true"]).contains("and no proxy"))
    #expect(refusal(["proxy.socks5": "a", "proxy.headers": "{\"A\":\"b\"}"]).contains("takes no headers"))
    #expect(refusal(["proxy.http": "socks5://a"]).contains("unsupported proxy URL scheme"))
    #expect(refusal(["proxy.http": "proxy:3128"]).contains("scheme is missing"))
    #expect(refusal(["proxy.socks5": "http://a"]).contains("unsupported proxy URL scheme"))
    #expect(
      refusal(["proxy.http": "http://a", "proxy.username": "u:v", "proxy.password": "hunter2"]).contains("a colon"))
    let long = String(repeating: "x", count: 256)
    #expect(refusal(["proxy.socks5": "a", "proxy.username": long, "proxy.password": "p"]).contains("255 bytes"))
    #expect(!refusal(["proxy.http": "http://u:hunter2@pro xy"]).contains("hunter2"))
  }
}
