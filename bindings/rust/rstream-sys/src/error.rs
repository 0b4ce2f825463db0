// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from error.h.
//! error.h - error codes and error objects.
//!
//! A code is 0 (success), one of libuv's negative codes (-errno: -ECONNREFUSED is UV_ECONNREFUSED), or one of the codes
//! below. Names are the stable identifiers that the official clients use as well. The functions here may be called from
//! any thread; an error object itself is not shared between threads.
use crate::types::*;
use std::os::raw::{c_char, c_int};

/// `ERR_RSTREAM_ENGINE`: the engine refused the request.
pub const RSTREAM_EENGINE: rstream_errno = -10001;

/// `ERR_RSTREAM_PROTOCOL`: the peer broke the rstream protocol.
pub const RSTREAM_EPROTOCOL: rstream_errno = -10002;

/// `ERR_RSTREAM_FRAME_TOO_LARGE`: a frame exceeds 65535 bytes.
pub const RSTREAM_EFRAME_TOO_LARGE: rstream_errno = -10003;

/// `ERR_RSTREAM_CONTROL_CLOSED`: the control channel is closed.
pub const RSTREAM_ECONTROL_CLOSED: rstream_errno = -10004;

/// `ERR_RSTREAM_CONTROL_LIVENESS`: the engine has not answered within the liveness time.
pub const RSTREAM_ECONTROL_LIVENESS: rstream_errno = -10005;

/// `ERR_RSTREAM_CONTROL_OVERLOAD`: too much is waiting on the control channel.
pub const RSTREAM_ECONTROL_OVERLOAD: rstream_errno = -10006;

/// `ERR_RSTREAM_OPERATION_TIMEOUT`: the operation took too long.
pub const RSTREAM_EOPERATION_TIMEOUT: rstream_errno = -10007;

/// `ERR_RSTREAM_TUNNEL_CLOSED`: the tunnel is closed.
pub const RSTREAM_ETUNNEL_CLOSED: rstream_errno = -10008;

/// `ERR_RSTREAM_CLIENT_CLOSED`: the client is closed.
pub const RSTREAM_ECLIENT_CLOSED: rstream_errno = -10009;

/// `ERR_RSTREAM_STREAM_CLOSED`: the stream is closed.
pub const RSTREAM_ESTREAM_CLOSED: rstream_errno = -10010;

/// `ERR_RSTREAM_ENGINE_CLOSED`: the embedded engine is closed.
pub const RSTREAM_EENGINE_CLOSED: rstream_errno = -10011;

/// `ERR_RSTREAM_LOOP_CLOSED`: the loop is closed.
pub const RSTREAM_ELOOP_CLOSED: rstream_errno = -10012;

/// `ERR_RSTREAM_WRONG_THREAD`: called from another thread than the loop's.
pub const RSTREAM_EWRONGTHREAD: rstream_errno = -10013;

/// `ERR_RSTREAM_AUTH_CONFLICT`: token and mTLS authentication cannot be used together.
pub const RSTREAM_EAUTH_CONFLICT: rstream_errno = -10020;

/// `ERR_RSTREAM_AUTH_REQUIRED`: a token or a client certificate is required.
pub const RSTREAM_EAUTH_REQUIRED: rstream_errno = -10021;

/// `ERR_RSTREAM_TOKEN_EXPIRED`: the token has expired.
pub const RSTREAM_ETOKEN_EXPIRED: rstream_errno = -10022;

/// `ERR_RSTREAM_MTLS_INCOMPLETE`: mTLS certificate and key are both required.
pub const RSTREAM_EMTLS_INCOMPLETE: rstream_errno = -10023;

/// `ERR_RSTREAM_TLS`: the TLS handshake or connection failed.
pub const RSTREAM_ETLS: rstream_errno = -10024;

/// `ERR_RSTREAM_INVALID_CONFIG`: a setting is unknown or its value is invalid.
pub const RSTREAM_EINVALID_CONFIG: rstream_errno = -10030;

/// `ERR_RSTREAM_INVALID_ENGINE`: the engine address is invalid.
pub const RSTREAM_EINVALID_ENGINE: rstream_errno = -10031;

/// `ERR_RSTREAM_ENGINE_REQUIRED`: no engine address is configured.
pub const RSTREAM_EENGINE_REQUIRED: rstream_errno = -10032;

/// `ERR_RSTREAM_INVALID_TIMEOUT`: a time limit is out of range.
pub const RSTREAM_EINVALID_TIMEOUT: rstream_errno = -10033;

/// `ERR_RSTREAM_INVALID_TUNNEL`: the tunnel properties or the tunnel name are invalid.
pub const RSTREAM_EINVALID_TUNNEL: rstream_errno = -10034;

/// `ERR_RSTREAM_UNSUPPORTED_TUNNEL`: this build does not support that kind of tunnel.
pub const RSTREAM_EUNSUPPORTED_TUNNEL: rstream_errno = -10035;

/// `ERR_RSTREAM_UNSUPPORTED_TRANSPORT`: this build does not support that transport.
pub const RSTREAM_EUNSUPPORTED_TRANSPORT: rstream_errno = -10036;

/// `ERR_RSTREAM_INVALID_LOCAL_ENDPOINT`: the local address is invalid.
pub const RSTREAM_EINVALID_LOCAL_ENDPOINT: rstream_errno = -10037;

/// `ERR_RSTREAM_BACKLOG_FULL`: too many streams wait to be accepted.
pub const RSTREAM_EBACKLOG_FULL: rstream_errno = -10038;

/// librstream's codes. RSTREAM_EENGINE, RSTREAM_EPROTOCOL, ...
pub type rstream_errno = c_int;

/// Codes that an engine sends (rstream_error_engine_code()). The engine may send others: treat them by their thousand:
/// 1 authorization, 2 request, 3 not found, 4 state, 5 feature, 6 unavailable, 7 capacity, 8 conflict, 9 internal.
pub type rstream_engine_code = c_int;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_UNSPECIFIED: rstream_engine_code = 0;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_UNAUTHORIZED: rstream_engine_code = 1000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_INVALID_REQUEST: rstream_engine_code = 2000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_MISSING: rstream_engine_code = 2010;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_INVALID: rstream_engine_code = 2020;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_INCOMPATIBLE: rstream_engine_code = 2030;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_TUNNEL_NOT_FOUND: rstream_engine_code = 3000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_INVALID_STREAM: rstream_engine_code = 4000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE: rstream_engine_code = 5000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_SERVICE_UNAVAILABLE: rstream_engine_code = 6000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_CAPACITY_EXHAUSTED: rstream_engine_code = 7000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_RESOURCE_CONFLICT: rstream_engine_code = 8000;

/// One of [`rstream_engine_code`].
pub const RSTREAM_ENGINE_INTERNAL: rstream_engine_code = 9000;

extern "C" {
    /// The code of an error: negative. 0 when `error` is NULL.
    pub fn rstream_error_code(error: *const rstream_error) -> c_int;
    /// The stable name of the error's code, e.g. "ERR_RSTREAM_ENGINE" or "ECONNREFUSED". Static storage; NULL for NULL.
    pub fn rstream_error_name(error: *const rstream_error) -> *const c_char;
    /// What was attempted, what came back and what to do, as one line of English. Never contains a token, secret or key.
    /// Borrowed from the error. NULL for NULL.
    pub fn rstream_error_message(error: *const rstream_error) -> *const c_char;
    /// The code the engine sent when the code is RSTREAM_EENGINE (see rstream_engine_code); otherwise 0.
    pub fn rstream_error_engine_code(error: *const rstream_error) -> c_int;
    /// A copy of an error that outlives the callback it was borrowed for. Free with rstream_error_free(). NULL for NULL.
    pub fn rstream_error_copy(error: *const rstream_error) -> *mut rstream_error;
    /// Frees an error that a function handed out or rstream_error_copy() made. NULL is allowed.
    pub fn rstream_error_free(error: *mut rstream_error);
    /// What a code means, for librstream's codes and libuv's. Static storage; "unknown error" for other numbers.
    pub fn rstream_strerror(code: c_int) -> *const c_char;
    /// The stable name of a code, e.g. "ERR_RSTREAM_ENGINE" or "ECONNREFUSED". Static storage; "UNKNOWN" for others.
    pub fn rstream_err_name(code: c_int) -> *const c_char;
}
