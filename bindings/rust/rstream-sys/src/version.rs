// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from version.h.
//! version.h - which library this is and what it can do. Every function here may be called from any thread.
use std::os::raw::{c_char, c_int, c_uint};

/// Part of the version of the headers.
pub const RSTREAM_VERSION_MAJOR: c_uint = 1;

/// Part of the version of the headers.
pub const RSTREAM_VERSION_MINOR: c_uint = 0;

/// Part of the version of the headers.
pub const RSTREAM_VERSION_PATCH: c_uint = 0;

/// Version of the headers.
pub const RSTREAM_VERSION_STRING: &str = "1.0.0";

/// The version as one number to compare: 0xMMmmpp.
pub const RSTREAM_VERSION_NUMBER: c_uint =
    (RSTREAM_VERSION_MAJOR << 16) | (RSTREAM_VERSION_MINOR << 8) | RSTREAM_VERSION_PATCH;

extern "C" {
    /// Version of the loaded library, e.g. "1.0.0". Static storage.
    pub fn rstream_version_string() -> *const c_char;
    /// Version of the loaded library as a number, comparable with RSTREAM_VERSION_NUMBER.
    pub fn rstream_version_number() -> c_uint;
    /// Version of the rstream wire protocol that this library speaks, e.g. "1.4.5". Static storage.
    pub fn rstream_protocol_version() -> *const c_char;
    /// What this build can do: words separated by one space, e.g. "transport.tls tunnel.bytestream engine". A word that is
    /// listed never changes its meaning; new ones are appended. Static storage.
    pub fn rstream_features() -> *const c_char;
    /// Whether `feature` is one of the words of rstream_features().
    ///
    /// Returns 1 when it is, 0 when it is not or when `feature` is NULL
    pub fn rstream_has_feature(feature: *const c_char) -> c_int;
}
