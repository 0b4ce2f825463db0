// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamClient

struct IncomingStreamTests {
  private let streamID = "00112233445566778899aabb"

  private func request(_ tunnel: Tunnel, _ streamID: String, secret: String? = "s3cret", endpoint: String? = nil)
    -> Message
  {
    .proxyConnReq(
      ProxyConnReq(
        tunnelID: tunnel.id, streamID: streamID, secret: secret, sourceIP: IpAddress(text: "192.0.2.10"),
        proxyEndpoint: endpoint))
  }

  private func answers(_ engine: FakeEngine) -> [ProxyConnRsp] {
    engine.all { if case .proxyConnRsp(let answer) = $0 { answer } else { nil } }
  }

  private func requests(_ engine: FakeEngine) -> [(MessageChannel, ProxyReq)] {
    engine.messages.compactMap { if case .proxyReq(let request) = $0.1 { ($0.0, request) } else { nil } }
  }

  @Test func deliversBytesThatCameWithTheHandshake() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var text = ""
    var stream: RstreamClient.Stream?
    try tunnel.listen { accepted in
      stream = accepted
      try? accepted.readStart { bytes, _ in text += String(decoding: bytes, as: UTF8.self) }
    }
    connected.engine.connections[0].send(request(tunnel, streamID))
    connected.test.run { !requests(connected.engine).isEmpty }
    let (connection, message) = requests(connected.engine)[0]
    #expect(message.streamID == streamID)
    #expect(message.zeroRTT == true)
    #expect(message.clientDetails?.token == "s3cret")
    let raw = connection.detach()
    raw.write(Array("server speaks first".utf8))
    connected.test.run { text == "server speaks first" && !answers(connected.engine).isEmpty }
    #expect(stream?.peer == "192.0.2.10")
    #expect(stream?.id == streamID)
    #expect(answers(connected.engine) == [ProxyConnRsp(streamID: streamID)])
    raw.close()
    connected.close()
  }

  @Test func waitsForTheAnswerWithoutZeroRTT() throws {
    let connected = try Connected(["zeroRtt": "false"])
    let tunnel = try connected.tunnel()
    var text = ""
    try tunnel.listen { accepted in
      try? accepted.readStart { bytes, _ in text += String(decoding: bytes, as: UTF8.self) }
    }
    connected.engine.connections[0].send(request(tunnel, streamID))
    connected.test.run { !requests(connected.engine).isEmpty }
    let (connection, message) = requests(connected.engine)[0]
    #expect(message.zeroRTT == false)
    // The answer and the first bytes in one record.
    let raw = connection.detach()
    raw.write([0, 0, 0, 2, 0x62, 0] + Array("payload".utf8))
    connected.test.run { text == "payload" }
    raw.close()
    connected.close()
  }

  @Test func refusesUnknownTunnelsAndBadRedirects() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    try tunnel.listen { _ in }
    let channel = connected.engine.connections[0]
    channel.send(.proxyConnReq(ProxyConnReq(tunnelID: "other", streamID: "1", secret: "s")))
    channel.send(request(tunnel, "2", secret: nil, endpoint: "localhost:1"))
    channel.send(request(tunnel, "3", secret: "  ", endpoint: "localhost:1"))
    channel.send(request(tunnel, "4", endpoint: "   "))
    channel.send(request(tunnel, "5", endpoint: "localhost:1"))
    connected.test.run { answers(connected.engine).count == 5 }
    #expect(answers(connected.engine).allSatisfy { $0.error != nil })
    #expect(Set(answers(connected.engine).map(\.streamID)) == ["1", "2", "3", "4", "5"])
    #expect(requests(connected.engine).isEmpty)
    connected.close()
  }

  @Test func followsARedirect() throws {
    let connected = try Connected(["auth.token": "agent-token"])
    let other = try FakeEngine(connected.test)
    let tunnel = try connected.tunnel()
    try tunnel.listen { _ in }
    connected.engine.connections[0].send(request(tunnel, streamID, endpoint: " localhost:\(other.port) "))
    connected.test.run { !requests(other).isEmpty }
    #expect(requests(other)[0].1.clientDetails?.token == "s3cret")
    connected.test.run { !answers(connected.engine).isEmpty }
    #expect(answers(connected.engine) == [ProxyConnRsp(streamID: streamID)])
    #expect(requests(connected.engine).isEmpty)
    other.close()
    connected.close()
  }

  @Test func waitingStreamsAreBoundedAndServedInOrder() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    let channel = connected.engine.connections[0]
    for index in 0..<12 { channel.send(request(tunnel, "id\(index)")) }
    connected.test.run { answers(connected.engine).count == Tunnel.backlog }
    var accepted = 0
    try tunnel.listen { _ in accepted += 1 }
    connected.test.run { accepted == 12 && answers(connected.engine).count == 12 }
    #expect(answers(connected.engine).allSatisfy { $0.error == nil })
    connected.close()
  }

  @Test func tooManyRequestsAreRefused() throws {
    let connected = try Connected(["zeroRtt": "false"])
    let tunnel = try connected.tunnel()
    try tunnel.listen { _ in }
    let channel = connected.engine.connections[0]
    // None of them is answered, so 64 stay open, 256 wait and the rest is refused at once.
    for index in 0..<(IncomingStreams.concurrent + IncomingStreams.queued + 5) {
      channel.send(request(tunnel, "id\(index)"))
    }
    connected.test.run {
      answers(connected.engine).count == 5 && requests(connected.engine).count == IncomingStreams.concurrent
    }
    #expect(answers(connected.engine).allSatisfy { $0.error?.code == .serviceUnavailable })
    connected.close()
  }

  @Test func streamsOutliveTheControlChannel() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var stream: RstreamClient.Stream?
    var text = ""
    try tunnel.listen { accepted in
      stream = accepted
      try? accepted.readStart { bytes, _ in text += String(decoding: bytes, as: UTF8.self) }
    }
    connected.engine.connections[0].send(request(tunnel, streamID))
    connected.test.run { stream != nil && !requests(connected.engine).isEmpty }
    let raw = requests(connected.engine)[0].0.detach()
    var isEnded = false
    connected.control.onEnd = { _ in isEnded = true }
    connected.engine.connections[0].reset()
    connected.test.run { isEnded }
    raw.write(Array("still here".utf8))
    connected.test.run { text == "still here" }
    raw.close()
    connected.close()
  }

  @Test func connectionsOfAnAgentAreResumed() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var streams: [RstreamClient.Stream] = []
    try tunnel.listen { streams.append($0) }
    for index in 0..<3 {
      connected.engine.connections[0].send(request(tunnel, "id\(index)"))
      connected.test.run { streams.count == index + 1 && connected.engine.resumed.count == index + 2 }
    }
    #expect(connected.engine.resumed == [false, true, true, true])
    connected.close()
  }

  @Test func forwardsToALocalServiceAndReportsOneThatIsDown() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var service: SocketChannel?
    let atService = Recorder()
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let listener = try Listener(connected.test.loop, on: any) { socket in
      service = socket
      socket.delegate = atService
      socket.readStart()
    }
    var events: [String] = []
    try tunnel.forward(to: "127.0.0.1:\(listener.address.port)") { event in
      switch event {
      case .opened(let peer): events.append("opened \(peer)")
      case .closed(_, let bytesIn, let bytesOut, let failure):
        events.append("closed \(bytesIn) \(bytesOut) \(failure?.code ?? 0)")
      }
    }
    connected.engine.connections[0].send(request(tunnel, streamID))
    connected.test.run { !requests(connected.engine).isEmpty }
    let raw = requests(connected.engine)[0].0.detach()
    let atConsumer = Recorder(reading: raw)
    raw.write(Array("ping".utf8))
    raw.shutdown()
    connected.test.run { atService.ended }
    #expect(atService.text == "ping")
    service?.write(Array("pong!".utf8))
    service?.shutdown()
    connected.test.run { atConsumer.ended && events.count == 2 }
    #expect(atConsumer.text == "pong!")
    #expect(events == ["opened 192.0.2.10", "closed 4 5 0"])
    #expect(answers(connected.engine) == [ProxyConnRsp(streamID: streamID)])

    listener.close()
    connected.engine.connections[0].send(request(tunnel, "aabb"))
    connected.test.run { answers(connected.engine).count == 2 }
    #expect(answers(connected.engine)[1].error?.code == .serviceUnavailable)
    service?.close()
    raw.close()
    connected.close()
  }
}
