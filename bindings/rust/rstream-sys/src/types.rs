// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from types.h.
//! types.h - opaque handles, the export macro and the types that several headers share.
use std::marker::{PhantomData, PhantomPinned};
use std::os::raw::c_void;

/// An opaque object.
#[repr(C)]
pub struct rstream_error {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_loop {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_config {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_client {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_control {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_tunnel_options {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_tunnel {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_stream {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_engine_options {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An opaque object.
#[repr(C)]
pub struct rstream_engine {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A piece of memory to read from. The only structure of this API that callers lay out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rstream_buf {
    /// first byte; may be NULL when len is 0
    pub base: *const c_void,
    /// number of bytes
    pub len: usize,
}

/// Called once when an object has ended; the object's pointer is invalid after this call has returned.
pub type rstream_close_cb = Option<unsafe extern "C" fn(data: *mut c_void)>;
