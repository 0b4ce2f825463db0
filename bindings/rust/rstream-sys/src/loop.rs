// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/loop.h.
//! The event loop that everything runs on.
//!
//! A rstream_loop is either wrapped around the caller's uv_loop_t, which the caller runs as always, or it owns a
//! loop: then it is run with rstream_loop_run(), or driven by a foreign loop (asyncio, epoll, GLib) through
//! rstream_loop_fd(), rstream_loop_timeout() and rstream_loop_run_nowait(). A wrapped loop must come from the same
//! libuv.so.1 that librstream is linked with: Node.js and uvloop carry copies of their own, there an own loop is
//! the way.
//!
//! A loop belongs to the thread that made it. Several loops on several threads are independent of each other.
use crate::types::*;
use std::marker::{PhantomData, PhantomPinned};
use std::os::raw::{c_int, c_void};

/// libuv's `uv_loop_t`.
#[repr(C)]
pub struct uv_loop_s {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A call that was posted; runs on the loop's thread.
pub type rstream_post_cb = Option<unsafe extern "C" fn(data: *mut c_void)>;

extern "C" {
    /// Wraps the caller's running or not yet running uv_loop_t. librstream adds its handles to it and never runs, stops
    /// or closes it. A wrapped loop without open objects does not keep uv_run() from returning.
    ///
    /// - `uv`: the caller's loop; must outlive the rstream_loop
    /// - `out`: receives the loop; end it with rstream_loop_close()
    ///
    /// Returns 0, UV_EINVAL for NULL arguments, or libuv's code.
    pub fn rstream_loop_wrap(uv: *mut uv_loop_s, out: *mut *mut rstream_loop) -> c_int;
    /// Makes a loop of its own.
    ///
    /// - `out`: receives the loop; end it with rstream_loop_close()
    ///
    /// Returns 0, UV_EINVAL, or libuv's code (e.g. UV_EMFILE).
    pub fn rstream_loop_new(out: *mut *mut rstream_loop) -> c_int;
    /// The uv_loop_t inside, wrapped or own, for callers that link libuv and want timers or handles of their own on it.
    ///
    /// Returns the loop, borrowed while the handle lives; NULL for NULL or from the wrong thread.
    pub fn rstream_loop_uv(loop_: *mut rstream_loop) -> *mut uv_loop_s;
    /// Runs an own loop until nothing is left to wait for or rstream_loop_stop() was called. Own loops are run with
    /// this function and rstream_loop_run_nowait(), never with uv_run().
    ///
    /// Returns 0 when nothing is left, 1 when stopped with work left; UV_EINVAL for a wrapped loop or from inside a
    /// callback; RSTREAM_EWRONGTHREAD.
    pub fn rstream_loop_run(loop_: *mut rstream_loop) -> c_int;
    /// Does what is ready on an own loop and returns without waiting.
    ///
    /// Returns 1 when there is more to wait for, 0 when nothing is left; errors as rstream_loop_run().
    pub fn rstream_loop_run_nowait(loop_: *mut rstream_loop) -> c_int;
    /// Makes rstream_loop_run() return after the current callback. To be called on the loop's thread; other threads
    /// post a call of it.
    ///
    /// Returns 0, UV_EINVAL for a wrapped loop, or a code (rstream.h).
    pub fn rstream_loop_stop(loop_: *mut rstream_loop) -> c_int;
    /// File descriptor of an own loop that becomes readable when rstream_loop_run_nowait() has something to do.
    /// Borrowed: never close or read it.
    ///
    /// Returns the descriptor, or UV_EINVAL for a wrapped loop, RSTREAM_EWRONGTHREAD.
    pub fn rstream_loop_fd(loop_: *mut rstream_loop) -> c_int;
    /// Milliseconds after which rstream_loop_run_nowait() is to be called even when the descriptor stays silent: 0 at
    /// once, -1 never. Ask anew after every rstream_loop_run_nowait() and after every call that starts something.
    ///
    /// Returns the time; UV_EINVAL for a wrapped loop, RSTREAM_EWRONGTHREAD (codes are smaller than -1).
    pub fn rstream_loop_timeout(loop_: *mut rstream_loop) -> c_int;
    /// Has `cb` run on the loop's thread, soon; posts of one thread run in their order. The only function that may be
    /// called from any thread, as long as rstream_loop_close() has not been called: threads that post end first. A
    /// pending post does not keep the loop alive. Posts that are pending when the loop closes are still run before the
    /// loop's close callback.
    ///
    /// Returns 0, UV_EINVAL, or RSTREAM_ELOOP_CLOSED.
    pub fn rstream_loop_post(loop_: *mut rstream_loop, cb: rstream_post_cb, data: *mut c_void) -> c_int;
    /// Closes every object on the loop, then the loop itself. On a wrapped loop this takes some iterations of the
    /// caller's uv_run(). On an own loop, called from outside its callbacks, it runs the loop until all is closed and
    /// the pointer is gone when it returns; called from inside a callback, the surrounding rstream_loop_run() finishes
    /// the work, and a foreign loop goes on with rstream_loop_run_nowait() until `cb` was called. `cb` (may be NULL) is
    /// called when all is closed.
    ///
    /// Returns 0, or a code when it was refused (second close, wrong thread).
    pub fn rstream_loop_close(loop_: *mut rstream_loop, cb: rstream_close_cb, data: *mut c_void) -> c_int;
}
