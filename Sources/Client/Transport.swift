// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// The one way every connection of a client takes to the engine: over TLS or QUIC with ALPN rstrm/1 for the control channel
/// and the streams, and over TLS with ALPN http/1.1 for the engine's API.
final class Transport {
  private static let apiALPN = "http/1.1"

  private let loop: Loop
  private let context: TLSContext
  private var engine: ServerEndpoint
  private let apiContext: TLSContext
  private var path: NetworkPath
  private let tls: TLSTransport
  /// What the mode has chosen: TLS, QUIC, or whichever of them is first.
  private let tunnels: any TunnelTransport
  /// Sessions belong to the protocol they were made for.
  private let apiSessions = TLSSessionStore()
  /// For the API at another host than the engine's.
  private let mtlsSessions = TLSSessionStore()
  private var mtlsAPI: EngineAddress?
  private let caFile: String?
  /// Shows nothing of who the client is, and always verifies the engine. Made when it is needed.
  private var anonymousContext: TLSContext?
  private let addresses: AddressCache
  let connectTimeout: UInt64

  /// Whether the client is known by a certificate.
  var hasCertificate: Bool { context.hasCertificate }

  init(_ loop: Loop, _ settings: ClientSettings, _ network: NetworkSettings) throws(Failure) {
    self.loop = loop
    addresses = AddressCache(loop)
    connectTimeout = UInt64(settings.connectTimeoutMilliseconds)
    path = try NetworkPath(network, trusting: settings.caFile, for: settings.transportMode)
    // Nobody connects before the engine is known.
    engine = ServerEndpoint(
      host: settings.engine?.host ?? "", port: settings.engine?.port ?? 0, serverName: settings.serverName)
    var identity = TLSContext.ClientSettings()
    identity.caFile = settings.caFile
    identity.skipsVerification = settings.insecureSkipVerify
    do throws(ConfigError) {
      switch try settings.clientCertificate() {
      case nil: break
      case .files(let certificate, let key): identity.identity = .files(certificate: certificate, key: key)
      case .inline(let certificate, let key): identity.identity = .text(certificate: certificate, key: key)
      case .exec, .pkcs11: identity.awaitsExternalIdentity = true
      }
    } catch {
      throw Failure(error)
    }
    identity.alpn = [TLSTransport.alpn]
    context = try TLSContext(client: identity)
    apiContext = TLSContext(sharing: context, alpn: [Self.apiALPN])
    caFile = settings.caFile
    tls = TLSTransport(loop, to: engine, by: path, context, addresses)
    tunnels = try Self.tunnels(loop, settings, engine, path, identity, tls)
  }

  private static func tunnels(
    _ loop: Loop, _ settings: ClientSettings, _ engine: ServerEndpoint, _ path: NetworkPath,
    _ identity: TLSContext.ClientSettings, _ tls: TLSTransport
  ) throws(Failure) -> any TunnelTransport {
    guard settings.transportMode != .tls else { return tls }
    let quic: Result<QUICTransport, Failure>
    do throws(Failure) {
      let credentials = try QUICCredentials(client: identity)
      quic = .success(QUICTransport(loop, to: engine, by: path, credentials, QUICSettings(settings)))
    } catch {
      quic = .failure(error)
    }
    return settings.transportMode == .quic ? try quic.get() : AutoTransport(loop, tls: tls, quic: quic)
  }

  /// Goes to another engine from now on, on the way that the settings mean for that.
  func use(_ address: EngineAddress, _ network: NetworkSettings, _ settings: ClientSettings) throws(Failure) {
    let endpoint = ServerEndpoint(host: address.host, port: address.port, serverName: settings.serverName)
    guard endpoint != engine else { return }
    path = try NetworkPath(network, trusting: settings.caFile, for: settings.transportMode)
    engine = endpoint
    tunnels.use(endpoint, by: path)
    // The API is reached over TLS even so.
    if settings.transportMode == .quic { tls.use(endpoint, by: path) }
    apiSessions.removeAll()
  }

  /// Shows a certificate whose key is elsewhere, from now on.
  func use(_ identity: ExternalIdentity) throws(Failure) {
    try context.use(identity)
    apiContext.useIdentity(of: context)
  }

  /// A control channel that this byte channel has carried is over; when it is lost, so is the connection it was on.
  func controlEnded(_ channel: ByteChannel, isLost: Bool) { tunnels.controlEnded(channel, isLost: isLost) }

  /// Nobody connects any more, and what was opened has ended.
  func finish() {
    tunnels.finish()
    tls.finish()
  }

  typealias Completion = TunnelTransport.Completion

  /// Connects to the configured engine.
  func connect(timeout: UInt64, _ done: @escaping Completion) -> any ConnectionAttempt {
    tunnels.connect(timeout: timeout, onStep: nil, done)
  }

  /// The same, remembering nothing and telling each step.
  func connect(timeout: UInt64, onStep: @escaping TunnelTransport.OnStep, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    tunnels.connect(timeout: timeout, onStep: onStep, done)
  }

  /// Whether the next connection may be a QUIC one.
  var mayCarryDatagrams: Bool { tunnels.mayCarryDatagrams }

  /// The proxy and the name server on the way, for messages; nothing where there is none.
  var proxy: String? { path.proxy?.name }
  var nameServer: String? { path.dns?.name }

  /// Connects to another node that a stream was redirected to. The configured server name belongs to the configured
  /// engine only: another node proves its own name.
  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    if endpoint.host == engine.host, endpoint.port == engine.port { return connect(timeout: timeout, done) }
    return tunnels.connect(redirectedTo: endpoint, timeout: timeout, done)
  }

  /// Connects to the HTTP API.
  func connectToAPI(
    at target: APITarget = .engine, timeout: UInt64, _ done: @escaping Completion
  ) -> OutgoingConnection {
    switch target {
    case .engine:
      return openHTTP(engine, apiContext, apiSessions, timeout, done)
    case .mtls(let address):
      if address != mtlsAPI { mtlsSessions.removeAll() }
      mtlsAPI = address
      // The configured server name is the engine's: this host proves its own.
      return openHTTP(
        ServerEndpoint(host: address.host, port: address.port), apiContext, mtlsSessions, timeout, done)
    }
  }

  /// Connects to the engine for HTTP, as somebody whom it does not know.
  func connectAnonymously(timeout: UInt64, _ done: @escaping Completion) throws(Failure) -> OutgoingConnection {
    var settings = TLSContext.ClientSettings()
    settings.caFile = caFile
    settings.allowsTLS12 = true
    settings.alpn = [Self.apiALPN]
    let context = if let anonymousContext { anonymousContext } else { try TLSContext(client: settings) }
    anonymousContext = context
    return openHTTP(engine, context, nil, timeout, done)
  }

  private func openHTTP(
    _ endpoint: ServerEndpoint, _ context: TLSContext, _ sessions: TLSSessionStore?, _ timeout: UInt64,
    _ done: @escaping Completion
  ) -> OutgoingConnection {
    OutgoingConnection(
      loop, to: endpoint, by: path, context: context, sessions: sessions, addresses: addresses, ech: tls.ech,
      timeout: timeout
    ) { result in
      done(
        result.flatMap { channel in
          // No answer at all means HTTP/1.1.
          if ["", Self.apiALPN].contains(channel.negotiatedProtocol) { return .success(channel) }
          channel.reset()
          return .failure(
            Failure(
              ErrorCode.tls, "\(endpoint.host):\(endpoint.port) did not agree on HTTP/1.1: it is not an rstream engine")
          )
        })
    }
  }
}
