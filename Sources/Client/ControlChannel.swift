// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet
import RstreamWire

/// An open control channel: creates tunnels and receives the engine's requests for streams.
public final class ControlChannel: MessageChannelDelegate, ClientMember {
  /// How long the engine may take to confirm the end of a tunnel or of the channel, in milliseconds.
  static let closeTimeout: UInt64 = 5_000
  /// The engine is not read while more than this waits to be sent to it.
  private static let queueLimit = 1 << 20

  private enum State { case open, closing, ended }

  public let clientID: String
  public let serverDetails: ServerDetails
  /// Told once when the channel ends without `close`: nil when the engine ended it in an orderly way.
  public var onEnd: ((Failure?) -> Void)?

  let client: Client
  private let messages: MessageChannel
  private var heartbeats: Heartbeats?
  private var state = State.open
  private var openings: [String: TunnelOpening] = [:]
  private var tunnels: [String: Tunnel] = [:]
  private lazy var incoming = IncomingStreams(self)
  /// Packet channels without a stream, by the id of the stream that the engine asked for.
  private var datagramChannels: [String: QUICPacketChannel] = [:]
  private var closeTimer: LoopTimer?
  private var onClosed: [() -> Void] = []

  init(
    _ client: Client, _ messages: MessageChannel, _ answer: OpenControlChannelRsp.Ok, heartbeats mode: Heartbeats.Mode
  ) {
    self.client = client
    self.messages = messages
    clientID = answer.clientID
    serverDetails = answer.serverDetails ?? ServerDetails()
    messages.delegate = self
    client.add(self)
    heartbeats = Heartbeats(
      client.loop, mode, send: { [weak self] in self?.messages.send(.heartbeat($0)) },
      expired: { [weak self] timeout in
        self?.end(
          Failure(
            ErrorCode.controlLiveness,
            "control channel: the engine has been silent for \(timeout) ms; check the network and connect again"))
      })
    heartbeats?.begin()
    Log.info("control", "open as \(clientID)")
  }

  public var isOpen: Bool { state == .open }

  // MARK: Tunnels

  /// Asks the engine for a tunnel.
  public func createTunnel(_ options: TunnelOptions, _ done: @escaping (Result<Tunnel, Failure>) -> Void)
    throws(Failure)
  {
    guard state == .open else { throw closed("create a tunnel") }
    do {
      try options.validate()
    } catch {
      throw Failure(error)
    }
    let opening = TunnelOpening(self, done)
    openings[opening.requestID] = opening
    let request = OpenTunnelReq(requestID: opening.requestID, tunnelProperties: TunnelProperties(options.normalized()))
    guard messages.send(.openTunnelReq(request)) else {
      openings[opening.requestID] = nil
      opening.cancel()
      throw Failure(ErrorCode.frameTooLarge, "create a tunnel: the properties do not fit into a frame of 65535 bytes")
    }
  }

  private func answered(_ response: OpenTunnelRsp) {
    let opening = openings.removeValue(forKey: response.requestID)
    switch response.payload {
    case .error(let error):
      opening?.finish(.failure(Failure(error, during: "create a tunnel", hiding: client.secrets)))
    case .tunnelProperties(let properties):
      guard let opening, let tunnel = makeTunnel(properties, opening) else { return }
      opening.finish(.success(tunnel))
    case nil:
      opening?.finish(.failure(.brokenProtocol("create a tunnel", "OpenTunnelRsp says neither ok nor error")))
    }
  }

  /// Registers the tunnel before anything else is read: a request for a stream may follow at once.
  private func makeTunnel(_ properties: TunnelProperties, _ opening: TunnelOpening) -> Tunnel? {
    guard let id = properties.id, !id.isEmpty, tunnels[id] == nil else {
      opening.finish(.failure(.brokenProtocol("create a tunnel", "the engine gave no new tunnel id")))
      return nil
    }
    guard [nil, "bytestream", "datagram"].contains(properties.type) else {
      messages.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
      opening.finish(
        .failure(
          Failure(
            ErrorCode.unsupportedTunnel,
            "create a tunnel: the engine made a \(properties.type ?? "") tunnel; this build knows no such type")))
      return nil
    }
    let tunnel = Tunnel(self, id, properties)
    tunnels[id] = tunnel
    return tunnel
  }

  /// Gives up waiting for an answer. A tunnel that is made all the same would be nobody's: it is closed when its
  /// answer comes.
  func expired(_ opening: TunnelOpening) {
    openings[opening.requestID] = nil
    late.insert(opening.requestID)
  }

  private var late: Set<String> = []

  private func closeLate(_ response: OpenTunnelRsp) {
    guard late.remove(response.requestID) != nil else { return }
    if case .tunnelProperties(let properties) = response.payload, let id = properties.id {
      messages.send(.closeTunnelReq(CloseTunnelReq(tunnelID: id)))
    }
  }

  /// A tunnel that takes streams. One that is closing waits for the engine's confirmation and takes none.
  func openTunnel(_ id: String) -> Tunnel? {
    guard let tunnel = tunnels[id], tunnel.isOpen else { return nil }
    return tunnel
  }

  /// Tells the engine that a tunnel is over. False when there is nobody to tell.
  func sendClose(of tunnel: Tunnel) -> Bool {
    guard state == .open else { return false }
    incoming.cancel(tunnel)
    return messages.send(.closeTunnelReq(CloseTunnelReq(tunnelID: tunnel.id)))
  }

  func forget(_ tunnel: Tunnel) {
    if tunnels[tunnel.id] === tunnel { tunnels[tunnel.id] = nil }
  }

  // MARK: Streams

  /// Answers a request for a stream; exactly once for each.
  func answer(_ streamID: String, _ error: PeerError?) {
    messages.send(.proxyConnRsp(ProxyConnRsp(streamID: streamID, error: error)))
    // An engine that asks faster than it listens has to wait.
    if messages.queuedBytes > Self.queueLimit { messages.channel.readStop() }
  }

  /// The QUIC connection that datagram channels of this control channel's tunnels travel on; nil over TLS, and when the
  /// engine takes no datagrams.
  var datagramConnection: QUICConnection? { (messages.channel as? QUICStream)?.connection.takingDatagrams }

  /// A datagram channel that the engine has asked for; it has not been answered yet.
  func opened(_ channel: QUICPacketChannel, for streamID: String) {
    datagramChannels[streamID] = channel
    channel.onClose = { [weak self] _ in self?.forgetChannel(streamID) }
  }

  /// The request was answered with success: from now on the engine is told of the channel's end, once.
  func tellEnd(of channel: QUICPacketChannel, for streamID: String) {
    guard !channel.isClosed else {
      // The engine's own word for it is not answered.
      if !channel.isClosedByPeer { sendEnd(ofChannel: streamID, channel.reason) }
      return
    }
    channel.onClose = { [weak self] failure in
      guard self?.forgetChannel(streamID) != nil else { return }
      self?.sendEnd(ofChannel: streamID, failure)
    }
  }

  private func sendEnd(ofChannel streamID: String, _ failure: Failure?) {
    guard state == .open else { return }
    let error = failure.map(client.channelWords.of)
    messages.send(.datagramChannelClose(DatagramChannelClose(streamID: streamID, error: error)))
  }

  @discardableResult
  func forgetChannel(_ streamID: String) -> QUICPacketChannel? { datagramChannels.removeValue(forKey: streamID) }

  // MARK: Ending

  /// Ends the channel and its tunnels in an orderly way.
  public func close(_ done: @escaping () -> Void) throws(Failure) {
    guard onClosed.isEmpty, !isCloseRequested else { throw closed("close the control channel") }
    isCloseRequested = true
    onClosed.append(done)
    onEnd = nil
    if state == .open {
      beginClosing()
    } else if state == .ended {
      client.loop.later { [self] in reportClosed() }
    }
  }

  private var isCloseRequested = false

  func clientIsClosing() {
    switch state {
    case .open:
      let report = onEnd
      onEnd = nil
      beginClosing()
      client.loop.later { report?(.clientClosed("control channel")) }
    case .closing: break
    case .ended: client.loop.later { [self] in reportClosed() }
    }
  }

  private func beginClosing() {
    state = .closing
    messages.send(.closeControlChannelReq(CloseControlChannelReq()))
    stopServing(closed("control channel"))
    closeTimer = LoopTimer(client.loop, after: Self.closeTimeout) { [self] in
      Log.warn("control", "the engine did not confirm the end of the channel")
      end(nil)
    }
  }

  /// The channel is over: nothing more can be sent or received.
  private func end(_ failure: Failure?) {
    guard state != .ended else { return }
    let wasOpen = state == .open
    state = .ended
    closeTimer?.close()
    closeTimer = nil
    let isLost = failure?.code == ErrorCode.controlLiveness
    client.transport.controlEnded(messages.channel, isLost: isLost)
    if isLost {
      // Nobody is there to receive what is queued.
      messages.reset()
    } else {
      messages.close()
    }
    if wasOpen {
      Log.info("control", "ended: \(failure?.message ?? "by the engine")")
      stopServing(failure ?? Failure(ErrorCode.controlClosed, "the engine closed the control channel"))
      let report = onEnd
      onEnd = nil
      report?(failure)
    }
    // A channel nobody has closed yet stays with its owner; the client forgets it all the same.
    if isCloseRequested || !client.isOpen { reportClosed() }
  }

  private func stopServing(_ failure: Failure) {
    heartbeats?.stop()
    incoming.stop()
    let openings = self.openings.values
    self.openings = [:]
    let tunnels = self.tunnels.values
    self.tunnels = [:]
    let expected = state == .closing
    client.loop.later {
      for opening in openings { opening.finish(.failure(failure)) }
    }
    for tunnel in tunnels { tunnel.controlEnded(expected ? nil : failure, isOwn: expected) }
  }

  private func reportClosed() {
    let reports = onClosed
    onClosed = []
    for report in reports { report() }
    client.remove(self)
  }

  private func closed(_ attempt: String) -> Failure {
    Failure(ErrorCode.controlClosed, "\(attempt): the control channel is closed")
  }

  // MARK: Messages

  public func messageChannel(_ channel: MessageChannel, received message: Message) {
    heartbeats?.messageReceived()
    switch message {
    case .heartbeat(let heartbeat):
      guard state == .open, let wrong = heartbeats?.receive(heartbeat) else { return }
      end(.brokenProtocol("control channel", wrong))
    case .openTunnelRsp(let response):
      if openings[response.requestID] != nil { answered(response) } else { closeLate(response) }
    case .closeTunnelRsp(let response):
      tunnels.removeValue(forKey: response.tunnelID)?.engineClosed()
    case .closeControlChannelRsp:
      end(nil)
    case .proxyConnReq(let request):
      guard state == .open else { return }
      guard !trimmed(request.streamID).isEmpty else {
        return end(.brokenProtocol("control channel", "the engine asked for a stream without an id"))
      }
      incoming.open(request)
    case .datagramChannelClose(let end):
      forgetChannel(end.streamID)?.peerClosed(end.trouble.map(client.channelWords.failure))
    case .serverMessage(let message):
      Log.info("control", "the engine says: \(client.secrets.hidden(in: message.message))")
    default:
      Log.debug("control", "a message of another kind was ignored")
    }
  }

  public func messageChannelEnded(_ channel: MessageChannel) {
    end(state == .closing ? nil : .uv(-ECONNRESET, "control channel: the engine closed the connection"))
  }

  public func messageChannelDrained(_ channel: MessageChannel) {
    channel.channel.readStart()
  }

  public func messageChannel(_ channel: MessageChannel, failed failure: Failure) {
    end(failure.during("control channel"))
  }
}

/// A tunnel that was asked for.
final class TunnelOpening {
  let requestID = randomUUID()
  private var completion: ((Result<Tunnel, Failure>) -> Void)?
  private var timer: LoopTimer?

  init(_ control: ControlChannel, _ completion: @escaping (Result<Tunnel, Failure>) -> Void) {
    self.completion = completion
    let timeout = UInt64(control.client.settings.operationTimeoutMilliseconds)
    timer = LoopTimer(control.client.loop, after: timeout) { [self, control] in
      control.expired(self)
      finish(
        .failure(
          Failure(ErrorCode.operationTimeout, "create a tunnel: no answer from the engine after \(timeout) ms")))
    }
  }

  func finish(_ result: Result<Tunnel, Failure>) {
    timer?.close()
    timer = nil
    let report = completion
    completion = nil
    report?(result)
  }

  func cancel() {
    completion = nil
    timer?.close()
    timer = nil
  }
}

/// A random UUID (RFC 9562, version 4).
private func randomUUID() -> String {
  var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
  bytes[6] = bytes[6] & 0x0F | 0x40
  bytes[8] = bytes[8] & 0x3F | 0x80
  let digits = Array("0123456789abcdef")
  var text = ""
  for (index, byte) in bytes.enumerated() {
    if [4, 6, 8, 10].contains(index) { text.append("-") }
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
  return text
}
