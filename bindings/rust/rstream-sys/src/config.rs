// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/config.h.
//! The settings of a client, as named strings in the vocabulary of config.yaml.
//!
//! | name | type | default | meaning |
//! | --- | --- | --- | --- |
//! | configFile | path | - | configuration file; ~/.rstream/config.yaml when absent |
//! | apiUrl | url | `https://rstream.io` | the control plane that manages the context |
//! | context | string | - | context of the file; its default one when absent |
//! | ignoreDefaultContext | bool | false | take no context that is not asked for |
//! | engine | string | - | engine address, host\[:port\]; port 443 when absent |
//! | projectEndpoint | string | - | managed project, by which the engine is found |
//! | region | string | - | region of the managed project; auto: any |
//! | turnDomain | string | - | host of the project's TURN servers |
//! | turnRealm | string | - | their realm |
//! | turnPort | int | 3478 | 1..65535: their port for TURN |
//! | turnsPort | int | 5349 | 1..65535: their port for TURN over TLS |
//! | mtlsApiUrl | url | - | engine's API for client certificates, `https://host[:port]/api` |
//! | headers | json | - | more headers for the control plane: an object |
//! | auth.token | string | - | bearer token; excludes the client certificate |
//! | auth.noToken | bool | false | use no token even if there is one |
//! | auth.required | bool | false | refuse to go without token and certificate |
//! | auth.mtls.certificateFile | path | - | client certificate chain, PEM; with keyFile |
//! | auth.mtls.keyFile | path | - | its private key, PEM |
//! | auth.mtls.certificate | string | - | the same as PEM text; with key |
//! | auth.mtls.key | string | - | its private key, PEM text |
//! | auth.mtls.storage.kind | string | - | where the private key is kept: exec, pkcs11, keychain |
//! | auth.mtls.storage.provider | string | - | keychain: macos |
//! | auth.mtls.storage.module | path | - | pkcs11: the token's module |
//! | auth.mtls.storage.opensslProvider | string | - | pkcs11: not needed here, the module is asked directly |
//! | auth.mtls.storage.tokenLabel | string | - | pkcs11: the token, by its label, |
//! | auth.mtls.storage.tokenSerial | string | - | pkcs11: by its serial number, |
//! | auth.mtls.storage.slot | int | - | pkcs11: or by its slot |
//! | auth.mtls.storage.keyLabel | string | - | pkcs11: the key, by its label, |
//! | auth.mtls.storage.keyIdHex | hex | - | pkcs11: or by its id |
//! | auth.mtls.storage.certificate | string | - | pkcs11: the certificate, as PEM text, |
//! | auth.mtls.storage.certificateFile | path | - | pkcs11: in a PEM file, |
//! | auth.mtls.storage.certificateLabel | string | - | pkcs11: in the token by its label, |
//! | auth.mtls.storage.certificateIdHex | hex | - | pkcs11: or by its id |
//! | auth.mtls.storage.certificateSHA256 | hex | - | exec, keychain: SHA-256 of the certificate |
//! | auth.mtls.storage.pinEnv | string | - | pkcs11: name of the environment variable with the PIN |
//! | auth.mtls.storage.maxSessions | int | - | pkcs11: signatures at the same time; 0: four |
//! | auth.mtls.storage.exec.command | path | - | exec: absolute path of the program that signs |
//! | auth.mtls.storage.exec.args | json | - | exec: its arguments, a list of strings |
//! | auth.mtls.storage.exec.timeout | time | 5s | exec: up to 1m for one answer |
//! | auth.mtls.storage.exec.maxConcurrency | int | 1 | exec: 0..32 processes at the same time; 0 is 1 |
//! | auth.mtls.storage.exec.passEnv | json | - | exec: names of variables it gets, a list |
//! | transport.mode | string | tls | tls, quic, or auto: QUIC where it gets through, TLS where not |
//! | transport.quic.congestionControl | string | cubic | cubic or bbr |
//! | transport.quic.qlogDirectory | path | - | directory for a qlog file of each QUIC connection (debugging) |
//! | transport.quic.keyLogFile | path | - | file for the secrets of QUIC connections, NSS format (debugging) |
//! | transport.bind.mode | string | - | address or interface: which of the next two counts |
//! | transport.bind.interface | string | - | network interface that connections leave by |
//! | transport.bind.address | ip | - | local address of connections |
//! | transport.ipFamily | string | - | ipv4 or ipv6: nothing else is used |
//! | transport.happyEyeballs | bool | true | try further addresses while the first is silent (RFC 8305) |
//! | transport.dns.override | string | - | name server, host\[:port\] |
//! | transport.dns.tls | bool | false | ask it over TLS |
//! | transport.dns.serverName | string | - | its name in its certificate |
//! | transport.dns.dnssec | bool | false | take authenticated answers only |
//! | transport.mptcp | bool | false | use Multipath TCP |
//! | transport.tls.caFile | path | - | PEM certificates to trust besides the system's |
//! | transport.tls.serverName | string | - | name verified instead of the engine's host |
//! | transport.tls.insecureSkipVerify | bool | false | do not verify the engine (development only) |
//! | transport.proxy.http | url | - | HTTP proxy; `http://` or `https://` |
//! | transport.proxy.socks5 | url | - | SOCKS5 proxy; excludes the HTTP proxy |
//! | transport.proxy.username | string | - | user at the proxy; with password |
//! | transport.proxy.password | string | - | the user's password |
//! | transport.proxy.headers | json | - | more headers for an HTTP proxy: an object |
//! | transport.proxy.fromEnvironment | bool | false | take HTTPS_PROXY and the like |
//! | transport.proxy.tls.caFile | path | - | PEM certificates to trust there |
//! | transport.proxy.tls.serverName | string | - | name verified instead of the proxy's host |
//! | transport.proxy.tls.insecureSkipVerify | bool | false | do not verify the proxy's certificate |
//! | zeroRtt | bool | true | streams do not wait for the engine's answer |
//! | heartbeat.enabled | bool | true | heartbeats on the control channel |
//! | heartbeat.intervalMs | int | 5000 | 1000..300000 milliseconds |
//! | timeouts.connectMs | int | 15000 | 1..3600000 milliseconds: name, TCP and TLS |
//! | timeouts.operationMs | int | 30000 | 1..3600000 milliseconds: one request to the engine |
//!
//! Booleans are "true" or "false"; json is an object or list of strings as JSON text; hex may contain colons and
//! spaces; time is written 500ms, 5s or 1m. Settings that this build cannot follow are accepted here and refused by
//! rstream_client_new() with RSTREAM_EUNSUPPORTED_TRANSPORT or RSTREAM_EUNSUPPORTED_MTLS_STORAGE.
//!
//! A config is a plain value: it belongs to no loop, but is used by one thread at a time.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// Receives a context of the configuration file: `context`, borrowed for the call.
pub type rstream_context_cb = Option<unsafe extern "C" fn(context: *const rstream_context, data: *mut c_void)>;

extern "C" {
    /// Makes an empty config.
    ///
    /// - `out`: receives the config; free it with rstream_config_free()
    ///
    /// Returns 0 or UV_EINVAL.
    pub fn rstream_config_new(out: *mut *mut rstream_config) -> c_int;
    /// Sets one setting.
    ///
    /// - `name`: its name in the table above
    /// - `value`: its value as text; NULL unsets it
    ///
    /// Returns 0; RSTREAM_EINVALID_CONFIG for an unknown name or a bad value, RSTREAM_EINVALID_ENGINE or
    /// RSTREAM_EINVALID_TIMEOUT where these say more; `error` (may be NULL) tells which and why.
    pub fn rstream_config_set(
        config: *mut rstream_config,
        name: *const c_char,
        value: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// The value of a setting as it was set or loaded.
    ///
    /// - `name`: its name in the table above
    ///
    /// Returns the value, borrowed until the setting changes or the config is freed; NULL when unset or unknown.
    pub fn rstream_config_get(config: *const rstream_config, name: *const c_char) -> *const c_char;
    /// Fills in, below what was set already, what the environment and the configuration file say; what an earlier call
    /// loaded is forgotten. Environment variables are trimmed, blank ones count as absent. What is set goes before the
    /// environment, that before the selected context of the file, that before the defaults.
    ///
    /// | variable | setting |
    /// | --- | --- |
    /// | RSTREAM_CONFIG | configFile; a file that does not exist is like an empty one |
    /// | RSTREAM_API_URL, RSTREAM_CONTEXT | apiUrl, context |
    /// | RSTREAM_ENGINE | engine; RSTREAM_ENGINE_ADDRESS where it is not defined at all |
    /// | RSTREAM_REGION | region |
    /// | RSTREAM_AUTHENTICATION_TOKEN | auth.token |
    /// | RSTREAM_MTLS_CERT_FILE, RSTREAM_MTLS_KEY_FILE | auth.mtls.certificateFile and keyFile, both or neither |
    /// | RSTREAM_TUNNEL_TRANSPORT | transport.mode |
    /// | RSTREAM_QUIC_TRANSPORT | transport.mode where the former is absent: 1 is quic, all else tls |
    /// | RSTREAM_CONTROL_PLANE_HEADERS | headers, over those of the file |
    /// | RSTREAM_CA_FILE | transport.tls.caFile |
    ///
    /// A stored token or client certificate is one context's as a whole, and is refused when an engine is set that is
    /// not the context's. docs/configuration.md tells the rest.
    ///
    /// Returns 0; the code of the first value that is invalid, RSTREAM_ECONTEXT_NOT_FOUND, RSTREAM_ECONTEXT_AMBIGUOUS,
    /// RSTREAM_EMTLS_INCOMPLETE, RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE, RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE,
    /// RSTREAM_EUNSUPPORTED_TOKEN_STORAGE, RSTREAM_EUNSUPPORTED_MTLS_STORAGE, or libuv's when the file cannot be read;
    /// then nothing was loaded, and `error` names the variable, or the file, line and key.
    pub fn rstream_config_load(config: *mut rstream_config, error: *mut *mut rstream_error) -> c_int;
    /// Tells of every context in the configuration file, in the file's order, before it returns. The file is the one
    /// that rstream_config_load() reads; nothing is loaded.
    ///
    /// - `cb`: called once for each context; must not free the config
    ///
    /// Returns 0, also when there is no file; RSTREAM_EINVALID_CONFIG, RSTREAM_EINVALID_API_URL, or libuv's code when
    /// the file cannot be read.
    pub fn rstream_config_contexts(
        config: *const rstream_config,
        cb: rstream_context_cb,
        data: *mut c_void,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// What a context says about itself.
    ///
    /// - `name`: name, apiUrl, engine, projectEndpoint, region, or selected: "true" for the context that
    ///   rstream_config_load() takes, else "false"
    ///
    /// Returns the value, borrowed like the context; NULL when the context does not say.
    pub fn rstream_context_get(context: *const rstream_context, name: *const c_char) -> *const c_char;
    /// Makes a context the default one: defaults.context.name in the configuration file. Takes the lock that other
    /// writers take (for at most 5 s, in which it blocks the thread) and puts the new file in the place of the old one
    /// at once, for the user alone to read. Nothing else in the file changes.
    ///
    /// - `name`: name of a context in the file
    ///
    /// Returns 0; RSTREAM_ECONTEXT_NOT_FOUND, RSTREAM_EINVALID_CONFIG, or libuv's code when the file cannot be read or
    /// written.
    pub fn rstream_config_use_context(
        config: *mut rstream_config,
        name: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Frees a config, or does nothing for NULL. Clients made from it are not affected.
    pub fn rstream_config_free(config: *mut rstream_config);
}
