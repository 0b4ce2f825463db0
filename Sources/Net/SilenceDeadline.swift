// SPDX-License-Identifier: Apache-2.0

/// Notices that a peer has been silent for too long.
///
/// libuv runs timers before it looks at sockets: a loop that stood still for a while, in its owner's code or with the
/// whole process suspended, would call a peer silent whose messages are already there. So the deadline gives the sockets
/// one more look before it speaks.
public final class SilenceDeadline {
  private static let grace: UInt64 = 100

  private let milliseconds: UInt64
  private var timer: LoopTimer?
  private var isSuspected = false

  /// - Parameter passed: called once
  public init(_ loop: Loop, after milliseconds: UInt64, _ passed: @escaping () -> Void) {
    self.milliseconds = milliseconds
    timer = LoopTimer(loop, after: milliseconds) { [weak self] in
      guard let self else { return }
      if isSuspected {
        close()
        passed()
      } else {
        isSuspected = true
        timer?.start(after: Self.grace)
      }
    }
  }

  /// The peer has been heard.
  public func heard() {
    isSuspected = false
    timer?.start(after: milliseconds)
  }

  public func close() {
    timer?.close()
    timer = nil
  }
}
