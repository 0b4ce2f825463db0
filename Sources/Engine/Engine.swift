// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import RstreamConfig
import RstreamNet
import RstreamWire

/// The embedded engine: the edge that agents connect to and that publishes their tunnels.
public final class Engine: LoopChild {
  private enum State { case new, started, stopping, stopped, closed }

  let loop: Loop
  let settings: EngineSettings
  let sessions = SessionTable()
  let registry = TunnelRegistry()
  let feed: InventoryFeed
  let broker: StreamBroker
  let connections: ConnectionLimit
  let authenticator: Authenticator
  let policy: TunnelPolicy
  let serverDetails = ServerDetails(agent: "librstream", channel: "engine", version: LibraryVersion.text)
  /// Nil until the engine has started: the development CA is made then.
  private(set) var certificates: CertificateStore?
  /// Ports of published tcp tunnels.
  var tcpPorts: Set<UInt16> = []
  /// Open control channels.
  private(set) var clients: [String: ControlSession] = [:]

  /// Milliseconds of silence that a client with short heartbeats is allowed at least: its path may be interrupted for a
  /// few seconds.
  var patience: UInt32 = 15_000

  /// Datagrams of published quic tunnels that did not get through, of connections that have ended.
  var droppedDatagrams: UInt64 = 0
  /// Packets of other datagram tunnels, of channels that have ended.
  var droppedPackets: UInt64 = 0

  /// Tries to find a port that is free for TCP and UDP.
  private static let portAttempts = 16

  private var state = State.new
  private var tlsListener: Listener?
  private var quicListener: QUICListener?
  private var httpListener: Listener?
  private var metricsListener: Listener?
  private var dtls: PublishedDTLS?
  private var quicServiceCredentials: QUICCredentials?
  private var caFile: String?
  private var drainTimer: LoopTimer?
  private var stopCompletions: [() -> Void] = []

  /// Makes an engine; nothing listens yet.
  public init(_ loop: Loop, _ settings: EngineSettings) throws(Failure) {
    if loop.isClosing { throw Failure(ErrorCode.loopClosed, "make an engine: the loop is closed") }
    do { try settings.validate() } catch {
      throw Failure(ErrorCode.invalidConfig, "make an engine: \(error.message)")
    }
    self.loop = loop
    self.settings = settings
    feed = InventoryFeed(
      loop, at: RecordPlace(workspaceID: settings.workspaceID, projectID: settings.projectID))
    broker = StreamBroker(loop, timeout: UInt64(settings.streamRequestSeconds) * 1000)
    connections = ConnectionLimit(settings.maximumConnections)
    authenticator = Authenticator(settings)
    policy = TunnelPolicy(
      namespace: HostNamespace(engineHost: settings.host), canVerifyTokens: authenticator.canVerifyTokens,
      tcpPorts: settings.tcpPortRange, hasDTLS: settings.dtlsEnabled,
      hasQUIC: settings.quicEnabled && settings.tlsListen != nil)
    if case .files(let certificate, let key)? = settings.certificate {
      certificates = try CertificateStore(certificateFile: certificate, keyFile: key, clientCertificates)
    }
    if policy.namespace.contains(settings.mtlsAPIHost) {
      throw Failure(
        ErrorCode.invalidConfig, "make an engine: auth.mtls.api_host is one of the names that tunnels can have")
    }
    loop.childOpened(self)
  }

  // MARK: Starting

  /// Opens the listeners. In development mode the CA and certificates are made first, when they are not there yet.
  public func start() throws(Failure) {
    switch state {
    case .new: break
    case .started: throw Failure(UV_EALREADY.rawValue, "start the engine: it has started already")
    case .stopping, .stopped, .closed: throw Failure(ErrorCode.engineClosed, "start the engine: it has stopped")
    }
    do throws(Failure) {
      try makeDevelopmentCertificate()
      try listen()
    } catch {
      closeListeners()
      throw error.during("start the engine")
    }
    state = .started
    if settings.hasShortSecret {
      Log.warn("engine", "auth.jwt.token_jwt_secret is shorter than the 32 bytes that HS256 asks for; use a longer one")
    }
    Log.info("engine", "listening on \(tlsListener?.address.description ?? ""), host \(settings.host)")
  }

  private func makeDevelopmentCertificate() throws(Failure) {
    guard certificates == nil, case .development(let directory)? = settings.certificate else { return }
    let authority = try DevelopmentCA.prepare(
      stateDirectory: directory, policy.namespace, [settings.mtlsAPIHost], now: Clock.seconds)
    certificates = try CertificateStore(
      certificateFile: authority.certificateFile, keyFile: authority.keyFile, clientCertificates)
    caFile = authority.caFile
  }

  private var clientCertificates: ClientCertificates {
    ClientCertificates(
      caFile: settings.clientCAFile,
      isRequestedByAPI: authenticator.acceptsCertificates && settings.mtlsAPIHost == settings.host)
  }

  private func listen() throws(Failure) {
    if settings.tcpPortRange != nil, let host = settings.tcpListenHost { _ = try Self.resolve(host, 0) }
    try listenForClients()
    if settings.httpEnabled, let address = settings.httpListen {
      httpListener = try Listener(loop, on: Self.resolve(address.host, address.port)) { [self] socket in
        if connections.admit(socket) { PlainHTTP.serve(socket, self) }
      }
    }
    if settings.dtlsEnabled, let address = settings.dtlsListen {
      dtls = try PublishedDTLS(self, on: Self.resolve(address.host, address.port))
    }
    if settings.metricsEnabled, let address = settings.metricsListen {
      metricsListener = try Listener(loop, on: Self.resolve(address.host, address.port)) { [self] socket in
        if connections.admit(socket) { Metrics.serve(socket, self) }
      }
    }
  }

  /// The TLS and the QUIC listener, which share a port number: clients know one only.
  private func listenForClients() throws(Failure) {
    guard let address = settings.tlsListen else { return }
    let wanted = try Self.resolve(address.host, address.port)
    for attempt in 1...Self.portAttempts {
      let listener = try Listener(loop, on: wanted) { [self] socket in
        if connections.admit(socket) { _ = EdgeConnection(self, socket) }
      }
      do throws(Failure) {
        try listenForQUIC(beside: listener.address)
        tlsListener = listener
        return
      } catch {
        listener.close()
        // A free port may be taken for the other protocol.
        guard address.port == 0, settings.quicListen == nil, error.code == UV_EADDRINUSE.rawValue,
          attempt < Self.portAttempts
        else { throw error }
      }
    }
  }

  private func listenForQUIC(beside tls: SocketAddress) throws(Failure) {
    guard settings.quicEnabled else { return }
    let address: SocketAddress
    if let configured = settings.quicListen {
      address = try Self.resolve(configured.host, configured.port)
    } else {
      address = tls
    }
    quicListener = try QUICEdge.listen(self, on: address, keyFile: certificates?.keyFile)
  }

  /// The address to listen on for a configured host: a literal, `localhost`, or every address when there is none.
  private static func resolve(_ host: String?, _ port: UInt16) throws(Failure) -> SocketAddress {
    switch host {
    case nil:
      // Machines without IPv6 have no "::".
      let probe = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
      if probe >= 0 { Glibc.close(probe) }
      return SocketAddress(probe >= 0 ? .v6(SIMD16()) : .v4(0), port: port)
    case "localhost":
      return SocketAddress(.v4(0x7F00_0001), port: port)
    case let host?:
      guard let address = SocketAddress(literal: host, port: port) else {
        throw Failure(
          ErrorCode.invalidConfig, "listen on \(host): not an address of this machine; give an IP address or localhost")
      }
      return address
    }
  }

  // MARK: Asking

  /// Port of a listener, "tls", "quic", "http" or "metrics"; nil when there is none.
  public func port(of listener: String) -> Int32? {
    switch listener {
    case "tls": tlsListener.map { Int32($0.address.port) }
    case "quic": quicListener.map { Int32($0.address.port) }
    case "http": httpListener.map { Int32($0.address.port) }
    case "metrics": metricsListener.map { Int32($0.address.port) }
    case "dtls": dtls.map { Int32($0.port) }
    default: nil
    }
  }

  /// What clients need to know: "address", "host", "ca_file".
  public func info(_ name: String) -> String? {
    switch name {
    case "address": tlsListener.map { "\(settings.host):\($0.address.port)" }
    case "host": settings.host
    case "ca_file": caFile
    default: nil
    }
  }

  /// The port that consumers use for TLS.
  var publicPort: UInt16 { tlsListener?.address.port ?? settings.tlsListen?.port ?? 443 }

  /// The UDP port that consumers use for DTLS.
  var dtlsPort: UInt16 { dtls?.port ?? 0 }

  /// The UDP port that consumers use for QUIC.
  var quicPort: UInt16 { quicListener?.address.port ?? 0 }

  /// For QUIC connections to services behind tunnels. These have whatever certificate they have: the tunnel, not the name,
  /// says that it is the right one.
  func serviceCredentials() throws(Failure) -> QUICCredentials {
    if let quicServiceCredentials { return quicServiceCredentials }
    var settings = TLSContext.ClientSettings()
    settings.skipsVerification = true
    let credentials = try QUICCredentials(client: settings)
    quicServiceCredentials = credentials
    return credentials
  }

  /// Where the ports of published tcp tunnels listen.
  var tcpListenHost: SocketAddress.Host? {
    if let host = settings.tcpListenHost { return (try? Self.resolve(host, 0))?.host }
    return tlsListener?.address.host
  }

  var handshakeTimeout: UInt64 { UInt64(settings.handshakeSeconds) * 1000 }
  var streamTimeout: UInt64 { UInt64(settings.streamRequestSeconds) * 1000 }

  /// Whether new clients, tunnels and streams are refused.
  var isDraining: Bool { state != .started }

  // MARK: Clients

  /// As they are listed.
  var clientsInOrder: [ControlSession] { clients.values.sorted { $0.id < $1.id } }

  func opened(_ session: ControlSession) {
    clients[session.id] = session
    sessions.add(session)
    feed.tell(.clients, .created, session.record)
    let details = session.details
    Log.info("engine", "client \(session.id) connected: \(details.agent ?? "unknown") \(details.version ?? "")")
  }

  func closed(_ session: ControlSession) {
    clients[session.id] = nil
    feed.tell(.clients, .deleted, session.record)
    sessions.remove(session)
  }

  // MARK: Ending

  /// Stops in an orderly way: listeners close, control channels are told, streams may go on until they end or
  /// timeouts.drain_seconds have passed. The completion is not called inside this call.
  public func stop(_ completion: @escaping () -> Void) throws(Failure) {
    switch state {
    case .closed:
      throw Failure(ErrorCode.engineClosed, "stop the engine: it is closed")
    case .stopped:
      loop.later(completion)
    case .stopping:
      stopCompletions.append(completion)
    case .new, .started:
      stopCompletions.append(completion)
      state = .stopping
      Log.info("engine", "stopping")
      closeListeners()
      sessions.onEmpty = { [self] in loop.later { [self] in stopped() } }
      drainTimer = LoopTimer(loop, after: UInt64(settings.drainSeconds) * 1000) { [self] in sessions.cut() }
      // Whoever watches would only see everything end.
      feed.end()
      sessions.drain()
      if sessions.isEmpty { loop.later { [self] in stopped() } }
    }
  }

  /// Closes the engine at once, with all its connections. The completion is not called inside this call.
  public func close(_ completion: @escaping () -> Void) throws(Failure) {
    guard state != .closed else { throw Failure(ErrorCode.engineClosed, "close the engine: it is closed") }
    end(completion)
  }

  public func loopIsClosing() {
    if state != .closed { end({}) }
  }

  private func end(_ completion: @escaping () -> Void) {
    state = .closed
    closeListeners()
    sessions.onEmpty = nil
    sessions.cut()
    drainTimer?.close()
    drainTimer = nil
    loop.later { [self] in
      reportStopped()
      completion()
      loop.childClosed(self)
    }
  }

  private func stopped() {
    guard state == .stopping, sessions.isEmpty else { return }
    state = .stopped
    drainTimer?.close()
    drainTimer = nil
    reportStopped()
  }

  private func reportStopped() {
    let completions = stopCompletions
    stopCompletions = []
    for completion in completions { completion() }
  }

  private func closeListeners() {
    tlsListener?.close()
    tlsListener = nil
    quicListener?.close()
    quicListener = nil
    httpListener?.close()
    httpListener = nil
    metricsListener?.close()
    metricsListener = nil
    dtls?.close()
    dtls = nil
  }
}
