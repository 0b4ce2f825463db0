// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/client.h.
//! Clients, control channels and dialing.
//!
//! A client knows an engine and how to reach it. An agent connects it, which opens a control channel, and creates
//! tunnels there (tunnel.h). A dialer reaches a private tunnel by name or id without a control channel of its own.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// Result of rstream_client_connect().
///
/// - `control`: the control channel, owned by the callee, who ends it with rstream_control_close(); NULL on failure
pub type rstream_connect_cb =
    Option<unsafe extern "C" fn(control: *mut rstream_control, error: *const rstream_error, data: *mut c_void)>;

/// Result of rstream_client_dial().
///
/// - `stream`: the stream, owned by the callee, who ends it with rstream_stream_close(); NULL on failure
pub type rstream_dial_cb =
    Option<unsafe extern "C" fn(stream: *mut rstream_stream, error: *const rstream_error, data: *mut c_void)>;

/// Tells when a control channel ends. `error` is NULL when it ended because the engine closed it in an orderly way;
/// otherwise what went wrong (RSTREAM_ECONTROL_LIVENESS, RSTREAM_EPROTOCOL, network errors...). Not called after
/// rstream_control_close(). Streams already accepted or dialed go on; the tunnels of the channel have ended. The
/// handle still has to be closed with rstream_control_close().
///
/// - `control`: the control channel that has ended
pub type rstream_control_end_cb =
    Option<unsafe extern "C" fn(control: *mut rstream_control, error: *const rstream_error, data: *mut c_void)>;

extern "C" {
    /// Makes a client from a config; no connection is made yet.
    ///
    /// - `loop`: what it runs on; the client belongs to it
    /// - `config`: copied; may be freed or changed afterwards
    /// - `out`: receives the client; end it with rstream_client_close()
    /// - `error`: may be NULL
    ///
    /// Returns 0; RSTREAM_EENGINE_REQUIRED, RSTREAM_EAUTH_CONFLICT (token and certificate), RSTREAM_EAUTH_REQUIRED,
    /// RSTREAM_EMTLS_INCOMPLETE, RSTREAM_ETOKEN_EXPIRED, RSTREAM_EINVALID_CONFIG (settings that exclude each other),
    /// RSTREAM_EREGION_ENGINE_CONFLICT, RSTREAM_EPROJECT_ENDPOINT_REQUIRED, RSTREAM_EUNSUPPORTED_TRANSPORT and
    /// RSTREAM_EUNSUPPORTED_MTLS_STORAGE (a setting that this build cannot follow), RSTREAM_ETLS (a file cannot be read
    /// or used), UV_EINVAL, RSTREAM_EWRONGTHREAD.
    pub fn rstream_client_new(
        loop_: *mut rstream_loop,
        config: *const rstream_config,
        out: *mut *mut rstream_client,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Closes the client, its control channels, tunnels and streams.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_client_close(client: *mut rstream_client, cb: rstream_close_cb, data: *mut c_void) -> c_int;
    /// Connects to the engine and opens a control channel. A client may have several.
    ///
    /// - `cb`: receives it, or the error: libuv's codes for the network, RSTREAM_ETLS, RSTREAM_EENGINE (refused; see
    ///   rstream_error_engine_code()), RSTREAM_EPROTOCOL, RSTREAM_EOPERATION_TIMEOUT, RSTREAM_ECLIENT_CLOSED
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_client_connect(client: *mut rstream_client, cb: rstream_connect_cb, data: *mut c_void) -> c_int;
    /// Opens a stream to a private bytestream tunnel.
    ///
    /// With zeroRtt (the default) the stream is handed out as soon as the request was written: an unknown tunnel then
    /// shows as a stream that the engine closes at once. Without it the engine's answer is awaited and its error given
    /// to `cb`.
    ///
    /// - `name_or_id`: name or id of the tunnel; surrounding white space is ignored
    /// - `cb`: receives the stream, or the error as with rstream_client_connect()
    ///
    /// Returns 0; RSTREAM_EINVALID_TUNNEL for a blank name; or a code (rstream.h).
    pub fn rstream_client_dial(
        client: *mut rstream_client,
        name_or_id: *const c_char,
        cb: rstream_dial_cb,
        data: *mut c_void,
    ) -> c_int;
    /// Sets the callback for the end of the control channel. When it has ended already, the callback is called soon.
    ///
    /// - `cb`: called at most once; NULL takes an earlier one away
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_control_on_end(
        control: *mut rstream_control,
        cb: rstream_control_end_cb,
        data: *mut c_void,
    ) -> c_int;
    /// The id that the engine gave to this client.
    ///
    /// Returns the id, borrowed while the handle lives; NULL for NULL.
    pub fn rstream_control_client_id(control: *const rstream_control) -> *const c_char;
    /// What the engine told about itself.
    ///
    /// - `name`: agent, channel, version, plan, provider, region or update
    ///
    /// Returns the text, borrowed while the handle lives; NULL when the engine did not tell.
    pub fn rstream_control_server_detail(control: *const rstream_control, name: *const c_char) -> *const c_char;
    /// Closes the control channel in an orderly way (the engine's answer is awaited for at most 5 s) and its tunnels.
    /// Streams already accepted go on until they are closed.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_control_close(control: *mut rstream_control, cb: rstream_close_cb, data: *mut c_void) -> c_int;
}
