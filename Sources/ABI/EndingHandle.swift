// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A handle whose object may end by itself, which its owner is told once, even when he asks for it after the fact.
class EndingHandle: Handle {
  typealias EndCallback =
    @convention(c) (_ handle: OpaquePointer?, _ error: OpaquePointer?, _ data: UnsafeMutableRawPointer?) -> Void

  private final var callback: EndCallback?
  private final var data: UnsafeMutableRawPointer?
  private final var end: (Failure?)?
  private final var isReported = false

  final func onEnd(_ cb: EndCallback?, _ data: UnsafeMutableRawPointer?) {
    callback = cb
    self.data = data
    if end != nil { loop.later { [self] in report() } }
  }

  /// The object has ended; a failure tells why, none means in an orderly way.
  final func objectEnded(_ failure: Failure?) {
    end = .some(failure)
    report()
  }

  private final func report() {
    guard let end, !isReported, state == .open, let callback else { return }
    isReported = true
    if let failure = end {
      failure.lend { callback(pointer, $0, data) }
    } else {
      callback(pointer, nil, data)
    }
  }
}
