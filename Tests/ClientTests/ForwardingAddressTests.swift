// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@testable import RstreamClient

struct ForwardingAddressTests {
  private func address(_ fill: (inout TunnelProperties) -> Void) -> String? {
    var properties = TunnelProperties()
    fill(&properties)
    return properties.forwardingAddress
  }

  @Test func publishedByHostname() {
    #expect(address { ($0.hostname, $0.protocol) = ("a.t.x", "http") } == "https://a.t.x")
    #expect(address { ($0.hostname, $0.protocol, $0.port) = ("a.t.x", "http", 443) } == "https://a.t.x")
    #expect(address { ($0.hostname, $0.protocol, $0.port) = ("a.t.x", "http", 8443) } == "https://a.t.x:8443")
    #expect(address { ($0.hostname, $0.protocol) = ("a.t.x", "tls") } == "a.t.x:443 (tls)")
    #expect(address { ($0.hostname, $0.protocol, $0.port) = ("x", "tcp", 10042) } == "x:10042 (tcp)")
    #expect(address { ($0.hostname, $0.protocol) = ("a.t.x", "quic") } == "a.t.x (quic)")
    #expect(address { ($0.hostname, $0.protocol, $0.port) = ("a.t.x", "dtls", 4433) } == "a.t.x:4433 (dtls)")
    #expect(address { ($0.hostname, $0.protocol) = ("a.t.x", "webtty") } == "https://a.t.x (webtty)")
    #expect(address { $0.hostname = " a.t.x " } == "a.t.x")
  }

  @Test func publishedByTheDeprecatedHost() {
    #expect(address { ($0.host, $0.protocol) = ("a.t.x:8443", "http") } == "https://a.t.x:8443")
    #expect(address { ($0.host, $0.hostname) = ("old", "  ") } == "old")
  }

  @Test func unpublished() {
    #expect(address { ($0.name, $0.id) = ("n", "i") } == "rstrm://n (unpublished)")
    #expect(address { ($0.name, $0.id) = (" ", "i") } == "rstrm://i (unpublished)")
    #expect(address { $0.publish = false } == nil)
  }
}
