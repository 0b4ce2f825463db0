// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// The streams that one client is asked for. Clients work on a limited number at once and fail when more come than they can
/// queue, so the rest waits here.
final class StreamRequests {
  /// How many requests a client has to deal with at once.
  static let outstandingLimit = 64
  /// How many wait behind them.
  static let waitingLimit = 1024
  /// How many channels are remembered that the client may still agree to when nobody wants them any more.
  private static let lateLimit = 1024

  private let broker: StreamBroker
  private weak var owner: ControlSession?
  private var outstanding: [String: PendingStream] = [:]
  private var waiting: [PendingStream] = []
  /// Channels of datagrams that the client did not agree to in time, the oldest first.
  private var late: [String] = []
  private var isClosed = false

  init(_ broker: StreamBroker, _ owner: ControlSession) {
    self.broker = broker
    self.owner = owner
  }

  /// How many streams are waited for.
  var count: Int { outstanding.count + waiting.count }

  var isFull: Bool { waiting.count >= Self.waitingLimit }

  func add(_ stream: PendingStream) {
    waiting.append(stream)
    sendWaiting()
  }

  /// Asks the client for what waits, as far as it may be asked now.
  func sendWaiting() {
    while !isClosed, !waiting.isEmpty, outstanding.count < Self.outstandingLimit, let owner, !owner.isCongested {
      let stream = waiting.removeFirst()
      outstanding[stream.id] = stream
      broker.expect(stream)
      stream.prepare()
      owner.send(stream.request)
    }
  }

  /// The client has answered on its control channel. Where a stream comes, success says nothing new: it may come before or
  /// after the stream.
  func answered(_ response: ProxyConnRsp) {
    guard let stream = outstanding[response.streamID] else { return answeredLate(response) }
    if let error = response.error {
      stream.fail(.refused(error))
    } else {
      stream.agreed()
    }
  }

  /// A stream that comes late is refused when it comes. For a channel of datagrams the answer is all there is, and the client
  /// has handed it to an application that would wait for packets for ever.
  private func answeredLate(_ response: ProxyConnRsp) {
    guard let index = late.firstIndex(of: response.streamID) else { return }
    late.remove(at: index)
    guard response.error == nil else { return }
    owner?.send(.datagramChannelClose(DatagramChannelClose(streamID: response.streamID)))
  }

  /// A tunnel is closed: its streams do not come any more.
  func fail(_ tunnel: Tunnel) {
    fail(.notFound) { $0.tunnel === tunnel }
  }

  /// The client is gone.
  func close(_ failure: StreamFailure) {
    isClosed = true
    fail(failure) { _ in true }
  }

  private func fail(_ failure: StreamFailure, _ concerns: (PendingStream) -> Bool) {
    // Those that wait come first: otherwise they would be asked for in the places that become free.
    for stream in (waiting + Array(outstanding.values)).filter(concerns) { stream.fail(failure) }
  }

  // MARK: Called by the streams

  func settled(_ stream: PendingStream) {
    if outstanding.removeValue(forKey: stream.id) != nil {
      if stream.mayBeAgreedLate {
        if late.count >= Self.lateLimit { late.removeFirst() }
        late.append(stream.id)
      }
      broker.forget(stream)
      sendWaiting()
    } else {
      waiting.removeAll { $0 === stream }
    }
  }

  /// A request that the client works on keeps its place until the client is done with it.
  func abandoned(_ stream: PendingStream) {
    if outstanding[stream.id] == nil { stream.fail(.notFound) }
  }
}
