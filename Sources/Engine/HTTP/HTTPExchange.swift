// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// One request and its response, whatever versions of HTTP carry them: the place where a client's connection and a
/// service's connection meet.
///
/// The client's side makes the exchange and gives it to a handler, which answers itself or connects a service. Body bytes
/// pass through borrowed; a side that does not take them stops the other side's source and nothing else. What a side
/// reports after the exchange is over is dropped here, so that neither has to know how the other ended.
final class HTTPExchange {
  private enum Response { case awaited, begun, over }

  let request: HTTPRequestHead
  let requestBody: HTTPBodyLength
  private var requestHasEnded = false
  private var response = Response.awaited
  private var downstream: (any HTTPDownstream)?
  private var upstream: (any HTTPUpstream)?
  /// Who brings the exchange to a service; let go when the exchange is over.
  var forwarder: (any HTTPForwarder)?
  /// Body that came before there was a service to take it: no more than one piece, for the source is stopped then.
  private var held: [UInt8] = []
  private var heldTrailers: HTTPHeaders?

  init(_ request: HTTPRequestHead, _ body: HTTPBodyLength, from downstream: any HTTPDownstream) {
    self.request = request
    requestBody = body
    self.downstream = downstream
  }

  /// Whether a response can still be begun.
  var isUnanswered: Bool { response == .awaited }

  // MARK: What the client's side reports

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard response != .over else { return }
    if let upstream { return upstream.sendBody(bytes) }
    held.append(contentsOf: bytes)
  }

  func receivedTrailers(_ trailers: HTTPHeaders) {
    guard response != .over else { return }
    if let upstream { upstream.sendTrailers(trailers) } else { heldTrailers = trailers }
  }

  func receivedEnd() {
    guard response != .over, !requestHasEnded else { return }
    requestHasEnded = true
    upstream?.sendEnd()
  }

  /// All that one event brought was reported.
  func flushRequest() {
    guard response != .over else { return }
    if let upstream {
      upstream.flush()
      if upstream.queuedBytes > ByteChannel.highWater { downstream?.pauseRequest() }
    } else if !held.isEmpty {
      downstream?.pauseRequest()
    }
  }

  func downstreamDrained() { if response != .over { upstream?.resumeResponse() } }

  /// The client is gone.
  func downstreamLost() {
    guard response != .over else { return }
    downstream = nil
    finish(cleanly: false)
  }

  // MARK: What the handler does

  /// Sends the request on. The head is the request's as the service is to see it.
  func connect(_ upstream: any HTTPUpstream, _ head: HTTPRequestHead) {
    guard response == .awaited else { return upstream.abort() }
    self.upstream = upstream
    upstream.send(head, requestBody, for: self)
    if !held.isEmpty {
      held.withUnsafeBytes { upstream.sendBody($0) }
      held = []
    }
    if let trailers = heldTrailers { upstream.sendTrailers(trailers) }
    heldTrailers = nil
    if requestHasEnded { upstream.sendEnd() }
    upstream.flush()
    if upstream.queuedBytes <= ByteChannel.highWater { downstream?.resumeRequest() }
  }

  /// Answers with a complete body, to HEAD with its length only.
  func answer(_ head: HTTPResponseHead, _ body: [UInt8]) {
    guard response == .awaited else { return }
    var head = head
    head.headers.set("Content-Length", String(body.count))
    respond(head, body.isEmpty || request.method == "HEAD" ? .none : .bytes(UInt64(body.count)))
    if request.method != "HEAD" { body.withUnsafeBytes { respondBody($0) } }
    respondEnd()
  }

  /// Goes on without HTTP: the client's channel is the handler's from here on, and nobody reads it. Nothing when that is
  /// too late.
  func leaveHTTP(_ head: HTTPResponseHead) -> ByteChannel? {
    guard response == .awaited, let side = downstream else { return nil }
    finish(cleanly: true)
    return side.leaveHTTP(head)
  }

  // MARK: What the service's side reports

  func respondInterim(_ head: HTTPResponseHead) {
    if response == .awaited { downstream?.sendInterim(head) }
  }

  func respond(_ head: HTTPResponseHead, _ body: HTTPBodyLength) {
    guard response == .awaited else { return }
    response = .begun
    downstream?.send(head, body)
  }

  func respondBody(_ bytes: UnsafeRawBufferPointer) {
    if response == .begun { downstream?.sendBody(bytes) }
  }

  func respondTrailers(_ trailers: HTTPHeaders) {
    if response == .begun { downstream?.sendTrailers(trailers) }
  }

  func respondEnd() {
    guard response == .begun else { return }
    let side = downstream
    finish(cleanly: requestHasEnded)
    side?.sendEnd()
  }

  /// All that one event brought was reported.
  func flushResponse() {
    guard response != .over, let downstream else { return }
    downstream.flush()
    if downstream.queuedBytes > ByteChannel.highWater { upstream?.pauseResponse() }
  }

  /// The service agrees to leave HTTP: from here on the two channels carry whatever the client and it speak.
  func respondUpgrade(_ head: HTTPResponseHead, _ channel: ByteChannel) {
    guard response == .awaited, let side = downstream else { return channel.reset() }
    upstream = nil
    finish(cleanly: true)
    side.upgrade(head, joining: channel)
  }

  func upstreamDrained() { if response != .over { downstream?.resumeRequest() } }

  func upstreamFailed(_ failure: HTTPUpstreamFailure) {
    upstream = nil
    switch response {
    case .over:
      break
    case .awaited:
      if let forwarder { forwarder.upstreamFailed(failure) } else { abort() }
    case .begun:
      abort()
    }
  }

  /// The response cannot be completed, and the client has to see that.
  func abort() {
    guard response != .over else { return }
    let side = downstream
    finish(cleanly: false)
    side?.abort()
  }

  private func finish(cleanly: Bool) {
    response = .over
    held = []
    let service = upstream
    let owner = forwarder
    upstream = nil
    forwarder = nil
    downstream = nil
    if !cleanly { service?.abort() }
    owner?.exchangeEnded(cleanly: cleanly)
  }
}

/// The client's side of an exchange: an HTTP/1 connection, or one stream of a later version's.
protocol HTTPDownstream: AnyObject {
  /// A response that precedes the final one.
  func sendInterim(_ head: HTTPResponseHead)
  func send(_ head: HTTPResponseHead, _ body: HTTPBodyLength)
  func sendBody(_ bytes: UnsafeRawBufferPointer)
  func sendTrailers(_ trailers: HTTPHeaders)
  /// The response is complete; nothing else comes from this exchange.
  func sendEnd()
  /// A response that ends HTTP: what follows is joined with a service's channel, which nobody reads at the moment.
  func upgrade(_ head: HTTPResponseHead, joining channel: ByteChannel)
  /// The same without a service: gives the client's channel away.
  func leaveHTTP(_ head: HTTPResponseHead) -> ByteChannel?
  /// Ends the response so that the client sees that it is not complete.
  func abort()
  /// Lets out what was sent; comes at the end of every event that sent something, unless the response ended with it.
  func flush()
  /// What the client has not taken yet.
  var queuedBytes: Int { get }
  func pauseRequest()
  func resumeRequest()
}

/// The service's side of an exchange. It reports to the exchange from `send` on until the response has ended.
protocol HTTPUpstream: AnyObject {
  func send(_ head: HTTPRequestHead, _ body: HTTPBodyLength, for exchange: HTTPExchange)
  func sendBody(_ bytes: UnsafeRawBufferPointer)
  func sendTrailers(_ trailers: HTTPHeaders)
  func sendEnd()
  /// Nobody wants the response any more.
  func abort()
  /// Lets out what was sent; comes at the end of every event that sent something.
  func flush()
  /// What the service has not taken yet.
  var queuedBytes: Int { get }
  func pauseResponse()
  func resumeResponse()
}

/// Who brings an exchange to a service.
protocol HTTPForwarder: AnyObject {
  /// The service failed before it answered: answers the exchange itself, or connects it anew.
  func upstreamFailed(_ failure: HTTPUpstreamFailure)
  /// Cleanly when request and response are complete, or HTTP was left behind.
  func exchangeEnded(cleanly: Bool)
}

/// Answers the requests of one client's connection.
protocol HTTPHandler: AnyObject {
  /// A request has begun; its body, if any, is still on its way.
  func handle(_ exchange: HTTPExchange)
  /// No more requests come.
  func connectionEnded()
}

/// Why a service gave no response.
enum HTTPUpstreamFailure: Equatable {
  /// The connection ended before a byte of the response.
  case noResponse
  /// What came is no HTTP response, or it broke off.
  case badResponse(String)
}
