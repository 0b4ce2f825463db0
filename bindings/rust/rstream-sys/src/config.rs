// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from config.h.
//! config.h - the settings of a client, as named strings in the vocabulary of config.yaml.
//!
//! | name                             | type   | default | meaning |
//! |----------------------------------|--------|---------|---------|
//! | engine                           | string | -       | engine address, host\[:port\]; port 443 when absent |
//! | auth.token                       | string | -       | bearer token; excludes the client certificate |
//! | auth.mtls.certificateFile        | path   | -       | client certificate chain, PEM; with keyFile |
//! | auth.mtls.keyFile                | path   | -       | its private key, PEM |
//! | transport.mode                   | string | tls     | tls; auto takes the best there is, which is tls |
//! | transport.tls.caFile             | path   | -       | PEM certificates trusted in addition to the system's |
//! | transport.tls.serverName         | string | -       | name sent as SNI and verified instead of the engine's host |
//! | transport.tls.insecureSkipVerify | bool   | false   | do not verify the engine's certificate (development only) |
//! | zeroRtt                          | bool   | true    | streams start without waiting for the engine's answer |
//! | heartbeat.enabled                | bool   | true    | heartbeats on the control channel |
//! | heartbeat.intervalMs             | int    | 5000    | 1000..300000 milliseconds |
//! | timeouts.connectMs               | int    | 15000   | 1..3600000 milliseconds: name look-up, TCP and TLS |
//! | timeouts.operationMs             | int    | 30000   | 1..3600000 milliseconds: one request to the engine |
//!
//! Booleans are "true" or "false". A config is a plain value: it belongs to no loop, but is used by one thread at a time.
use crate::types::*;
use std::os::raw::{c_char, c_int};

extern "C" {
    /// Makes an empty config. Free with rstream_config_free(). Returns 0 or UV_EINVAL
    pub fn rstream_config_new(out: *mut *mut rstream_config) -> c_int;
    /// Sets one setting; NULL as value unsets it.
    ///
    /// Returns 0; RSTREAM_EINVALID_CONFIG for an unknown name or a bad value, RSTREAM_EINVALID_ENGINE or
    /// RSTREAM_EINVALID_TIMEOUT where these say more; `error` (may be NULL) tells which and why
    pub fn rstream_config_set(
        config: *mut rstream_config,
        name: *const c_char,
        value: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// The value of a setting as it was set or loaded; NULL when unset or unknown. Borrowed until the setting changes or the
    /// config is freed.
    pub fn rstream_config_get(config: *const rstream_config, name: *const c_char) -> *const c_char;
    /// Fills in, below what was set already, what the environment says: RSTREAM_ENGINE, RSTREAM_AUTHENTICATION_TOKEN,
    /// RSTREAM_MTLS_CERT_FILE and RSTREAM_MTLS_KEY_FILE, RSTREAM_TUNNEL_TRANSPORT, RSTREAM_CA_FILE (transport.tls.caFile).
    /// Values are trimmed; blank means unset.
    ///
    /// Returns 0, or the code of the first value that is invalid; `error` (may be NULL) names the variable
    pub fn rstream_config_load(config: *mut rstream_config, error: *mut *mut rstream_error) -> c_int;
    /// Frees a config. Clients made from it are not affected. NULL is allowed.
    pub fn rstream_config_free(config: *mut rstream_config);
}
