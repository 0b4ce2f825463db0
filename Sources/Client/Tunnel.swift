// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire

/// An open tunnel: where its streams or packet channels come in.
public final class Tunnel {
  /// Streams that wait for the application to listen.
  static let backlog = 10
  /// How long a stream beyond the backlog waits for a place, in milliseconds.
  static let deliveryTimeout: UInt64 = 5_000
  /// Packet channels that are forwarded to a UDP service at once: each has a socket, and none says when it is done.
  static let packetRelayLimit = 1_024

  public let id: String
  /// Where others reach the tunnel.
  public let forwardingAddress: String
  /// Told once when the tunnel ends without `close`: nil when the engine revoked it.
  public var onEnd: ((Failure?) -> Void)?

  let control: ControlChannel
  private let properties: TunnelOptions
  /// Whether packets come in, and not byte streams.
  public let carriesPackets: Bool
  /// Whether packets may come as QUIC datagrams, which the network may lose.
  let takesDatagrams: Bool
  private var target = Target.nobody
  private var accepted: [Accepted] = []
  private var deliveries: [Delivery] = []
  private var isEnded = false
  private var isCloseRequested = false
  private var closeTimer: LoopTimer?
  private var onClosed: (() -> Void)?
  private var packetRelays = 0

  private enum Target {
    case nobody
    case streams((Stream) -> Void)
    case packets((Packets) -> Void)
    case service(LocalEndpoint, ((ForwardEvent) -> Void)?)

    var isApplication: Bool {
      switch self {
      case .streams, .packets: true
      case .nobody, .service: false
      }
    }
  }

  /// What the application can be given, or waits for it.
  private enum Accepted {
    case stream(Stream)
    case packets(Packets)

    var peer: String {
      switch self {
      case .stream(let stream): stream.peer
      case .packets(let packets): packets.peer
      }
    }

    func drop() {
      switch self {
      case .stream(let stream): try? stream.reset {}
      case .packets(let packets): packets.drop()
      }
    }

    /// What is inside, nil when it has broken meanwhile.
    func take() -> Arrival? {
      switch self {
      case .stream(let stream): stream.takeChannel().map { .stream($0) }
      case .packets(let packets): packets.takeChannel().map { .packets($0) }
      }
    }
  }

  init(_ control: ControlChannel, _ id: String, _ properties: TunnelProperties) {
    self.control = control
    self.id = id
    carriesPackets = properties.carriesPackets
    takesDatagrams = properties.carriesPackets && properties.datagramGuaranteedDelivery != true
    self.properties = TunnelOptions(properties)
    forwardingAddress = properties.forwardingAddress ?? "rstrm://\(id) (unpublished)"
  }

  private var loop: Loop { control.client.loop }

  public var isOpen: Bool { !isEnded && !isCloseRequested }

  /// A property as the engine confirmed it, under its name in rstream/tunnel.h.
  public func property(_ name: String) -> String? { properties.get(name) }

  /// Names of the properties that the engine confirmed.
  public var propertyNames: [String] { properties.names }

  // MARK: Receiving streams

  /// Has incoming streams, those that wait first, given to `accept`; nil lets them wait again.
  public func listen(_ accept: ((Stream) -> Void)?) throws(Failure) {
    try check("listen", packets: false)
    receive(accept.map { .streams($0) })
  }

  /// The same for the packet channels of a datagram tunnel.
  public func listenPackets(_ accept: ((Packets) -> Void)?) throws(Failure) {
    try check("listen for packets", packets: true)
    receive(accept.map { .packets($0) })
  }

  /// Connects what comes in to a local service.
  public func forward(to address: String, _ observe: ((ForwardEvent) -> Void)?) throws(Failure) {
    try checkOpen("forward")
    receive(.service(try LocalEndpoint(address, packets: carriesPackets), observe))
  }

  private func receive(_ target: Target?) {
    self.target = target ?? .nobody
    if target != nil { loop.later { [self] in handOutWaiting() } }
  }

  private func check(_ attempt: String, packets: Bool) throws(Failure) {
    try checkOpen(attempt)
    guard carriesPackets == packets else {
      throw Failure(
        ErrorCode.unsupportedTunnel,
        carriesPackets
          ? "\(attempt): the tunnel carries packets, not byte streams; listen for packets"
          : "\(attempt): the tunnel carries byte streams, not packets; create it with type datagram")
    }
  }

  private func checkOpen(_ attempt: String) throws(Failure) {
    guard isOpen else { throw Failure(ErrorCode.tunnelClosed, "\(attempt): the tunnel is closed") }
  }

  private func handOutWaiting() {
    switch target {
    case .nobody: return
    case .streams, .packets:
      while isOpen, target.isApplication, !accepted.isEmpty { handOut(accepted.removeFirst()) }
    case .service(let endpoint, let observe):
      let waiting = accepted
      accepted = []
      for incoming in waiting {
        guard let arrival = incoming.take() else { continue }
        _ = connect(arrival, to: endpoint, peer: incoming.peer, observe) { failure in
          if let failure { Log.warn("forward", failure.message) }
        }
      }
    }
    admitWaiting()
  }

  /// Gives to the application that listens.
  private func handOut(_ incoming: Accepted) {
    switch (target, incoming) {
    case (.streams(let accept), .stream(let stream)): accept(stream)
    case (.packets(let accept), .packets(let packets)): accept(packets)
    default: incoming.drop()
    }
  }

  /// Takes over a stream that has been opened. `done` is told when it is delivered, or why it was not.
  func deliver(_ channel: ByteChannel, id: String, peer: String, _ done: @escaping (Failure?) -> Void) -> Delivery? {
    deliver(carriesPackets ? .packets(FramedPacketChannel(channel)) : .stream(channel), id: id, peer: peer, done)
  }

  func deliver(_ arrival: Arrival, id: String, peer: String, _ done: @escaping (Failure?) -> Void) -> Delivery? {
    guard !isEnded else {
      arrival.reset()
      done(Failure(ErrorCode.tunnelClosed, "the tunnel is closed"))
      return nil
    }
    switch target {
    case .service(let endpoint, let observe):
      return connect(arrival, to: endpoint, peer: peer, observe, done)
    case .streams, .packets:
      handOut(accept(arrival, id, peer))
      done(nil)
      return nil
    case .nobody:
      if accepted.count < Self.backlog {
        accepted.append(accept(arrival, id, peer))
        done(nil)
        return nil
      }
      let delivery = Delivery(arrival, done)
      delivery.wait(loop, Self.deliveryTimeout, id: id, peer: peer) { [self] in
        deliveries.removeAll { $0 === delivery }
      }
      deliveries.append(delivery)
      return delivery
    }
  }

  private func connect(
    _ arrival: Arrival, to endpoint: LocalEndpoint, peer: String, _ observe: ((ForwardEvent) -> Void)?,
    _ done: @escaping (Failure?) -> Void
  ) -> Delivery? {
    if carriesPackets {
      guard packetRelays < Self.packetRelayLimit else {
        arrival.reset()
        done(Failure(ErrorCode.backlogFull, "\(packetRelays) packet channels are forwarded already"))
        return nil
      }
      packetRelays += 1
    }
    let delivery = Delivery(arrival, done)
    delivery.connect(control.client, to: endpoint, peer: peer, observe) { [self] in
      if carriesPackets { packetRelays -= 1 }
    }
    return delivery
  }

  private func accept(_ arrival: Arrival, _ id: String, _ peer: String) -> Accepted {
    switch arrival {
    case .stream(let channel):
      let stream = Stream(control.client, channel, id: id, peer: peer)
      control.client.add(stream)
      return .stream(stream)
    case .packets(let channel):
      let packets = Packets(control.client, channel, id: id, peer: peer)
      control.client.add(packets)
      return .packets(packets)
    }
  }

  /// There is room again: those that waited for it are delivered.
  private func admitWaiting() {
    let waiting = deliveries
    deliveries = []
    for delivery in waiting {
      delivery.admit { arrival, id, peer, done in _ = deliver(arrival, id: id, peer: peer, done) }
    }
  }

  // MARK: Ending

  /// Ends the tunnel; streams that were handed out go on.
  public func close(_ done: @escaping () -> Void) throws(Failure) {
    guard !isCloseRequested else { throw Failure(ErrorCode.tunnelClosed, "close the tunnel: it is closed") }
    isCloseRequested = true
    onEnd = nil
    onClosed = done
    if !isEnded, control.sendClose(of: self) {
      dropWaiting()
      closeTimer = LoopTimer(loop, after: ControlChannel.closeTimeout) { [self] in
        control.forget(self)
        engineClosed()
      }
    } else {
      isEnded = true
      loop.later { [self] in finish() }
    }
  }

  /// The engine has confirmed the end, or revoked the tunnel.
  func engineClosed() {
    guard !isEnded else { return }
    isEnded = true
    dropWaiting()
    if isCloseRequested {
      finish()
    } else {
      let report = onEnd
      onEnd = nil
      report?(nil)
    }
  }

  /// The control channel is over. `isOwn`: it was closed from this side.
  func controlEnded(_ failure: Failure?, isOwn: Bool) {
    guard !isEnded else { return }
    isEnded = true
    dropWaiting()
    if isCloseRequested {
      loop.later { [self] in finish() }
    } else {
      let report = onEnd
      onEnd = nil
      loop.later {
        report?(failure ?? Failure(ErrorCode.controlClosed, "the control channel of the tunnel was closed"))
      }
    }
  }

  private func dropWaiting() {
    target = .nobody
    for incoming in accepted { incoming.drop() }
    accepted = []
    let waiting = deliveries
    deliveries = []
    for delivery in waiting { delivery.cancel() }
  }

  private func finish() {
    closeTimer?.close()
    closeTimer = nil
    let report = onClosed
    onClosed = nil
    report?()
  }
}

/// What happens to a forwarded connection.
public enum ForwardEvent {
  case opened(peer: String)
  case closed(peer: String, bytesIn: UInt64, bytesOut: UInt64, failure: Failure?)
}
