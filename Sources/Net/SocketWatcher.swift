// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

/// Whoever has a socket watched. Called on the loop's thread.
protocol SocketOwner: AnyObject {
  /// The socket is ready for `events`, or broken: with a negative `status` it is not watched any more, and tells itself
  /// what is wrong with it.
  func socketReady(_ status: Int32, _ events: Int32)
}

/// A socket that belongs to a loop: watched with uv_poll, and closed together with its watcher. It keeps its owner until
/// it is closed.
final class SocketWatcher {
  static let readable = Int32(UV_READABLE.rawValue)
  static let writable = Int32(UV_WRITABLE.rawValue)
  /// Of a socket that is watched for this alone a hang-up or an error is still told.
  static let prioritized = Int32(UV_PRIORITIZED.rawValue)

  /// -1 once it is closed.
  private(set) var descriptor: Int32
  var owner: (any SocketOwner)?
  private let loop: Loop
  private var handle: UnsafeMutablePointer<uv_poll_t>?
  private var interest: Int32 = 0

  /// Takes over a non-blocking socket. It is closed when that fails.
  init(_ loop: Loop, _ descriptor: Int32, _ attempt: @autoclosure () -> String) throws(Failure) {
    let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    let status = uv_poll_init(loop.uv, handle, descriptor)
    guard status == 0 else {
      handle.deallocate()
      Glibc.close(descriptor)
      throw .uv(status, attempt())
    }
    self.loop = loop
    self.descriptor = descriptor
    self.handle = handle
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.handleOpened()
  }

  var isClosed: Bool { handle == nil }

  /// Has the owner told of these events from now on, and of no others; 0 for none.
  func watch(_ events: Int32) {
    guard let handle, events != interest else { return }
    interest = events
    guard events != 0 else {
      uv_poll_stop(handle)
      return
    }
    uv_poll_start(handle, events) { handle, status, events in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<SocketWatcher>.fromOpaque(data).takeUnretainedValue().ready(status, events)
    }
  }

  private func ready(_ status: Int32, _ events: Int32) {
    // libuv reports a broken socket, as EBADF, once.
    if status < 0 { interest = 0 }
    owner?.socketReady(status, events)
  }

  func close() {
    guard let descriptor = detach() else { return }
    Glibc.close(descriptor)
  }

  /// Ends the watching only: the socket is the caller's from now on. Nil when it is closed.
  func detach() -> Int32? {
    guard let handle else { return nil }
    let detached = descriptor
    descriptor = -1
    self.handle = nil
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let watcher = Unmanaged<SocketWatcher>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
      watcher.owner = nil
      watcher.loop.handleClosed()
    }
    return detached
  }
}
