// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// The one way every connection of a client takes to the engine: TLS 1.3 with ALPN rstrm/1, one connection for the control
/// channel and one for each stream, and with ALPN http/1.1 for the engine's API. Connections after the first of a kind
/// resume its TLS session.
final class Transport {
  static let alpn = "rstrm/1"
  private static let apiALPN = "http/1.1"

  private let loop: Loop
  private let context: TLSContext
  private var engine: ServerEndpoint
  private let apiContext: TLSContext
  private var path: NetworkPath
  private var ech: ECHSource
  private let sessions = TLSSessionStore()
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
    path = try NetworkPath(network, trusting: settings.caFile)
    ech = ECHSource(loop, on: path)
    // Nobody connects before the engine is known.
    engine = ServerEndpoint(
      host: settings.engine?.host ?? "", port: settings.engine?.port ?? 0, serverName: settings.serverName)
    var tls = TLSContext.ClientSettings()
    tls.caFile = settings.caFile
    tls.skipsVerification = settings.insecureSkipVerify
    do throws(ConfigError) {
      switch try settings.clientCertificate() {
      case nil: break
      case .files(let certificate, let key): tls.identity = .files(certificate: certificate, key: key)
      case .inline(let certificate, let key): tls.identity = .text(certificate: certificate, key: key)
      case .exec, .pkcs11: tls.awaitsExternalIdentity = true
      }
    } catch {
      throw Failure(error)
    }
    tls.alpn = [Self.alpn]
    context = try TLSContext(client: tls)
    apiContext = TLSContext(sharing: context, alpn: [Self.apiALPN])
    caFile = settings.caFile
  }

  /// Goes to another engine from now on, on the way that the settings mean for that.
  func use(_ address: EngineAddress, _ network: NetworkSettings, _ settings: ClientSettings) throws(Failure) {
    let endpoint = ServerEndpoint(host: address.host, port: address.port, serverName: settings.serverName)
    guard endpoint != engine else { return }
    path = try NetworkPath(network, trusting: settings.caFile)
    ech.close()
    ech = ECHSource(loop, on: path)
    engine = endpoint
    sessions.removeAll()
    apiSessions.removeAll()
  }

  /// Shows a certificate whose key is elsewhere, from now on.
  func use(_ identity: ExternalIdentity) throws(Failure) {
    try context.use(identity)
    apiContext.useIdentity(of: context)
  }

  /// Ends what goes on beside the connections, which end by themselves.
  func close() { ech.close() }

  typealias Completion = (Result<ByteChannel, Failure>) -> Void

  /// Connects to the configured engine.
  func connect(timeout: UInt64, _ done: @escaping Completion) -> OutgoingConnection {
    open(engine, sessions, addresses, timeout, done)
  }

  /// The same, remembering nothing and telling each step.
  func connect(
    timeout: UInt64, onStep: @escaping (OutgoingConnection.Step) -> Void, _ done: @escaping Completion
  ) -> OutgoingConnection {
    open(engine, nil, nil, timeout, onStep: onStep, done)
  }

  /// The proxy and the name server on the way, for messages; nothing where there is none.
  var proxy: String? { path.proxy?.name }
  var nameServer: String? { path.dns?.name }

  /// Connects to another node that a stream was redirected to. The configured server name belongs to the configured
  /// engine only: another node proves its own name.
  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> OutgoingConnection
  {
    if endpoint.host == engine.host, endpoint.port == engine.port { return connect(timeout: timeout, done) }
    return open(endpoint, nil, nil, timeout, done)
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
      loop, to: endpoint, by: path, context: context, sessions: sessions, addresses: addresses, ech: ech,
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

  private func open(
    _ endpoint: ServerEndpoint, _ sessions: TLSSessionStore?, _ addresses: AddressCache?, _ timeout: UInt64,
    onStep: ((OutgoingConnection.Step) -> Void)? = nil, _ done: @escaping Completion
  ) -> OutgoingConnection {
    OutgoingConnection(
      loop, to: endpoint, by: path, context: context, sessions: sessions, addresses: addresses, ech: ech,
      timeout: timeout, onStep: onStep
    ) { result in
      switch result {
      case .failure(let failure):
        done(.failure(failure))
      case .success(let channel):
        guard channel.negotiatedProtocol == Self.alpn else {
          // What is no engine gets no token and is not waited for.
          channel.reset()
          return done(
            .failure(
              Failure(
                ErrorCode.tls,
                "\(endpoint.host):\(endpoint.port) did not agree on the protocol rstrm/1: it is not an rstream engine"))
          )
        }
        done(.success(channel))
      }
    }
  }
}
