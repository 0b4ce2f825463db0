// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A watch over WebSocket: each event is a text message.
final class WebSocketWatch: Session, InventoryWatcher, WebSocketDelegate {
  /// So many bytes of events wait for a client that does not take them; then it is gone.
  private static let backlog = 1 << 20
  /// Clients have nothing to say; what they say nevertheless may have so many bytes.
  private static let messageLimit = 65_536

  let query: WatchQuery
  private let engine: Engine
  private var socket: WebSocketConnection?
  private var waiting: [[UInt8]] = []
  private var waitingBytes = 0

  static func serve(_ exchange: HTTPExchange, _ query: WatchQuery, _ engine: Engine) {
    let request = exchange.request
    guard request.namesWebSocket, request.hasWebSocketVersion else {
      return exchange.answer(
        426, "Here WebSocket is spoken, version \(WebSocketHandshake.version).", ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", WebSocketHandshake.version))
    }
    guard let key = request.webSocketKey else {
      return exchange.answer(400, "Sec-WebSocket-Key is not 16 bytes in base64.")
    }
    guard !request.isForeignPage else {
      return exchange.answer(403, "A page of another origin has to bring a token.")
    }
    guard let channel = exchange.leaveHTTP(WebSocketHandshake.response(to: key)) else { return }
    WebSocketWatch(query, engine).begin(over: channel)
  }

  private init(_ query: WatchQuery, _ engine: Engine) {
    self.query = query
    self.engine = engine
  }

  private func begin(over channel: ByteChannel) {
    let socket = WebSocketConnection(channel, .server, limit: Self.messageLimit, self)
    self.socket = socket
    engine.sessions.add(self)
    socket.send(text: InventoryEvent(snapshotOf: engine, query).json.encoded)
    engine.feed.add(self)
  }

  private func leave() {
    socket = nil
    waiting = []
    engine.feed.remove(self)
    engine.sessions.remove(self)
  }

  // MARK: InventoryWatcher

  func tell(_ event: [UInt8]) {
    guard let socket else { return }
    if waiting.isEmpty, socket.queuedBytes <= ByteChannel.highWater { return socket.send(text: event) }
    waiting.append(event)
    waitingBytes += event.count
    guard waitingBytes > Self.backlog else { return }
    Log.debug("engine", "a client that watches does not read: its connection is ended")
    cut()
  }

  func ping() {
    // Whoever leaves events waiting needs no sign that there are none.
    if waiting.isEmpty { socket?.ping() }
  }

  func end() {
    engine.feed.remove(self)
    socket?.close(WebSocketCodec.CloseCode.goingAway)
  }

  // MARK: Session

  func drain() { end() }

  func cut() {
    socket?.reset()
    leave()
  }

  // MARK: WebSocketDelegate

  func webSocket(_ socket: WebSocketConnection, received message: [UInt8], isText: Bool) {}

  func webSocketDrained(_ socket: WebSocketConnection) {
    var taken = 0
    while taken < waiting.count, socket.queuedBytes <= ByteChannel.highWater {
      socket.send(text: waiting[taken])
      waitingBytes -= waiting[taken].count
      taken += 1
    }
    waiting.removeFirst(taken)
  }

  func webSocket(_ socket: WebSocketConnection, ended end: WebSocketConnection.End) {
    if case .violated(let code) = end { Log.debug("engine", "a client that watches broke WebSocket's rules: \(code)") }
    leave()
  }
}

extension HTTPRequestHead {
  /// Whether a browser asks for a page that the engine did not give out, and without a token that the page must know.
  /// Browsers let every page open a WebSocket to anywhere.
  fileprivate var isForeignPage: Bool {
    guard let origin = headers.first("origin"), BearerToken.of(headers) == nil,
      QueryString(ofPath: path).value(EdgeAuthorization.queryName) == .absent
    else { return false }
    return origin.lowercased() != "\(scheme)://\(authority)".lowercased()
  }
}
