// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Where events come from: one connection, from its opening to its end.
protocol EventSource: AnyObject {
  /// Ends it without telling.
  func cancel()
}

/// What an event source tells: each event's bytes, then its end once. No failure means that the engine ended it as it
/// should.
struct EventSourceHandlers {
  var event: ([UInt8]) -> Void
  var end: (Failure?) -> Void
}

/// Events over server-sent events: a response that does not end. It may be silent for as long as it likes; that the engine's
/// machine is gone is noticed by TCP keep-alive.
final class ServerSentEvents: EventSource, APIResponseReceiver {
  private let client: Client
  private let path: String
  private var handlers: EventSourceHandlers?
  private var timer: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var connection: APIConnection?
  private var parser = EventStreamParser(limit: InventoryEvent.limit)
  private var head: HTTPResponseHead?
  /// What the engine says when it refuses.
  private var refusal: [UInt8] = []

  /// - Parameter query: "" or "?params=..."
  init(_ client: Client, _ target: APITarget, query: String, _ handlers: EventSourceHandlers) {
    self.client = client
    self.handlers = handlers
    path = "/sse\(query)"
    let timeout = APIRequest.timeout(client)
    timer = LoopTimer(client.loop, after: timeout) { [self] in end(APIRequest.timedOut(Watch.attempt, timeout)) }
    outgoing = client.transport.connectToAPI(at: target, timeout: timeout) { [self] result in
      outgoing = nil
      switch result {
      case .success(let channel): begin(over: channel, to: target)
      case .failure(let failure): end(failure.during(Watch.attempt))
      }
    }
  }

  private func begin(over channel: ByteChannel, to target: APITarget) {
    let connection = APIConnection(channel, onIdle: { $0.close() }, onLost: { _ in })
    self.connection = connection
    connection.send(client.apiRequestHead(path, to: target, accept: "text/event-stream"), to: self)
  }

  func cancel() {
    handlers = nil
    timer?.close()
    timer = nil
    outgoing?.cancel()
    outgoing = nil
    connection?.close()
    connection = nil
  }

  private func end(_ failure: Failure?) {
    let handlers = handlers
    cancel()
    handlers?.end(failure)
  }

  // MARK: APIResponseReceiver

  func received(_ head: HTTPResponseHead) {
    self.head = head
    if head.isSuccess {
      timer?.close()
      timer = nil
    }
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard let head, head.isSuccess else {
      refusal.append(contentsOf: bytes.prefix(APIError.bodyLimit - refusal.count))
      if refusal.count == APIError.bodyLimit { refused() }
      return
    }
    do {
      for event in try parser.feed(bytes) { handlers?.event(event) }
    } catch {
      end(tooLarge)
    }
  }

  func responseEnded() {
    guard let head, head.isSuccess else { return refused() }
    do {
      if let event = try parser.finish() { handlers?.event(event) }
      end(nil)
    } catch {
      end(tooLarge)
    }
  }

  func responseFailed(_ failure: Failure, isReceived: Bool) {
    guard let head, !head.isSuccess else { return end(failure.during(Watch.attempt)) }
    refused()
  }

  private func refused() {
    guard let head else { return }
    end(client.apiFailure(Watch.attempt, head, refusal))
  }

  private var tooLarge: Failure {
    Failure(ErrorCode.engineAPIPayload, "\(Watch.attempt): an event is larger than \(InventoryEvent.limit >> 20) MiB")
  }
}
