// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine

@Suite struct PrivateDialTests {
  @Test(arguments: [true, false, nil], [true, false, nil])
  func bytesGoBothWays(dialer: Bool?, owner: Bool?) throws {
    let harness = try Harness()
    let agent = try harness.client()
    let tunnel = try agent.privateTunnel("echo")
    let dialing = try harness.wire()
    dialing.detachesAfterFirst = true
    dialing.sendStreamReq(dialer == true ? "echo" : tunnel.id ?? "", zeroRTT: dialer)
    let request = try agent.nextRequest()
    #expect(request.tunnelID == tunnel.id)
    #expect(StreamID.isCanonical(request.streamID))
    #expect(request.secret?.utf8.count == 64)
    #expect(request.sourceIP == .v4(0x7F00_0001))
    let service = try agent.deliver(request, zeroRTT: owner)
    let consumer: RawPeer
    if dialer == true {
      consumer = dialing.detach()
    } else {
      #expect(dialing.next() == .streamRsp(StreamRsp(.streamID(request.streamID))))
      consumer = try #require(dialing.raw)
    }
    service.send("banner")
    consumer.expect("banner")
    consumer.send("ping")
    consumer.channel.shutdown()
    service.expect("ping")
    service.expectEnd()
    service.send(" pong")
    consumer.expect("banner pong")
    service.channel.shutdown()
    consumer.expectEnd()
    harness.run("the session's end") { harness.engine.connections.count == 1 }
    harness.finish()
  }
}

@Suite struct PrivatePacketsTests {
  private func datagramTunnel(_ agent: WirePeer, guaranteed: Bool? = nil) throws -> TunnelProperties {
    try agent.tunnel {
      $0.name = "packets"
      $0.publish = false
      $0.type = "datagram"
      $0.datagramGuaranteedDelivery = guaranteed
    }
  }

  /// Frames on the dialer's side, QUIC datagrams on the owner's, which are shorter.
  @Test func countsWhatIsDroppedOnTheWay() throws {
    let harness = try Harness(["quic.enabled": "true"])
    let address = SocketAddress(.v4(0x7F00_0001), port: UInt16(try #require(harness.engine.port(of: "quic"))))
    let socket = try QUICSocket(harness.loop, to: address)
    let recorder = QUICRecorder()
    let connection = try QUICConnection(
      client: QUICPair.credentials(), over: socket, local: socket.address, remote: address, serverName: "localhost",
      alpn: ["rstrm/1"], harness.loop)
    connection.delegate = recorder
    harness.run("a handshake") { recorder.isOpen }
    let agent = WirePeer(try #require(try connection.openStream()), harness)
    agent.openControl()
    guard case .openControlChannelRsp = agent.next() else { throw Harness.HarnessError.refused }
    let tunnel = try datagramTunnel(agent)
    let dialing = try harness.wire()
    dialing.sendStreamReq(tunnel.id ?? "")
    let request = try agent.nextRequest()
    agent.send(.proxyConnRsp(ProxyConnRsp(streamID: request.streamID)))
    let consumer = dialing.detach()
    for size in [20_000, 4, 60_000, 4] {
      consumer.channel.write([0, 0, UInt8(size >> 8), UInt8(size & 255)] + [UInt8](repeating: 7, count: size))
    }
    harness.run("two packets") { recorder.datagrams.count == 2 }
    #expect(recorder.datagrams.map(\.count) == [16, 16])
    #expect(Metrics.text(of: harness.engine).contains("\nrstream_engine_packets_dropped_total 0\n"))
    consumer.channel.close()
    #expect(agent.next() == .datagramChannelClose(DatagramChannelClose(streamID: request.streamID)))
    #expect(Metrics.text(of: harness.engine).contains("\nrstream_engine_packets_dropped_total 2\n"))
    connection.close()
    harness.finish()
  }

  @Test(arguments: [true, false], [nil, true])
  func packetsGoBothWays(zeroRTT: Bool, guaranteed: Bool?) throws {
    let harness = try Harness()
    let agent = try harness.client()
    let tunnel = try datagramTunnel(agent, guaranteed: guaranteed)
    #expect(tunnel.type == "datagram")
    #expect(tunnel.datagramGuaranteedDelivery == guaranteed)
    let dialing = try harness.wire()
    dialing.detachesAfterFirst = true
    dialing.sendStreamReq("packets", zeroRTT: zeroRTT)
    let request = try agent.nextRequest()
    let service = try agent.deliver(request, zeroRTT: zeroRTT)
    let consumer: RawPeer
    if zeroRTT {
      consumer = dialing.detach()
    } else {
      #expect(dialing.next() == .streamRsp(StreamRsp(.streamID(request.streamID))))
      consumer = try #require(dialing.raw)
    }
    consumer.send("\0\0\0\u{4}ping\0\0\0\0")
    service.expect("\0\0\0\u{4}ping\0\0\0\0")
    service.send("\0\0\0")
    service.send("\u{4}po")
    service.send("ng")
    consumer.expect("\0\0\0\u{4}pong")
    service.channel.shutdown()
    consumer.expectEnd()
    service.expectEnd()
    harness.run("the session's end") { harness.engine.connections.count == 1 }
    harness.finish()
  }

  @Test func garbageEndsTheChannelAndNothingElse() throws {
    let harness = try Harness()
    let agent = try harness.client()
    _ = try datagramTunnel(agent)
    for _ in 0..<2 {
      let dialing = try harness.wire()
      dialing.sendStreamReq("packets")
      let service = try agent.deliver(try agent.nextRequest())
      let consumer = dialing.detach()
      consumer.send("\0\0\0\u{1}a")
      service.expect("\0\0\0\u{1}a")
      consumer.send("GET / HTTP/1.1\r\n\r\n")
      service.expectGone()
      consumer.expectGone()
      #expect(service.text == "\0\0\0\u{1}a")
    }
    harness.run("the sessions' end") { harness.engine.connections.count == 1 }
    harness.finish()
  }

  @Test func quicDatagramsAreRefusedOverTLSAndFramesAreNot() throws {
    let harness = try Harness()
    let agent = try harness.client()
    _ = try datagramTunnel(agent)
    let asking = try harness.wire()
    asking.sendStreamReq("packets", zeroRTT: false, datagrams: true)
    guard case .streamRsp(let answer) = asking.next(), case .error(let error) = answer.payload else {
      Issue.record("QUIC datagrams were not refused")
      return
    }
    #expect(error.code == .invalidRequest)
    asking.expectEnd()
    let dialing = try harness.wire()
    dialing.sendStreamReq("packets", zeroRTT: false)
    _ = try agent.deliver(try agent.nextRequest())
    guard case .streamRsp(let granted) = dialing.next(), case .streamID = granted.payload else {
      Issue.record("the framed channel was refused")
      return
    }
    harness.finish()
  }
}
