// SPDX-License-Identifier: Apache-2.0

/// Notices that nothing has happened for a while, by looking at a counter now and then: what is counted costs nothing.
public final class IdleDeadline {
  private static let looks: UInt64 = 4

  private var timer: LoopTimer?

  /// - Parameters:
  ///   - milliseconds: of standstill; up to a quarter more may pass
  ///   - progress: changes when something happens
  ///   - passed: called once
  public init(
    _ loop: Loop, after milliseconds: UInt64, progress: @escaping () -> UInt64, _ passed: @escaping () -> Void
  ) {
    var last = progress()
    var quiet: UInt64 = 0
    let timer = LoopTimer(loop) { [weak self] in
      let now = progress()
      quiet = now == last ? quiet + 1 : 0
      last = now
      guard quiet >= Self.looks else { return }
      self?.close()
      passed()
    }
    self.timer = timer
    let interval = max(1, milliseconds / Self.looks)
    timer.start(after: interval, every: interval)
  }

  public func close() {
    timer?.close()
    timer = nil
  }
}
