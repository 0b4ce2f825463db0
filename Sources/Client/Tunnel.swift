// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire

/// An open tunnel: where its streams come in.
public final class Tunnel {
  /// Streams that wait for the application to listen.
  static let backlog = 10
  /// How long a stream beyond the backlog waits for a place, in milliseconds.
  static let deliveryTimeout: UInt64 = 5_000

  public let id: String
  /// Where others reach the tunnel.
  public let forwardingAddress: String
  /// Told once when the tunnel ends without `close`: nil when the engine revoked it.
  public var onEnd: ((Failure?) -> Void)?

  private let control: ControlChannel
  private let properties: TunnelOptions
  private var target = Target.nobody
  private var accepted: [Stream] = []
  private var deliveries: [Delivery] = []
  private var isEnded = false
  private var isCloseRequested = false
  private var closeTimer: LoopTimer?
  private var onClosed: (() -> Void)?

  private enum Target {
    case nobody
    case application((Stream) -> Void)
    case service(LocalEndpoint, ((ForwardEvent) -> Void)?)
  }

  init(_ control: ControlChannel, _ id: String, _ properties: TunnelProperties) {
    self.control = control
    self.id = id
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
    try checkOpen("listen")
    guard let accept else {
      target = .nobody
      return
    }
    target = .application(accept)
    loop.later { [self] in handOutWaiting() }
  }

  /// Connects incoming streams to a local service.
  public func forward(to address: String, _ observe: ((ForwardEvent) -> Void)?) throws(Failure) {
    try checkOpen("forward")
    target = .service(try LocalEndpoint(address), observe)
    loop.later { [self] in handOutWaiting() }
  }

  private func checkOpen(_ attempt: String) throws(Failure) {
    guard isOpen else { throw Failure(ErrorCode.tunnelClosed, "\(attempt): the tunnel is closed") }
  }

  private func handOutWaiting() {
    switch target {
    case .nobody:
      return
    case .application(let accept):
      while isOpen, !accepted.isEmpty, case .application = target { accept(accepted.removeFirst()) }
      admitWaiting()
    case .service(let endpoint, let observe):
      let streams = accepted
      accepted = []
      for stream in streams {
        guard let channel = stream.takeChannel() else { continue }
        let delivery = Delivery(channel) { failure in
          if let failure { Log.warn("forward", failure.message) }
        }
        delivery.connect(control.client, to: endpoint, peer: stream.peer, tunnel: self, observe)
      }
      admitWaiting()
    }
  }

  /// Takes over a stream that has been opened. `done` is told when it is delivered, or why it was not.
  func deliver(_ channel: ByteChannel, id: String, peer: String, _ done: @escaping (Failure?) -> Void) -> Delivery? {
    guard !isEnded else {
      channel.reset()
      done(Failure(ErrorCode.tunnelClosed, "the tunnel is closed"))
      return nil
    }
    switch target {
    case .service(let endpoint, let observe):
      let delivery = Delivery(channel, done)
      delivery.connect(control.client, to: endpoint, peer: peer, tunnel: self, observe)
      return delivery
    case .application(let accept):
      let stream = makeStream(channel, id, peer)
      accept(stream)
      done(nil)
      return nil
    case .nobody:
      if accepted.count < Self.backlog {
        accepted.append(makeStream(channel, id, peer))
        done(nil)
        return nil
      }
      let delivery = Delivery(channel, done)
      delivery.wait(loop, Self.deliveryTimeout, id: id, peer: peer) { [self] in
        deliveries.removeAll { $0 === delivery }
      }
      deliveries.append(delivery)
      return delivery
    }
  }

  private func makeStream(_ channel: ByteChannel, _ id: String, _ peer: String) -> Stream {
    let stream = Stream(control.client, channel, id: id, peer: peer)
    control.client.add(stream)
    return stream
  }

  /// There is room again: those that waited for it are delivered.
  private func admitWaiting() {
    let waiting = deliveries
    deliveries = []
    for delivery in waiting {
      delivery.admit { channel, id, peer, done in _ = deliver(channel, id: id, peer: peer, done) }
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
    for stream in accepted { try? stream.reset {} }
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
