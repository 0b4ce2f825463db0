// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Something that a client waits for: told of once, at the latest when the client is closed.
class ClientOperation<Value>: ClientMember {
  typealias Completion = (Result<Value, Failure>) -> Void

  let client: Client
  /// What is being done, for errors.
  let attempt: String
  private var completion: Completion?

  init(of client: Client, _ attempt: String, _ completion: @escaping Completion) {
    self.client = client
    self.attempt = attempt
    self.completion = completion
  }

  final var isOver: Bool { completion == nil }

  /// Lets go of all that is under way; nothing may be heard of it any more.
  func release() {}

  final func finish(_ result: Result<Value, Failure>) {
    guard let report = completion else { return }
    completion = nil
    release()
    report(result)
    client.remove(self)
  }

  final func clientIsClosing() {
    release()
    client.loop.later { [self] in finish(.failure(.clientClosed(attempt))) }
  }
}
