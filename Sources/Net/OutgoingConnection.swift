// SPDX-License-Identifier: Apache-2.0

/// How to reach a TLS server: the one path that every outgoing connection takes, resolve, connect, TLS.
public struct ServerEndpoint: Equatable, Sendable {
  public var host: String
  public var port: UInt16
  /// Sent as SNI and verified.
  public var serverName: String

  public init(host: String, port: UInt16, serverName: String? = nil) {
    self.host = host
    self.port = port
    self.serverName = serverName ?? host
  }
}

/// The way from this machine to a server: sockets, name servers, and the proxy in between.
public struct NetworkPath {
  public var sockets = SocketPolicy()
  /// Name servers to ask instead of the platform's resolver.
  public var dns: DNSPolicy?
  public var proxy: ProxyServer?

  public init() {}

  /// Whether a proxy is given an address instead of a name: who chose name servers or a family for the server's name
  /// does not want the proxy's.
  var resolvesTargets: Bool { dns != nil || sockets.family != .any }
}

/// One attempt to open a TLS connection under a time limit.
public final class OutgoingConnection: Attempt<TLSChannel> {
  /// What has been reached on the way.
  public enum Step {
    case lookedUp([SocketAddress])
    case connected(SocketAddress)
    case proxied
  }

  private let loop: Loop
  private let endpoint: ServerEndpoint
  private let path: NetworkPath
  private let context: TLSContext
  private let sessions: TLSSessionStore?
  private let addresses: AddressCache?
  private let ech: ECHSource?
  private let onStep: ((Step) -> Void)?
  private var timer: LoopTimer?
  private var lookup: HostLookup?
  private var connector: SocketConnector?
  private var negotiation: ProxyHandshake?
  /// What the next step runs over: it belongs to that step from then on, and ends with it.
  private var lower: ByteChannel?
  private var securing: TLSChannel?
  private var echQuestion: ECHQuestion?
  private var echList: [UInt8]?
  private var isSeekingECH = false
  /// What TLS begins over when it is known whether the ClientHello can be encrypted.
  private var connectedChannel: ByteChannel?
  private var isRedial = false

  /// - Parameters:
  ///   - milliseconds: time limit for all of it
  ///   - onStep: called as the connection comes about
  ///   - addresses: remembers where the first hop was reached, to spare later connections the look-up
  ///   - ech: knows how to encrypt the ClientHello
  public init(
    _ loop: Loop, to endpoint: ServerEndpoint, by path: NetworkPath = NetworkPath(), context: TLSContext,
    sessions: TLSSessionStore?, addresses: AddressCache?, ech: ECHSource? = nil, timeout milliseconds: UInt64,
    onStep: ((Step) -> Void)? = nil, _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.path = path
    self.context = context
    self.sessions = sessions
    self.addresses = addresses
    self.ech = ech
    self.onStep = onStep
    super.init(completion)
    timer = LoopTimer(loop, after: milliseconds) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "\(attempt): no connection after \(milliseconds) ms")))
    }
    findServer()
    seekECH()
  }

  /// Where the socket is connected to.
  private var hop: ServerEndpoint { path.proxy?.endpoint ?? endpoint }

  private var attempt: String {
    let target = "connect to \(authority(endpoint.host, endpoint.port))"
    return path.proxy.map { "\(target) through \($0.name)" } ?? target
  }

  private func findServer() {
    if let known = addresses?.address(of: hop) {
      connect(to: [known], mayLookUp: true)
    } else {
      lookUp()
    }
  }

  private func tell(_ step: Step) {
    if !isRedial { onStep?(step) }
  }

  private func lookUp() {
    lookup = HostLookup(loop, hop, by: path) { [self] result in
      lookup = nil
      switch result {
      case .success(let found):
        tell(.lookedUp(found))
        connect(to: found, mayLookUp: false)
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      }
    }
  }

  private func connect(to found: [SocketAddress], mayLookUp: Bool) {
    connector = SocketConnector(loop, to: found, policy: path.sockets) { [self] result in
      connector = nil
      switch result {
      case .success(let socket):
        if let peer = socket.peer {
          addresses?.remember(peer, for: hop)
          tell(.connected(peer))
        }
        connected(socket)
      case .failure(let failure):
        addresses?.forget(hop)
        if mayLookUp { return lookUp() }
        finish(.failure(path.proxy == nil ? failure : failure.during(attempt)))
      }
    }
  }

  private func connected(_ socket: SocketChannel) {
    guard let proxy = path.proxy else { return secure(socket) }
    guard let tls = proxy.tls else { return findTarget(proxy, over: socket) }
    handshake(tls, over: socket, serverName: proxy.endpoint.serverName, nil) { [self] in findTarget(proxy, over: $0) }
  }

  private func findTarget(_ proxy: ProxyServer, over channel: ByteChannel) {
    guard path.resolvesTargets else { return negotiate(proxy, endpoint.host, over: channel) }
    if let known = addresses?.address(of: endpoint) { return negotiate(proxy, known.hostText, over: channel) }
    lower = channel
    lookup = HostLookup(loop, endpoint, by: path) { [self] result in
      lookup = nil
      switch result {
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      case .success(let found):
        guard let address = found.first else { return }
        addresses?.remember(address, for: endpoint)
        lower = nil
        negotiate(proxy, address.hostText, over: channel)
      }
    }
  }

  private func negotiate(_ proxy: ProxyServer, _ host: String, over channel: ByteChannel) {
    let target = ProxyTarget(host: host, port: endpoint.port)
    do throws(Failure) {
      negotiation = ProxyHandshake(try proxy.negotiation(to: target), over: channel) { [self] result in
        negotiation = nil
        switch result {
        case .success(let open):
          tell(.proxied)
          secure(open.channel)
        case .failure(let failure):
          addresses?.forget(endpoint)
          finish(.failure(failure.during(attempt)))
        }
      }
    } catch {
      channel.reset()
      finish(.failure(error.during(attempt)))
    }
  }

  private func secure(_ channel: ByteChannel) {
    guard !isSeekingECH else {
      connectedChannel = channel
      return
    }
    handshake(context, over: channel, serverName: endpoint.serverName, sessions, echList) { [self] in
      finish(.success($0))
    }
  }

  private func handshake(
    _ context: TLSContext, over channel: ByteChannel, serverName: String, _ sessions: TLSSessionStore?,
    _ echList: [UInt8]? = nil, _ next: @escaping (TLSChannel) -> Void
  ) {
    lower = channel
    do throws(Failure) {
      securing = try TLSChannel(
        client: context, over: channel, serverName: serverName, sessions: sessions, echList: echList
      ) { [self] failure in
        if let failure {
          if let rejection = securing?.echRejection, redials(after: rejection) { return }
          return finish(.failure(path.proxy == nil ? failure : failure.during(attempt)))
        }
        guard let secured = securing else { return }
        securing = nil
        lower = nil
        next(secured)
      }
    } catch {
      finish(.failure(error))
    }
  }

  // MARK: Encrypted ClientHello

  /// Beside the way to the server, which only waits for the answer where the TLS library can make use of it.
  private func seekECH() {
    guard let ech, let question = ECHQuestion(endpoint, protocols: context.protocols) else { return }
    echQuestion = question
    switch ech.seek(question, for: endpoint.serverName) {
    case .known(let list): echList = EncryptedHello.isAvailable ? list : nil
    case .sought(let search):
      guard EncryptedHello.isAvailable else { return }
      isSeekingECH = true
      search.whenDone { [weak self] list in self?.foundECH(list) }
    }
  }

  private func foundECH(_ list: [UInt8]?) {
    isSeekingECH = false
    echList = list
    guard let channel = connectedChannel else { return }
    connectedChannel = nil
    secure(channel)
  }

  /// Goes once more, with what the server wants to be asked with.
  private func redials(after rejection: ECHRejection) -> Bool {
    guard !isRedial, let list = rejection.retryList, list != echList, ECHConfigList.isUsable(list),
      let echQuestion
    else { return false }
    Log.debug("ech", "\(endpoint.serverName): rejected; connecting again as the server has said")
    ech?.remember(list, for: echQuestion)
    echList = list
    isRedial = true
    releaseConnection()
    findServer()
    return true
  }

  public override func release() {
    timer?.close()
    timer = nil
    releaseConnection()
  }

  private func releaseConnection() {
    lookup?.cancel()
    lookup = nil
    connector?.cancel()
    connector = nil
    negotiation?.cancel()
    negotiation = nil
    securing?.reset()
    securing = nil
    lower?.reset()
    lower = nil
    connectedChannel?.reset()
    connectedChannel = nil
  }
}
