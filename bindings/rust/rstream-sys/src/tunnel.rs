// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/tunnel.h.
//! Creating tunnels and receiving their streams.
//!
//! Tunnels that carry packets: packets.h.
//!
//! Properties are named strings. Lists are comma-separated; labels are set one by one as "labels.\<key\>".
//!
//! | name | type | meaning |
//! | --- | --- | --- |
//! | name | string | dial key of a private tunnel; optional |
//! | type | string | bytestream, datagram; the engine picks it from the protocol |
//! | publish | bool | true: reachable from outside; false: by dialing only; the engine's default is true |
//! | protocol | string | http, tls, tcp, dtls, quic, webtty |
//! | labels.\<key\> | string | a label |
//! | geoip | list | ISO 3166-1 alpha-2 countries that may connect |
//! | trusted_ips | list | addresses or CIDR ranges that may connect |
//! | hostname | string | host name asked for |
//! | port | int | published TCP port asked for, 1..65535 |
//! | tls_mode | string | terminated, passthrough |
//! | tls_alpns | list | ALPN protocols of the published endpoint |
//! | tls_min_version | string | tls1.2, tls1.3 |
//! | tls_ciphers | list | cipher suites |
//! | mtls_auth | bool | clients need a certificate |
//! | http_version | string | version spoken to the local service: http/1.1, h2c, h3 |
//! | http_use_tls | bool | deprecated spelling of upstream_tls |
//! | upstream_tls | bool | the engine speaks TLS inside the tunnel |
//! | datagram_guaranteed_delivery | bool | packets travel on reliable streams |
//! | allow_cross_region_routing | bool | other regions may route to this tunnel |
//! | token_auth | bool | HTTP clients need a token |
//! | rstream_auth | bool | HTTP clients log in |
//! | challenge_mode | bool | browsers solve a challenge |
//!
//! Additional names that the engine fills in and rstream_tunnel_property() returns: id, creation_date (RFC 3339),
//! host (hostname, with the port unless it is 443). rstream_tunnel_property_name() lists what is set.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// Result of rstream_control_create_tunnel().
///
/// - `tunnel`: the tunnel, owned by the callee, who ends it with rstream_tunnel_close(); NULL on failure
pub type rstream_create_tunnel_cb =
    Option<unsafe extern "C" fn(tunnel: *mut rstream_tunnel, error: *const rstream_error, data: *mut c_void)>;

/// A stream has come in.
///
/// - `tunnel`: the tunnel it came through
/// - `stream`: the stream, owned by the callee, who ends it with rstream_stream_close()
pub type rstream_stream_cb =
    Option<unsafe extern "C" fn(tunnel: *mut rstream_tunnel, stream: *mut rstream_stream, data: *mut c_void)>;

/// Observes rstream_tunnel_forward(): called when a forwarded connection begins and when it ends, for one whose
/// local service cannot be reached both at once, with the error. Connections that outlive their tunnel are not
/// observed any more.
///
/// - `tunnel`: the tunnel that was forwarded
/// - `event`: a rstream_forward_event
/// - `peer`: address of the remote end, or ""; borrowed for the call
/// - `bytes_in`: at the end: bytes carried to the local service
/// - `bytes_out`: at the end: bytes carried from the local service
/// - `error`: at the end: what ended the connection, or NULL
pub type rstream_forward_cb = Option<
    unsafe extern "C" fn(
        tunnel: *mut rstream_tunnel,
        event: c_int,
        peer: *const c_char,
        bytes_in: u64,
        bytes_out: u64,
        error: *const rstream_error,
        data: *mut c_void,
    ),
>;

/// The values of `event` in rstream_forward_cb.
pub type rstream_forward_event = c_int;

/// A connection begins.
pub const RSTREAM_FORWARD_OPENED: rstream_forward_event = 0;

/// A connection has ended.
pub const RSTREAM_FORWARD_CLOSED: rstream_forward_event = 1;

/// Tells when a tunnel ends without rstream_tunnel_close(): the engine revoked it (`error` NULL) or the control
/// channel ended (`error` says why). The handle still has to be closed.
///
/// - `tunnel`: the tunnel that has ended
pub type rstream_tunnel_end_cb =
    Option<unsafe extern "C" fn(tunnel: *mut rstream_tunnel, error: *const rstream_error, data: *mut c_void)>;

extern "C" {
    /// Makes empty tunnel options.
    ///
    /// - `out`: receives the options; free them with rstream_tunnel_options_free()
    ///
    /// Returns 0 or UV_EINVAL.
    pub fn rstream_tunnel_options_new(out: *mut *mut rstream_tunnel_options) -> c_int;
    /// Sets one property.
    ///
    /// - `name`: its name in the table above
    /// - `value`: its value as text; NULL unsets it (an unset boolean is not the same as "false")
    ///
    /// Returns 0, or RSTREAM_EINVALID_TUNNEL for an unknown or read-only name or a bad value; `error` (may be NULL)
    /// tells why.
    pub fn rstream_tunnel_options_set(
        options: *mut rstream_tunnel_options,
        name: *const c_char,
        value: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Frees tunnel options, or does nothing for NULL.
    pub fn rstream_tunnel_options_free(options: *mut rstream_tunnel_options);
    /// Asks the engine for a tunnel. Combinations of properties that can never work are refused here with a negative
    /// return value; all else is the engine's to decide and arrives in `cb` as RSTREAM_EENGINE.
    ///
    /// - `options`: copied; NULL means no property at all
    /// - `cb`: receives the tunnel, or the error: RSTREAM_EENGINE, RSTREAM_EOPERATION_TIMEOUT, RSTREAM_ECONTROL_CLOSED,
    ///   RSTREAM_EUNSUPPORTED_TUNNEL (a type that this build does not know), or what ended the control channel
    ///
    /// Returns 0, RSTREAM_EINVALID_TUNNEL, or a code (rstream.h).
    pub fn rstream_control_create_tunnel(
        control: *mut rstream_control,
        options: *const rstream_tunnel_options,
        cb: rstream_create_tunnel_cb,
        data: *mut c_void,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// A property as the engine confirmed it.
    ///
    /// - `name`: its name in the table above, or one that the engine fills in
    ///
    /// Returns its value as text, lists comma-separated, borrowed while the handle lives; NULL when unset.
    pub fn rstream_tunnel_property(tunnel: *const rstream_tunnel, name: *const c_char) -> *const c_char;
    /// Names of the properties that the engine confirmed, "labels.\<key\>" for each label, in no particular order.
    ///
    /// - `index`: from 0
    ///
    /// Returns the name, borrowed while the handle lives; NULL past the last one.
    pub fn rstream_tunnel_property_name(tunnel: *const rstream_tunnel, index: usize) -> *const c_char;
    /// Where others reach the tunnel, as a text for people: "`https://host"`, "host:port (tls)", "rstrm://name
    /// (unpublished)".
    ///
    /// Returns the text, borrowed while the handle lives; NULL for NULL.
    pub fn rstream_tunnel_forwarding_address(tunnel: *const rstream_tunnel) -> *const c_char;
    /// Has incoming streams given to a callback. Until this or rstream_tunnel_forward() is called 10 streams wait;
    /// further ones wait up to 5 s for a place and are then refused.
    ///
    /// - `cb`: receives each stream; with NULL streams wait again
    ///
    /// Returns 0; RSTREAM_EUNSUPPORTED_TUNNEL when the tunnel carries packets; or a code (rstream.h).
    pub fn rstream_tunnel_listen(tunnel: *mut rstream_tunnel, cb: rstream_stream_cb, data: *mut c_void) -> c_int;
    /// Connects every incoming stream to a local service; bytes never pass through the caller. Half close and reset are
    /// carried over both ways.
    ///
    /// A tunnel that carries packets is connected to a UDP service: each packet channel gets a socket of its own, so
    /// that the service tells remote ends apart by their ports. It ends when the other side closes it, or when no
    /// packet has come either way for 120 s; 1024 are forwarded at once, further ones refused. Packets that the service
    /// does not take in time are lost, as with UDP everywhere. A service that refuses packets without ever having sent
    /// one ends the channel.
    ///
    /// - `target`: "host:port", "\[v6\]:port", ":port" or "port" (this machine), or "unix:/path"; for packets the same
    ///   without the last, where "udp:" may stand in front
    /// - `cb`: observer; may be NULL
    /// - `error`: may be NULL
    ///
    /// Returns 0, RSTREAM_EINVALID_LOCAL_ENDPOINT, or a code (rstream.h).
    pub fn rstream_tunnel_forward(
        tunnel: *mut rstream_tunnel,
        target: *const c_char,
        cb: rstream_forward_cb,
        data: *mut c_void,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Sets the callback for the end of the tunnel. When it has ended already, the callback is called soon.
    ///
    /// - `cb`: called at most once; NULL takes an earlier one away
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_tunnel_on_end(tunnel: *mut rstream_tunnel, cb: rstream_tunnel_end_cb, data: *mut c_void) -> c_int;
    /// Closes the tunnel. Streams given out already go on, waiting ones are refused, forwarded connections go on until
    /// their ends close.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_tunnel_close(tunnel: *mut rstream_tunnel, cb: rstream_close_cb, data: *mut c_void) -> c_int;
}
