// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A consumer's connection that is joined with a stream of a tunnel: first it waits for the owner, then bytes go both ways
/// until both directions have ended.
final class ConsumerStream: Session, ByteChannelDelegate {
  /// Told before bytes flow, or that none will: the dialer's answer is sent here. The consumer is closed after a failure.
  typealias Answer = (ByteChannel, Result<String, StreamFailure>) -> Void

  private let engine: Engine
  private let consumer: ByteChannel
  private let tunnel: Tunnel
  private let answer: Answer?
  private var opening: ServiceOpening?
  private var splice: Splice?

  /// Takes the consumer's channel over, which nobody reads at the moment.
  @discardableResult
  static func open(
    _ tunnel: Tunnel, for consumer: ByteChannel, _ engine: Engine, upstream: ServiceOpening.Transport = .plain,
    answer: Answer? = nil
  ) -> ConsumerStream {
    ConsumerStream(tunnel, consumer, engine, upstream, answer)
  }

  private init(
    _ tunnel: Tunnel, _ consumer: ByteChannel, _ engine: Engine, _ upstream: ServiceOpening.Transport,
    _ answer: Answer?
  ) {
    self.engine = engine
    self.consumer = consumer
    self.tunnel = tunnel
    self.answer = answer
    engine.sessions.add(self)
    consumer.delegate = self
    opening = ServiceOpening(tunnel, upstream, source: consumer.peer, engine) { [self] result in opened(result) }
  }

  /// Streams go on until their peers end them, or the engine's time is up.
  func drain() {}

  func cut() {
    consumer.reset()
    splice?.cut()
    leave()
  }

  private func leave() {
    opening?.cancel()
    opening = nil
    splice = nil
    engine.sessions.remove(self)
  }

  private func opened(_ result: Result<ByteChannel, StreamFailure>) {
    let id = opening?.id ?? ""
    opening = nil
    switch result {
    case .failure(let failure):
      Log.debug("engine", "tunnel \(tunnel.id): no stream: \(failure)")
      answer?(consumer, .failure(failure))
      // A published tunnel has no other way to say it.
      if answer == nil { consumer.reset() } else { consumer.close() }
      leave()
    case .success(let owner):
      answer?(consumer, .success(id))
      splice = Splice(consumer, owner) { [self] _, _ in leave() }
    }
  }

  // MARK: The consumer while it waits

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {}

  func channelReceivedEnd(_ channel: ByteChannel) {}

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) { leave() }
}
