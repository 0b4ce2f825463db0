// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct ECHQuestionTests {
  private func question(_ host: String, port: UInt16 = 443, _ protocols: [String] = ["rstrm/1"]) -> String? {
    ECHQuestion(ServerEndpoint(host: host, port: port), protocols: protocols).map { "\($0.type) \($0.name)" }
  }

  @Test(
    arguments: [
      ("edge.example.com", "edge.example.com"), ("Edge.Example.com.", "edge.example.com"),
      ("demo.t.edge.example.com", "edge.example.com"), ("t.edge.example.com", "t.edge.example.com"),
      ("a.t.com", "com"), ("a.t", "a.t"), ("0123abcd.edge.example.com", "edge.example.com"),
      ("0123abcde.edge.example.com", "0123abcde.edge.example.com"),
      ("0123abcg.edge.example.com", "0123abcg.edge.example.com"),
      ("0123abcd.t.edge.example.com", "edge.example.com"), ("0123abcd", "0123abcd"),
    ])
  func asksForTheClusterOfAnEngine(_ host: String, _ cluster: String) {
    #expect(question(host, port: 7443) == "svcb _7443._rstream.\(cluster)")
  }

  @Test func asksForTheHostOfAnAPI() {
    #expect(question("demo.t.edge.example.com", ["http/1.1"]) == "https demo.t.edge.example.com")
    #expect(question("edge.example.com", port: 8443, ["h2", "http/1.1"]) == "https _8443._https.edge.example.com")
  }

  @Test(arguments: ["192.0.2.1", "2001:db8::1", "localhost", "edge.localhost", "edge.localhost.", ""])
  func asksNothingForWhatTheDNSDoesNotKnow(_ host: String) {
    #expect(question(host) == nil && question(host, ["http/1.1"]) == nil)
  }

  @Test func asksForTheNameThatTLSSends() {
    let endpoint = ServerEndpoint(host: "192.0.2.1", port: 443, serverName: "edge.example.com")
    #expect(ECHQuestion(endpoint, protocols: ["rstrm/1"])?.name == "_443._rstream.edge.example.com")
    let literal = ServerEndpoint(host: "edge.example.com", port: 443, serverName: "192.0.2.1")
    #expect(ECHQuestion(literal, protocols: ["rstrm/1"]) == nil)
  }
}

struct SystemNameServerTests {
  private func servers(_ text: String) -> [String] {
    DNSPolicy.servers(in: Array(text.utf8)).map { "\($0.host) \($0.port)" }
  }

  @Test func readsTheResolversFile() {
    #expect(
      servers(
        "# a comment\nsearch example.com\nnameserver 192.0.2.1\n\tnameserver\t2001:db8::1  # second\r\noptions edns0")
        == ["192.0.2.1 53", "2001:db8::1 53"])
    #expect(servers("nameserver 192.0.2.1\r\n") == ["192.0.2.1 53"])
  }

  @Test func takesThreeAtMostAndNothingElse() {
    #expect(servers((1...5).map { "nameserver 192.0.2.\($0)\n" }.joined()).count == 3)
    #expect(servers("").isEmpty)
    #expect(servers("nameserver\nnameserver dns.example\nnameservers 192.0.2.1\n;nameserver 192.0.2.2\n").isEmpty)
  }
}
