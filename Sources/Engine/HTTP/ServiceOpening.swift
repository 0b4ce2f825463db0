// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A stream of a tunnel that becomes a connection to the service behind it: the owner is asked for the stream, and where
/// the service speaks TLS the handshake is done over it.
final class ServiceOpening {
  typealias Completion = (Result<ByteChannel, StreamFailure>) -> Void

  private let engine: Engine
  private let tunnel: Tunnel
  private var completion: Completion?
  private var pending: PendingStream?
  private var handshake: TLSChannel?
  private var timer: LoopTimer?

  /// - Parameter completion: gets a channel that nobody reads; called once, never inside this call, not after `cancel`
  init(_ tunnel: Tunnel, source: SocketAddress?, _ engine: Engine, _ completion: @escaping Completion) {
    self.engine = engine
    self.tunnel = tunnel
    self.completion = completion
    pending = engine.broker.open(tunnel, source: source) { [self] result in
      pending = nil
      switch result {
      case .success(let channel) where tunnel.properties.upstreamTLS == true: startTLS(over: channel)
      case .success, .failure: finish(result)
      }
    }
  }

  func cancel() {
    completion = nil
    pending?.cancel()
    handshake?.reset()
    release()
  }

  private func startTLS(over channel: ByteChannel) {
    timer = LoopTimer(engine.loop, after: engine.streamTimeout) { [weak self] in
      self?.handshake?.reset()
      self?.finish(.failure(.timeout))
    }
    do throws(Failure) {
      let context = try tunnel.tls.upstream(offering: "http/1.1")
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
