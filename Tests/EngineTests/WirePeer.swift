// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import Testing

/// The other end of a connection that begins with messages: an agent's control channel, a proxy stream, a dialer.
final class WirePeer: MessageChannelDelegate {
  let harness: Harness
  private(set) var messages: MessageChannel!
  private(set) var received: [Message] = []
  private(set) var isEnded = false
  var clientID = ""

  init(_ channel: ByteChannel, _ harness: Harness) {
    self.harness = harness
    messages = MessageChannel(channel, self)
  }

  func messageChannel(_ channel: MessageChannel, received message: Message) {
    received.append(message)
    if detachesAfterFirst { raw = RawPeer(channel.detach(), harness) }
  }

  func messageChannelEnded(_ channel: MessageChannel) { isEnded = true }
  func messageChannelDrained(_ channel: MessageChannel) {}
  func messageChannel(_ channel: MessageChannel, failed failure: Failure) { isEnded = true }

  func send(_ message: Message) { messages.send(message) }

  /// The next message; `.unknown` when the connection has ended instead.
  func next(_ location: SourceLocation = #_sourceLocation) -> Message {
    harness.run("a message", location) { !received.isEmpty || isEnded }
    return received.isEmpty ? .unknown : received.removeFirst()
  }

  func expectEnd(_ location: SourceLocation = #_sourceLocation) {
    harness.run("the end of the connection", location) { isEnded }
    messages.close()
  }

  /// What follows the first message that comes is bytes.
  var detachesAfterFirst = false
  private(set) var raw: RawPeer?

  func detach() -> RawPeer { RawPeer(messages.detach(), harness) }

  func close() { messages.close() }

  // MARK: Control channel

  func openControl(
    agent: String = "test", token: String? = nil, version: String? = "1.4.5", interval: UInt32? = nil
  ) {
    send(
      .openControlChannelReq(
        OpenControlChannelReq(
          clientDetails: ClientDetails(agent: agent, token: token, protocolVersion: version),
          liveness: interval.map { ControlChannelLiveness(heartbeatIntervalMS: $0) })))
  }

  func requestTunnel(_ adjust: (inout TunnelProperties) -> Void) {
    var properties = TunnelProperties()
    adjust(&properties)
    send(.openTunnelReq(OpenTunnelReq(requestID: "r", tunnelProperties: properties)))
  }

  /// Opens a tunnel and gives its effective properties.
  func tunnel(
    _ location: SourceLocation = #_sourceLocation, _ adjust: (inout TunnelProperties) -> Void
  ) throws -> TunnelProperties {
    requestTunnel(adjust)
    guard case .openTunnelRsp(let response) = next(location), case .tunnelProperties(let properties) = response.payload
    else { throw Harness.HarnessError.refused }
    return properties
  }

  func privateTunnel(_ name: String, _ location: SourceLocation = #_sourceLocation) throws -> TunnelProperties {
    try tunnel(location) {
      $0.name = name
      $0.publish = false
    }
  }

  func refusedTunnel(
    _ location: SourceLocation = #_sourceLocation, _ adjust: (inout TunnelProperties) -> Void
  ) -> PeerError.Code? {
    requestTunnel(adjust)
    guard case .openTunnelRsp(let response) = next(location), case .error(let error) = response.payload else {
      return nil
    }
    return error.code
  }

  // MARK: Owner

  func nextRequest(_ location: SourceLocation = #_sourceLocation) throws -> ProxyConnReq {
    guard case .proxyConnReq(let request) = next(location) else { throw Harness.HarnessError.refused }
    return request
  }

  /// Delivers a stream that the engine asked for.
  func deliver(_ request: ProxyConnReq, zeroRTT: Bool? = true) throws -> RawPeer {
    let peer = try harness.wire()
    peer.detachesAfterFirst = true
    peer.sendProxyReq(request, zeroRTT: zeroRTT)
    if zeroRTT == true { return peer.detach() }
    #expect(peer.next() == .proxyRsp(ProxyRsp()))
    return try #require(peer.raw)
  }

  func sendProxyReq(_ request: ProxyConnReq, zeroRTT: Bool? = true, secret: String? = nil) {
    send(
      .proxyReq(
        ProxyReq(
          clientDetails: ClientDetails(token: secret ?? request.secret), streamID: request.streamID, zeroRTT: zeroRTT)))
  }

  // MARK: Dialer

  func sendStreamReq(_ tunnel: String, zeroRTT: Bool? = true, token: String? = nil, datagrams: Bool? = nil) {
    send(
      .streamReq(
        StreamReq(
          clientDetails: ClientDetails(agent: "test", token: token, protocolVersion: "1.4.5"), tunnelIDOrName: tunnel,
          zeroRTT: zeroRTT, datagramChannel: datagrams)))
  }
}

/// The other end of a stream of bytes.
final class RawPeer: ByteChannelDelegate {
  let harness: Harness
  let channel: ByteChannel
  private(set) var received: [UInt8] = []
  private(set) var isEnded = false
  private(set) var failure: Failure?

  init(_ channel: ByteChannel, _ harness: Harness, reading: Bool = true) {
    self.channel = channel
    self.harness = harness
    channel.delegate = self
    if reading { channel.readStart() }
  }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) { received += bytes }
  func channelReceivedEnd(_ channel: ByteChannel) { isEnded = true }
  func channelDrained(_ channel: ByteChannel) {}
  func channel(_ channel: ByteChannel, failed failure: Failure) { self.failure = failure }

  var text: String { String(decoding: received, as: UTF8.self) }

  func send(_ text: String) { channel.write(Array(text.utf8)) }

  /// Gives what has come and forgets it.
  func take() -> String {
    defer { received = [] }
    return text
  }

  func expect(_ text: String, _ location: SourceLocation = #_sourceLocation) {
    harness.run("\(text)", location) { self.text == text || isEnded || failure != nil }
    #expect(self.text == text, sourceLocation: location)
  }

  func expectEnd(_ location: SourceLocation = #_sourceLocation) {
    harness.run("the end", location) { isEnded }
  }

  func expectGone(_ location: SourceLocation = #_sourceLocation) {
    harness.run("the connection's end", location) { isEnded || failure != nil }
    channel.close()
  }
}
