// SPDX-License-Identifier: Apache-2.0
use rstream_sys as sys;
use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::raw::{c_char, c_int};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The code of an error: one of librstream's own, or one of libuv's, which are negative error numbers of the system.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(c_int);

macro_rules! codes {
    ($($name:ident = $raw:ident,)*) => {
        /// librstream's own codes.
        impl Code {
            $(
                #[doc = concat!("See [`rstream_sys::", stringify!($raw), "`].")]
                pub const $name: Code = Code(sys::$raw);
            )*

            /// Every code of librstream's own.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];
        }
    };
}

codes! {
    ENGINE = RSTREAM_EENGINE,
    PROTOCOL = RSTREAM_EPROTOCOL,
    FRAME_TOO_LARGE = RSTREAM_EFRAME_TOO_LARGE,
    CONTROL_CLOSED = RSTREAM_ECONTROL_CLOSED,
    CONTROL_LIVENESS = RSTREAM_ECONTROL_LIVENESS,
    CONTROL_OVERLOAD = RSTREAM_ECONTROL_OVERLOAD,
    OPERATION_TIMEOUT = RSTREAM_EOPERATION_TIMEOUT,
    TUNNEL_CLOSED = RSTREAM_ETUNNEL_CLOSED,
    CLIENT_CLOSED = RSTREAM_ECLIENT_CLOSED,
    STREAM_CLOSED = RSTREAM_ESTREAM_CLOSED,
    ENGINE_CLOSED = RSTREAM_EENGINE_CLOSED,
    LOOP_CLOSED = RSTREAM_ELOOP_CLOSED,
    WRONG_THREAD = RSTREAM_EWRONGTHREAD,
    AUTH_CONFLICT = RSTREAM_EAUTH_CONFLICT,
    AUTH_REQUIRED = RSTREAM_EAUTH_REQUIRED,
    TOKEN_EXPIRED = RSTREAM_ETOKEN_EXPIRED,
    MTLS_INCOMPLETE = RSTREAM_EMTLS_INCOMPLETE,
    TLS = RSTREAM_ETLS,
    INVALID_CONFIG = RSTREAM_EINVALID_CONFIG,
    INVALID_ENGINE = RSTREAM_EINVALID_ENGINE,
    ENGINE_REQUIRED = RSTREAM_EENGINE_REQUIRED,
    INVALID_TIMEOUT = RSTREAM_EINVALID_TIMEOUT,
    INVALID_TUNNEL = RSTREAM_EINVALID_TUNNEL,
    UNSUPPORTED_TUNNEL = RSTREAM_EUNSUPPORTED_TUNNEL,
    UNSUPPORTED_TRANSPORT = RSTREAM_EUNSUPPORTED_TRANSPORT,
    INVALID_LOCAL_ENDPOINT = RSTREAM_EINVALID_LOCAL_ENDPOINT,
    BACKLOG_FULL = RSTREAM_EBACKLOG_FULL,
    CONTEXT_NOT_FOUND = RSTREAM_ECONTEXT_NOT_FOUND,
    CONTEXT_AMBIGUOUS = RSTREAM_ECONTEXT_AMBIGUOUS,
    INVALID_API_URL = RSTREAM_EINVALID_API_URL,
    INVALID_REGION = RSTREAM_EINVALID_REGION,
    REGION_ENGINE_CONFLICT = RSTREAM_EREGION_ENGINE_CONFLICT,
    REGION_UNAVAILABLE = RSTREAM_EREGION_UNAVAILABLE,
    REGION_AMBIGUOUS = RSTREAM_EREGION_AMBIGUOUS,
    PROJECT_ENDPOINT_REQUIRED = RSTREAM_EPROJECT_ENDPOINT_REQUIRED,
    STORED_TOKEN_ENGINE_OVERRIDE = RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE,
    STORED_MTLS_ENGINE_OVERRIDE = RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE,
    UNSUPPORTED_TOKEN_STORAGE = RSTREAM_EUNSUPPORTED_TOKEN_STORAGE,
    UNSUPPORTED_MTLS_STORAGE = RSTREAM_EUNSUPPORTED_MTLS_STORAGE,
    ENGINE_RESOLUTION = RSTREAM_EENGINE_RESOLUTION,
    API_HTTP = RSTREAM_EAPI_HTTP,
    API_INVALID_RESPONSE = RSTREAM_EAPI_INVALID_RESPONSE,
    PROXY = RSTREAM_EPROXY,
    ENGINE_API_HTTP = RSTREAM_EENGINE_API_HTTP,
    ENGINE_API_PAYLOAD = RSTREAM_EENGINE_API_PAYLOAD,
    INVALID_FILTER = RSTREAM_EINVALID_FILTER,
    EVENT_JSON = RSTREAM_EEVENT_JSON,
    ENGINE_DISCOVERY = RSTREAM_EENGINE_DISCOVERY,
}

impl Code {
    pub(crate) const ALREADY: Code = Code(-114);
    pub(crate) const BUSY: Code = Code(-16);
    pub(crate) const INVALID: Code = Code(-22);

    /// The code with this number.
    pub const fn from_raw(code: c_int) -> Code {
        Code(code)
    }

    /// The number, as the C API has it: negative.
    pub const fn raw(self) -> c_int {
        self.0
    }

    /// The system's error number that this code stands for, e.g. 111 for `ECONNREFUSED`.
    pub const fn errno(self) -> Option<i32> {
        // libuv's codes for what is no error number lie below -1000.
        if self.0 < 0 && self.0 > -1000 {
            Some(-self.0)
        } else {
            None
        }
    }

    /// The stable name, e.g. `ERR_RSTREAM_ENGINE` or `ECONNREFUSED`.
    pub fn name(self) -> &'static str {
        // SAFETY: the library's string is static.
        unsafe { text(sys::rstream_err_name(self.0)) }.unwrap_or("UNKNOWN")
    }

    /// What the code means, in a few words.
    pub fn description(self) -> &'static str {
        // SAFETY: the library's string is static.
        unsafe { text(sys::rstream_strerror(self.0)) }.unwrap_or("unknown error")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why an engine refused a request. An engine may send others than those named here: treat them by their thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EngineCode(c_int);

macro_rules! engine_codes {
    ($($name:ident = $raw:ident,)*) => {
        impl EngineCode {
            $(
                #[doc = concat!("See [`rstream_sys::", stringify!($raw), "`].")]
                pub const $name: EngineCode = EngineCode(sys::$raw);
            )*
        }
    };
}

engine_codes! {
    UNSPECIFIED = RSTREAM_ENGINE_UNSPECIFIED,
    UNAUTHORIZED = RSTREAM_ENGINE_UNAUTHORIZED,
    INVALID_REQUEST = RSTREAM_ENGINE_INVALID_REQUEST,
    PROTOCOL_VERSION_MISSING = RSTREAM_ENGINE_PROTOCOL_VERSION_MISSING,
    PROTOCOL_VERSION_INVALID = RSTREAM_ENGINE_PROTOCOL_VERSION_INVALID,
    PROTOCOL_VERSION_INCOMPATIBLE = RSTREAM_ENGINE_PROTOCOL_VERSION_INCOMPATIBLE,
    TUNNEL_NOT_FOUND = RSTREAM_ENGINE_TUNNEL_NOT_FOUND,
    INVALID_STREAM = RSTREAM_ENGINE_INVALID_STREAM,
    FEATURE_NOT_AVAILABLE = RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE,
    SERVICE_UNAVAILABLE = RSTREAM_ENGINE_SERVICE_UNAVAILABLE,
    CAPACITY_EXHAUSTED = RSTREAM_ENGINE_CAPACITY_EXHAUSTED,
    RESOURCE_CONFLICT = RSTREAM_ENGINE_RESOURCE_CONFLICT,
    INTERNAL = RSTREAM_ENGINE_INTERNAL,
}

impl EngineCode {
    /// The number that the engine sent.
    pub const fn raw(self) -> c_int {
        self.0
    }
}

/// What went wrong: a code, the library's words, and the engine's code when it was the engine that refused.
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    engine_code: Option<EngineCode>,
    message: Cow<'static, str>,
}

impl Error {
    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The stable name of the code, e.g. `ERR_RSTREAM_ENGINE` or `ECONNREFUSED`.
    pub fn name(&self) -> &'static str {
        self.code.name()
    }

    /// The code the engine sent, when the code is [`Code::ENGINE`]; the HTTP status of its API, when it is
    /// [`Code::ENGINE_API_HTTP`].
    pub fn engine_code(&self) -> Option<EngineCode> {
        self.engine_code
    }

    /// What was attempted, what came back and what to do, as one line. Never contains a token, secret or key.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
        Error { code, engine_code: None, message: message.into() }
    }

    /// The error that C lends to a callback; none when it lends NULL.
    ///
    /// # Safety
    ///
    /// `error` is NULL or valid for the call.
    pub(crate) unsafe fn lent(error: *const sys::rstream_error) -> Option<Error> {
        if error.is_null() {
            return None;
        }
        // SAFETY: the error is valid, and its message is copied before the call ends.
        unsafe {
            let message = sys::rstream_error_message(error);
            let engine_code = sys::rstream_error_engine_code(error);
            Some(Error {
                code: Code(sys::rstream_error_code(error)),
                engine_code: if engine_code == 0 { None } else { Some(EngineCode(engine_code)) },
                message: Cow::Owned(owned(message).unwrap_or_default()),
            })
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Error {
        Error::new(code, code.description())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.code {
            Code::OPERATION_TIMEOUT | Code::CONTROL_LIVENESS => io::ErrorKind::TimedOut,
            Code::STREAM_CLOSED | Code::TUNNEL_CLOSED | Code::CONTROL_CLOSED | Code::CLIENT_CLOSED => {
                io::ErrorKind::NotConnected
            }
            code => code.errno().map_or(io::ErrorKind::Other, |errno| io::Error::from_raw_os_error(errno).kind()),
        };
        io::Error::new(kind, error)
    }
}

/// What a call returned, as a result; numbers of 0 and more are values.
pub(crate) fn checked(code: c_int) -> Result<c_int> {
    if code < 0 {
        Err(Error::from(Code(code)))
    } else {
        Ok(code)
    }
}

/// Runs a call of C that may hand out an error.
pub(crate) fn explained(call: impl FnOnce(*mut *mut sys::rstream_error) -> c_int) -> Result<()> {
    let mut error = std::ptr::null_mut();
    let code = call(&mut error);
    // SAFETY: the error is NULL or ours, and freed once.
    let explanation = unsafe {
        let explanation = Error::lent(error);
        sys::rstream_error_free(error);
        explanation
    };
    if code < 0 {
        Err(explanation.unwrap_or_else(|| Error::from(Code(code))))
    } else {
        Ok(())
    }
}

/// A string of C; none for NULL.
///
/// # Safety
///
/// `string` is NULL or a C string that stays what it is for `'a`.
pub(crate) unsafe fn text<'a>(string: *const c_char) -> Option<&'a str> {
    if string.is_null() {
        return None;
    }
    unsafe { CStr::from_ptr(string) }.to_str().ok()
}

/// A copy of a string of C.
///
/// # Safety
///
/// `string` is NULL or a C string.
pub(crate) unsafe fn owned(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    Some(unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_name() {
        let own = include_str!("../../rstream-sys/src/error.rs");
        let declared = own.matches(": rstream_errno = ").count();
        assert_eq!(Code::ALL.len(), declared);
        assert_eq!(own.matches(": rstream_engine_code = ").count(), 13);
        for code in Code::ALL {
            assert!(code.name().starts_with("ERR_RSTREAM_"), "{code:?}");
            assert_ne!(code.description(), "unknown error");
            assert_eq!(code.errno(), None);
        }
    }

    #[test]
    fn libuvs_codes_are_the_systems() {
        let refused = Code::from_raw(-111);
        assert_eq!((refused.name(), refused.errno()), ("ECONNREFUSED", Some(111)));
        assert_eq!(io::Error::from(Error::from(refused)).kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(Code::from_raw(-4095).errno(), None);
        for (code, name) in [(Code::ALREADY, "EALREADY"), (Code::BUSY, "EBUSY"), (Code::INVALID, "EINVAL")] {
            assert_eq!(code.name(), name);
        }
        assert_eq!(Code::from_raw(-12345).name(), "UNKNOWN");
        assert_eq!(format!("{refused} {refused:?}"), "ECONNREFUSED ECONNREFUSED (-111)");
        let late = Error::from(Code::OPERATION_TIMEOUT);
        assert_eq!(late.to_string(), "the operation took too long");
        assert_eq!(io::Error::from(late).kind(), io::ErrorKind::TimedOut);
    }
}
