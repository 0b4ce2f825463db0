// SPDX-License-Identifier: Apache-2.0
import CUV

/// A timer on a loop. It lives until it is closed: whoever makes one closes it.
public final class LoopTimer {
  private let loop: Loop
  private var handle: UnsafeMutablePointer<uv_timer_t>?
  private var action: (() -> Void)?

  public init(_ loop: Loop, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    let handle = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
    uv_timer_init(loop.uv, handle)
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    self.handle = handle
    loop.handleOpened()
  }

  /// A timer that is already running.
  public convenience init(_ loop: Loop, after milliseconds: UInt64, _ action: @escaping () -> Void) {
    self.init(loop, action)
    start(after: milliseconds)
  }

  /// (Re)starts the timer. The loop's clock is brought up to date first: it may be old after a long callback.
  public func start(after milliseconds: UInt64, every interval: UInt64 = 0) {
    guard let handle else { return }
    uv_update_time(loop.uv)
    uv_timer_start(
      handle,
      { handle in
        guard let data = handle?.pointee.data else { return }
        Unmanaged<LoopTimer>.fromOpaque(data).takeUnretainedValue().action?()
      }, milliseconds, interval)
  }

  public func stop() {
    if let handle { uv_timer_stop(handle) }
  }

  /// Ends the timer; its action is not called again.
  public func close() {
    guard let handle else { return }
    self.handle = nil
    action = nil
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let timer = Unmanaged<LoopTimer>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_timer_t.self).deallocate()
      timer.loop.handleClosed()
    }
  }
}
