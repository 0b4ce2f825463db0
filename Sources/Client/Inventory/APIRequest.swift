// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet

/// One GET of the engine's API, with a second attempt when the network fails the first.
final class APIRequest: ClientOperation<[UInt8]>, APIResponseReceiver {
  /// A whole request takes no longer, in milliseconds.
  static let timeout: UInt64 = 5_000
  /// The share of the time that the first attempt may take.
  private static let firstAttempt = (of: UInt64(100), percent: UInt64(49))
  /// How long to wait before the second attempt, in milliseconds.
  private static let pause: ClosedRange<UInt64> = 20...50
  static let bodyLimit = 16 << 20

  private let path: String
  private var target: APITarget
  private let timeout: UInt64
  private var deadline: LoopTimer?
  private var attemptTimer: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var connection: APIConnection?
  private var mayTryAgain = true

  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  /// - Parameters:
  ///   - attempt: what is being done, for errors
  ///   - path: below /api, with its query
  init(
    _ client: Client, _ attempt: String, _ path: String, to target: APITarget, _ completion: @escaping Completion
  ) {
    self.path = path
    self.target = target
    timeout = Self.timeout(client)
    super.init(of: client, attempt, completion)
    deadline = LoopTimer(client.loop, after: timeout) { [self] in
      finish(.failure(timedOut()))
    }
    attemptTimer = LoopTimer(client.loop, after: timeout * Self.firstAttempt.percent / Self.firstAttempt.of) { [self] in
      tryAgain(or: timedOut())
    }
    if let waiting = client.apiConnections.take(to: target) { begin(over: waiting) } else { connect() }
  }

  private func connect() {
    outgoing = client.transport.connectToAPI(at: target, timeout: timeout) { [self] result in
      outgoing = nil
      switch result {
      case .success(let channel): begin(over: client.apiConnections.adopt(channel, to: target))
      case .failure(let failure): tryAgain(or: failure.during(attempt))
      }
    }
  }

  private func begin(over connection: APIConnection) {
    self.connection = connection
    connection.send(client.apiRequestHead(path, to: target, accept: "application/json"), to: self)
  }

  private func timedOut() -> Failure { Self.timedOut(attempt, timeout) }

  static func timedOut(_ attempt: String, _ timeout: UInt64) -> Failure {
    Failure(ErrorCode.operationTimeout, "\(attempt): no answer from the engine within \(timeout) ms")
  }

  /// How long a client waits for an answer, in milliseconds.
  static func timeout(_ client: Client) -> UInt64 {
    min(timeout, UInt64(client.settings.operationTimeoutMilliseconds))
  }

  // MARK: The second attempt

  /// What failed before may work on a new connection, unless it is about who the engine is.
  private func tryAgain(or failure: Failure) {
    client.apiDiscovery.forget()
    guard mayTryAgain, Self.isPassing(failure) else { return finish(.failure(failure)) }
    mayTryAgain = false
    dropAttempt()
    // The others were made at the same time and lead to the same place.
    client.apiConnections.removeAll()
    attemptTimer = LoopTimer(client.loop, after: UInt64.random(in: Self.pause)) { [self] in
      attemptTimer?.close()
      attemptTimer = nil
      connectAgain()
    }
  }

  private func connectAgain() {
    client.whenAPIIsKnown(attempt) { [self] target in
      guard !isOver else { return }
      self.target = target
      connect()
    } orElse: { [self] failure in
      finish(.failure(failure))
    }
  }

  private static func isPassing(_ failure: Failure) -> Bool {
    switch failure.code {
    case ErrorCode.operationTimeout: true
    case ErrorCode.tls, ErrorCode.protocolViolation, ErrorCode.engineAPIPayload: false
    default: !Resolver.meansUnknown(failure.code)
    }
  }

  // MARK: APIResponseReceiver

  func received(_ head: HTTPResponseHead) {
    self.head = head
    attemptTimer?.stop()
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard let head, body.count + bytes.count > (head.isSuccess ? Self.bodyLimit : APIError.bodyLimit) else {
      return body.append(contentsOf: bytes)
    }
    guard head.isSuccess else { return finish(.failure(client.apiFailure(attempt, head, body))) }
    finish(
      .failure(
        Failure(ErrorCode.engineAPIPayload, "\(attempt): the answer is larger than \(Self.bodyLimit >> 20) MiB")))
  }

  func responseEnded() {
    connection = nil
    guard let head else { return }
    finish(head.isSuccess ? .success(body) : .failure(client.apiFailure(attempt, head, body)))
  }

  func responseFailed(_ failure: Failure, isReceived: Bool) {
    connection = nil
    if let head, !head.isSuccess { return finish(.failure(client.apiFailure(attempt, head, body))) }
    tryAgain(or: failure.during(attempt))
  }

  // MARK: Ending

  override func release() {
    deadline?.close()
    deadline = nil
    dropAttempt()
  }

  private func dropAttempt() {
    attemptTimer?.close()
    attemptTimer = nil
    outgoing?.cancel()
    outgoing = nil
    connection?.close()
    connection = nil
    head = nil
    body = []
  }
}

extension HTTPResponseHead {
  var isSuccess: Bool { (200..<300).contains(status) }
}
