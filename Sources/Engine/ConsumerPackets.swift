// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// A consumer's packet channel that is joined with one of a tunnel: first it waits for the owner, then packets go both
/// ways until one side ends.
final class ConsumerPackets: Session, PacketChannelDelegate {
  /// Told before packets flow, or that none will: the dialer's answer is sent here.
  typealias Answer = (Result<String, StreamFailure>) -> Void

  /// How many times as long as a channel may idle its consumer may listen only.
  private static let silenceFactor: UInt64 = 4

  private let engine: Engine
  private let consumer: PacketChannel
  private let tunnel: Tunnel
  private let answer: Answer?
  private let upstream: ServiceOpening.Transport
  private let idleTimeout: UInt64?
  private var pending: PendingStream?
  private var handshake: DTLSChannel?
  private var splice: PacketSplice?
  private var idle: IdleDeadline?
  private var silence: IdleDeadline?

  /// Takes the consumer's channel over, which nobody reads at the moment.
  @discardableResult
  static func open(
    _ tunnel: Tunnel, for consumer: PacketChannel, _ engine: Engine, upstream: ServiceOpening.Transport = .plain,
    idleTimeout: UInt64? = nil, answer: Answer? = nil
  ) -> ConsumerPackets {
    ConsumerPackets(tunnel, consumer, engine, upstream, idleTimeout, answer)
  }

  /// - Parameters:
  ///   - upstream: what the service behind the tunnel speaks: packets as they are, or DTLS
  ///   - idleTimeout: milliseconds without packets after which the channel ends
  private init(
    _ tunnel: Tunnel, _ consumer: PacketChannel, _ engine: Engine, _ upstream: ServiceOpening.Transport,
    _ idleTimeout: UInt64?, _ answer: Answer?
  ) {
    self.upstream = upstream
    self.idleTimeout = idleTimeout
    self.engine = engine
    self.consumer = consumer
    self.tunnel = tunnel
    self.answer = answer
    engine.sessions.add(self)
    consumer.delegate = self
    pending = engine.broker.open(tunnel, source: consumer.peer) { [self] result in opened(result) }
  }

  /// Channels go on until their peers end them, or the engine's time is up.
  func drain() {}

  func cut() {
    consumer.reset()
    splice?.cut()
    leave()
  }

  private func leave() {
    pending?.cancel()
    pending = nil
    // Its channel would stay open with nobody at its end.
    let unfinished = handshake
    handshake = nil
    unfinished?.reset()
    if let splice, splice.dropped > 0 {
      Log.debug("engine", "tunnel \(tunnel.id): \(splice.dropped) of \(splice.packets) packets were dropped")
      engine.droppedPackets &+= splice.dropped
    }
    splice = nil
    idle?.close()
    idle = nil
    silence?.close()
    silence = nil
    engine.sessions.remove(self)
  }

  private func opened(_ result: Result<OwnerEnd, StreamFailure>) {
    let id = pending?.id ?? ""
    pending = nil
    switch result {
    case .failure(let failure):
      Log.debug("engine", "tunnel \(tunnel.id): no packet channel: \(failure)")
      answer?(.failure(failure))
      consumer.close()
      leave()
    case .success(let owner):
      answer?(.success(id))
      let packets: PacketChannel =
        switch owner {
        case .stream(let channel): FramedPacketChannel(channel)
        case .datagrams(let channel): channel
        }
      if case .tls(let name) = upstream { startDTLS(over: packets, offering: name) } else { join(packets) }
    }
  }

  private func startDTLS(over packets: PacketChannel, offering name: String) {
    do throws(Failure) {
      let context = try tunnel.tls.upstream(offering: name, datagrams: true)
      handshake = try DTLSChannel(
        client: context, over: packets, serverName: tunnel.properties.hostname ?? "", deadline: engine.streamTimeout
      ) { [self] failure in
        let secure = handshake
        handshake = nil
        if failure == nil, let secure { return join(secure) }
        Log.debug("engine", "tunnel \(tunnel.id): \(failure?.message ?? "")")
        consumer.close()
        leave()
      }
    } catch {
      Log.error("engine", "tunnel \(tunnel.id): \(error.message)")
      packets.reset()
      consumer.close()
      leave()
    }
  }

  private func join(_ owner: PacketChannel) {
    let splice = PacketSplice(consumer, owner) { [self] _, failure in
      if let failure { Log.debug("engine", "tunnel \(tunnel.id): packet channel: \(failure.message)") }
      leave()
    }
    self.splice = splice
    if let idleTimeout {
      idle = IdleDeadline(engine.loop, after: idleTimeout, progress: { splice.packets }, { splice.close(nil) })
      let consumer = consumer
      silence = IdleDeadline(
        engine.loop, after: idleTimeout * Self.silenceFactor, progress: { consumer.counters.received },
        { splice.close(nil) })
    }
  }

  /// What each side of a channel is told of the other's failures. What a client has said is passed on; all else, addresses
  /// for example, is between the engine and that client.
  static var words: DatagramChannelSignal.Words {
    DatagramChannelSignal.Words(
      of: { failure in
        failure.code == ErrorCode.engine
          ? PeerError(PeerError.Code(rawValue: failure.engineCode), failure.message)
          : PeerError(.serviceUnavailable, "The other side of the packet channel was lost.")
      },
      heard: { Failure(ErrorCode.engine, $0.message ?? "no reason given", engineCode: $0.code.rawValue) })
  }

  // MARK: The consumer while it waits

  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {}

  func packetChannelPaused(_ channel: PacketChannel) {}

  func packetChannelDrained(_ channel: PacketChannel) {}

  func packetChannelEnded(_ channel: PacketChannel) { leave() }

  func packetChannel(_ channel: PacketChannel, failed failure: Failure) { leave() }
}
