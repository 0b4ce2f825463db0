// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/doctor.h.
//! Finds out what keeps a client from its engine.
//!
//! One check after the other, each with what came of it, the time it took and what to do:
//!
//! | name | what is checked |
//! | --- | --- |
//! | configuration | whether the settings can work together: engine, identity, transport |
//! | project | whether the control plane tells the engine of a managed project; skipped where the engine is known |
//! | dns | the addresses of the engine, or of the proxy in front of it, and who has told them |
//! | tcp | the connection to one of them |
//! | proxy | whether the proxy opens a connection to the engine; skipped where there is none |
//! | tls | the handshake, the certificate and how long it is valid, the protocol rstrm/1 |
//! | engine | a control channel, opened and closed again: protocol version, token or client certificate |
//! | clock | the time of this machine against the engine's |
//!
//! Checks that need an earlier one which has failed are skipped.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// What a check came to; the worse, the higher, but for the last.
pub type rstream_doctor_status = c_int;

/// As it should be.
pub const RSTREAM_DOCTOR_PASS: rstream_doctor_status = 0;

/// Works, and may not for long or not safely.
pub const RSTREAM_DOCTOR_WARN: rstream_doctor_status = 1;

/// Does not work.
pub const RSTREAM_DOCTOR_FAIL: rstream_doctor_status = 2;

/// Not checked: not needed, or not possible after an earlier failure.
pub const RSTREAM_DOCTOR_SKIP: rstream_doctor_status = 3;

/// One check has ended. All strings are borrowed for the call.
///
/// - `name`: the check, as in the table above
/// - `status`: what it came to
/// - `microseconds`: how long it took; 0 when it was skipped
/// - `detail`: what was found, as one line of English; never a token, secret or key
/// - `advice`: what to do about it, as one line of English; NULL where there is nothing to do
/// - `data`: the `data` given to rstream_doctor()
pub type rstream_doctor_check_cb = Option<
    unsafe extern "C" fn(
        name: *const c_char,
        status: rstream_doctor_status,
        microseconds: u64,
        detail: *const c_char,
        advice: *const c_char,
        data: *mut c_void,
    ),
>;

/// All checks have ended. Called once, also when the loop is closed in between.
///
/// - `worst`: RSTREAM_DOCTOR_PASS, RSTREAM_DOCTOR_WARN or RSTREAM_DOCTOR_FAIL: the worst of all checks
/// - `data`: the `data` given to rstream_doctor()
pub type rstream_doctor_cb = Option<unsafe extern "C" fn(worst: rstream_doctor_status, data: *mut c_void)>;

extern "C" {
    /// Checks the way to an engine, with a client of its own that is gone afterwards. Takes no longer than the timeouts
    /// of the config allow. Callbacks come on the loop's thread, never from inside this call.
    ///
    /// - `loop`: what to run on
    /// - `config`: copied; what is wrong with it is a finding and no error
    /// - `on_check`: called for every check, in the order of the table
    /// - `on_end`: called after the last of them
    /// - `data`: given to both
    /// - `error`: may be NULL; receives what rstream_error_free() frees
    ///
    /// Returns 0; UV_EINVAL for a NULL argument, RSTREAM_ELOOP_CLOSED, RSTREAM_EWRONGTHREAD.
    pub fn rstream_doctor(
        loop_: *mut rstream_loop,
        config: *const rstream_config,
        on_check: rstream_doctor_check_cb,
        on_end: rstream_doctor_cb,
        data: *mut c_void,
        error: *mut *mut rstream_error,
    ) -> c_int;
}
