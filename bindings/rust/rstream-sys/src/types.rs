// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/types.h.
//! Opaque handles, the export macro and the types that several headers share.
//!
//! Handles are pointers to structures that only the library knows. A program gets them from the functions named
//! below and gives each back once.
use std::marker::{PhantomData, PhantomPinned};
use std::os::raw::c_void;

/// What went wrong (error.h). Plain value; freed with rstream_error_free() unless it is borrowed.
#[repr(C)]
pub struct rstream_error {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// The event loop that everything runs on (loop.h). Ended with rstream_loop_close().
#[repr(C)]
pub struct rstream_loop {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Settings of a client (config.h). Plain value; freed with rstream_config_free().
#[repr(C)]
pub struct rstream_config {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A context of a configuration file (config.h). Borrowed for the callback that is given it.
#[repr(C)]
pub struct rstream_context {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A client: an engine and how to reach it (client.h). Ended with rstream_client_close().
#[repr(C)]
pub struct rstream_client {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A control channel of a client to its engine (client.h). Ended with rstream_control_close().
#[repr(C)]
pub struct rstream_control {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Properties to ask a tunnel for (tunnel.h). Plain value; freed with rstream_tunnel_options_free().
#[repr(C)]
pub struct rstream_tunnel_options {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A tunnel on a control channel (tunnel.h). Ended with rstream_tunnel_close().
#[repr(C)]
pub struct rstream_tunnel {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A byte stream, accepted from a tunnel or dialed (stream.h). Ended with rstream_stream_close() or its kin.
#[repr(C)]
pub struct rstream_stream {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A packet channel, accepted from a tunnel or dialed (packets.h). Ended with rstream_packets_close().
#[repr(C)]
pub struct rstream_packets {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// What a list is narrowed to (inventory.h). Plain value; freed with rstream_filters_free().
#[repr(C)]
pub struct rstream_filters {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Tunnels or clients that an engine listed (inventory.h). Plain value; freed with rstream_inventory_free().
#[repr(C)]
pub struct rstream_inventory {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A watch of what comes and goes at an engine (inventory.h). Ended with rstream_watch_close().
#[repr(C)]
pub struct rstream_watch {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Something that has happened at an engine (inventory.h). Borrowed for the callback that is told of it.
#[repr(C)]
pub struct rstream_event {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Settings of an engine (engine.h). Plain value; freed with rstream_engine_options_free().
#[repr(C)]
pub struct rstream_engine_options {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// An embedded engine (engine.h). Ended with rstream_engine_close().
#[repr(C)]
pub struct rstream_engine {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A piece of memory to read from. The only structure of this API that callers lay out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rstream_buf {
    /// First byte; may be NULL when len is 0.
    pub base: *const c_void,
    /// Number of bytes.
    pub len: usize,
}

/// Called once when an object has ended; the object's pointer is invalid after this call has returned.
pub type rstream_close_cb = Option<unsafe extern "C" fn(data: *mut c_void)>;
