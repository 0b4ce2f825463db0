// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A consumer's packet channel that is joined with one of a tunnel: first it waits for the owner, then packets go both
/// ways until one side ends.
final class ConsumerPackets: Session, PacketChannelDelegate {
  /// Told before packets flow, or that none will: the dialer's answer is sent here.
  typealias Answer = (Result<String, StreamFailure>) -> Void

  private let engine: Engine
  private let consumer: PacketChannel
  private let tunnel: Tunnel
  private let answer: Answer?
  private var opening: ServiceOpening?
  private var splice: PacketSplice?

  /// Takes the consumer's channel over, which nobody reads at the moment.
  @discardableResult
  static func open(_ tunnel: Tunnel, for consumer: PacketChannel, _ engine: Engine, answer: Answer? = nil)
    -> ConsumerPackets
  {
    ConsumerPackets(tunnel, consumer, engine, answer)
  }

  private init(_ tunnel: Tunnel, _ consumer: PacketChannel, _ engine: Engine, _ answer: Answer?) {
    self.engine = engine
    self.consumer = consumer
    self.tunnel = tunnel
    self.answer = answer
    engine.sessions.add(self)
    consumer.delegate = self
    opening = ServiceOpening(tunnel, .plain, source: consumer.peer, engine) { [self] result in opened(result) }
  }

  /// Channels go on until their peers end them, or the engine's time is up.
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
      Log.debug("engine", "tunnel \(tunnel.id): no packet channel: \(failure)")
      answer?(.failure(failure))
      consumer.close()
      leave()
    case .success(let owner):
      answer?(.success(id))
      splice = PacketSplice(consumer, FramedPacketChannel(owner)) { [self] _, failure in
        if let failure { Log.debug("engine", "tunnel \(tunnel.id): packet channel \(id): \(failure.message)") }
        leave()
      }
    }
  }

  // MARK: The consumer while it waits

  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {}

  func packetChannelPaused(_ channel: PacketChannel) {}

  func packetChannelDrained(_ channel: PacketChannel) {}

  func packetChannelEnded(_ channel: PacketChannel) { leave() }

  func packetChannel(_ channel: PacketChannel, failed failure: Failure) { leave() }
}
