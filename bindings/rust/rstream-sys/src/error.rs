// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/error.h.
//! Error codes and error objects.
//!
//! A code is 0 (success), one of libuv's negative codes (-errno: -ECONNREFUSED is UV_ECONNREFUSED), or one of the
//! codes below. Programs without libuv's header compare with -errno, or by rstream_err_name(). Names are the stable
//! identifiers that the official clients use as well. The functions here may be called from any thread; an error
//! object itself is not shared between threads.
use crate::types::*;
use std::os::raw::{c_char, c_int};

/// librstream's codes. RSTREAM_ERRNO_MAP has their names and short texts.
pub type rstream_errno = c_int;

/// The engine refused the request; rstream_error_engine_code() tells why.
pub const RSTREAM_EENGINE: rstream_errno = -10001;

/// The peer broke the rstream protocol.
pub const RSTREAM_EPROTOCOL: rstream_errno = -10002;

/// A frame exceeds 65535 bytes.
pub const RSTREAM_EFRAME_TOO_LARGE: rstream_errno = -10003;

/// The control channel is closed, or was while the operation ran.
pub const RSTREAM_ECONTROL_CLOSED: rstream_errno = -10004;

/// The engine has not answered heartbeats in time: the channel is dead.
pub const RSTREAM_ECONTROL_LIVENESS: rstream_errno = -10005;

/// Too much is waiting on the control channel; try later.
pub const RSTREAM_ECONTROL_OVERLOAD: rstream_errno = -10006;

/// The operation took longer than the timeouts of the config allow.
pub const RSTREAM_EOPERATION_TIMEOUT: rstream_errno = -10007;

/// The tunnel is closed, or was while the operation ran.
pub const RSTREAM_ETUNNEL_CLOSED: rstream_errno = -10008;

/// The client is closed, or was while the operation ran.
pub const RSTREAM_ECLIENT_CLOSED: rstream_errno = -10009;

/// The stream is closed, or was while the operation ran.
pub const RSTREAM_ESTREAM_CLOSED: rstream_errno = -10010;

/// The embedded engine is closed.
pub const RSTREAM_EENGINE_CLOSED: rstream_errno = -10011;

/// The loop is closed or being closed.
pub const RSTREAM_ELOOP_CLOSED: rstream_errno = -10012;

/// Called from another thread than the loop's; nothing was changed.
pub const RSTREAM_EWRONGTHREAD: rstream_errno = -10013;

/// The config has both a token and a client certificate.
pub const RSTREAM_EAUTH_CONFLICT: rstream_errno = -10020;

/// The config needs a token or a client certificate.
pub const RSTREAM_EAUTH_REQUIRED: rstream_errno = -10021;

/// The token has expired; get a new one.
pub const RSTREAM_ETOKEN_EXPIRED: rstream_errno = -10022;

/// The config has only one of client certificate and key.
pub const RSTREAM_EMTLS_INCOMPLETE: rstream_errno = -10023;

/// The TLS handshake or connection failed, or its files cannot be used.
pub const RSTREAM_ETLS: rstream_errno = -10024;

/// A setting is unknown or its value is invalid.
pub const RSTREAM_EINVALID_CONFIG: rstream_errno = -10030;

/// The engine address is invalid: host\[:port\].
pub const RSTREAM_EINVALID_ENGINE: rstream_errno = -10031;

/// No engine address is configured.
pub const RSTREAM_EENGINE_REQUIRED: rstream_errno = -10032;

/// A time limit is out of range.
pub const RSTREAM_EINVALID_TIMEOUT: rstream_errno = -10033;

/// The tunnel's properties or name are invalid.
pub const RSTREAM_EINVALID_TUNNEL: rstream_errno = -10034;

/// This build does not support that kind of tunnel.
pub const RSTREAM_EUNSUPPORTED_TUNNEL: rstream_errno = -10035;

/// This build does not support that transport.
pub const RSTREAM_EUNSUPPORTED_TRANSPORT: rstream_errno = -10036;

/// The local address is invalid.
pub const RSTREAM_EINVALID_LOCAL_ENDPOINT: rstream_errno = -10037;

/// Too many streams wait to be accepted.
pub const RSTREAM_EBACKLOG_FULL: rstream_errno = -10038;

/// The configuration file has no such context.
pub const RSTREAM_ECONTEXT_NOT_FOUND: rstream_errno = -10040;

/// Several contexts of the configuration file have that name.
pub const RSTREAM_ECONTEXT_AMBIGUOUS: rstream_errno = -10041;

/// The control plane's URL is invalid.
pub const RSTREAM_EINVALID_API_URL: rstream_errno = -10042;

/// The region's name is invalid.
pub const RSTREAM_EINVALID_REGION: rstream_errno = -10043;

/// Region and engine address exclude each other.
pub const RSTREAM_EREGION_ENGINE_CONFLICT: rstream_errno = -10044;

/// The project has no endpoint in that region.
pub const RSTREAM_EREGION_UNAVAILABLE: rstream_errno = -10045;

/// The project has several endpoints in that region.
pub const RSTREAM_EREGION_AMBIGUOUS: rstream_errno = -10046;

/// A region was asked for, but the project is not a managed one.
pub const RSTREAM_EPROJECT_ENDPOINT_REQUIRED: rstream_errno = -10047;

/// The stored token is for another engine.
pub const RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE: rstream_errno = -10048;

/// The stored identity is for another engine.
pub const RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE: rstream_errno = -10049;

/// The token is kept where this build cannot read it.
pub const RSTREAM_EUNSUPPORTED_TOKEN_STORAGE: rstream_errno = -10050;

/// The identity is kept where this build cannot read it.
pub const RSTREAM_EUNSUPPORTED_MTLS_STORAGE: rstream_errno = -10051;

/// The control plane told no usable engine address.
pub const RSTREAM_EENGINE_RESOLUTION: rstream_errno = -10052;

/// The control plane refused the request.
pub const RSTREAM_EAPI_HTTP: rstream_errno = -10053;

/// The control plane's answer cannot be used.
pub const RSTREAM_EAPI_INVALID_RESPONSE: rstream_errno = -10054;

/// The proxy did not open the connection.
pub const RSTREAM_EPROXY: rstream_errno = -10060;

/// The engine's API answered with another status than success.
pub const RSTREAM_EENGINE_API_HTTP: rstream_errno = -10070;

/// The engine's API answered something else than was asked for.
pub const RSTREAM_EENGINE_API_PAYLOAD: rstream_errno = -10071;

/// A filter is unknown or its value is invalid.
pub const RSTREAM_EINVALID_FILTER: rstream_errno = -10072;

/// An event of the engine is no JSON.
pub const RSTREAM_EEVENT_JSON: rstream_errno = -10073;

/// The engine does not tell where client certificates are for its API.
pub const RSTREAM_EENGINE_DISCOVERY: rstream_errno = -10075;

/// Codes that an engine sends (rstream_error_engine_code()). The engine may send others: treat them by their
/// thousand: 1 authorization, 2 request, 3 not found, 4 state, 5 feature, 6 unavailable, 7 capacity, 8 conflict, 9
/// internal.
pub type rstream_engine_code = c_int;

/// The engine gave no code.
pub const RSTREAM_ENGINE_UNSPECIFIED: rstream_engine_code = 0;

/// Token or certificate do not allow this.
pub const RSTREAM_ENGINE_UNAUTHORIZED: rstream_engine_code = 1000;

/// The request makes no sense to the engine.
pub const RSTREAM_ENGINE_INVALID_REQUEST: rstream_engine_code = 2000;

/// The request named no protocol version.
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_MISSING: rstream_engine_code = 2010;

/// What it named is no version.
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_INVALID: rstream_engine_code = 2020;

/// The engine speaks no such version.
pub const RSTREAM_ENGINE_PROTOCOL_VERSION_INCOMPATIBLE: rstream_engine_code = 2030;

/// There is no such tunnel, or none to be seen by this client.
pub const RSTREAM_ENGINE_TUNNEL_NOT_FOUND: rstream_engine_code = 3000;

/// There is no such stream, or it is in another state.
pub const RSTREAM_ENGINE_INVALID_STREAM: rstream_engine_code = 4000;

/// The engine, or the plan it runs under, does not have this.
pub const RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE: rstream_engine_code = 5000;

/// Not now: the engine stops or lacks something; try later.
pub const RSTREAM_ENGINE_SERVICE_UNAVAILABLE: rstream_engine_code = 6000;

/// A limit of the engine is reached.
pub const RSTREAM_ENGINE_CAPACITY_EXHAUSTED: rstream_engine_code = 7000;

/// What was asked for is taken, e.g. a host name or port.
pub const RSTREAM_ENGINE_RESOURCE_CONFLICT: rstream_engine_code = 8000;

/// The engine has failed.
pub const RSTREAM_ENGINE_INTERNAL: rstream_engine_code = 9000;

extern "C" {
    /// The code of an error.
    ///
    /// - `error`: may be NULL
    ///
    /// Returns the code, negative; 0 for NULL.
    pub fn rstream_error_code(error: *const rstream_error) -> c_int;
    /// The stable name of an error's code.
    ///
    /// - `error`: may be NULL
    ///
    /// Returns "ERR_RSTREAM_ENGINE", "ECONNREFUSED" and the like, static storage; NULL for NULL.
    pub fn rstream_error_name(error: *const rstream_error) -> *const c_char;
    /// What was attempted, what came back and what to do, as one line of English. Never contains a token, secret or
    /// key.
    ///
    /// - `error`: may be NULL
    ///
    /// Returns the line, borrowed from the error; NULL for NULL.
    pub fn rstream_error_message(error: *const rstream_error) -> *const c_char;
    /// The code that the engine sent, when the error's code is RSTREAM_EENGINE, or the HTTP status of its API, when it
    /// is RSTREAM_EENGINE_API_HTTP.
    ///
    /// - `error`: may be NULL
    ///
    /// Returns the engine's code (see rstream_engine_code), or the status; 0 for other errors and for NULL.
    pub fn rstream_error_engine_code(error: *const rstream_error) -> c_int;
    /// Copies an error that was borrowed for a callback and is to outlive it.
    ///
    /// - `error`: may be NULL
    ///
    /// Returns the copy, to be freed with rstream_error_free(); NULL for NULL.
    pub fn rstream_error_copy(error: *const rstream_error) -> *mut rstream_error;
    /// Frees an error that a function handed out or rstream_error_copy() made, or does nothing for NULL.
    pub fn rstream_error_free(error: *mut rstream_error);
    /// What a code means.
    ///
    /// - `code`: one of librstream's or of libuv's, or 0
    ///
    /// Returns a few words of English, "unknown error" for other numbers; never NULL; static storage.
    pub fn rstream_strerror(code: c_int) -> *const c_char;
    /// The stable name of a code.
    ///
    /// - `code`: one of librstream's or of libuv's, or 0
    ///
    /// Returns "ERR_RSTREAM_ENGINE", "ECONNREFUSED", "OK" and the like, "UNKNOWN" for other numbers; never NULL; static
    /// storage.
    pub fn rstream_err_name(code: c_int) -> *const c_char;
}
