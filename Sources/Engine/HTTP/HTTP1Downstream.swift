// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A client's HTTP/1 connection: its requests one after the other, and the responses to them.
final class HTTP1Downstream: Session, ByteChannelDelegate, HTTP1Receiver, HTTPDownstream {
  private enum Phase {
    /// Between requests or in the head of one.
    case awaitingRequest
    case exchange
    /// The response is complete, the request is not: the rest of its body is dropped.
    case discarding
    /// The connection has left HTTP.
    case upgraded
    case ended
  }

  /// A request and what was said of its response.
  private struct Turn {
    let request: HTTP1Request
    var requestHasEnded = false
    var hasSentContinue = false
    var hasSentHead = false
    var isChunked = false
    /// Only the connection's end tells the client that the response is complete.
    var endsWithConnection = false
    var closesAfterResponse = false
    var trailers = HTTPHeaders()
    var discarded = 0

    init(_ request: HTTP1Request) { self.request = request }
  }

  /// So much of a body that nobody wants is read to keep the connection; more ends it.
  private static let discardLimit = 65_536

  private let channel: ByteChannel
  private let sessions: SessionTable
  private let handler: any HTTPHandler
  private let timeouts: HTTPTimeouts
  private let parser: HTTP1Parser
  private let output: HTTP1Output
  private var timer: LoopTimer?
  private var phase = Phase.awaitingRequest
  private var isDraining = false
  private var splice: Splice?

  private var exchange: HTTPExchange?
  private var turn: Turn?
  private var requestsServed = 0

  // What has moved since the timer was started last.
  private var progress = 0
  private var progressAtStart = 0
  private var queuedAtStart = 0

  /// Takes over a channel that nobody reads. The session table keeps the connection alive.
  @discardableResult
  init(
    _ channel: ByteChannel, scheme: String, _ handler: any HTTPHandler, _ timeouts: HTTPTimeouts,
    _ sessions: SessionTable
  ) {
    self.channel = channel
    self.sessions = sessions
    self.handler = handler
    self.timeouts = timeouts
    parser = HTTP1Parser(.requests(scheme: scheme))
    output = HTTP1Output(channel)
    sessions.add(self)
    timer = LoopTimer(channel.loop, after: timeouts.firstHead) { [weak self] in self?.timeIsUp() }
    channel.delegate = self
    channel.readStart()
  }

  // MARK: Session

  func drain() {
    isDraining = true
    if phase == .awaitingRequest, parser.isIdle { close() }
    if phase == .discarding { close() }
  }

  func cut() {
    if let splice {
      splice.cut()
    } else {
      channel.reset()
    }
    leave()
  }

  /// Ends after what was written has left.
  private func close() {
    channel.close()
    leave()
  }

  private func leave() {
    guard phase != .ended else { return }
    phase = .ended
    timer?.close()
    timer = nil
    output.drop()
    splice = nil
    let exchange = self.exchange
    self.exchange = nil
    exchange?.downstreamLost()
    handler.connectionEnded()
    sessions.remove(self)
  }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    progress &+= 1
    switch phase {
    case .exchange where turn?.requestHasEnded == true:
      // The next request has to wait; the end of the connection is not seen while it does.
      channel.readStop()
      channel.unread(bytes)
    case .awaitingRequest, .exchange, .discarding:
      read(bytes)
    case .upgraded, .ended:
      break
    }
  }

  private func read(_ bytes: UnsafeRawBufferPointer) {
    if phase == .awaitingRequest, parser.isIdle, requestsServed > 0 {
      timer?.start(after: min(timeouts.firstHead, timeouts.idle))
    }
    do {
      let used = try parser.feed(bytes, to: self)
      guard phase != .ended else { return }
      if used < bytes.count {
        if phase == .exchange { channel.readStop() }
        channel.unread(UnsafeRawBufferPointer(rebasing: bytes[used...]))
      }
      exchange?.flushRequest()
    } catch {
      guard phase != .ended else { return }
      refuse(error.status, error.message)
    }
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    // A client that ends its direction does not wait for a response, or cannot be told from one that does not.
    if phase != .upgraded { close() }
  }

  func channelDrained(_ channel: ByteChannel) {
    progress &+= 1
    exchange?.downstreamDrained()
  }

  func channel(_ channel: ByteChannel, failed failure: Failure) { leave() }

  /// Answers what is no request, or none that can be completed, and closes.
  private func refuse(_ status: Int, _ message: String) {
    let exchange = self.exchange
    self.exchange = nil
    exchange?.downstreamLost()
    if turn?.hasSentHead == true { return cutResponse() }
    let (head, body) = HTTPResponseHead.text(status, message)
    write(head, connection: .close)
    if turn?.request.head.method != "HEAD" { output.write(body) }
    output.flush()
    close()
  }

  // MARK: Time

  private func timeIsUp() {
    switch phase {
    case .awaitingRequest:
      if parser.isIdle { close() } else { refuse(408, "The request's header did not arrive in time.") }
    case .discarding:
      close()
    case .exchange:
      let waitsForBody = turn?.requestHasEnded == false && channel.isReading
      let hasStalled = progress == progressAtStart && channel.queuedBytes == queuedAtStart
      if hasStalled, waitsForBody {
        refuse(408, "The request's body did not arrive in time.")
      } else if hasStalled, queuedAtStart > 0 {
        cut()
      } else {
        watchProgress()
      }
    case .upgraded, .ended:
      break
    }
  }

  private func watchProgress() {
    progressAtStart = progress
    queuedAtStart = channel.queuedBytes
    timer?.start(after: timeouts.idle)
  }

  // MARK: HTTP1Receiver

  func received(_ request: HTTP1Request) {
    guard phase == .awaitingRequest else { return }
    phase = .exchange
    var request = request
    request.head.headers.removeHopByHop(keepProxyCredentials: request.head.method == "CONNECT")
    // Bytes behind a body would belong to nobody knows which protocol.
    if request.body != .none { request.head.upgrade = nil }
    turn = Turn(request)
    requestsServed &+= 1
    watchProgress()
    let exchange = HTTPExchange(request.head, request.body, from: self)
    self.exchange = exchange
    handler.handle(exchange)
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard phase == .discarding else {
      exchange?.receivedBody(bytes)
      return
    }
    turn?.discarded += bytes.count
    if let discarded = turn?.discarded, discarded > Self.discardLimit { close() }
  }

  func receivedTrailers(_ trailers: HTTPHeaders) { exchange?.receivedTrailers(trailers) }

  func receivedEnd() {
    turn?.requestHasEnded = true
    exchange?.receivedEnd()
    if phase == .discarding { awaitNext() }
  }

  // MARK: HTTPDownstream

  var queuedBytes: Int { channel.queuedBytes }

  func pauseRequest() {
    if phase == .exchange, turn?.requestHasEnded == false { channel.readStop() }
  }

  func resumeRequest() {
    if phase == .exchange, turn?.requestHasEnded == false { channel.readStart() }
  }

  func sendInterim(_ head: HTTPResponseHead) {
    guard phase == .exchange, let request = turn?.request, request.minorVersion >= 1 else { return }
    if head.status == 100 { turn?.hasSentContinue = true }
    write(head, connection: .persistent)
  }

  func send(_ head: HTTPResponseHead, _ body: HTTPBodyLength) {
    guard phase == .exchange, var turn, !turn.hasSentHead else { return }
    let request = turn.request
    var head = head
    switch body {
    case .none:
      let saysLength = request.head.method == "HEAD" || head.status == 204 || head.status == 304
      if !saysLength, !head.headers.contains("content-length") { head.headers.append("Content-Length", "0") }
    case .bytes(let count):
      if !head.headers.contains("content-length") { head.headers.append("Content-Length", String(count)) }
    case .streamed, .untilClose:
      turn.isChunked = request.minorVersion >= 1
      turn.endsWithConnection = !turn.isChunked
    }
    // A client that still waits for 100 may send the body or leave it out: what comes next could be either.
    let isUnsure = request.expectsContinue && !turn.hasSentContinue && !turn.requestHasEnded
    turn.closesAfterResponse = !request.keepsAlive || isDraining || turn.endsWithConnection || isUnsure
    turn.hasSentHead = true
    self.turn = turn
    let lives: HTTP1Serializer.Connection = request.minorVersion == 0 ? .keepAlive : .persistent
    let fate = turn.closesAfterResponse ? .close : lives
    write(head, chunked: turn.isChunked, connection: head.headers.first("upgrade").map { .upgrade($0) } ?? fate)
  }

  private func write(_ head: HTTPResponseHead, chunked: Bool = false, connection: HTTP1Serializer.Connection) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1024)
    HTTP1Serializer.append(head, chunked: chunked, connection: connection, to: &bytes)
    output.write(bytes)
  }

  func sendBody(_ bytes: UnsafeRawBufferPointer) {
    guard phase == .exchange else { return }
    if turn?.isChunked == true { output.writeChunk(bytes) } else { output.write(bytes) }
  }

  func sendTrailers(_ trailers: HTTPHeaders) { turn?.trailers = trailers }

  func sendEnd() {
    guard phase == .exchange, let turn else { return }
    if turn.isChunked { output.writeLastChunk(turn.trailers) }
    output.flush()
    exchange = nil
    if turn.closesAfterResponse || isDraining {
      close()
    } else if turn.requestHasEnded {
      awaitNext()
    } else {
      phase = .discarding
      timer?.start(after: timeouts.idle)
      channel.readStart()
    }
  }

  private func awaitNext() {
    phase = .awaitingRequest
    turn = nil
    if isDraining { return close() }
    timer?.start(after: timeouts.idle)
    channel.readStart()
  }

  func upgrade(_ head: HTTPResponseHead, joining service: ByteChannel) {
    guard phase == .exchange else { return service.reset() }
    sayFarewell(head)
    splice = Splice(channel, service) { [self] _, _ in leave() }
  }

  func leaveHTTP(_ head: HTTPResponseHead) -> ByteChannel? {
    guard phase == .exchange else { return nil }
    sayFarewell(head)
    channel.delegate = nil
    channel.readStop()
    handler.connectionEnded()
    sessions.remove(self)
    return channel
  }

  /// Sends the last response.
  private func sayFarewell(_ head: HTTPResponseHead) {
    let name = head.status == 101 ? head.headers.first("upgrade") ?? turn?.request.head.upgrade : nil
    write(head, connection: name.map { .upgrade($0) } ?? .persistent)
    output.flush()
    exchange = nil
    phase = .upgraded
    timer?.close()
    timer = nil
  }

  func abort() {
    guard phase == .exchange else { return }
    exchange = nil
    if turn?.hasSentHead == true { cutResponse() } else { refuse(502, "The service behind the tunnel broke off.") }
  }

  /// Ends the connection in the middle of a response. Where only the connection's end marks the response's, it has to be
  /// a broken one.
  private func cutResponse() {
    output.flush()
    if turn?.endsWithConnection == true { channel.reset() } else { channel.close() }
    leave()
  }

  func flush() { output.flush() }
}
