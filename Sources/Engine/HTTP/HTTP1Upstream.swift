// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// An HTTP/1 connection to the service behind a tunnel: one stream of the tunnel, used for one request after the other as
/// long as the service agrees.
final class HTTP1Upstream: HTTPUpstream, ByteChannelDelegate, HTTP1Receiver {
  private let channel: ByteChannel
  private let parser = HTTP1Parser(.responses)
  private let output: HTTP1Output
  private var exchange: HTTPExchange?
  private var isClosed = false

  // The request being answered.
  private var isConnect = false
  private var mayLeaveHTTP = false
  private var isChunked = false
  private var requestHasEnded = false
  private var trailers = HTTPHeaders()
  private var hasReceived = false
  private var keepsAlive = false
  private var upgrade: HTTPResponseHead?

  /// Takes over a channel that nobody reads.
  init(_ channel: ByteChannel) {
    self.channel = channel
    output = HTTP1Output(channel)
    channel.delegate = self
  }

  /// Whether another request can be sent.
  var isReusable: Bool { !isClosed && exchange == nil && keepsAlive && requestHasEnded && parser.isIdle }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    exchange = nil
    output.drop()
    channel.close()
  }

  // MARK: HTTPUpstream

  var queuedBytes: Int { channel.queuedBytes }

  func send(_ head: HTTPRequestHead, _ body: HTTPBodyLength, for exchange: HTTPExchange) {
    self.exchange = exchange
    isConnect = head.method == "CONNECT"
    mayLeaveHTTP = isConnect || head.upgrade != nil
    isChunked = body == .streamed
    requestHasEnded = false
    hasReceived = false
    keepsAlive = false
    parser.answered = isConnect ? .connect : head.method == "HEAD" ? .head : .other
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1024)
    let connection: HTTP1Serializer.Connection = head.upgrade.map { .upgrade($0) } ?? .persistent
    HTTP1Serializer.append(head, chunked: isChunked, connection: connection, to: &bytes)
    output.write(bytes)
    channel.readStart()
  }

  func sendBody(_ bytes: UnsafeRawBufferPointer) {
    guard !isClosed else { return }
    if isChunked { output.writeChunk(bytes) } else { output.write(bytes) }
  }

  func sendTrailers(_ trailers: HTTPHeaders) { self.trailers = trailers }

  func sendEnd() {
    guard !isClosed else { return }
    requestHasEnded = true
    if isChunked { output.writeLastChunk(trailers) }
    trailers = HTTPHeaders()
  }

  func flush() { output.flush() }

  func abort() {
    guard !isClosed else { return }
    isClosed = true
    exchange = nil
    output.drop()
    channel.reset()
  }

  func pauseResponse() { if !isClosed { channel.readStop() } }

  func resumeResponse() { if !isClosed { channel.readStart() } }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    // Nothing was asked.
    guard let exchange else { return close() }
    hasReceived = true
    do {
      let used = try parser.feed(bytes, to: self)
      guard !isClosed else { return }
      let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
      if let head = upgrade {
        guard mayLeaveHTTP else { return fail(.badResponse("a change of protocols that nobody asked for")) }
        leaveHTTP(exchange, head, rest)
      } else if !rest.isEmpty {
        // More than was asked for: where the next response would begin is not known.
        close()
      } else {
        exchange.flushResponse()
      }
    } catch {
      fail(.badResponse(error.message))
    }
  }

  private func leaveHTTP(_ exchange: HTTPExchange, _ head: HTTPResponseHead, _ rest: UnsafeRawBufferPointer) {
    isClosed = true
    self.exchange = nil
    channel.delegate = nil
    channel.readStop()
    channel.unread(rest)
    exchange.respondUpgrade(head, channel)
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    guard exchange != nil else { return close() }
    do {
      try parser.finish(to: self)
      // Either the end was the response's, or the response has not begun.
      if exchange != nil { fail(hasReceived ? .badResponse("the connection ended before the response") : .noResponse) }
      close()
    } catch {
      fail(.badResponse(error.message))
    }
  }

  func channelDrained(_ channel: ByteChannel) { exchange?.upstreamDrained() }

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    fail(hasReceived ? .badResponse(failure.message) : .noResponse)
  }

  private func fail(_ failure: HTTPUpstreamFailure) {
    let exchange = self.exchange
    abort()
    exchange?.upstreamFailed(failure)
  }

  // MARK: HTTP1Receiver

  func received(_ response: HTTP1Response) {
    guard let exchange else { return }
    var head = response.head
    let upgraded = head.status == 101 ? head.headers.first("upgrade") : nil
    head.headers.removeHopByHop(keepProxyCredentials: isConnect)
    if head.isInterim {
      exchange.respondInterim(head)
    } else if response.endsHTTP {
      if let upgraded { head.headers.append("Upgrade", upgraded) }
      upgrade = head
    } else {
      keepsAlive = response.keepsAlive
      exchange.respond(head, response.body)
    }
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) { exchange?.respondBody(bytes) }

  func receivedTrailers(_ trailers: HTTPHeaders) { exchange?.respondTrailers(trailers) }

  func receivedEnd() {
    guard upgrade == nil, let exchange else { return }
    self.exchange = nil
    exchange.respondEnd()
    if !keepsAlive { close() }
  }
}
