// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Connects, sends one message, awaits one answer where there is one, and hands the connection on: what opening a control
/// channel, a dialed stream and an incoming stream have in common.
final class Handshake: Attempt<MessageChannel>, MessageChannelDelegate {
  /// Looks at the answer; throws to refuse it.
  typealias Check = (Message) throws(Failure) -> Void

  private let loop: Loop
  private let attempt: String
  private let request: Message
  private let check: Check?
  private let answerTimeout: UInt64
  private var connection: (any ConnectionAttempt)?
  private var messages: MessageChannel?
  private var timer: LoopTimer?
  /// Whether the request has been written: trying again on another connection is not safe any more.
  private(set) var isRequestSent = false

  /// - Parameters:
  ///   - attempt: what is being done, for errors
  ///   - connect: opens the connection
  ///   - check: nil when no answer is awaited
  init(
    _ loop: Loop, _ attempt: String, _ request: Message, answerTimeout: UInt64, check: Check?,
    connect: (@escaping Transport.Completion) -> any ConnectionAttempt, completion: @escaping Completion
  ) {
    self.loop = loop
    self.attempt = attempt
    self.request = request
    self.check = check
    self.answerTimeout = answerTimeout
    super.init(completion)
    connection = connect { [self] result in
      connection = nil
      switch result {
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      case .success(let channel): begin(channel)
      }
    }
  }

  private func begin(_ channel: ByteChannel) {
    let messages = MessageChannel(channel, self)
    self.messages = messages
    isRequestSent = true
    guard messages.send(request) else {
      return finish(.failure(Failure(ErrorCode.frameTooLarge, "\(attempt): the request does not fit into a frame")))
    }
    guard check != nil else { return succeed() }
    timer = LoopTimer(loop, after: answerTimeout) { [self] in
      finish(
        .failure(Failure(ErrorCode.operationTimeout, "\(attempt): no answer from the engine after \(answerTimeout) ms"))
      )
    }
  }

  private func succeed() {
    guard let messages else { return }
    self.messages = nil
    finish(.success(messages))
  }

  override func discard(_ messages: MessageChannel) { messages.reset() }

  override func release() {
    timer?.close()
    timer = nil
    connection?.cancel()
    connection = nil
    messages?.close()
    messages = nil
  }

  // MARK: MessageChannelDelegate

  func messageChannel(_ channel: MessageChannel, received message: Message) {
    guard let check, !isOver else { return }
    do throws(Failure) {
      try check(message)
      succeed()
    } catch {
      finish(.failure(error))
    }
  }

  func messageChannelEnded(_ channel: MessageChannel) {
    finish(
      .failure(Failure(ErrorCode.protocolViolation, "\(attempt): the engine closed the connection without an answer")))
  }

  func messageChannelDrained(_ channel: MessageChannel) {}

  func messageChannel(_ channel: MessageChannel, failed failure: Failure) {
    messages = nil
    finish(.failure(failure.during(attempt)))
  }
}
