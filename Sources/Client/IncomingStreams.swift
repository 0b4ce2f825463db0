// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// The engine's requests for streams on one control channel: so many are opened at a time, so many wait, the rest is
/// refused at once.
final class IncomingStreams {
  static let concurrent = 64
  static let queued = 256

  private weak var control: ControlChannel?
  private var active: [ObjectIdentifier: IncomingStream] = [:]
  private var waiting: [ProxyConnReq] = []

  init(_ control: ControlChannel) { self.control = control }

  func open(_ request: ProxyConnReq) {
    guard let control else { return }
    guard let tunnel = control.openTunnel(request.tunnelID) else {
      return control.answer(request.streamID, PeerError(.invalidStream, "the tunnel is not open here"))
    }
    if active.count < Self.concurrent {
      start(request, tunnel)
    } else if waiting.count < Self.queued {
      waiting.append(request)
    } else {
      control.answer(request.streamID, PeerError(.serviceUnavailable, "the client's stream queue is full"))
    }
  }

  private func start(_ request: ProxyConnReq, _ tunnel: Tunnel) {
    guard let control else { return }
    let stream = IncomingStream(control.client, request, tunnel) { [self] stream, error in
      active[ObjectIdentifier(stream)] = nil
      self.control?.answer(request.streamID, error)
      startWaiting()
    }
    active[ObjectIdentifier(stream)] = stream
    stream.begin()
  }

  private func startWaiting() {
    while active.count < Self.concurrent, !waiting.isEmpty {
      let request = waiting.removeFirst()
      if let tunnel = control?.openTunnel(request.tunnelID) {
        start(request, tunnel)
      } else {
        control?.answer(request.streamID, PeerError(.invalidStream, "the tunnel is not open here"))
      }
    }
  }

  /// The tunnel closes: what was not delivered is refused.
  func cancel(_ tunnel: Tunnel) {
    let refusal = PeerError(.invalidStream, "the tunnel was closed")
    for request in waiting where request.tunnelID == tunnel.id { control?.answer(request.streamID, refusal) }
    waiting.removeAll { $0.tunnelID == tunnel.id }
    for stream in active.values where stream.tunnel === tunnel { stream.refuse(refusal) }
  }

  /// The channel is over: nobody is left to answer.
  func stop() {
    waiting = []
    let streams = active.values
    active = [:]
    for stream in streams { stream.cancel() }
  }
}
