// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// How events come from the engine.
public enum WatchTransport: Sendable {
  case serverSentEvents
  case webSocket
}

/// Follows what comes and goes at an engine, over one connection after the other when it is asked to.
public final class Watch: ClientMember {
  static let attempt = "watch"
  /// Milliseconds to wait before the first and, doubled each time, at most before a later attempt to connect again.
  private static let firstPause: UInt64 = 500
  private static let longestPause: UInt64 = 30_000

  /// Told every event; the first of each connection is the snapshot "state.initial".
  public var onEvent: ((InventoryEvent) -> Void)?
  /// Told once that the watch has ended by itself; nothing means that the engine ended it as it should.
  public var onEnd: ((Failure?) -> Void)?

  private let client: Client
  private let query: String
  private let transport: WatchTransport
  private let reconnects: Bool
  private var source: (any EventSource)?
  private var timer: LoopTimer?
  private var pause = Watch.firstPause
  /// Whether there has ever been an event: before that a failure is told rather than tried again.
  private var wasOnline = false
  private var isOver = false
  private var isClosed = false

  init(_ client: Client, query: String, over transport: WatchTransport, reconnects: Bool) {
    self.client = client
    self.query = query
    self.transport = transport
    self.reconnects = reconnects
    open()
  }

  private func open() {
    let handlers = EventSourceHandlers(
      event: { [weak self] in self?.received($0) }, end: { [weak self] in self?.sourceEnded($0) })
    client.whenAPIIsKnown(Self.attempt) { [self] target in
      guard !isOver else { return }
      switch transport {
      case .serverSentEvents: source = ServerSentEvents(client, target, query: query, handlers)
      case .webSocket: source = WebSocketEvents(client, target, query: query, handlers)
      }
    } orElse: {
      handlers.end($0)
    }
  }

  private func received(_ bytes: [UInt8]) {
    guard !isOver else { return }
    do throws(Failure) {
      guard let event = try InventoryEvent(bytes) else { return }
      wasOnline = true
      pause = Self.firstPause
      onEvent?(event)
    } catch {
      source?.cancel()
      finish(error)
    }
  }

  private func sourceEnded(_ failure: Failure?) {
    source = nil
    guard !isOver else { return }
    if let failure, failure.code != ErrorCode.engineAPIHTTP { client.learn(from: failure) }
    guard reconnects, wasOnline, failure.map(Self.mayPass) ?? true else { return finish(failure) }
    Log.debug("watch", "connecting again: \(failure?.message ?? "the engine ended the watch")")
    let wait = UInt64.random(in: pause / 2...pause)
    pause = min(Self.longestPause, pause * 2)
    timer = LoopTimer(client.loop, after: wait) { [self] in
      timer?.close()
      timer = nil
      open()
    }
  }

  /// Whether an attempt at another time may succeed.
  private static func mayPass(_ failure: Failure) -> Bool {
    switch failure.code {
    case ErrorCode.engineAPIHTTP: failure.engineCode >= 500 || failure.engineCode == 408 || failure.engineCode == 429
    case ErrorCode.engineAPIPayload, ErrorCode.protocolViolation: false
    default: true
    }
  }

  // MARK: Ending

  public func close(_ done: @escaping () -> Void) throws(Failure) {
    guard !isClosed else { throw Failure(ErrorCode.clientClosed, "close a watch: it is closed") }
    isClosed = true
    onEvent = nil
    onEnd = nil
    stop()
    client.loop.later { [self] in
      done()
      client.remove(self)
    }
  }

  func clientIsClosing() {
    guard !isClosed else { return }
    let wasOver = isOver
    stop()
    client.loop.later { [self] in
      if !wasOver { onEnd?(.clientClosed(Self.attempt)) }
      client.remove(self)
    }
  }

  private func finish(_ failure: Failure?) {
    stop()
    onEnd?(failure)
  }

  private func stop() {
    isOver = true
    source?.cancel()
    source = nil
    timer?.close()
    timer = nil
  }
}

extension Client {
  /// Watches tunnels and clients; filters of nothing mean all.
  public func watch(
    tunnels: InventoryFilters?, clients: InventoryFilters?, over transport: WatchTransport = .serverSentEvents,
    reconnects: Bool
  ) throws(Failure) -> Watch {
    try checkOpen(Watch.attempt)
    var params: [JSONMember] = []
    if let clients { params.append(JSONMember("clients", clients.json)) }
    if let tunnels { params.append(JSONMember("tunnels", tunnels.json)) }
    let watch = Watch(self, query: Self.query(params), over: transport, reconnects: reconnects)
    add(watch)
    return watch
  }
}
