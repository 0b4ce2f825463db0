// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/stream.h.
//! Byte streams, accepted from a tunnel or dialed.
//!
//! A stream has two directions that end independently of each other, as those of a TCP connection do. Streams
//! belong to their client: they go on when the tunnel or the control channel they came through has ended.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// Bytes have arrived, or nothing more will. After the end or an error the callback is not called again.
///
/// - `stream`: the stream that is read
/// - `bytes`: the bytes, borrowed for the call; may be NULL when `len` is 0
/// - `len`: their number; 0 with `error` NULL: the other side has ended its direction, writing may go on
/// - `error`: the stream has failed (UV_ECONNRESET...): close it; NULL otherwise
pub type rstream_read_cb = Option<
    unsafe extern "C" fn(
        stream: *mut rstream_stream,
        bytes: *const u8,
        len: usize,
        error: *const rstream_error,
        data: *mut c_void,
    ),
>;

/// The write was handed to the operating system, or it failed.
///
/// - `stream`: the stream that was written to
pub type rstream_write_cb =
    Option<unsafe extern "C" fn(stream: *mut rstream_stream, error: *const rstream_error, data: *mut c_void)>;

extern "C" {
    /// Starts reading. Until then, and after rstream_stream_read_stop(), bytes wait on the other side: a stream that is
    /// not read slows its sender down and nobody else.
    ///
    /// - `cb`: called for all that arrives, until the end, an error or rstream_stream_read_stop()
    ///
    /// Returns 0, UV_EALREADY, RSTREAM_ESTREAM_CLOSED, or a code (rstream.h).
    pub fn rstream_stream_read_start(stream: *mut rstream_stream, cb: rstream_read_cb, data: *mut c_void) -> c_int;
    /// Stops reading; may be called from inside the read callback.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_stream_read_stop(stream: *mut rstream_stream) -> c_int;
    /// Writes bytes. They are taken over before the call returns; the buffers may be reused at once.
    ///
    /// - `bufs`: the buffers, sent one after the other; may be NULL when `n` is 0
    /// - `n`: number of buffers
    /// - `cb`: called when the bytes have left the process: wait for it before writing much more, or watch
    ///   rstream_stream_write_queue_size(); may be NULL
    ///
    /// Returns 0, UV_EPIPE after rstream_stream_shutdown(), RSTREAM_ESTREAM_CLOSED, UV_ENOBUFS when more than 64 MiB
    /// wait, or a code (rstream.h).
    pub fn rstream_stream_write(
        stream: *mut rstream_stream,
        bufs: *const rstream_buf,
        n: usize,
        cb: rstream_write_cb,
        data: *mut c_void,
    ) -> c_int;
    /// What was written but not yet handed to the operating system.
    ///
    /// Returns number of bytes; 0 for NULL.
    pub fn rstream_stream_write_queue_size(stream: *const rstream_stream) -> usize;
    /// Ends the own direction after what was written (half close); reading may go on. `cb` may be NULL.
    ///
    /// Returns 0, UV_EALREADY, RSTREAM_ESTREAM_CLOSED, or a code (rstream.h).
    pub fn rstream_stream_shutdown(stream: *mut rstream_stream, cb: rstream_write_cb, data: *mut c_void) -> c_int;
    /// Address of the remote end as the engine reported it.
    ///
    /// Returns "192.0.2.10", "2001:db8::1" and the like, "" when unknown, borrowed while the handle lives; NULL for
    /// NULL.
    pub fn rstream_stream_peer(stream: *const rstream_stream) -> *const c_char;
    /// Id of the stream as the engine knows it.
    ///
    /// Returns the id, or "" for streams dialed with zeroRtt, borrowed while the handle lives; NULL for NULL.
    pub fn rstream_stream_id(stream: *const rstream_stream) -> *const c_char;
    /// Turns the stream into a connected socket for code that only knows file descriptors. The handle is consumed: it
    /// must not be used again. The descriptor is a non-blocking stream socket, owned by the caller; the loop must go on
    /// running to carry its bytes (on another thread when the caller's code blocks). Bytes that were not read yet come
    /// out of the descriptor, bytes that wait to be written are still sent; their write callbacks are called with
    /// RSTREAM_ESTREAM_CLOSED before this call returns.
    ///
    /// - `fd`: receives the descriptor
    ///
    /// Returns 0, UV_EMFILE..., RSTREAM_ESTREAM_CLOSED, or a code (rstream.h); on failure the handle stays valid.
    pub fn rstream_stream_into_fd(stream: *mut rstream_stream, fd: *mut c_int) -> c_int;
    /// Closes the stream: what was written is still sent (for at most 10 s, in the background), what arrives is
    /// dropped.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_stream_close(stream: *mut rstream_stream, cb: rstream_close_cb, data: *mut c_void) -> c_int;
    /// Aborts the stream: what waits is dropped and the other side sees a reset (UV_ECONNRESET) instead of an end.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_stream_reset(stream: *mut rstream_stream, cb: rstream_close_cb, data: *mut c_void) -> c_int;
}
