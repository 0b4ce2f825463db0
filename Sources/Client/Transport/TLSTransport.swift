// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// TLS 1.3 with ALPN rstrm/1, a connection for each byte channel. Connections after the first resume its TLS session.
final class TLSTransport: TunnelTransport {
  static let alpn = "rstrm/1"

  private let loop: Loop
  private let context: TLSContext
  private let addresses: AddressCache
  private let sessions = TLSSessionStore()
  private var engine: ServerEndpoint
  private var path: NetworkPath
  /// Serves connections to the engine's API too.
  private(set) var ech: ECHSource

  init(
    _ loop: Loop, to engine: ServerEndpoint, by path: NetworkPath, _ context: TLSContext, _ addresses: AddressCache
  ) {
    self.loop = loop
    self.engine = engine
    self.path = path
    self.context = context
    self.addresses = addresses
    ech = ECHSource(loop, on: path)
  }

  var mayCarryDatagrams: Bool { false }

  func connect(timeout: UInt64, onStep: OnStep?, _ done: @escaping Completion) -> any ConnectionAttempt {
    open(engine, onStep == nil ? sessions : nil, onStep == nil ? addresses : nil, timeout, onStep, done)
  }

  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    open(endpoint, nil, nil, timeout, nil, done)
  }

  func use(_ engine: ServerEndpoint, by path: NetworkPath) {
    self.engine = engine
    self.path = path
    ech.close()
    ech = ECHSource(loop, on: path)
    sessions.removeAll()
  }

  /// Each byte channel has had a connection to itself.
  func controlEnded(_ channel: ByteChannel, isLost: Bool) {}

  /// Connections end by themselves.
  func finish() { ech.close() }

  private func open(
    _ endpoint: ServerEndpoint, _ sessions: TLSSessionStore?, _ addresses: AddressCache?, _ timeout: UInt64,
    _ onStep: OnStep?, _ done: @escaping Completion
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
          channel.reset()
          return done(.failure(.notAnEngine(endpoint)))
        }
        done(.success(channel))
      }
    }
  }
}
