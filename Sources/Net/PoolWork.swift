// SPDX-License-Identifier: Apache-2.0
import CUV

/// Work that blocks, done on libuv's thread pool. It must touch nothing that the loop's thread touches meanwhile.
public final class PoolWork {
  private let loop: Loop
  private var work: (() -> Void)?
  private var done: (() -> Void)?

  /// - Parameter done: told what came out, on the loop, never before the call returns
  public static func run<Value>(
    _ loop: Loop, _ work: @escaping () -> Value, _ done: @escaping (Value) -> Void
  ) {
    var value: Value?
    let task = PoolWork(loop, { value = work() }, { if let value { done(value) } })
    task.start()
  }

  private init(_ loop: Loop, _ work: @escaping () -> Void, _ done: @escaping () -> Void) {
    self.loop = loop
    self.work = work
    self.done = done
  }

  private func start() {
    let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let status = uv_queue_work(
      loop.uv, request,
      { request in
        guard let data = request?.pointee.data else { return }
        Unmanaged<PoolWork>.fromOpaque(data).takeUnretainedValue().work?()
      },
      { request, _ in
        guard let request, let data = request.pointee.data else { return }
        request.deallocate()
        Unmanaged<PoolWork>.fromOpaque(data).takeRetainedValue().finish()
      })
    guard status != 0 else { return loop.handleOpened() }
    // Never seen: libuv refuses nothing but a missing function.
    request.deallocate()
    Unmanaged.passUnretained(self).release()
    work?()
    loop.later { [self] in done?() }
  }

  private func finish() {
    let tell = done
    work = nil
    done = nil
    tell?()
    loop.handleClosed()
  }
}
