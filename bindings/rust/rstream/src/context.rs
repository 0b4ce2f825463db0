// SPDX-License-Identifier: Apache-2.0
use crate::error::{explained, owned, Result};
use crate::settings::{c_string, Config};
use rstream_sys as sys;
use std::os::raw::c_void;

/// A context of the configuration file, as it describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Its name.
    pub name: String,
    /// The control plane that manages it.
    pub api_url: Option<String>,
    /// The engine's address.
    pub engine: Option<String>,
    /// The managed project.
    pub project_endpoint: Option<String>,
    /// The region of the managed project.
    pub region: Option<String>,
    /// Whether it is the one that [`Config::load`] takes.
    pub is_selected: bool,
}

/// The contexts of the configuration file, which [`Config::load`] reads as well.
impl Config {
    /// Every context, in the file's order; none when there is no file.
    pub fn contexts(&self) -> Result<Vec<Context>> {
        let mut found: Vec<Context> = Vec::new();
        let data: *mut Vec<Context> = &mut found;
        // SAFETY: the config is valid, and the callback is called before the call returns.
        explained(|error| unsafe { sys::rstream_config_contexts(self.raw(), Some(one_found), data.cast(), error) })?;
        Ok(found)
    }

    /// Makes a context the default one, in the file. Waits for other writers, for at most 5 s.
    pub fn use_context(&mut self, name: &str) -> Result<()> {
        let name = c_string(name)?;
        // SAFETY: the config and the string are valid for the call.
        explained(|error| unsafe { sys::rstream_config_use_context(self.raw(), name.as_ptr(), error) })
    }
}

unsafe extern "C" fn one_found(context: *const sys::rstream_context, data: *mut c_void) {
    // SAFETY: `data` is the list of the call that is under way, and the context is valid for this one.
    let (found, value) = unsafe {
        let value = |name: &[u8]| owned(sys::rstream_context_get(context, name.as_ptr().cast()));
        (&mut *data.cast::<Vec<Context>>(), value)
    };
    found.push(Context {
        name: value(b"name\0").unwrap_or_default(),
        api_url: value(b"apiUrl\0"),
        engine: value(b"engine\0"),
        project_endpoint: value(b"projectEndpoint\0"),
        region: value(b"region\0"),
        is_selected: value(b"selected\0").as_deref() == Some("true"),
    });
}
