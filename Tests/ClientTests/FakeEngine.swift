// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamClient

/// An engine of the test's own making: it accepts TLS connections and hands their messages to the test, which answers
/// what it likes, also what no engine should.
final class FakeEngine: MessageChannelDelegate {
  let test: TestLoop
  let port: UInt16
  /// Every message, with the connection it came on.
  var messages: [(MessageChannel, Message)] = []
  /// Called for each message.
  var onMessage: (MessageChannel, Message) -> Void = { _, _ in }
  private(set) var connections: [MessageChannel] = []
  private(set) var resumed: [Bool] = []
  private(set) var ended = 0
  private var listener: Listener?

  init(_ test: TestLoop) throws {
    self.test = test
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = TestCertificate.certificateFile
    settings.keyFile = TestCertificate.keyFile
    settings.alpn = .require(["rstrm/1"])
    let context = try TLSContext(server: settings)
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    var handshakes: [TLSChannel] = []
    var accept: (SocketChannel) -> Void = { _ in }
    let listener = try Listener(test.loop, on: any) { accept($0) }
    port = listener.address.port
    self.listener = listener
    accept = { [weak self] socket in
      var channel: TLSChannel?
      channel = try? TLSChannel(server: context, over: socket) { [weak self] failure in
        guard let self, failure == nil, let channel else { return }
        resumed.append(channel.isResumed)
        connections.append(MessageChannel(channel, self))
      }
      if let channel { handshakes.append(channel) }
    }
  }

  func close() {
    listener?.close()
    for connection in connections { connection.reset() }
  }

  func settings(_ more: [String: String] = [:]) throws -> ClientSettings {
    var settings = ClientSettings()
    try settings.set("engine", "localhost:\(port)")
    try settings.set("transport.tls.caFile", TestCertificate.certificateFile)
    for (name, value) in more { try settings.set(name, value) }
    return settings
  }

  /// Answers the opening of a control channel as an engine does.
  static func open(_ channel: MessageChannel, _ request: OpenControlChannelReq) {
    let liveness = request.liveness.map {
      ControlChannelLiveness(heartbeatIntervalMS: $0.heartbeatIntervalMS, heartbeatTimeoutMS: 15_000)
    }
    channel.send(.openControlChannelRsp(OpenControlChannelRsp(.ok(.init(clientID: "c1", liveness: liveness)))))
  }

  /// Behaves as an engine that opens control channels and private tunnels, closes them and acknowledges heartbeats.
  func behaveWell() {
    onMessage = { channel, message in
      switch message {
      case .openControlChannelReq(let request): FakeEngine.open(channel, request)
      case .openTunnelReq(let request):
        var properties = request.tunnelProperties ?? TunnelProperties()
        properties.id = "t-\(request.requestID.prefix(8))"
        properties.type = "bytestream"
        channel.send(.openTunnelRsp(OpenTunnelRsp(requestID: request.requestID, .tunnelProperties(properties))))
      case .closeTunnelReq(let request): channel.send(.closeTunnelRsp(CloseTunnelRsp(tunnelID: request.tunnelID)))
      case .closeControlChannelReq: channel.send(.closeControlChannelRsp(CloseControlChannelRsp()))
      case .heartbeat(let beat) where beat.sequence > 0:
        channel.send(.heartbeat(Heartbeat(acknowledgement: beat.sequence)))
      default: break
      }
    }
  }

  /// Those messages that `pick` picks.
  func all<T>(_ pick: (Message) -> T?) -> [T] { messages.compactMap { pick($0.1) } }

  // MARK: MessageChannelDelegate

  func messageChannel(_ channel: MessageChannel, received message: Message) {
    messages.append((channel, message))
    onMessage(channel, message)
  }

  func messageChannelEnded(_ channel: MessageChannel) {
    ended += 1
    channel.close()
  }

  func messageChannelDrained(_ channel: MessageChannel) {}

  func messageChannel(_ channel: MessageChannel, failed failure: Failure) { ended += 1 }
}

/// A client connected to a fake engine, with its control channel.
struct Connected {
  let test: TestLoop
  let engine: FakeEngine
  let client: Client
  let control: ControlChannel

  init(_ settings: [String: String] = [:]) throws {
    test = try TestLoop()
    engine = try FakeEngine(test)
    engine.behaveWell()
    client = try Client(test.loop, try engine.settings(settings))
    var opened: Result<ControlChannel, Failure>?
    try client.connect { opened = $0 }
    test.run { opened != nil }
    control = try #require(try opened?.get())
  }

  func tunnel(_ fill: (inout TunnelOptions) -> Void = { _ in }) throws -> Tunnel {
    var options = TunnelOptions()
    options.name = "n"
    options.publish = false
    fill(&options)
    var created: Result<Tunnel, Failure>?
    try control.createTunnel(options) { created = $0 }
    test.run { created != nil }
    return try #require(try created?.get())
  }

  /// Ends everything and checks that nothing is left.
  func close() {
    engine.close()
    test.close()
  }
}
