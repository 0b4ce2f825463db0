// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, explained, text, Code, Error, Result};
use rstream_sys as sys;
use std::ffi::CString;
use std::fmt::Display;
use std::os::raw::c_char;
use std::path::Path;
use std::ptr::null_mut;

/// A string for C.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(Code::INVALID, "invalid argument: a string contains a NUL"))
}

/// What values of named strings have in common.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $new:ident, $set:ident, $free:ident) => {
        $(#[$doc])*
        pub struct $name {
            raw: *mut sys::$raw,
        }

        // SAFETY: a plain value of C: it belongs to no loop, and one thread at a time uses it.
        unsafe impl Send for $name {}

        impl $name {
            #[doc = concat!("Makes an empty value (`", stringify!($new), "`).")]
            pub fn new() -> Result<$name> {
                let mut raw = null_mut();
                // SAFETY: `raw` receives a value that is freed once.
                checked(unsafe { sys::$new(&mut raw) })?;
                Ok($name { raw })
            }

            /// Sets one setting. Numbers and booleans are written as the library reads them. The error tells which
            /// setting is unknown or which value is bad, and why.
            pub fn set(&mut self, name: &str, value: impl Display) -> Result<&mut Self> {
                let value = c_string(value.to_string())?;
                self.assign(name, value.as_ptr())
            }

            /// Sets one setting back to what it is by default.
            pub fn unset(&mut self, name: &str) -> Result<&mut Self> {
                self.assign(name, std::ptr::null())
            }

            fn assign(&mut self, name: &str, value: *const c_char) -> Result<&mut Self> {
                let name = c_string(name)?;
                // SAFETY: the strings are valid for the call.
                explained(|error| unsafe { sys::$set(self.raw, name.as_ptr(), value, error) })?;
                Ok(self)
            }

            pub(crate) fn raw(&self) -> *mut sys::$raw {
                self.raw
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: freed once.
                unsafe { sys::$free(self.raw) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

settings! {
    /// The settings of a client, by name: [`rstream_sys::config`] lists them.
    Config, rstream_config, rstream_config_new, rstream_config_set, rstream_config_free
}

settings! {
    /// The properties asked of a tunnel, by name: [`rstream_sys::tunnel`] lists them.
    TunnelOptions, rstream_tunnel_options, rstream_tunnel_options_new, rstream_tunnel_options_set,
    rstream_tunnel_options_free
}

settings! {
    /// The settings of an embedded engine, by name: [`rstream_sys::engine`] lists them.
    EngineOptions, rstream_engine_options, rstream_engine_options_new, rstream_engine_options_set,
    rstream_engine_options_free
}

impl Config {
    /// Settings from the environment: `RSTREAM_ENGINE`, `RSTREAM_AUTHENTICATION_TOKEN` and the others that
    /// [`Config::load`] knows.
    pub fn from_env() -> Result<Config> {
        let mut config = Config::new()?;
        config.load()?;
        Ok(config)
    }

    /// Fills in, below what was set already, what the environment says.
    pub fn load(&mut self) -> Result<()> {
        // SAFETY: the value is valid.
        explained(|error| unsafe { sys::rstream_config_load(self.raw, error) })
    }

    /// The value of a setting as it was set or loaded.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = c_string(name).ok()?;
        // SAFETY: the string stays until the setting changes, for which `self` would have to be borrowed anew.
        unsafe { text(sys::rstream_config_get(self.raw, name.as_ptr())) }
    }
}

impl EngineOptions {
    /// The value of a setting, its default when it was not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = c_string(name).ok()?;
        // SAFETY: the string stays until the setting changes, for which `self` would have to be borrowed anew.
        unsafe { text(sys::rstream_engine_options_get(self.raw, name.as_ptr())) }
    }

    /// Reads a YAML configuration file; without a path the one that `RSTREAM_ENGINE_CONFIG` names, if any.
    pub fn load_file(&mut self, path: Option<&Path>) -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let path = path.map(|path| c_string(path.as_os_str().as_bytes())).transpose()?;
        let path = path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
        // SAFETY: the string is valid for the call.
        explained(|error| unsafe { sys::rstream_engine_options_load_file(self.raw, path, error) })
    }

    /// Applies the overrides `RSTREAM_ENGINE_...` of the environment.
    pub fn load_environment(&mut self) -> Result<()> {
        // SAFETY: the value is valid.
        explained(|error| unsafe { sys::rstream_engine_options_load_environment(self.raw, error) })
    }
}
