// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Brings consumers and owners together: a consumer opens a stream of a tunnel, the owner is asked for it on its control
/// channel and delivers it with a connection of its own that shows the stream's secret.
final class StreamBroker {
  private let loop: Loop
  private let timeout: UInt64
  /// What owners were asked for and have not delivered.
  private var expected: [String: PendingStream] = [:]

  init(_ loop: Loop, timeout milliseconds: UInt64) {
    self.loop = loop
    timeout = milliseconds
  }

  /// Opens a stream of a tunnel.
  /// - Parameters:
  ///   - source: the consumer's address, which the owner is told
  ///   - completion: called once, never inside this call; not called after `PendingStream.cancel`
  func open(_ tunnel: Tunnel, source: SocketAddress?, _ completion: @escaping PendingStream.Completion)
    -> PendingStream
  {
    let requests = tunnel.owner.requests
    let stream = PendingStream(tunnel, source: source, queue: requests, timeout: timeout, completion)
    if !tunnel.isOpen {
      loop.later { stream.fail(.notFound) }
    } else if requests.isFull {
      let error = PeerError(.capacityExhausted, "Too many streams wait for the tunnel's owner.")
      loop.later { stream.fail(.refused(error)) }
    } else {
      requests.add(stream)
    }
    return stream
  }

  func expect(_ stream: PendingStream) { expected[stream.id] = stream }

  func forget(_ stream: PendingStream) { expected[stream.id] = nil }

  /// An owner has connected to deliver a stream.
  func deliver(_ request: ProxyReq, over channel: ByteChannel) {
    let answers = request.zeroRTT != true
    guard let stream = expected[request.streamID], stream.accepts(request.clientDetails?.token) else {
      return refuse(channel, answers, "Nobody waits for this stream, or its secret is wrong.")
    }
    QUICSession.accepted(over: channel)
    if stream.isAbandoned {
      stream.fail(.notFound)
      return refuse(channel, answers, "Nobody waits for this stream any more.")
    }
    if answers { channel.write(.proxyRsp(ProxyRsp())) }
    stream.succeed(channel)
  }

  private func refuse(_ channel: ByteChannel, _ answers: Bool, _ why: String) {
    if answers { channel.write(.proxyRsp(ProxyRsp(error: PeerError(.invalidStream, why)))) }
    channel.close()
  }
}

extension ByteChannel {
  /// Writes a message that is known to fit into a frame.
  func write(_ message: Message) {
    if let frame = try? message.framed() { write(frame) }
  }
}
