// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/engine.h.
//! The embedded engine: the edge that agents connect to and that publishes their tunnels.
//!
//! Settings are named strings: the sections of an official self-hosted engine's configuration file, with dots for
//! nesting, and a few of our own (tcp, limits, dev). Times are whole seconds, sizes plain numbers, booleans "true"
//! or "false".
//!
//! | name | default | meaning |
//! | --- | --- | --- |
//! | engine.host | localhost | host name of the engine; tunnels live at \<label\>.t.\<host\> |
//! | engine.log_level | info | off, error, warn, info, debug: used by rstreamctl engine |
//! | engine.project_id | - | the project's id, as boundaries of tokens name it besides the first label of \<host\> |
//! | engine.workspace_id | - | its workspace's id, for the same |
//! | tls.enabled | true | the TLS listener: protocol, API and published tunnels |
//! | tls.listen_addr | :443 | host:port, \[v6\]:port or :port; port 0 picks a free one |
//! | quic.enabled | true | the QUIC listener: protocol, API over HTTP/3, published quic tunnels |
//! | quic.listen_addr | (tls) | its address; the TLS listener's, with the same port number, when unset |
//! | quic.retry | auto | when clients prove their address first: auto (many handshakes), always, never |
//! | quic.congestion_control | cubic | cubic or bbr |
//! | quic.qlog_dir | - | directory for a qlog file of each connection, for debugging |
//! | quic.key_log_file | - | file that gets the secrets of connections, for debugging |
//! | http.enabled | false | plain HTTP listener that redirects to https |
//! | http.listen_addr | :80 | its address |
//! | certs.static.enabled | true | certificate from files |
//! | certs.static.cert_file | - | PEM chain for \<host\> and \*.t.\<host\>; read anew when it changes |
//! | certs.static.key_file | - | its private key |
//! | dev.enabled | false | make an own CA and certificates, accept clients without a token |
//! | dev.state_dir | - | where the development CA is kept (made 0700, files 0600) |
//! | auth.open | false | accept clients without a token; set to false even in dev |
//! | auth.tokens | - | comma-separated static tokens with every permission |
//! | auth.jwt.enabled | false | accept HS256 JWTs |
//! | auth.jwt.token_jwt_secret | - | their secret; 32 bytes or more are advised (RFC 7518) |
//! | auth.mtls.ca_file | - | PEM authorities of client certificates; read anew when it changes |
//! | auth.mtls.api_host | (host) | host where the API asks for certificates; first label that of \<host\> |
//! | metrics.prometheus.enabled | false | plain HTTP listener with metrics in Prometheus' text format |
//! | metrics.prometheus.listen_addr | 127.0.0.1:9090 | its address |
//! | metrics.prometheus.path | /metrics | where the metrics are; a leading slash is added |
//! | metrics.prometheus.bearer_token | - | token to read them with; required unless only this machine reaches the listener |
//! | dtls.enabled | false | UDP listener for published dtls tunnels |
//! | dtls.listen_addr | :4433 | its address; port 0 picks a free one |
//! | tcp.port_range | - | ports of published TCP tunnels, "first-last"; empty: not available |
//! | tcp.listen_host | (tls) | address they listen on; the TLS listener's when unset |
//! | timeouts.stream_request_seconds | 30 | how long a consumer waits for the agent's stream; 1..3600 |
//! | timeouts.http_idle_seconds | 90 | idle keep-alive connections of HTTP clients; 1..86400 |
//! | timeouts.dtls_idle_seconds | 300 | DTLS associations without packets; 1..86400 |
//! | timeouts.handshake_seconds | 10 | TLS handshake, first frame, first HTTP header; 1..3600 |
//! | timeouts.drain_seconds | 10 | how long rstream_engine_stop() lets streams go on; 0..86400 |
//! | limits.clients | 10000 | control channels at once |
//! | limits.tunnels_per_client | 1000 | tunnels of one control channel |
//! | limits.connections | 50000 | connections accepted at once over all listeners |
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// The engine has stopped: listeners and connections are gone. The handle still has to be closed.
///
/// - `engine`: the engine that was stopped
pub type rstream_engine_stop_cb = Option<unsafe extern "C" fn(engine: *mut rstream_engine, data: *mut c_void)>;

extern "C" {
    /// Makes engine options with their defaults.
    ///
    /// - `out`: receives the options; free them with rstream_engine_options_free()
    ///
    /// Returns 0 or UV_EINVAL.
    pub fn rstream_engine_options_new(out: *mut *mut rstream_engine_options) -> c_int;
    /// Sets one setting.
    ///
    /// - `name`: its name in the table above
    /// - `value`: its value as text; NULL brings the default back
    ///
    /// Returns 0, or RSTREAM_EINVALID_CONFIG for an unknown name or a bad value; `error` (may be NULL) tells which and
    /// why.
    pub fn rstream_engine_options_set(
        options: *mut rstream_engine_options,
        name: *const c_char,
        value: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// The value of a setting, its default when it was not set.
    ///
    /// - `name`: its name in the table above
    ///
    /// Returns the value, borrowed until the setting changes or the options are freed; NULL when it has none or is
    /// unknown.
    pub fn rstream_engine_options_get(options: *const rstream_engine_options, name: *const c_char) -> *const c_char;
    /// Reads a YAML configuration file. Unknown keys are an error that names file, line and key.
    ///
    /// - `path`: the file; NULL takes RSTREAM_ENGINE_CONFIG from the environment, and nothing when that is unset
    ///
    /// Returns 0, RSTREAM_EINVALID_CONFIG, or libuv's code when the file cannot be read.
    pub fn rstream_engine_options_load_file(
        options: *mut rstream_engine_options,
        path: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Applies overrides from the environment: RSTREAM_ENGINE_ followed by the setting's name in capitals with "__" for
    /// each dot, e.g. RSTREAM_ENGINE_TLS__LISTEN_ADDR.
    ///
    /// Returns 0 or RSTREAM_EINVALID_CONFIG; `error` (may be NULL) names the variable.
    pub fn rstream_engine_options_load_environment(
        options: *mut rstream_engine_options,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Frees engine options, or does nothing for NULL.
    pub fn rstream_engine_options_free(options: *mut rstream_engine_options);
    /// Makes an engine; nothing listens yet.
    ///
    /// - `loop`: what it runs on; the engine belongs to it
    /// - `options`: copied; may be freed or changed afterwards
    /// - `out`: receives the engine; end it with rstream_engine_close()
    /// - `error`: may be NULL
    ///
    /// Returns 0, RSTREAM_EINVALID_CONFIG (settings that exclude each other), RSTREAM_ETLS (certificate files), or a
    /// code.
    pub fn rstream_engine_new(
        loop_: *mut rstream_loop,
        options: *const rstream_engine_options,
        out: *mut *mut rstream_engine,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Opens the listeners. In development mode the CA and certificates are made first, when they are not there yet.
    ///
    /// Returns 0, libuv's code when an address cannot be listened on (UV_EADDRINUSE...); `error` (may be NULL) says
    /// which.
    pub fn rstream_engine_start(engine: *mut rstream_engine, error: *mut *mut rstream_error) -> c_int;
    /// Port of a listener of a started engine.
    ///
    /// - `listener`: "tls", "http", "metrics" or "dtls"
    ///
    /// Returns the port, 1..65535; UV_EINVAL when there is no such listener.
    pub fn rstream_engine_port(engine: *const rstream_engine, listener: *const c_char) -> c_int;
    /// What clients need to know about a started engine.
    ///
    /// - `name`: "address" (host:port, for a client's `engine` setting), "ca_file" (the development CA's certificate,
    ///   for transport.tls.caFile), or "host"
    ///
    /// Returns the text, borrowed while the handle lives; NULL when there is none.
    pub fn rstream_engine_info(engine: *const rstream_engine, name: *const c_char) -> *const c_char;
    /// Stops in an orderly way: listeners close, control channels are told (CloseControlChannelRsp), streams may go on
    /// for timeouts.drain_seconds and are then cut. `cb` may be NULL.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_engine_stop(engine: *mut rstream_engine, cb: rstream_engine_stop_cb, data: *mut c_void) -> c_int;
    /// Closes the engine at once, with all its connections.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_engine_close(engine: *mut rstream_engine, cb: rstream_close_cb, data: *mut c_void) -> c_int;
}
