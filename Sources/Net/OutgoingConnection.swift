// SPDX-License-Identifier: Apache-2.0
import CUV

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

/// One attempt to open a TLS connection under a time limit.
public final class OutgoingConnection {
  public typealias Completion = (Result<TLSChannel, Failure>) -> Void

  private let loop: Loop
  private let endpoint: ServerEndpoint
  private let context: TLSContext
  private let sessions: TLSSessionStore?
  private let addresses: AddressCache?
  private var completion: Completion?
  private var timer: LoopTimer?
  private var resolver: Resolver?
  private var connector: SocketConnector?
  private var socket: SocketChannel?
  private var channel: TLSChannel?

  /// - Parameters:
  ///   - milliseconds: time limit for all of it
  ///   - addresses: remembers where the endpoint was reached, to spare later connections the look-up
  public init(
    _ loop: Loop, to endpoint: ServerEndpoint, context: TLSContext, sessions: TLSSessionStore?,
    addresses: AddressCache?, timeout milliseconds: UInt64, _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.context = context
    self.sessions = sessions
    self.addresses = addresses
    self.completion = completion
    timer = LoopTimer(loop, after: milliseconds) { [self] in
      finish(
        .failure(
          Failure(
            ErrorCode.operationTimeout,
            "connect to \(endpoint.host):\(endpoint.port): no connection after \(milliseconds) ms")))
    }
    if let known = addresses?.address(of: endpoint) {
      connect(to: [known], mayLookUp: true)
    } else {
      lookUp()
    }
  }

  public func cancel() {
    completion = nil
    release()
  }

  private func lookUp() {
    resolver = Resolver(loop, host: endpoint.host, port: endpoint.port) { [self] result in
      resolver = nil
      switch result {
      case .success(let found): connect(to: found, mayLookUp: false)
      case .failure(let failure): finish(.failure(failure.during("connect to \(endpoint.host):\(endpoint.port)")))
      }
    }
  }

  private func connect(to found: [SocketAddress], mayLookUp: Bool) {
    connector = SocketConnector(loop, to: found) { [self] result in
      connector = nil
      switch result {
      case .success(let socket):
        if let peer = socket.peer { addresses?.remember(peer, for: endpoint) }
        handshake(over: socket)
      case .failure(let failure):
        addresses?.forget(endpoint)
        if mayLookUp { lookUp() } else { finish(.failure(failure)) }
      }
    }
  }

  private func handshake(over socket: SocketChannel) {
    self.socket = socket
    do throws(Failure) {
      channel = try TLSChannel(client: context, over: socket, serverName: endpoint.serverName, sessions: sessions) {
        [self] failure in
        if let failure { return finish(.failure(failure)) }
        guard let channel else { return }
        self.channel = nil
        self.socket = nil
        finish(.success(channel))
      }
    } catch {
      finish(.failure(error))
    }
  }

  private func finish(_ result: Result<TLSChannel, Failure>) {
    let report = completion
    completion = nil
    release()
    report?(result)
  }

  private func release() {
    timer?.close()
    timer = nil
    resolver?.cancel()
    resolver = nil
    connector?.cancel()
    connector = nil
    channel?.reset()
    channel = nil
    socket?.reset()
    socket = nil
  }
}

/// Where endpoints were last reached. An agent opens a connection for every stream: looking the name up each time would
/// cost a round trip to the resolver, and could lead to another node than the one that holds the control channel.
public final class AddressCache {
  /// Milliseconds after which the name is looked up anew.
  private static let lifetime: UInt64 = 60_000

  private let loop: Loop
  private var entry: (endpoint: ServerEndpoint, address: SocketAddress, until: UInt64)?

  public init(_ loop: Loop) { self.loop = loop }

  func address(of endpoint: ServerEndpoint) -> SocketAddress? {
    guard let entry, entry.endpoint == endpoint, uv_now(loop.uv) < entry.until else { return nil }
    return entry.address
  }

  func remember(_ address: SocketAddress, for endpoint: ServerEndpoint) {
    if let entry, entry.endpoint == endpoint, entry.address == address, uv_now(loop.uv) < entry.until { return }
    entry = (endpoint, address, uv_now(loop.uv) + Self.lifetime)
  }

  public func forget(_ endpoint: ServerEndpoint) {
    if entry?.endpoint == endpoint { entry = nil }
  }
}
