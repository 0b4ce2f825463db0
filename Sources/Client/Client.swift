// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet
import RstreamWire

/// Knows an engine and how to reach it; opens control channels and dials private tunnels.
public final class Client: LoopChild {
  public let loop: Loop
  public private(set) var settings: ClientSettings
  let transport: Transport
  let apiConnections: APIConnectionPool
  let apiDiscovery = APIDiscovery()
  /// For watching over WebSocket.
  var webSocketTiming = WebSocketEvents.Timing()
  let engineSource: EngineSource
  let identityProvider: (any IdentityProvider)?
  private let identity = ClientIdentity()
  private var members: [ObjectIdentifier: any ClientMember] = [:]
  private var state = State.open
  private var onClosed: [() -> Void] = []

  private enum State { case open, closing, closed }

  /// - Parameter environment: reads a variable of the process, for transport.proxy.fromEnvironment
  public init(_ loop: Loop, _ settings: ClientSettings, environment: (String) -> String? = { _ in nil }) throws(Failure)
  {
    guard !loop.isClosing else { throw Failure(ErrorCode.loopClosed, "make a client: the loop is closed") }
    let network: NetworkSettings
    do {
      try settings.validate(now: Int64(time(nil)))
      network = try settings.network(environment)
    } catch {
      throw Failure(error)
    }
    self.loop = loop
    self.settings = settings
    engineSource = EngineSource(settings, environment: environment)
    identityProvider = try settings.identityProvider(loop, environment: environment)
    transport = try Transport(loop, settings, network)
    apiConnections = APIConnectionPool(loop)
    loop.childOpened(self)
  }

  /// Opens a control channel.
  public func connect(_ done: @escaping (Result<ControlChannel, Failure>) -> Void) throws(Failure) {
    try checkOpen("connect")
    whenEngineIsKnown("open a control channel") { [self] in
      add(
        ControlOpening(self) { [self] result in
          if case .failure(let failure) = result { learn(from: failure) }
          done(result)
        })
    } orElse: {
      done(.failure($0))
    }
  }

  /// Opens a stream to a private bytestream tunnel.
  public func dial(_ nameOrID: String, _ done: @escaping (Result<Stream, Failure>) -> Void) throws(Failure) {
    try open(nameOrID) { [self] result in
      done(
        result.map { channel, id in
          let stream = Stream(self, channel, id: id, peer: "")
          add(stream)
          return stream
        })
    }
  }

  /// Opens a packet channel to a private datagram tunnel.
  public func dialPackets(_ nameOrID: String, _ done: @escaping (Result<Packets, Failure>) -> Void) throws(Failure) {
    func deliver(_ channel: PacketChannel, _ id: String) {
      let packets = Packets(self, channel, id: id, peer: "")
      add(packets)
      done(.success(packets))
    }
    func openStream(_ target: String) {
      add(
        Dial(self, target) { result in
          switch result {
          case .success(let (channel, id)): deliver(FramedPacketChannel(channel), id)
          case .failure(let failure): done(.failure(failure))
          }
        })
    }
    try whenTargetIsKnown(nameOrID) { [self] target in
      guard transport.mayCarryDatagrams else { return openStream(target) }
      add(
        DatagramDial(self, target) { outcome in
          switch outcome {
          case .success(.channel(let channel, let id)): deliver(channel, id)
          case .success(.notGranted): openStream(target)
          case .failure(let failure): done(.failure(failure))
          }
        })
    } orElse: {
      done(.failure($0))
    }
  }

  private func open(_ nameOrID: String, _ done: @escaping Dial.Completion) throws(Failure) {
    try whenTargetIsKnown(nameOrID) { [self] target in
      add(Dial(self, target, done))
    } orElse: {
      done(.failure($0))
    }
  }

  private func whenTargetIsKnown(
    _ nameOrID: String, _ next: @escaping (String) -> Void, orElse fail: @escaping (Failure) -> Void
  ) throws(Failure) {
    try checkOpen("dial")
    let target = trimmed(nameOrID)
    guard !target.isEmpty else { throw Failure(ErrorCode.invalidTunnel, "dial: the tunnel's name or id is blank") }
    whenEngineIsKnown("dial \(target)", { next(target) }, orElse: fail)
  }

  /// Ends everything that belongs to the client: control channels in an orderly way, streams at once.
  public func close(_ done: @escaping () -> Void) throws(Failure) {
    try checkOpen("close the client")
    beginClosing()
    onClosed.append(done)
  }

  public func loopIsClosing() {
    if state == .open { beginClosing() }
  }

  public var isOpen: Bool { state == .open }

  /// Takes the address that the control plane has told.
  func use(_ engine: EngineAddress) throws(Failure) {
    settings.resolvedEngine = engine
    let network: NetworkSettings
    do throws(ConfigError) {
      network = try settings.network { engineSource.proxyVariables[$0] }
    } catch {
      throw Failure(error)
    }
    try transport.use(engine, network, settings)
  }

  func checkOpen(_ attempt: String) throws(Failure) {
    guard state == .open else { throw Failure(ErrorCode.clientClosed, "\(attempt): the client is closed") }
  }

  private func beginClosing() {
    state = .closing
    apiConnections.close()
    identityProvider?.close()
    for member in members.values { member.clientIsClosing() }
    loop.later { [self] in closeWhenEmpty() }
  }

  private func closeWhenEmpty() {
    guard state == .closing, members.isEmpty else { return }
    state = .closed
    transport.finish()
    let reports = onClosed
    onClosed = []
    for report in reports { report() }
    loop.childClosed(self)
  }

  // MARK: Members

  func add(_ member: any ClientMember) {
    members[ObjectIdentifier(member)] = member
    guard state != .open else { return }
    // What comes about while the client closes ends with it.
    loop.later { [self] in
      if members[ObjectIdentifier(member)] != nil { member.clientIsClosing() }
    }
  }

  func remove(_ member: any ClientMember) {
    guard members.removeValue(forKey: ObjectIdentifier(member)) != nil, state == .closing, members.isEmpty else {
      return
    }
    // Whoever removes itself is still at work; its own callbacks come before the client's.
    loop.later { [self] in closeWhenEmpty() }
  }

  /// What engine and control plane are shown, and may repeat.
  var secrets: Secrets { Secrets([settings.token] + settings.headers.headers.map(\.value)) }

  /// What others are told of failures that have ended a packet channel here, and what theirs are called here.
  var channelWords: DatagramChannelSignal.Words {
    let secrets = self.secrets
    return DatagramChannelSignal.Words(
      of: { PeerError(.serviceUnavailable, secrets.hidden(in: $0.message)) },
      heard: { error in
        let text = secrets.hidden(in: error.message ?? "no reason given")
        return Failure(
          ErrorCode.engine, "packet channel: the other side has ended it: \(text) (code \(error.code.rawValue))",
          engineCode: error.code.rawValue)
      })
  }

  /// Who this client is; `token` is the client's own or a stream's secret.
  func details(token: String?) -> ClientDetails { identity.details(token: token) }
}

/// Something a client owns until it has ended: a control channel, an operation under way, a stream.
protocol ClientMember: AnyObject {
  /// End, then call `Client.remove`.
  func clientIsClosing()
}

extension Failure {
  /// A refused setting in the codes of the C API.
  public init(_ error: ConfigError) {
    let code: Int32 =
      switch error.kind {
      case .invalidConfig: ErrorCode.invalidConfig
      case .invalidEngine: ErrorCode.invalidEngine
      case .engineRequired: ErrorCode.engineRequired
      case .invalidTimeout: ErrorCode.invalidTimeout
      case .authConflict: ErrorCode.authConflict
      case .mtlsIncomplete: ErrorCode.mtlsIncomplete
      case .tokenExpired: ErrorCode.tokenExpired
      case .unsupportedTransport: ErrorCode.unsupportedTransport
      case .authRequired: ErrorCode.authRequired
      case .contextNotFound: ErrorCode.contextNotFound
      case .contextAmbiguous: ErrorCode.contextAmbiguous
      case .invalidAPIURL: ErrorCode.invalidAPIURL
      case .invalidRegion: ErrorCode.invalidRegion
      case .regionEngineConflict: ErrorCode.regionEngineConflict
      case .projectEndpointRequired: ErrorCode.projectEndpointRequired
      case .storedTokenEngineOverride: ErrorCode.storedTokenEngineOverride
      case .storedMTLSEngineOverride: ErrorCode.storedMTLSEngineOverride
      case .unsupportedTokenStorage: ErrorCode.unsupportedTokenStorage
      case .unsupportedMTLSStorage: ErrorCode.unsupportedMTLSStorage
      case .invalidTunnel: ErrorCode.invalidTunnel
      case .unreadable(let errno): -errno
      }
    self.init(code, error.message)
  }

  /// What an engine answered, in words.
  init(_ error: PeerError, during attempt: String, hiding secrets: Secrets) {
    let text = secrets.hidden(in: error.message ?? "no reason given")
    self.init(
      ErrorCode.engine, "\(attempt): the engine refused: \(text) (code \(error.code.rawValue))",
      engineCode: error.code.rawValue)
  }

  static func clientClosed(_ attempt: String) -> Failure {
    Failure(ErrorCode.clientClosed, "\(attempt): the client was closed")
  }

  static func brokenProtocol(_ attempt: String, _ what: String) -> Failure {
    Failure(ErrorCode.protocolViolation, "\(attempt): \(what)")
  }
}

/// Without white space around it.
func trimmed(_ text: String) -> String {
  let body = text.drop { $0.isWhitespace }
  guard let last = body.lastIndex(where: { !$0.isWhitespace }) else { return "" }
  return String(body[...last])
}
