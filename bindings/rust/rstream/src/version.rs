// SPDX-License-Identifier: Apache-2.0
use crate::error::text;
use rstream_sys as sys;

/// Version of the loaded library, e.g. `1.0.0`.
pub fn version() -> &'static str {
    // SAFETY: the library's string is static.
    unsafe { text(sys::rstream_version_string()) }.unwrap_or_default()
}

/// Version of the wire protocol that the loaded library speaks, e.g. `1.4.5`.
pub fn protocol_version() -> &'static str {
    // SAFETY: the library's string is static.
    unsafe { text(sys::rstream_protocol_version()) }.unwrap_or_default()
}

/// What the loaded library can do: words such as `transport.tls`, `tunnel.bytestream`, `engine`.
pub fn features() -> impl Iterator<Item = &'static str> {
    // SAFETY: the library's string is static.
    unsafe { text(sys::rstream_features()) }.unwrap_or_default().split(' ')
}

/// Whether `feature` is one of [`features`].
pub fn has_feature(feature: &str) -> bool {
    features().any(|word| word == feature)
}
