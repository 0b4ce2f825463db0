// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A consumer's connection that is joined with a stream of a tunnel: first it waits for the owner, then bytes go both ways
/// until both directions have ended.
final class ConsumerStream: Session, ByteChannelDelegate {
  /// What happens between the owner's stream and the consumer.
  enum Upstream {
    /// Bytes go as they are.
    case plain
    /// The service behind the tunnel speaks TLS; this is the protocol that the consumer negotiated.
    case tls(String)
  }

  /// Told before bytes flow, or that none will: the dialer's answer is sent here. The consumer is closed after a failure.
  typealias Answer = (ByteChannel, Result<String, StreamFailure>) -> Void

  private let engine: Engine
  private let consumer: ByteChannel
  private let tunnel: Tunnel
  private let upstream: Upstream
  private let answer: Answer?
  private var pending: PendingStream?
  private var timer: LoopTimer?
  private var handshake: TLSChannel?
  private var splice: Splice?

  /// Takes the consumer's channel over, which nobody reads at the moment.
  @discardableResult
  static func open(
    _ tunnel: Tunnel, for consumer: ByteChannel, _ engine: Engine, upstream: Upstream = .plain, answer: Answer? = nil
  ) -> ConsumerStream {
    ConsumerStream(tunnel, consumer, engine, upstream, answer)
  }

  private init(
    _ tunnel: Tunnel, _ consumer: ByteChannel, _ engine: Engine, _ upstream: Upstream, _ answer: Answer?
  ) {
    self.engine = engine
    self.consumer = consumer
    self.tunnel = tunnel
    self.upstream = upstream
    self.answer = answer
    engine.sessions.add(self)
    consumer.delegate = self
    pending = engine.broker.open(tunnel, source: consumer.peer) { [self] result in opened(result) }
  }

  /// Streams go on until their peers end them, or the engine's time is up.
  func drain() {}

  func cut() {
    consumer.reset()
    handshake?.reset()
    splice?.cut()
    leave()
  }

  private func leave() {
    pending?.cancel()
    pending = nil
    timer?.close()
    timer = nil
    handshake = nil
    splice = nil
    engine.sessions.remove(self)
  }

  private func opened(_ result: Result<ByteChannel, StreamFailure>) {
    let id = pending?.id ?? ""
    pending = nil
    switch result {
    case .failure(let failure):
      Log.debug("engine", "tunnel \(tunnel.id): no stream: \(failure)")
      answer?(consumer, .failure(failure))
      // A published tunnel has no other way to say it.
      if answer == nil { consumer.reset() } else { consumer.close() }
      leave()
    case .success(let owner):
      answer?(consumer, .success(id))
      switch upstream {
      case .plain: join(owner)
      case .tls(let negotiated): startTLS(over: owner, offering: negotiated)
      }
    }
  }

  private func startTLS(over owner: ByteChannel, offering negotiated: String) {
    timer = LoopTimer(engine.loop, after: engine.streamTimeout) { [self] in cut() }
    do throws(Failure) {
      let context = try tunnel.tls.upstream(offering: negotiated)
      handshake = try TLSChannel(client: context, over: owner, serverName: tunnel.properties.hostname ?? "") {
        [self] failure in
        guard let channel = handshake, failure == nil else {
          Log.debug("engine", "tunnel \(tunnel.id): \(failure?.message ?? "closed")")
          return cut()
        }
        timer?.close()
        timer = nil
        handshake = nil
        join(channel)
      }
    } catch {
      Log.error("engine", "tunnel \(tunnel.id): \(error.message)")
      owner.reset()
      cut()
    }
  }

  private func join(_ owner: ByteChannel) {
    splice = Splice(consumer, owner) { [self] _, _ in leave() }
  }

  // MARK: The consumer while it waits

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {}

  func channelReceivedEnd(_ channel: ByteChannel) {}

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    handshake?.reset()
    leave()
  }
}
