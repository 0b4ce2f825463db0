// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A watch over server-sent events: a response that does not end.
final class EventStream: HTTPUpstream, InventoryWatcher {
  /// So many bytes of events wait for a client that does not take them; then it is gone.
  private static let backlog = 1 << 20

  let query: WatchQuery
  private let engine: Engine
  private var exchange: HTTPExchange?
  /// The client does not take what it was sent.
  private var isPaused = false
  private var waiting: [UInt8] = []

  static func serve(_ exchange: HTTPExchange, _ query: WatchQuery, _ engine: Engine) {
    exchange.connect(EventStream(query, engine), exchange.request)
  }

  private init(_ query: WatchQuery, _ engine: Engine) {
    self.query = query
    self.engine = engine
  }

  // MARK: InventoryWatcher

  func tell(_ event: [UInt8]) { write(Array("data: ".utf8) + event + Array("\n\n".utf8)) }

  func ping() {
    // Whoever leaves events waiting needs no sign that there are none.
    if waiting.isEmpty { write(Array(": ping\n\n".utf8)) }
  }

  func end() {
    let exchange = leave()
    exchange?.respondEnd()
  }

  private func write(_ bytes: [UInt8]) {
    guard let exchange else { return }
    if isPaused {
      waiting += bytes
      guard waiting.count > Self.backlog else { return }
      Log.debug("engine", "a client that watches does not read: its connection is ended")
      leave()
      return exchange.abort()
    }
    bytes.withUnsafeBytes { exchange.respondBody($0) }
    exchange.flushResponse()
  }

  @discardableResult
  private func leave() -> HTTPExchange? {
    defer { exchange = nil }
    waiting = []
    engine.feed.remove(self)
    return exchange
  }

  // MARK: HTTPUpstream

  func send(_ head: HTTPRequestHead, _ body: HTTPBodyLength, for exchange: HTTPExchange) {
    self.exchange = exchange
    exchange.respond(.eventStream, .streamed)
    tell(InventoryEvent(snapshotOf: engine, query).json.encoded)
    engine.feed.add(self)
  }

  func sendBody(_ bytes: UnsafeRawBufferPointer) {}

  func sendTrailers(_ trailers: HTTPHeaders) {}

  func sendEnd() {}

  func abort() { leave() }

  func flush() {}

  var queuedBytes: Int { 0 }

  func pauseResponse() { isPaused = true }

  func resumeResponse() {
    guard isPaused else { return }
    isPaused = false
    let bytes = waiting
    waiting = []
    if !bytes.isEmpty { write(bytes) }
  }
}

extension HTTPResponseHead {
  fileprivate static var eventStream: HTTPResponseHead {
    var head = HTTPResponseHead(status: 200, reason: "OK")
    head.headers.append("Date", HTTPDate.now())
    head.headers.append("Content-Type", "text/event-stream")
    head.headers.append("Cache-Control", "no-store")
    // Proxies in between are not to collect events.
    head.headers.append("X-Accel-Buffering", "no")
    return head
  }
}
