// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A stream of a tunnel that becomes a connection to the service behind it: the owner is asked for the stream, and where
/// the service speaks TLS the handshake is done over it.
final class ServiceOpening {
  /// What the service speaks below its own protocol.
  enum Transport {
    case plain
    /// TLS, offered with this protocol; "" offers none.
    case tls(String)
  }

  typealias Completion = (Result<ByteChannel, StreamFailure>) -> Void

  private let engine: Engine
  private let tunnel: Tunnel
  private let transport: Transport
  /// The stream's id.
  private(set) var id = ""
  private var completion: Completion?
  private var pending: PendingStream?
  private var handshake: TLSChannel?
  private var timer: LoopTimer?

  /// - Parameters:
  ///   - source: the consumer's address, which the owner is told
  ///   - completion: gets a channel that nobody reads; called once, never inside this call, not after `cancel`
  init(
    _ tunnel: Tunnel, _ transport: Transport, source: SocketAddress?, _ engine: Engine,
    _ completion: @escaping Completion
  ) {
    self.engine = engine
    self.tunnel = tunnel
    self.transport = transport
    self.completion = completion
    let pending = engine.broker.open(tunnel, source: source) { [self] result in opened(result) }
    self.pending = pending
    id = pending.id
  }

  func cancel() {
    completion = nil
    pending?.cancel()
    handshake?.reset()
    release()
  }

  private func opened(_ result: Result<OwnerEnd, StreamFailure>) {
    pending = nil
    switch result {
    case .failure(let failure): finish(.failure(failure))
    case .success(.datagrams(let channel)):
      // Only tunnels for packets are answered so, and their consumers do not ask here.
      channel.close()
      finish(.failure(.io))
    case .success(.stream(let channel)):
      if case .tls(let name) = transport {
        startTLS(over: channel, offering: name)
      } else {
        finish(.success(channel))
      }
    }
  }

  private func startTLS(over channel: ByteChannel, offering name: String) {
    timer = LoopTimer(engine.loop, after: engine.streamTimeout) { [weak self] in
      self?.handshake?.reset()
      self?.finish(.failure(.timeout))
    }
    do throws(Failure) {
      let context = try tunnel.tls.upstream(offering: name)
      handshake = try TLSChannel(client: context, over: channel, serverName: tunnel.properties.hostname ?? "") {
        [self] failure in
        if let failure { Log.debug("engine", "tunnel \(tunnel.id): \(failure.message)") }
        guard let secure = handshake, failure == nil else { return finish(.failure(.io)) }
        finish(.success(secure))
      }
    } catch {
      Log.error("engine", "tunnel \(tunnel.id): \(error.message)")
      channel.reset()
      finish(.failure(.io))
    }
  }

  private func finish(_ result: Result<ByteChannel, StreamFailure>) {
    let report = completion
    completion = nil
    release()
    report?(result)
  }

  private func release() {
    pending = nil
    handshake = nil
    timer?.close()
    timer = nil
  }
}
