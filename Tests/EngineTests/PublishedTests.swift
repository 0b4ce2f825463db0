// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine

@Suite struct PublishedTests {
  private let ports = ["tcp.port_range": "20000-60000"]

  /// Sends both ways with half closes: the consumer ends first and still gets the whole answer.
  private func exchange(_ consumer: RawPeer, _ service: RawPeer) {
    service.send("banner ")
    consumer.expect("banner ")
    consumer.send("question")
    consumer.channel.shutdown()
    service.expect("question")
    service.expectEnd()
    service.send("answer")
    service.channel.shutdown()
    consumer.expect("banner answer")
    consumer.expectEnd()
  }

  // MARK: tcp

  @Test func pitfall39_tcpWithHalfClose() throws {
    let harness = try Harness(ports)
    let client = try harness.client()
    let tunnel = try client.tunnel { $0.protocol = "tcp" }
    #expect(tunnel.hostname == "localhost")
    #expect(tunnel.host == "localhost:\(tunnel.port ?? 0)")
    let consumer = RawPeer(try harness.connect(port: Int32(tunnel.port ?? 0)), harness)
    let request = try client.nextRequest()
    #expect(request.sourceIP == .v4(0x7F00_0001))
    exchange(consumer, try client.deliver(request))
    harness.run("the stream's end") { harness.engine.connections.count == 1 }
    harness.finish()
  }

  @Test func pitfall40_aResetIsCarriedOver() throws {
    let harness = try Harness(ports)
    let client = try harness.client()
    let port = Int32(try client.tunnel { $0.protocol = "tcp" }.port ?? 0)
    for fromConsumer in [true, false] {
      let consumer = RawPeer(try harness.connect(port: port), harness)
      let service = try client.deliver(client.nextRequest())
      service.send("x")
      consumer.expect("x")
      (fromConsumer ? consumer : service).channel.reset()
      (fromConsumer ? service : consumer).expectGone()
    }
    harness.finish()
  }

  @Test func pitfall31_aRefusedTCPConsumerIsReset() throws {
    let harness = try Harness(ports)
    let client = try harness.client()
    let port = Int32(try client.tunnel { $0.protocol = "tcp" }.port ?? 0)
    let consumer = RawPeer(try harness.connect(port: port), harness)
    let request = try client.nextRequest()
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID, error: PeerError(.serviceUnavailable))))
    harness.run("the reset") { consumer.failure != nil }
    harness.finish()
  }

  @Test func tcpPortsAreChecked() throws {
    let without = try Harness()
    #expect(try without.client().refusedTunnel { $0.protocol = "tcp" } == .featureNotAvailable)
    without.finish()

    let harness = try Harness(["tcp.port_range": "20000-60000"])
    let client = try harness.client()
    let port = try client.tunnel { $0.protocol = "tcp" }.port
    func refusal(_ port: UInt32?) -> PeerError.Code? {
      client.refusedTunnel {
        $0.protocol = "tcp"
        $0.port = port
      }
    }
    #expect(refusal(port) == .resourceConflict)
    #expect(refusal(80) == .invalidRequest)
    harness.finish()

    let narrow = try Harness(["tcp.port_range": "\(port ?? 0)-\(port ?? 0)"])
    let owner = try narrow.client()
    let id = try owner.tunnel { $0.protocol = "tcp" }.id ?? ""
    #expect(try narrow.client().refusedTunnel { $0.protocol = "tcp" } == .capacityExhausted)
    owner.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
    #expect(owner.next() == .closeTunnelRsp(CloseTunnelRsp(tunnelID: id)))
    #expect(try owner.tunnel { $0.protocol = "tcp" }.port == port)
    narrow.finish()
  }

  @Test func onlyTrustedAddressesReachATunnel() throws {
    let harness = try Harness(ports)
    let client = try harness.client()
    let closed = try client.tunnel {
      $0.protocol = "tcp"
      $0.trustedIPs = ["192.0.2.0/24"]
    }
    harness.expectRefusal(port: Int32(closed.port ?? 0))
    let open = try client.tunnel {
      $0.protocol = "tcp"
      $0.trustedIPs = ["192.0.2.0/24", "127.0.0.0/8"]
    }
    let consumer = RawPeer(try harness.connect(port: Int32(open.port ?? 0)), harness)
    exchange(consumer, try client.deliver(client.nextRequest()))
    let tls = try client.tunnel {
      $0.protocol = "tls"
      $0.trustedIPs = ["192.0.2.1"]
    }
    guard case .failure(let failure) = try harness.handshake(serverName: tls.hostname ?? "", alpn: []) else {
      throw Harness.HarnessError.refused
    }
    #expect(failure.message.contains("access denied"))
    harness.finish()
  }

  // MARK: tls

  @Test func terminatedTLS() throws {
    let harness = try Harness()
    let client = try harness.client()
    let tunnel = try client.tunnel { $0.protocol = "tls" }
    let consumer = RawPeer(try harness.handshake(serverName: tunnel.hostname ?? "", alpn: ["whatever"]).get(), harness)
    exchange(consumer, try client.deliver(client.nextRequest()))
    harness.finish()
  }

  @Test func pitfall58_aTunnelsProtocolsAreEnforced() throws {
    let harness = try Harness()
    let client = try harness.client()
    let name =
      try client.tunnel {
        $0.protocol = "tls"
        $0.tlsALPNs = ["rstream-stream", "other"]
      }.hostname ?? ""
    for wrong in [[], ["rstream-stream-wrong"], ["http/1.1"]] {
      guard case .failure(let failure) = try harness.handshake(serverName: name, alpn: wrong) else {
        throw Harness.HarnessError.refused
      }
      #expect(failure.message.contains("no application protocol"), "\(failure.message)")
    }
    let channel = try harness.handshake(serverName: name, alpn: ["wrong", "other"]).get()
    #expect(channel.negotiatedProtocol == "other")
    exchange(RawPeer(channel, harness), try client.deliver(client.nextRequest()))
    harness.finish()
  }

  @Test(arguments: ["", "rstream-stream"])
  func upstreamTLS(negotiated: String) throws {
    let harness = try Harness()
    let client = try harness.client()
    let name =
      try client.tunnel {
        $0.protocol = "tls"
        $0.upstreamTLS = true
        if !negotiated.isEmpty { $0.tlsALPNs = [negotiated] }
      }.hostname ?? ""
    let offer = negotiated.isEmpty ? [] : [negotiated]
    let consumer = RawPeer(try harness.handshake(serverName: name, alpn: offer).get(), harness)
    let stream = try client.deliver(client.nextRequest()).channel
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = TestCertificate.certificateFile
    settings.keyFile = TestCertificate.keyFile
    if !negotiated.isEmpty { settings.alpn = .require([negotiated]) }
    var done: Bool?
    let service = try TLSChannel(server: TLSContext(server: settings), over: stream) { done = $0 == nil }
    harness.run("the inner handshake") { done != nil }
    #expect(done == true)
    #expect(service.negotiatedProtocol == negotiated)
    exchange(consumer, RawPeer(service, harness))
    harness.finish()
  }

  @Test func upstreamTLSThatDoesNotAnswerTLSEndsTheConsumer() throws {
    let harness = try Harness()
    let client = try harness.client()
    let name =
      try client.tunnel {
        $0.protocol = "tls"
        $0.upstreamTLS = true
      }.hostname ?? ""
    let consumer = RawPeer(try harness.handshake(serverName: name, alpn: []).get(), harness)
    try client.deliver(client.nextRequest()).send("this is no TLS at all")
    consumer.expectGone()
    harness.run("the stream's end") { harness.engine.connections.count == 1 }
    harness.finish()
  }

  @Test func tlsVersionsAndCiphersAreEnforced() throws {
    let harness = try Harness()
    let client = try harness.client()
    let modern =
      try client.tunnel {
        $0.protocol = "tls"
        $0.tlsMinVersion = "tls1.3"
      }.hostname ?? ""
    _ = try harness.handshake(serverName: modern, alpn: []).get()
    _ = try client.nextRequest()
    #expect(try harness.handshake(serverName: modern, alpn: [], newest: false).isFailure)
    let ciphers =
      try client.tunnel {
        $0.protocol = "tls"
        $0.tlsCiphers = ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]
      }.hostname ?? ""
    _ = try harness.handshake(serverName: ciphers, alpn: [], newest: false).get()
    _ = try client.nextRequest()
    #expect(
      client.refusedTunnel {
        $0.protocol = "tls"
        $0.tlsCiphers = ["no-such-cipher"]
      } == .invalidRequest)
    harness.finish()
  }

  @Test(arguments: [Crumbs.bytes(9), .records(40), nil])
  func pitfall57_passthroughIsRoutedByTheClientHello(crumbs: Crumbs?) throws {
    let harness = try Harness()
    let client = try harness.client()
    let name =
      try client.tunnel {
        $0.protocol = "tls"
        $0.tlsMode = "passthrough"
      }.hostname ?? ""
    let relay = try crumbs.map { try CrumblingRelay(harness, $0) }
    var settings = TLSContext.ClientSettings()
    settings.skipsVerification = true
    settings.alpn = ["http/1.1"] + (0..<20).map { "protocol-with-a-name-\($0)" }
    var done: Bool?
    let channel = try TLSChannel(
      client: TLSContext(client: settings), over: harness.connect(port: relay?.port), serverName: name
    ) { done = $0 == nil }
    let stream = try client.deliver(client.nextRequest()).channel
    var server = TLSContext.ServerSettings()
    server.certificateFile = TestCertificate.certificateFile
    server.keyFile = TestCertificate.keyFile
    server.alpn = .require(["http/1.1"])
    var serviceDone: Bool?
    let service = try TLSChannel(server: TLSContext(server: server), over: stream) { serviceDone = $0 == nil }
    harness.run("the handshake") { done != nil && serviceDone != nil }
    #expect(done == true && serviceDone == true)
    #expect(channel.negotiatedProtocol == "http/1.1")
    exchange(RawPeer(channel, harness), RawPeer(service, harness))
    relay?.close()
    harness.finish()
  }
}
