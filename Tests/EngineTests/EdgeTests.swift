// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine

/// What happens to connections before it is known what they are for.
@Suite struct EdgeTests {
  private func expectAlert(_ harness: Harness, _ reason: String, serverName: String, alpn: [String]) throws {
    switch try harness.handshake(serverName: serverName, alpn: alpn) {
    case .success: Issue.record("the handshake with \(serverName) \(alpn) should have failed")
    case .failure(let failure): #expect(failure.message.contains(reason), "\(failure.message)")
    }
  }

  @Test func pitfall9_connectionsWithoutBytesEndQuietly() throws {
    let harness = try Harness()
    for reset in [false, true] {
      let socket = try harness.connect()
      harness.run("the connection") { harness.engine.connections.count == 1 }
      if reset { socket.reset() } else { socket.close() }
      harness.run("its end") { harness.engine.connections.count == 0 }
      let channel = try harness.handshake().get()
      if reset { channel.reset() } else { channel.close() }
      harness.run("its end") { harness.engine.connections.count == 0 }
    }
    #expect(harness.engine.sessions.isEmpty)
    harness.finish()
  }

  @Test func pitfall11_and_77_slowHandshakesEnd() throws {
    let harness = try Harness(["timeouts.handshake_seconds": "1"])
    let silent = RawPeer(try harness.connect(), harness)
    let crumbs = RawPeer(try harness.connect(), harness)
    crumbs.channel.write([22, 3, 1])
    let undecided = try harness.wire()
    undecided.messages.channel.write([0, 0, 0])
    silent.expectGone()
    crumbs.expectGone()
    undecided.expectEnd()
    #expect(harness.engine.sessions.isEmpty)
    harness.finish()
  }

  @Test func garbageInsteadOfTLSEnds() throws {
    let harness = try Harness()
    for bytes in [Array("GET / HTTP/1.0\r\n\r\n".utf8), [22, 3, 1, 0, 4, 2, 0, 0, 0], [22, 3, 1, 0xFF, 0xFF]] {
      let peer = RawPeer(try harness.connect(), harness)
      peer.channel.write(bytes)
      peer.expectGone()
    }
    #expect(harness.engine.sessions.isEmpty)
    harness.finish()
  }

  @Test(arguments: [Crumbs.bytes(1), .bytes(600), .records(1), .records(100)])
  func pitfall57_aHelloInCrumbsIsUnderstood(crumbs: Crumbs) throws {
    let harness = try Harness()
    let relay = try CrumblingRelay(harness, crumbs)
    let protocols = ["rstrm/1"] + (0..<20).map { "protocol-with-a-name-\($0)" }
    #expect(try harness.handshake(alpn: protocols, port: relay.port).get().negotiatedProtocol == "rstrm/1")
    relay.close()
    harness.finish()
  }

  @Test func unknownNamesAreRefused() throws {
    let harness = try Harness()
    try expectAlert(harness, "unrecognized name", serverName: "example.com", alpn: ["rstrm/1"])
    try expectAlert(harness, "unrecognized name", serverName: "localhost.example.com", alpn: [])
    try expectAlert(harness, "unrecognized name", serverName: "t.localhost", alpn: [])
    harness.finish()
  }

  @Test func namesAreComparedWithoutCase() throws {
    let harness = try Harness()
    #expect(try harness.handshake(serverName: "LOCALHOST").get().negotiatedProtocol == "rstrm/1")
    harness.finish()
  }

  @Test func whoConnectsToAnAddressReachesTheEngine() throws {
    let harness = try Harness()
    #expect(try harness.handshake(serverName: "127.0.0.1").get().negotiatedProtocol == "rstrm/1")
    harness.finish()
  }

  @Test func pitfall58_protocolsThatNobodySpeaksFailTheHandshake() throws {
    let harness = try Harness()
    let client = try harness.client()
    _ = try client.tunnel { $0.hostname = "site" }
    for name in ["localhost", "site.t.localhost", "nothing.t.localhost"] {
      try expectAlert(harness, "no application protocol", serverName: name, alpn: ["smtp", "h2"])
      for alpn in [[], ["http/1.1"], ["h2", "http/1.1"]] {
        let channel = try harness.handshake(serverName: name, alpn: alpn).get()
        #expect(channel.negotiatedProtocol == (alpn.isEmpty ? "" : "http/1.1"))
      }
    }
    try expectAlert(harness, "no application protocol", serverName: "site.t.localhost", alpn: ["rstrm/1"])
    harness.finish()
  }

  @Test(arguments: [false, true])
  func agentsResumeTheirSessions(certificate: Bool) throws {
    let harness = try Harness()
    var settings = TLSContext.ClientSettings()
    settings.skipsVerification = true
    settings.alpn = ["rstrm/1"]
    if certificate {
      settings.identity = .files(certificate: TestCertificate.certificateFile, key: TestCertificate.keyFile)
    }
    let context = try TLSContext(client: settings)
    let sessions = TLSSessionStore()
    for isResumed in [false, true, true] {
      var done: Bool?
      let channel = try TLSChannel(
        client: context, over: harness.connect(), serverName: "localhost", sessions: sessions
      ) { done = $0 == nil }
      harness.run("the handshake") { done != nil }
      let peer = WirePeer(channel, harness)
      peer.openControl(token: certificate ? "token" : nil)
      guard case .openControlChannelRsp(let response) = peer.next() else { throw Harness.HarnessError.refused }
      if case .error = response.payload { #expect(certificate) } else { #expect(!certificate) }
      #expect(channel.isResumed == isResumed)
      peer.close()
    }
    harness.finish()
  }

  @Test func connectionsAreLimitedAndComeBack() throws {
    let harness = try Harness(["limits.connections": "2"])
    let first = try harness.connect()
    let second = RawPeer(try harness.connect(), harness)
    harness.run("two connections") { harness.engine.connections.count == 2 }
    harness.expectRefusal(port: nil)
    first.reset()
    harness.run("a free place") { harness.engine.connections.count == 1 }
    _ = try harness.handshake().get()
    #expect(second.failure == nil)
    harness.finish()
  }
}
