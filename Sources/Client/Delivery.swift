// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A stream on its way into a tunnel: it waits for a place in the backlog, or for the local service to answer.
final class Delivery: PacketChannelDelegate {
  private var arrival: Arrival?
  private var done: ((Failure?) -> Void)?
  private var timer: LoopTimer?
  private var local: LocalConnection?
  private var id = ""
  private var peer = ""
  /// Called when it gives up by itself, not when it is cancelled.
  private var leave: (() -> Void)?

  init(_ arrival: Arrival, _ done: @escaping (Failure?) -> Void) {
    self.arrival = arrival
    self.done = done
    // A packet channel may end meanwhile. One on a stream is not read, and shows only that it has broken.
    if case .packets(let channel) = arrival { channel.delegate = self }
  }

  /// Waits for a place in the tunnel's backlog. `leave` is called when it gives up.
  func wait(_ loop: Loop, _ timeout: UInt64, id: String, peer: String, _ leave: @escaping () -> Void) {
    self.id = id
    self.peer = peer
    self.leave = leave
    timer = LoopTimer(loop, after: timeout) { [self] in
      giveUp(Failure(ErrorCode.backlogFull, "nobody accepts streams of the tunnel: \(Tunnel.backlog) wait already"))
    }
  }

  /// Goes on after waiting.
  func admit(_ deliver: (Arrival, String, String, @escaping (Failure?) -> Void) -> Void) {
    timer?.close()
    timer = nil
    leave = nil
    guard let arrival, let done else { return }
    self.arrival = nil
    self.done = nil
    deliver(arrival, id, peer, done)
  }

  /// Connects to the local service and joins it with the stream. The stream counts as delivered when the service has
  /// answered, so that the engine learns of a service that is down instead of seeing a stream that ends at once.
  /// - Parameter ended: called once for each stream, whether the service was reached or not
  func connect(
    _ client: Client, to endpoint: LocalEndpoint, peer: String, _ observe: ((ForwardEvent) -> Void)?,
    _ ended: @escaping () -> Void
  ) {
    leave = ended
    local = LocalConnection(client.loop, to: endpoint) { [self] result in
      local = nil
      leave = nil
      switch result {
      case .failure(let failure):
        ended()
        observe?(.opened(peer: peer))
        observe?(.closed(peer: peer, bytesIn: 0, bytesOut: 0, failure: failure))
        fail(failure)
      case .success(let service):
        guard let arrival, let done else {
          ended()
          return service.reset()
        }
        self.arrival = nil
        self.done = nil
        observe?(.opened(peer: peer))
        join(arrival, service, client) { bytesIn, bytesOut, failure in
          ended()
          observe?(.closed(peer: peer, bytesIn: bytesIn, bytesOut: bytesOut, failure: failure))
        }
        done(nil)
      }
    }
  }

  private func join(_ arrival: Arrival, _ service: Arrival, _ client: Client, _ onEnd: @escaping Relay.End) {
    switch (arrival, service) {
    case (.stream(let stream), .stream(let socket)):
      client.add(Relay(client, stream, socket, aEnded: false, onEnd))
    case (.packets(let packets), .packets(let socket)):
      client.add(PacketRelay(client, packets, socket, onEnd))
    default:
      // The endpoint is checked against the tunnel's type before.
      arrival.reset()
      service.reset()
      onEnd(0, 0, nil)
    }
  }

  /// Drops the stream without telling.
  func cancel() {
    done = nil
    release()
  }

  private func giveUp(_ failure: Failure) {
    let left = leave
    leave = nil
    left?()
    fail(failure)
  }

  private func fail(_ failure: Failure) {
    let report = done
    done = nil
    release()
    report?(failure)
  }

  private func release() {
    timer?.close()
    timer = nil
    leave = nil
    local?.cancel()
    local = nil
    arrival?.reset()
    arrival = nil
  }

  // MARK: A packet channel that waits

  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {}

  func packetChannelPaused(_ channel: PacketChannel) {}

  func packetChannelDrained(_ channel: PacketChannel) {}

  func packetChannelEnded(_ channel: PacketChannel) {
    giveUp(Failure(ErrorCode.streamClosed, "the other side closed the packet channel before it was accepted"))
  }

  func packetChannel(_ channel: PacketChannel, failed failure: Failure) { giveUp(failure) }
}
