// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct TLSChannelTests {
  private func serverContext(_ alpn: ALPNPolicy = .ignore) throws -> TLSContext {
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = TestCertificate.certificateFile
    settings.keyFile = TestCertificate.keyFile
    settings.alpn = alpn
    return try TLSContext(server: settings)
  }

  private func clientContext(alpn: [String] = [], trusting: Bool = true) throws -> TLSContext {
    var settings = TLSContext.ClientSettings()
    settings.caFile = trusting ? TestCertificate.certificateFile : nil
    settings.alpn = alpn
    return try TLSContext(client: settings)
  }

  private struct Pair {
    var client: TLSChannel
    var server: TLSChannel
    var clientFailure: Failure?
    var serverFailure: Failure?
  }

  private func handshake(
    _ test: TestLoop, client: TLSContext, server: TLSContext, name: String = "localhost",
    sessions: TLSSessionStore? = nil
  ) throws -> Pair {
    let (a, b) = try test.socketPair()
    var outcomes: [Failure?] = []
    var clientFailure: Failure?
    var serverFailure: Failure?
    let serverEnd = try TLSChannel(server: server, over: a) {
      serverFailure = $0
      outcomes.append($0)
    }
    let clientEnd = try TLSChannel(client: client, over: b, serverName: name, sessions: sessions) {
      clientFailure = $0
      outcomes.append($0)
    }
    test.run { outcomes.count == 2 }
    return Pair(client: clientEnd, server: serverEnd, clientFailure: clientFailure, serverFailure: serverFailure)
  }

  @Test func carriesBulkBothWaysWithHalfClose() throws {
    let test = try TestLoop()
    let pair = try handshake(test, client: clientContext(), server: serverContext())
    #expect(pair.clientFailure == nil)
    let atClient = Recorder()
    let atServer = Recorder()
    pair.client.delegate = atClient
    pair.server.delegate = atServer
    pair.client.readStart()
    pair.server.readStart()
    let upload = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let download = (0..<1_234_567).map { UInt8(truncatingIfNeeded: $0 &* 17) }
    pair.client.write(upload)
    pair.client.shutdown()
    test.run { atServer.ended }
    #expect(atServer.received == upload)
    pair.server.write(download)
    pair.server.shutdown()
    test.run { atClient.ended }
    #expect(atClient.received == download)
    pair.client.close()
    pair.server.close()
    test.close()
  }

  @Test func readingCanStopAndGoOnAtEveryChunk() throws {
    let test = try TestLoop()
    let pair = try handshake(test, client: clientContext(), server: serverContext())
    let atServer = Recorder()
    pair.server.delegate = atServer
    atServer.onEvent = { _, channel in
      channel.readStop()
      test.loop.later { channel.readStart() }
    }
    pair.server.readStart()
    let upload = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
    pair.client.write(upload)
    pair.client.shutdown()
    test.run { atServer.ended }
    #expect(atServer.received == upload)
    pair.client.close()
    pair.server.close()
    test.close()
  }

  @Test func resumesSessions() throws {
    let test = try TestLoop()
    let sessions = TLSSessionStore()
    let (client, server) = (try clientContext(), try serverContext())
    for round in 0..<3 {
      let pair = try handshake(test, client: client, server: server, sessions: sessions)
      #expect(pair.client.isResumed == (round > 0))
      let atClient = Recorder()
      pair.client.delegate = atClient
      pair.client.readStart()
      pair.server.write(Array("hello".utf8))
      test.run { atClient.text == "hello" }
      pair.client.close()
      pair.server.close()
    }
    test.close()
  }

  @Test func refusesUnknownIssuersAndWrongNames() throws {
    let test = try TestLoop()
    let untrusted = try handshake(test, client: clientContext(trusting: false), server: serverContext())
    #expect(untrusted.clientFailure?.code == ErrorCode.tls)
    #expect(untrusted.clientFailure?.message.contains("certificate") == true)
    let wrongName = try handshake(test, client: clientContext(), server: serverContext(), name: "other.example")
    #expect(wrongName.clientFailure?.code == ErrorCode.tls)
    test.close()
  }

  @Test func alpnPolicies() throws {
    let test = try TestLoop()
    let agreed = try handshake(
      test, client: clientContext(alpn: ["x", "rstrm/1"]), server: serverContext(.require(["rstrm/1"])))
    #expect(agreed.client.negotiatedProtocol == "rstrm/1")
    #expect(agreed.server.negotiatedProtocol == "rstrm/1")
    agreed.client.close()
    agreed.server.close()
    let preferred = try handshake(test, client: clientContext(alpn: ["x"]), server: serverContext(.prefer(["rstrm/1"])))
    #expect(preferred.clientFailure == nil)
    #expect(preferred.client.negotiatedProtocol == "")
    preferred.client.close()
    preferred.server.close()
    let refused = try handshake(test, client: clientContext(alpn: ["x"]), server: serverContext(.require(["rstrm/1"])))
    #expect(refused.clientFailure?.message.contains("no application protocol") == true)
    test.close()
  }

  @Test func endWithoutCloseNotifyIsAnEnd() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    var isDone = 0
    let server = try TLSChannel(server: serverContext(), over: a) { _ in isDone += 1 }
    let client = try TLSChannel(client: clientContext(), over: b, serverName: "localhost") { _ in isDone += 1 }
    test.run { isDone == 2 }
    let atServer = Recorder(reading: server)
    client.write(Array("last words".utf8))
    b.shutdown()
    test.run { atServer.ended }
    #expect(atServer.text == "last words")
    #expect(atServer.failure == nil)
    client.close()
    server.close()
    test.close()
  }

  @Test func tlsInsideTls() throws {
    let test = try TestLoop()
    let outer = try handshake(test, client: clientContext(), server: serverContext())
    var isDone = 0
    let server = try TLSChannel(server: serverContext(), over: outer.server) { _ in isDone += 1 }
    let client = try TLSChannel(client: clientContext(), over: outer.client, serverName: "localhost") { _ in isDone += 1
    }
    test.run { isDone == 2 }
    let atServer = Recorder(reading: server)
    let upload = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    client.write(upload)
    client.close()
    test.run { atServer.ended }
    #expect(atServer.received == upload)
    server.close()
    test.close()
  }

  @Test func garbageInsteadOfAHandshakeFails() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    var failure: Failure?
    let server = try TLSChannel(server: serverContext(), over: a) { failure = $0 }
    b.write([UInt8](repeating: 0x55, count: 300))
    test.run { failure != nil }
    #expect(failure?.code == ErrorCode.tls)
    withExtendedLifetime(server) {}
    b.close()
    test.close()
  }
}
