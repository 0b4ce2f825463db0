// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// One request on a client's HTTP/3 connection, and the response to it.
final class HTTP3Downstream: HTTPDownstream, HTTP3StreamDelegate {
  private let stream: HTTP3Stream
  private let handler: any HTTPHandler
  private let timeouts: HTTPTimeouts
  private var timer: LoopTimer?
  private var exchange: HTTPExchange?
  private var hasBegun = false
  private var isRequestAll = false
  private var isResponseAll = false
  private var hasSentHead = false
  private var trailers: HTTP3FieldList?

  // What has moved since the timer was started last.
  private var progress = 0
  private var progressAtStart = 0
  private var queuedAtStart = 0

  /// The connection of the stream keeps this until the stream has ended.
  init(_ stream: HTTP3Stream, _ loop: Loop, _ handler: any HTTPHandler, _ timeouts: HTTPTimeouts) {
    self.stream = stream
    self.handler = handler
    self.timeouts = timeouts
    stream.delegate = self
    timer = LoopTimer(loop, after: timeouts.firstHead) { [weak self] in self?.timeIsUp() }
  }

  /// The stream is over.
  func end() {
    timer?.close()
    timer = nil
    let lost = exchange
    exchange = nil
    lost?.downstreamLost()
  }

  // MARK: HTTP3StreamDelegate

  func http3(_ stream: HTTP3Stream, received fields: HTTP3Fields, isTrailer: Bool) {
    progress &+= 1
    guard !isTrailer else {
      exchange?.receivedTrailers(fields.trailers)
      return
    }
    guard !hasBegun else { return }
    hasBegun = true
    guard !fields.isTooLarge else { return refuse(431, "The request's header is larger than 64 KiB.") }
    guard var head = HTTPRequestHead(fields) else { return refuse(400, "The request names no valid host or path.") }
    head.headers.removeHopByHop(keepProxyCredentials: head.method == "CONNECT")
    watchProgress()
    let exchange = HTTPExchange(head, Self.body(head, fields), from: self)
    self.exchange = exchange
    handler.handle(exchange)
  }

  private static func body(_ head: HTTPRequestHead, _ fields: HTTP3Fields) -> HTTPBodyLength {
    guard !fields.isAll else { return .none }
    // nghttp3 has made sure that it is one number, and sees to it that the body has that length.
    return head.headers.first("content-length").flatMap { UInt64($0) }.map { .bytes($0) } ?? .streamed
  }

  func http3(_ stream: HTTP3Stream, receivedBody bytes: UnsafeRawBufferPointer) {
    progress &+= 1
    exchange?.receivedBody(bytes)
  }

  func http3ReceivedEnd(_ stream: HTTP3Stream) {
    isRequestAll = true
    exchange?.receivedEnd()
  }

  func http3ReceivedAll(_ stream: HTTP3Stream) { exchange?.flushRequest() }

  func http3Drained(_ stream: HTTP3Stream) {
    progress &+= 1
    exchange?.downstreamDrained()
  }

  func http3(_ stream: HTTP3Stream, failed failure: Failure) { end() }

  /// Answers what no handler gets to see.
  private func refuse(_ status: Int, _ message: String) {
    let lost = exchange
    exchange = nil
    lost?.downstreamLost()
    guard !hasSentHead else { return stream.reset(code: HTTP3Code.internalError) }
    let (head, body) = HTTPResponseHead.text(status, message)
    send(head, .bytes(UInt64(body.count)))
    body.withUnsafeBytes { sendBody($0) }
    sendEnd()
  }

  // MARK: Time

  private func watchProgress() {
    progressAtStart = progress
    queuedAtStart = stream.queuedBytes
    timer?.start(after: timeouts.idle)
  }

  private func timeIsUp() {
    guard hasBegun else { return refuse(408, "The request's header did not arrive in time.") }
    guard progress == progressAtStart, stream.queuedBytes == queuedAtStart else { return watchProgress() }
    if queuedAtStart > 0 {
      stream.reset(code: HTTP3Code.excessiveLoad)
    } else if exchange != nil, !isRequestAll, stream.isReading {
      refuse(408, "The request's body did not arrive in time.")
    } else {
      watchProgress()
    }
  }

  // MARK: HTTPDownstream

  var queuedBytes: Int { stream.queuedBytes }

  func pauseRequest() { stream.readStop() }
  func resumeRequest() { stream.readStart() }

  func sendInterim(_ head: HTTPResponseHead) { stream.respondInterim(HTTP3FieldList(head)) }

  func send(_ head: HTTPResponseHead, _ body: HTTPBodyLength) {
    guard !hasSentHead else { return }
    hasSentHead = true
    isResponseAll = body == .none
    var head = head
    if case .bytes(let count) = body, !head.headers.contains("content-length") {
      head.headers.append("Content-Length", String(count))
    }
    stream.respond(HTTP3FieldList(head), isAll: isResponseAll)
  }

  func sendBody(_ bytes: UnsafeRawBufferPointer) { stream.write(bytes) }

  func sendTrailers(_ trailers: HTTPHeaders) { self.trailers = HTTP3FieldList(trailers: trailers) }

  func sendEnd() {
    exchange = nil
    if !isResponseAll { stream.end(trailers) }
  }

  /// No stream of HTTP/3 becomes something else: extended CONNECT is not offered.
  func upgrade(_ head: HTTPResponseHead, joining channel: ByteChannel) {
    channel.reset()
    abort()
  }

  func leaveHTTP(_ head: HTTPResponseHead) -> ByteChannel? {
    abort()
    return nil
  }

  func abort() {
    exchange = nil
    if hasSentHead {
      stream.reset(code: HTTP3Code.internalError)
    } else {
      refuse(502, "The service behind the tunnel broke off.")
    }
  }

  func flush() {}
}
