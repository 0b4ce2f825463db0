// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import Testing

@testable import RstreamClient

struct LocalEndpointTests {
  @Test(arguments: [
    ("8080", "127.0.0.1", 8080), (":8080", "127.0.0.1", 8080), ("localhost:80", "localhost", 80),
    ("[::1]:443", "::1", 443), (" 192.0.2.1:1 ", "192.0.2.1", 1),
  ]) func readsTCP(text: String, host: String, port: Int) throws {
    #expect(try LocalEndpoint(text) == .tcp(host: host, port: UInt16(port)))
  }

  @Test func readsUnixSockets() throws {
    #expect(try LocalEndpoint("unix:/run/app.sock") == .unix("/run/app.sock"))
  }

  @Test(arguments: [
    "", "host", "host:", "host:0", "host:65536", "host:-1", "::1:80", "[host]:80", "[::1]", "http://host:80", "unix:",
    "a b:80", "unix:/" + String(repeating: "x", count: 110), "host:99999999999999999999",
  ]) func refusesTheRest(text: String) {
    #expect { try LocalEndpoint(text) } throws: { ($0 as? Failure)?.code == ErrorCode.invalidLocalEndpoint }
  }

  @Test(arguments: [("unix:/run/app.sock", false), ("unix:", true), ("70000", false), ("host:0", true)])
  func namesUnixSocketsOnlyWhereTheyCanBe(text: String, isStream: Bool) {
    #expect {
      try LocalEndpoint(text, packets: !isStream)
    } throws: {
      ($0 as? Failure)?.message.contains("expected port, host:port") == true
        && ($0 as? Failure)?.message.contains("or unix:/path") == isStream
    }
  }
}
