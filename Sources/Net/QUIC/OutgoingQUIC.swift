// SPDX-License-Identifier: Apache-2.0

/// One attempt to open a QUIC connection under a time limit: look up, find a way for packets, shake hands. Where a server
/// has several addresses the next is tried beside one that is silent (RFC 8305, section 5).
public final class OutgoingQUIC: Attempt<QUICConnection>, QUICConnectionDelegate {
  /// Connection Attempt Delay of RFC 8305, section 8, in milliseconds.
  private static let headStart: UInt64 = 250
  /// What fits into the datagrams of another QUIC connection, or behind a relay's header, on the way there and back: what
  /// does not fit is lost at best, and some proxies keep all that follows waiting for it.
  private static let largestProxiedPacket = 1200

  private let loop: Loop
  private let endpoint: ServerEndpoint
  private let path: NetworkPath
  private let credentials: QUICCredentials
  private let alpn: [String]
  private let settings: QUICSettings
  private let onStep: ((OutgoingConnection.Step) -> Void)?
  /// For one connection only.
  private var token: [UInt8]
  private var timer: LoopTimer?
  private var lookup: HostLookup?
  private var proxying: (any ProxiedOpening)?
  private var nextTimer: LoopTimer?
  private var addresses: ArraySlice<SocketAddress> = []
  private var attempts: [QUICConnection] = []
  private var firstFailure: Failure?
  /// Who was reached, and has refused or was refused.
  private var refused: SocketAddress?

  /// - Parameters:
  ///   - token: from an earlier connection to the same server
  ///   - milliseconds: time limit for all of it
  ///   - onStep: called as the connection comes about
  ///   - completion: with a connection it is called while its handshake ends, before anything else is told of it
  public init(
    _ loop: Loop, to endpoint: ServerEndpoint, by path: NetworkPath, _ credentials: QUICCredentials, alpn: [String],
    _ settings: QUICSettings, token: [UInt8] = [], timeout milliseconds: UInt64,
    onStep: ((OutgoingConnection.Step) -> Void)? = nil, _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.path = path
    self.credentials = credentials
    self.alpn = alpn
    var settings = settings
    // Later than this attempt's own limit, which has the better words.
    settings.handshakeTimeout = milliseconds + 1000
    self.settings = settings
    self.token = token
    self.onStep = onStep
    super.init(completion)
    timer = LoopTimer(loop, after: milliseconds) { [self] in finish(.failure(overdue(after: milliseconds))) }
    begin()
  }

  private func begin() {
    guard let proxy = path.proxy else { return lookUp { [self] in connect(to: $0) } }
    if path.resolvesTargets {
      lookUp { [self] found in
        if let address = found.first { open(proxy, to: address.hostText) }
      }
    } else {
      loop.later { [self] in open(proxy, to: endpoint.host) }
    }
  }

  private var attempt: String {
    let target = "connect to \(authority(endpoint.host, endpoint.port)) over QUIC"
    return path.proxy.map { "\(target) through \($0.name)" } ?? target
  }

  /// What is told when the time is over.
  public func overdue(after milliseconds: UInt64) -> Failure {
    let what = proxying == nil ? "no connection" : "the proxy has opened no way for UDP"
    return Failure(ErrorCode.operationTimeout, "\(attempt): \(what) after \(milliseconds) ms")
  }

  private func lookUp(_ next: @escaping ([SocketAddress]) -> Void) {
    lookup = HostLookup(loop, endpoint, by: path) { [self] result in
      lookup = nil
      switch result {
      case .success(let found):
        // Behind a proxy that is the proxy's to tell.
        if path.proxy == nil { onStep?(.lookedUp(found)) }
        next(SocketConnector.interleaved(found))
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      }
    }
  }

  // MARK: Through a proxy

  private func open(_ proxy: ProxyServer, to host: String) {
    guard !isOver else { return }
    let target = ProxyTarget(host: host, port: endpoint.port)
    do throws(Failure) {
      proxying = try proxy.openPath(loop, to: target, by: path, settings, onStep: onStep) { [self] result in
        proxying = nil
        switch result {
        case .success(let proxied):
          onStep?(.proxied)
          var inner = settings
          inner.largestPacket = Self.largestProxiedPacket
          inner.largestIncomingPacket = UInt64(Self.largestProxiedPacket)
          shakeHands(over: proxied.path, local: proxied.local, remote: proxied.remote, inner)
        case .failure(let failure): finish(.failure(failure.during(attempt)))
        }
      }
    } catch {
      finish(.failure(error.during(attempt)))
    }
  }

  // MARK: To the server itself

  private func connect(to found: [SocketAddress]) {
    addresses = found[...]
    connectNext()
  }

  private func connectNext() {
    nextTimer?.close()
    nextTimer = nil
    while !isOver, let address = addresses.popFirst() {
      do throws(Failure) {
        let socket = try QUICSocket(loop, to: address, path.sockets)
        shakeHands(over: socket, local: socket.address, remote: address, settings)
        break
      } catch {
        firstFailure = firstFailure ?? error
      }
    }
    if attempts.isEmpty {
      giveUp()
    } else if path.sockets.races, !addresses.isEmpty {
      nextTimer = LoopTimer(loop, after: Self.headStart) { [self] in connectNext() }
    }
  }

  private func giveUp() {
    if let refused { onStep?(.connected(refused)) }
    let failure = firstFailure ?? Failure(ErrorCode.operationTimeout, "no address to connect to")
    finish(.failure(failure.during(attempt)))
  }

  private func shakeHands(
    over way: any DatagramPath, local: SocketAddress, remote: SocketAddress, _ settings: QUICSettings
  ) {
    do throws(Failure) {
      let connection = try QUICConnection(
        client: credentials, over: way, local: local, remote: remote, serverName: endpoint.serverName, alpn: alpn, loop,
        settings, token: token)
      token = []
      connection.delegate = self
      attempts.append(connection)
    } catch {
      way.close()
      firstFailure = firstFailure ?? error
      if path.proxy != nil { finish(.failure(error.during(attempt))) }
    }
  }

  // MARK: QUICConnectionDelegate

  public func connectionOpened(_ connection: QUICConnection) {
    attempts.removeAll { $0 === connection }
    connection.delegate = nil
    if path.proxy == nil, let peer = connection.peer { onStep?(.connected(peer)) }
    finish(.success(connection))
  }

  public func connection(_ connection: QUICConnection, opened stream: QUICStream) { stream.reset() }

  public func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {}

  public func connection(_ connection: QUICConnection, ended failure: Failure) {
    attempts.removeAll { $0 === connection }
    if firstFailure == nil, failure.code == ErrorCode.tls, path.proxy == nil { refused = connection.peer }
    firstFailure = firstFailure ?? failure
    if path.proxy == nil, !addresses.isEmpty { return connectNext() }
    if attempts.isEmpty { giveUp() }
  }

  public override func release() {
    timer?.close()
    timer = nil
    nextTimer?.close()
    nextTimer = nil
    lookup?.cancel()
    lookup = nil
    proxying?.cancel()
    proxying = nil
    let losers = attempts
    attempts = []
    for connection in losers { connection.close() }
  }
}
