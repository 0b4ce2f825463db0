// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct ConnectUDPTemplateTests {
  private func template(_ url: String) throws -> ConnectUDPTemplate { try ConnectUDPTemplate(ProxyURL.http(url)) }

  @Test func expandsTheWellKnownPath() throws {
    for url in ["https://proxy.example", "https://proxy.example/", "https://proxy.example:443/#part"] {
      let template = try template(url)
      #expect(template.host == "proxy.example" && template.port == 443)
      #expect(
        template.path(host: "edge.example", port: 8443) == "/.well-known/masque/udp/edge.example/8443/")
      // The example of RFC 9298, section 3.
      #expect(template.path(host: "2001:db8::42", port: 443) == "/.well-known/masque/udp/2001%3Adb8%3A%3A42/443/")
    }
  }

  @Test func keepsAQueryBehindTheWellKnownPath() throws {
    for url in ["https://proxy?key=v&x", "https://proxy/?key=v&x"] {
      #expect(try template(url).path(host: "edge", port: 1) == "/.well-known/masque/udp/edge/1/?key=v&x")
    }
    #expect(try template("https://proxy/?h={target_host}&p={target_port}").path(host: "a", port: 1) == "/?h=a&p=1")
  }

  @Test func expandsAPathOfItsOwn() throws {
    #expect(
      try template("https://proxy:4443/relay?h={target_host}&p={target_port}&k=%20v").path(host: "a_b", port: 1)
        == "/relay?h=a_b&p=1&k=%20v")
    #expect(try template("https://proxy?{target_host}:{target_port}").path(host: "é", port: 65535) == "/?%C3%A9:65535")
  }

  @Test(arguments: [
    "http://proxy", "https://user:pass@proxy", "https://proxy/udp", "https://proxy/{target_host}",
    "https://proxy/?{target_port}", "https://proxy/{target_host}/{target_port}/{other}",
    "https://proxy/{target_host}/{target_port}/a b", "https://proxy/{?target_host,target_port}",
  ])
  func refusesWhatCannotCarryUDP(_ url: String) {
    #expect(throws: ConfigError.self) { try template(url) }
  }
}
