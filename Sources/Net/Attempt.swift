// SPDX-License-Identifier: Apache-2.0

/// Something under way that ends once: with a result, which is told, or cancelled, which is not.
open class Attempt<Value> {
  public typealias Completion = (Result<Value, Failure>) -> Void

  private var completion: Completion?

  public init(_ completion: @escaping Completion) {
    self.completion = completion
  }

  public final var isOver: Bool { completion == nil }

  /// Lets go of all that is under way: nothing may be heard of it any more.
  open func release() {}

  /// What to do with a value that comes too late for anybody.
  open func discard(_ value: Value) {}

  public final func finish(_ result: Result<Value, Failure>) {
    let report = completion
    completion = nil
    release()
    if let report {
      report(result)
    } else if case .success(let value) = result {
      discard(value)
    }
  }

  /// Ends without telling.
  public final func cancel() {
    completion = nil
    release()
  }
}
