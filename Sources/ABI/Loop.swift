// SPDX-License-Identifier: Apache-2.0
import CRstream
import CUV
import Glibc
import RstreamNet

/// What a `rstream_loop *` points to: the root of the handles on a loop.
final class LoopHandle: Handle {
  override var closedCode: Int32 { ErrorCode.loopClosed }

  override func closeBelow(_ done: @escaping () -> Void) { loop.close(done) }

  /// The loop for what is asked of own loops by those who run them, until the close callback.
  static func own(_ pointer: OpaquePointer?) throws(Failure) -> LoopHandle {
    let handle = try given(pointer, "loop")
    try handle.checkThread("loop")
    guard handle.loop.ownsLoop else { throw invalid("a wrapped loop is run by its owner") }
    return handle
  }

  static func run(_ pointer: OpaquePointer?, waiting: Bool) -> Int32 {
    answer { () throws(Failure) in
      let handle = try own(pointer)
      guard !handle.loop.isRunning else { throw invalid("the loop is running already") }
      return handle.loop.run(waiting: waiting) ? 1 : 0
    }
  }
}

@_cdecl("rstream_loop_wrap") @implementation
public func rstream_loop_wrap(
  _ uv: UnsafeMutablePointer<uv_loop_s>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt { () throws(Failure) in
    guard let uv, let out else { throw invalid("uv or out is NULL") }
    out.pointee = LoopHandle(try Loop.make(wrapping: uv), below: nil).pointer
  }
}

@_cdecl("rstream_loop_new") @implementation
public func rstream_loop_new(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  attempt { () throws(Failure) in
    guard let out else { throw invalid("out is NULL") }
    out.pointee = LoopHandle(try Loop.make(), below: nil).pointer
  }
}

@_cdecl("rstream_loop_uv") @implementation
public func rstream_loop_uv(_ loop: OpaquePointer?) -> UnsafeMutablePointer<uv_loop_s>? {
  guard let handle = LoopHandle.at(loop), handle.loop.isOnLoopThread else { return nil }
  return handle.loop.uv
}

@_cdecl("rstream_loop_run") @implementation
public func rstream_loop_run(_ loop: OpaquePointer?) -> Int32 { LoopHandle.run(loop, waiting: true) }

@_cdecl("rstream_loop_run_nowait") @implementation
public func rstream_loop_run_nowait(_ loop: OpaquePointer?) -> Int32 { LoopHandle.run(loop, waiting: false) }

@_cdecl("rstream_loop_stop") @implementation
public func rstream_loop_stop(_ loop: OpaquePointer?) -> Int32 {
  attempt { () throws(Failure) in try LoopHandle.own(loop).loop.stop() }
}

@_cdecl("rstream_loop_fd") @implementation
public func rstream_loop_fd(_ loop: OpaquePointer?) -> Int32 {
  answer { () throws(Failure) in try LoopHandle.own(loop).loop.descriptor }
}

@_cdecl("rstream_loop_timeout") @implementation
public func rstream_loop_timeout(_ loop: OpaquePointer?) -> Int32 {
  answer { () throws(Failure) in try LoopHandle.own(loop).loop.timeout }
}

@_cdecl("rstream_loop_post") @implementation
public func rstream_loop_post(
  _ loop: OpaquePointer?, _ cb: rstream_post_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  guard let handle = LoopHandle.at(loop), let cb else { return -EINVAL }
  // Only on the loop's thread is it safe to look; elsewhere the caller sees to it that the loop is open.
  if handle.loop.isOnLoopThread, handle.state != .open { return ErrorCode.loopClosed }
  return handle.loop.post(cb, data)
}

@_cdecl("rstream_loop_close") @implementation
public func rstream_loop_close(
  _ loop: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  LoopHandle.at(loop)?.close(cb, data) ?? -EINVAL
}
