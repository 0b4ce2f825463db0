// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/log.h.
//! Where the library's log lines go.
//!
//! No line ever contains a token, a secret or a key.
use std::os::raw::{c_char, c_int, c_void};

/// How much is logged: a level includes those with smaller numbers.
pub type rstream_log_level = c_int;

/// Nothing.
pub const RSTREAM_LOG_OFF: rstream_log_level = 0;

/// What the library cannot do.
pub const RSTREAM_LOG_ERROR: rstream_log_level = 1;

/// What somebody should look at.
pub const RSTREAM_LOG_WARN: rstream_log_level = 2;

/// Beginnings and ends of what lives long.
pub const RSTREAM_LOG_INFO: rstream_log_level = 3;

/// Each stream and connection.
pub const RSTREAM_LOG_DEBUG: rstream_log_level = 4;

/// Receives one line. Called on the thread that logs (the loop's); with several loops the callback may run on
/// several threads at once. It must not call back into librstream.
///
/// - `level`: a rstream_log_level
/// - `module`: the part of the library: "control", "stream", "engine"...; borrowed for the call
/// - `message`: the line, without a line end; borrowed for the call
pub type rstream_log_cb =
    Option<unsafe extern "C" fn(level: c_int, module: *const c_char, message: *const c_char, data: *mut c_void)>;

extern "C" {
    /// Sets level and destination for the whole process. Before the first call the level comes from the environment
    /// variable RSTREAM_LOG (off, error, warn, info, debug; unset: off). Call it before other threads use the library.
    ///
    /// - `level`: a rstream_log_level
    /// - `cb`: receives the lines; with NULL they go to standard error
    /// - `data`: must live as long as `cb` may be called
    ///
    /// Returns 0, or UV_EINVAL when `level` is none of rstream_log_level.
    pub fn rstream_log_set(level: c_int, cb: rstream_log_cb, data: *mut c_void) -> c_int;
}
