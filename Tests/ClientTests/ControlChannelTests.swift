// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamClient

struct ControlChannelTests {
  /// Opens a control channel against an engine that answers with `answer`.
  private func open(_ settings: [String: String] = [:], _ answer: Message?) throws -> Result<ControlChannel, Failure> {
    let test = try TestLoop()
    let engine = try FakeEngine(test)
    engine.onMessage = { channel, _ in if let answer { channel.send(answer) } }
    let client = try Client(test.loop, try engine.settings(settings))
    var opened: Result<ControlChannel, Failure>?
    try client.connect { opened = $0 }
    #expect(opened == nil)
    test.run { opened != nil }
    engine.close()
    test.close()
    return try #require(opened)
  }

  private func code(_ result: Result<ControlChannel, Failure>) -> Int32 {
    if case .failure(let failure) = result { failure.code } else { 0 }
  }

  private func liveness(_ interval: UInt32, _ timeout: UInt32) -> Message {
    .openControlChannelRsp(
      OpenControlChannelRsp(
        .ok(
          .init(
            clientID: "c", liveness: ControlChannelLiveness(heartbeatIntervalMS: interval, heartbeatTimeoutMS: timeout))
        )))
  }

  @Test func identifiesItselfAndAsksForLiveness() throws {
    let connected = try Connected(["auth.token": "top-secret", "heartbeat.intervalMs": "1000"])
    let request = try #require(
      connected.engine.all { if case .openControlChannelReq(let request) = $0 { request } else { nil } }.first)
    #expect(request.clientDetails?.agent == "librstream")
    #expect(request.clientDetails?.token == "top-secret")
    #expect(request.clientDetails?.protocolVersion == "1.4.5")
    #expect(request.liveness == ControlChannelLiveness(heartbeatIntervalMS: 1000))
    #expect(connected.control.clientID == "c1")
    connected.close()
  }

  @Test func sendsNumberedHeartbeatsAtOnce() throws {
    let connected = try Connected(["heartbeat.intervalMs": "1000"])
    func beats() -> [Heartbeat] { connected.engine.all { if case .heartbeat(let beat) = $0 { beat } else { nil } } }
    connected.test.run { beats().count >= 2 }
    #expect(beats().prefix(2) == [Heartbeat(sequence: 1), Heartbeat(sequence: 2)])
    connected.close()
  }

  @Test func engineRefusalKeepsItsCode() throws {
    let refusal = Message.openControlChannelRsp(OpenControlChannelRsp(.error(PeerError(.unauthorized, "no"))))
    guard case .failure(let failure) = try open([:], refusal) else { return #expect(Bool(false)) }
    #expect(failure.code == ErrorCode.engine)
    #expect(failure.engineCode == 1000)
  }

  @Test func malformedAnswersAreProtocolErrors() throws {
    let answers: [Message] = [
      .openControlChannelRsp(OpenControlChannelRsp()),
      .openControlChannelRsp(OpenControlChannelRsp(.ok(.init(clientID: "")))),
      .heartbeat(Heartbeat()),
      liveness(4999, 15_000),
      liveness(5000, 4999),
      liveness(5000, 900_001),
    ]
    for answer in answers { #expect(code(try open([:], answer)) == ErrorCode.protocolViolation, "\(answer)") }
    #expect(code(try open(["heartbeat.enabled": "false"], liveness(5000, 15_000))) == ErrorCode.protocolViolation)
  }

  @Test func silenceTimesOut() throws {
    #expect(code(try open(["timeouts.operationMs": "100"], nil)) == ErrorCode.operationTimeout)
  }

  @Test func wrongHeartbeatsEndTheChannel() throws {
    for (wrong, interval) in [(Heartbeat(acknowledgement: 99), "1000"), (Heartbeat(sequence: 1), "1000")] {
      let connected = try Connected(["heartbeat.intervalMs": interval])
      var ended: Failure?
      connected.control.onEnd = { ended = $0 }
      connected.engine.connections[0].send(.heartbeat(wrong))
      connected.test.run { ended != nil }
      #expect(ended?.code == ErrorCode.protocolViolation)
      connected.close()
    }
  }

  @Test func anOrderlyEndByTheEngineIsNoFailure() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var tunnelEnd: Failure?
    tunnel.onEnd = { tunnelEnd = $0 }
    var isEnded = false
    connected.control.onEnd = {
      #expect($0 == nil)
      isEnded = true
    }
    connected.engine.connections[0].send(.closeControlChannelRsp(CloseControlChannelRsp()))
    connected.test.run { isEnded && tunnelEnd != nil }
    #expect(tunnelEnd?.code == ErrorCode.controlClosed)
    var isClosed = 0
    try connected.control.close { isClosed += 1 }
    try tunnel.close { isClosed += 1 }
    #expect(throws: Failure.self) { try connected.control.close {} }
    connected.test.run { isClosed == 2 }
    connected.close()
  }

  @Test func unknownMessagesAreIgnored() throws {
    let connected = try Connected()
    let channel = connected.engine.connections[0]
    channel.send(.unknown)
    channel.send(.serverMessage(ServerMessage("maintenance at noon")))
    channel.send(.openTunnelRsp(OpenTunnelRsp(requestID: "unknown", .error(PeerError(.internal)))))
    channel.send(.closeTunnelRsp(CloseTunnelRsp(tunnelID: "unknown")))
    _ = try connected.tunnel()
    connected.close()
  }

  @Test func aRequestWithoutStreamIDEndsTheChannel() throws {
    let connected = try Connected()
    let tunnel = try connected.tunnel()
    var ended: Failure?
    connected.control.onEnd = { ended = $0 }
    connected.engine.connections[0].send(.proxyConnReq(ProxyConnReq(tunnelID: tunnel.id, streamID: " ", secret: "s")))
    connected.test.run { ended != nil }
    #expect(ended?.code == ErrorCode.protocolViolation)
    connected.close()
  }

  @Test func anOversizeFrameEndsTheChannel() throws {
    let connected = try Connected()
    var ended: Failure?
    connected.control.onEnd = { ended = $0 }
    connected.engine.connections[0].channel.write([0, 1, 0, 0, 0])
    connected.test.run { ended != nil }
    #expect(ended?.code == ErrorCode.frameTooLarge)
    connected.close()
  }

  @Test func closingTheClientEndsWhatIsUnderWay() throws {
    let test = try TestLoop()
    let engine = try FakeEngine(test)
    let client = try Client(test.loop, try engine.settings())
    var outcomes: [Int32] = []
    try client.connect { result in if case .failure(let failure) = result { outcomes.append(failure.code) } }
    try client.dial("x") { result in if case .failure(let failure) = result { outcomes.append(failure.code) } }
    var isClosed = false
    try client.close { isClosed = true }
    #expect(outcomes.isEmpty)
    test.run { isClosed }
    #expect(outcomes == [ErrorCode.clientClosed, ErrorCode.clientClosed])
    #expect(throws: Failure.self) { try client.close {} }
    #expect(throws: Failure.self) { try client.dial("x") { _ in } }
    engine.close()
    test.close()
  }

  @Test func aTunnelThatComesTooLateIsClosed() throws {
    let test = try TestLoop()
    let engine = try FakeEngine(test)
    engine.behaveWell()
    let answerWell = engine.onMessage
    var held: (MessageChannel, Message)?
    engine.onMessage = { channel, message in
      if case .openTunnelReq = message { held = (channel, message) } else { answerWell(channel, message) }
    }
    let client = try Client(test.loop, try engine.settings(["timeouts.operationMs": "150"]))
    var control: ControlChannel?
    try client.connect { control = try? $0.get() }
    test.run { control != nil }
    var failure: Failure?
    try control?.createTunnel(TunnelOptions()) { result in if case .failure(let late) = result { failure = late } }
    test.run { failure != nil }
    #expect(failure?.code == ErrorCode.operationTimeout)
    let (channel, message) = try #require(held)
    answerWell(channel, message)
    test.run { !engine.all { if case .closeTunnelReq(let request) = $0 { request } else { nil } }.isEmpty }
    engine.close()
    test.close()
  }
}
