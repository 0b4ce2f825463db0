// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

/// Events over WebSocket: each message is one. The engine is asked for a sign of life from time to time; one that gives
/// none is taken for gone.
final class WebSocketEvents: EventSource, APIResponseReceiver, WebSocketDelegate {
  /// In milliseconds.
  struct Timing {
    var pingInterval: UInt64 = 20_000
    /// How long a ping may take to leave.
    var pingWrite: UInt64 = 5_000
    /// How long the engine may be silent.
    var silence: UInt64 = 90_000
  }

  private let client: Client
  private let path: String
  private let key = WebSocketHandshake.makeKey()
  private let timing: Timing
  private var handlers: EventSourceHandlers?
  private var timer: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var connection: APIConnection?
  private var socket: WebSocketConnection?
  private var pingTimer: LoopTimer?
  private var pingWriteTimer: LoopTimer?
  private var silence: SilenceDeadline?
  private var head: HTTPResponseHead?
  /// What the engine says when it refuses.
  private var refusal: [UInt8] = []

  /// - Parameter query: "" or "?params=..."
  init(_ client: Client, _ target: APITarget, query: String, _ handlers: EventSourceHandlers) {
    self.client = client
    self.handlers = handlers
    timing = client.webSocketTiming
    path = "/websocket\(query)"
    let timeout = APIRequest.timeout(client)
    timer = LoopTimer(client.loop, after: timeout) { [self] in end(APIRequest.timedOut(Watch.attempt, timeout)) }
    outgoing = client.transport.connectToAPI(at: target, timeout: timeout) { [self] result in
      outgoing = nil
      switch result {
      case .success(let channel): ask(over: channel, at: target)
      case .failure(let failure): end(failure.during(Watch.attempt))
      }
    }
  }

  private func ask(over channel: ByteChannel, at target: APITarget) {
    let connection = APIConnection(channel, onIdle: { $0.close() }, onLost: { _ in })
    self.connection = connection
    connection.send(client.apiRequestHead(path, to: target, webSocketKey: key), mayLeaveHTTP: true, to: self)
  }

  func cancel() {
    handlers = nil
    release()
  }

  private func end(_ failure: Failure?) {
    let handlers = handlers
    cancel()
    handlers?.end(failure)
  }

  private func release() {
    timer?.close()
    timer = nil
    pingTimer?.close()
    pingTimer = nil
    pingWriteTimer?.close()
    pingWriteTimer = nil
    silence?.close()
    silence = nil
    outgoing?.cancel()
    outgoing = nil
    connection?.close()
    connection = nil
    socket?.leave(WebSocketCodec.CloseCode.normal)
    socket = nil
  }

  // MARK: APIResponseReceiver

  func received(_ head: HTTPResponseHead) { self.head = head }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    refusal.append(contentsOf: bytes.prefix(APIError.bodyLimit - refusal.count))
    if refusal.count == APIError.bodyLimit || head?.isSuccess == true { refused() }
  }

  func responseEnded() { refused() }

  func responseFailed(_ failure: Failure, isReceived: Bool) {
    if head == nil { end(failure.during(Watch.attempt)) } else { refused() }
  }

  private func refused() {
    guard let head else { return }
    guard head.isSuccess else { return end(client.apiFailure(Watch.attempt, head, refusal)) }
    end(
      Failure(
        ErrorCode.engineAPIPayload,
        "\(Watch.attempt): the engine answered \(head.status) instead of changing to WebSocket; "
          + "is this the address of an rstream engine?"))
  }

  func responseLeftHTTP(_ head: HTTPResponseHead, _ channel: ByteChannel) {
    connection = nil
    if let objection = WebSocketHandshake.objection(to: head, key: key) {
      channel.reset()
      return end(
        Failure(
          ErrorCode.protocolViolation,
          "\(Watch.attempt): the engine's answer does not agree to WebSocket: \(objection); "
            + "is there a proxy that changes it?"))
    }
    timer?.close()
    timer = nil
    socket = WebSocketConnection(channel, .client, limit: InventoryEvent.limit, self)
    pingTimer = LoopTimer(client.loop) { [weak self] in self?.ping() }
    pingTimer?.start(after: timing.pingInterval, every: timing.pingInterval)
    silence = SilenceDeadline(client.loop, after: timing.silence) { [weak self] in
      guard let self else { return }
      fail("the engine has been silent for \(timing.silence) ms")
    }
  }

  // MARK: Signs of life

  private func ping() {
    guard let socket, pingWriteTimer == nil else { return }
    socket.ping()
    guard socket.queuedBytes > 0 else { return }
    pingWriteTimer = LoopTimer(client.loop, after: timing.pingWrite) { [weak self] in
      guard let self else { return }
      fail("the engine has not taken a ping for \(timing.pingWrite) ms")
    }
  }

  private func fail(_ what: String) {
    // Who does not listen need not be told.
    socket?.reset()
    end(Failure(ErrorCode.operationTimeout, "\(Watch.attempt): \(what)"))
  }

  func webSocketHeard(_ socket: WebSocketConnection) { silence?.heard() }

  func webSocketDrained(_ socket: WebSocketConnection) {
    pingWriteTimer?.close()
    pingWriteTimer = nil
  }

  // MARK: Events and their end

  func webSocket(_ socket: WebSocketConnection, received message: [UInt8], isText: Bool) { handlers?.event(message) }

  func webSocket(_ socket: WebSocketConnection, ended end: WebSocketConnection.End) {
    self.socket = nil
    switch end {
    case .closed(let code, let reason): self.end(failure(code, reason))
    case .violated(WebSocketCodec.CloseCode.tooBig):
      self.end(
        Failure(
          ErrorCode.engineAPIPayload, "\(Watch.attempt): an event is larger than \(InventoryEvent.limit >> 20) MiB"))
    case .violated(let code):
      let what = code == WebSocketCodec.CloseCode.invalidData ? "a text message that is no UTF-8" : "no WebSocket frame"
      self.end(Failure(ErrorCode.protocolViolation, "\(Watch.attempt): what the engine sent is \(what)"))
    case .lost(let failure): self.end(failure.during(Watch.attempt))
    }
  }

  /// What a code of closing means for the watch; nothing when it has ended as it should.
  private func failure(_ code: UInt16, _ reason: String) -> Failure? {
    let words = APIError.line(trimmed(reason), hiding: client.secrets)
    let what = "\(Watch.attempt): the engine closed with the code \(code)\(words.isEmpty ? "" : ": \(words)")"
    switch code {
    case WebSocketCodec.CloseCode.normal, WebSocketCodec.CloseCode.goingAway, WebSocketCodec.CloseCode.none:
      return nil
    case WebSocketCodec.CloseCode.protocolError, WebSocketCodec.CloseCode.unsupportedData,
      WebSocketCodec.CloseCode.invalidData, WebSocketCodec.CloseCode.tooBig, WebSocketCodec.CloseCode.extensionMissing:
      return Failure(ErrorCode.protocolViolation, what)
    default:
      return Failure(-ECONNRESET, what)
    }
  }
}
