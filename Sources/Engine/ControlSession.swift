// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// An open control channel: a client and its tunnels.
final class ControlSession: Session, MessageChannelDelegate {
  /// Above this many bytes that the client has not taken, acknowledgements are held back to be the next that is sent, and
  /// new streams wait.
  private static let congestion = 16_384

  let engine: Engine
  let id: String
  /// As the client said, without its token.
  let details: ClientDetails
  let grant: AccessGrant
  private(set) lazy var requests = StreamRequests(engine.broker, self)
  private let messages: MessageChannel
  private var liveness: Liveness?
  private var silence: SilenceDeadline?
  private var tunnels: [String: Tunnel] = [:]
  private var isOpen = true
  /// Packet channels without a stream, by the id of the stream that the client was asked for.
  private var datagramChannels: [String: QUICPacketChannel] = [:]

  /// Answers the request that opens a control channel. The channel is closed when the request is refused.
  static func open(
    _ messages: MessageChannel, _ request: OpenControlChannelReq, certificate: PeerCertificate, _ engine: Engine
  ) {
    do throws(Refusal) {
      let grant = try ClientAdmission.judgeControl(request.clientDetails, certificate: certificate, engine)
      QUICSession.accepted(over: messages.channel)
      engine.opened(ControlSession(messages, request, grant, engine))
    } catch {
      Log.info("engine", "client refused: \(error.error.code.rawValue) \(error.error.message ?? "")")
      messages.send(.openControlChannelRsp(OpenControlChannelRsp(.error(error.error))))
      messages.close()
    }
  }

  private init(_ messages: MessageChannel, _ request: OpenControlChannelReq, _ grant: AccessGrant, _ engine: Engine) {
    self.engine = engine
    self.messages = messages
    self.grant = grant
    id = RandomHex.text(bytes: 12)
    details = ClientAdmission.kept(request.clientDetails)
    messages.delegate = self
    (messages.channel as? QUICStream)?.needsBothDirections = true
    let agreed = Liveness.agreed(request.liveness, patience: engine.patience)
    if let agreed {
      let liveness = Liveness(agreed)
      self.liveness = liveness
      silence = SilenceDeadline(engine.loop, after: liveness.timeout) { [self] in
        end("no heartbeat in \(liveness.timeout) ms")
      }
    }
    send(
      .openControlChannelRsp(
        OpenControlChannelRsp(
          .ok(.init(clientID: id, serverDetails: engine.serverDetails, liveness: agreed)))))
  }

  /// The client leaves so much unread that nothing is to be added.
  var isCongested: Bool { queuedBytes > Self.congestion }

  var queuedBytes: Int { messages.queuedBytes }

  func send(_ message: Message) { messages.send(message) }

  /// The QUIC connection that datagram channels of this client's tunnels travel on; nil over TLS, and when the client takes
  /// no datagrams.
  var datagramConnection: QUICConnection? { (messages.channel as? QUICStream)?.connection.takingDatagrams }

  /// The client has agreed to a datagram channel: each side tells the other of its end. Without control channel the
  /// connection's end is that of the channel.
  func opened(_ channel: QUICPacketChannel, for streamID: String) {
    datagramChannels[streamID] = channel
    channel.onClose = { [weak self] failure in
      guard let self, datagramChannels.removeValue(forKey: streamID) != nil, isOpen else { return }
      let error = failure.map(ConsumerPackets.words.of)
      send(.datagramChannelClose(DatagramChannelClose(streamID: streamID, error: error)))
    }
  }

  // MARK: Ending

  func drain() {
    guard isOpen else { return }
    send(.closeControlChannelRsp(CloseControlChannelRsp()))
    end("the engine stops")
  }

  func cut() {
    messages.reset()
    end("the engine is closed")
  }

  /// The control channel is over. What it registered is free at once, for the client may be back already; streams that
  /// are established go on.
  private func end(_ why: String) {
    guard isOpen else { return }
    isOpen = false
    Log.info("engine", "client \(id) gone: \(why)")
    messages.close()
    silence?.close()
    silence = nil
    for tunnel in tunnels.values { remove(tunnel) }
    tunnels.removeAll()
    requests.close(.io)
    engine.closed(self)
  }

  private func remove(_ tunnel: Tunnel) {
    engine.registry.remove(tunnel)
    engine.feed.tell(.tunnels, .deleted, tunnel.record)
    tunnel.close()
  }

  // MARK: Messages

  func messageChannel(_ channel: MessageChannel, received message: Message) {
    guard isOpen else { return }
    silence?.heard()
    switch message {
    case .heartbeat(let heartbeat):
      liveness?.received(heartbeat)
      acknowledge()
    case .openTunnelReq(let request): openTunnel(request)
    case .closeTunnelReq(let request): closeTunnel(request.tunnelID)
    case .proxyConnRsp(let response): requests.answered(response)
    case .datagramChannelClose(let end):
      datagramChannels.removeValue(forKey: end.streamID)?.peerClosed(end.trouble.map(ConsumerPackets.words.failure))
    case .closeControlChannelReq:
      send(.closeControlChannelRsp(CloseControlChannelRsp()))
      end("it said so")
    case .openControlChannelReq, .proxyReq, .streamReq:
      end("a message that opens another connection came on its control channel")
    default:
      // Later versions may say more.
      break
    }
    // A client that does not take its answers is not asked for more questions.
    if isOpen, queuedBytes > ByteChannel.highWater { messages.channel.readStop() }
  }

  func messageChannelDrained(_ channel: MessageChannel) {
    guard isOpen else { return }
    acknowledge()
    requests.sendWaiting()
    messages.channel.readStart()
  }

  func messageChannelEnded(_ channel: MessageChannel) { end("it closed the connection") }

  func messageChannel(_ channel: MessageChannel, failed failure: Failure) { end(failure.message) }

  private func acknowledge() {
    guard !isCongested, let heartbeat = liveness?.takeAcknowledgement() else { return }
    send(.heartbeat(heartbeat))
  }

  // MARK: Tunnels

  private func openTunnel(_ request: OpenTunnelReq) {
    func answer(_ payload: OpenTunnelRsp.Payload) -> Bool {
      messages.send(.openTunnelRsp(OpenTunnelRsp(requestID: request.requestID, payload)))
    }
    do throws(Refusal) {
      let tunnel = try TunnelOpening.open(
        request.tunnelProperties ?? TunnelProperties(), for: self, count: tunnels.count)
      // The client has to know the tunnel before anybody can find it.
      guard answer(.tunnelProperties(tunnel.properties)) else {
        tunnel.close()
        throw Refusal(.invalidRequest, "The tunnel's properties are too large.")
      }
      tunnels[tunnel.id] = tunnel
      engine.registry.add(tunnel)
      engine.feed.tell(.tunnels, .created, tunnel.record)
      Log.info("engine", "client \(id): tunnel \(tunnel.id) \(tunnel.properties.host ?? tunnel.properties.name ?? "")")
    } catch {
      Log.info("engine", "client \(id): tunnel refused: \(error.error.code.rawValue) \(error.error.message ?? "")")
      if !answer(.error(error.error)) { end("its request for a tunnel cannot be answered") }
    }
  }

  private func closeTunnel(_ id: String) {
    if let tunnel = tunnels.removeValue(forKey: id) {
      remove(tunnel)
      requests.fail(tunnel)
    } else if details.agent == "rstream-utils" {
      // To the C++ client an answer to a tunnel that it knows to be closed is a fatal error; others repeat requests.
      return
    }
    send(.closeTunnelRsp(CloseTunnelRsp(tunnelID: id)))
  }
}
