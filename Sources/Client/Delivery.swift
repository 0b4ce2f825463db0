// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A stream on its way into a tunnel: it waits for a place in the backlog, or for the local service to answer.
final class Delivery {
  private var channel: ByteChannel?
  private var done: ((Failure?) -> Void)?
  private var timer: LoopTimer?
  private var local: LocalConnection?
  private var id = ""
  private var peer = ""
  private var leave: (() -> Void)?

  init(_ channel: ByteChannel, _ done: @escaping (Failure?) -> Void) {
    self.channel = channel
    self.done = done
  }

  /// Waits for a place in the tunnel's backlog. `leave` is called when it gives up.
  func wait(_ loop: Loop, _ timeout: UInt64, id: String, peer: String, _ leave: @escaping () -> Void) {
    self.id = id
    self.peer = peer
    self.leave = leave
    timer = LoopTimer(loop, after: timeout) { [self] in
      self.leave?()
      fail(Failure(ErrorCode.backlogFull, "nobody accepts streams of the tunnel: \(Tunnel.backlog) wait already"))
    }
  }

  /// Goes on after waiting.
  func admit(_ deliver: (ByteChannel, String, String, @escaping (Failure?) -> Void) -> Void) {
    timer?.close()
    timer = nil
    leave = nil
    guard let channel, let done else { return }
    self.channel = nil
    self.done = nil
    deliver(channel, id, peer, done)
  }

  /// Connects to the local service and joins it with the stream. The stream counts as delivered when the service has
  /// answered, so that the engine learns of a service that is down instead of seeing a stream that ends at once.
  func connect(
    _ client: Client, to endpoint: LocalEndpoint, peer: String, tunnel: Tunnel, _ observe: ((ForwardEvent) -> Void)?
  ) {
    local = LocalConnection(client.loop, to: endpoint) { [self] result in
      local = nil
      switch result {
      case .failure(let failure):
        observe?(.opened(peer: peer))
        observe?(.closed(peer: peer, bytesIn: 0, bytesOut: 0, failure: failure))
        fail(failure)
      case .success(let service):
        guard let channel, let done else { return service.reset() }
        self.channel = nil
        self.done = nil
        observe?(.opened(peer: peer))
        client.add(
          Relay(client, channel, service, aEnded: false) { bytesIn, bytesOut, failure in
            observe?(.closed(peer: peer, bytesIn: bytesIn, bytesOut: bytesOut, failure: failure))
          })
        done(nil)
      }
    }
  }

  /// Drops the stream without telling.
  func cancel() {
    done = nil
    release()
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
    channel?.reset()
    channel = nil
  }
}
