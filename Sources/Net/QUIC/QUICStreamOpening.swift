// SPDX-License-Identifier: Apache-2.0

/// A stream that was asked for and waits until the peer allows one more.
public final class QUICStreamOpening {
  private weak var connection: QUICConnection?
  private var completion: ((Result<QUICStream, Failure>) -> Void)?

  init(_ connection: QUICConnection, _ completion: @escaping (Result<QUICStream, Failure>) -> Void) {
    self.connection = connection
    self.completion = completion
  }

  func finish(_ result: Result<QUICStream, Failure>) {
    let report = completion
    completion = nil
    report?(result)
  }

  /// Waits no more, and is told nothing. Without effect once there is a result.
  public func cancel() {
    completion = nil
    connection?.openings.removeAll { $0 === self }
    connection = nil
  }
}
