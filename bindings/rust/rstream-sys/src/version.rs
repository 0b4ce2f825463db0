// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/version.h.
//! Which library this is and what it can do.
//!
//! Every function here may be called from any thread.
//!
//! What a build can do is told in words:
//!
//! | name | meaning |
//! | --- | --- |
//! | transport.tls | clients reach the engine over TLS |
//! | transport.quic | clients reach the engine over QUIC: transport.mode quic, or auto (config.h) |
//! | tunnel.bytestream | tunnels whose streams carry bytes: published ones, private ones and dialing |
//! | tunnel.forward | rstream_tunnel_forward() |
//! | stream.fd | rstream_stream_into_fd() |
//! | engine | the embedded engine (engine.h) |
//! | inventory | lists of tunnels and clients (inventory.h) |
//! | watch | watching tunnels and clients come and go, over server-sent events (inventory.h) |
//! | watch.websocket | the same over WebSocket: RSTREAM_WATCH_WEBSOCKET |
//! | proxy.http | proxies by HTTP CONNECT: transport.proxy.http (config.h) |
//! | proxy.socks5 | proxies by SOCKS5: transport.proxy.socks5 |
//! | proxy.connect-udp | QUIC through `https://` proxies that speak HTTP/3 (RFC 9298): transport.proxy.http |
//! | dns.override | name servers of one's own: transport.dns.override |
//! | dns.tls | asked over TLS: transport.dns.tls |
//! | dns.dnssec | whose answers they have validated: transport.dns.dnssec |
//! | bind | local address, interface and IP version: transport.bind, transport.ipFamily |
//! | mptcp | Multipath TCP: transport.mptcp |
//! | doctor | rstream_doctor() (doctor.h) |
//! | ech | the ClientHello is encrypted where the engine's DNS records tell how: needs OpenSSL 4 |
//! | tunnel.datagram | tunnels that carry packets: private ones and dialing (packets.h) |
//! | published.dtls | published dtls tunnels, in the engine: dtls.enabled (engine.h) |
//! | published.quic | published quic tunnels, in the engine: quic.enabled (engine.h) |
use std::os::raw::{c_char, c_int, c_uint};

/// Version of the headers. The ABI only grows within one major version (SONAME librstream.so.1).
pub const RSTREAM_VERSION_MAJOR: c_uint = 1;

/// Version of the headers. The ABI only grows within one major version (SONAME librstream.so.1).
pub const RSTREAM_VERSION_MINOR: c_uint = 0;

/// Version of the headers. The ABI only grows within one major version (SONAME librstream.so.1).
pub const RSTREAM_VERSION_PATCH: c_uint = 0;

/// Version of the headers. The ABI only grows within one major version (SONAME librstream.so.1).
pub const RSTREAM_VERSION_STRING: &str = "1.0.0";

/// The version as one number to compare: 0xMMmmpp.
pub const RSTREAM_VERSION_NUMBER: c_uint =
    (RSTREAM_VERSION_MAJOR << 16) | (RSTREAM_VERSION_MINOR << 8) | RSTREAM_VERSION_PATCH;

extern "C" {
    /// Version of the loaded library.
    ///
    /// Returns "1.0.0" and the like, never NULL; static storage.
    pub fn rstream_version_string() -> *const c_char;
    /// Version of the loaded library as a number.
    ///
    /// Returns the number, comparable with RSTREAM_VERSION_NUMBER.
    pub fn rstream_version_number() -> c_uint;
    /// Version of the rstream wire protocol that this library speaks.
    ///
    /// Returns "1.4.5" and the like, never NULL; static storage.
    pub fn rstream_protocol_version() -> *const c_char;
    /// What this build can do: words of the table above, separated by one space. A word never changes its meaning; new
    /// ones are appended.
    ///
    /// Returns the words, never NULL; static storage.
    pub fn rstream_features() -> *const c_char;
    /// Whether `feature` (may be NULL) is one of the words of rstream_features().
    ///
    /// Returns 1 when it is, 0 when it is not or when `feature` is NULL.
    pub fn rstream_has_feature(feature: *const c_char) -> c_int;
}
