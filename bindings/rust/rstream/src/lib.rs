// SPDX-License-Identifier: Apache-2.0
//! Tunnels through rstream: agents that publish local services, dialers that reach private ones, and the engine between
//! them, embedded. All of it is librstream, driven by one [`Loop`] on one thread.
//!
//! - A handle ([`Loop`], [`Client`], [`Control`], [`Tunnel`], [`Stream`], [`Packets`], [`Engine`]) closes its object when it
//!   is dropped, in any order and also inside callbacks. Closing a parent closes its children first; calls on what is
//!   closed return an error.
//! - Every operation starts with its call. It gives an [`Operation`], a future for any executor, or, in the methods that
//!   end with `_with`, calls a closure. Dropping an [`Operation`] forgets its result, which closes the handle in it.
//! - The loop runs by [`Loop::run`] or [`Loop::block_on`], or beneath another executor: its descriptor tells when
//!   [`Loop::run_nowait`] has something to do, [`Loop::timeout`] how long to wait at most.
//! - A panic in a callback or in a spawned task does not enter the library: it goes to [`LoopHandle::on_panic`] or leaves
//!   the call that runs the loop.
//! - Handles stay on their loop's thread. [`Poster`] is the way there for others.
//!
//! The library's own documentation, with all settings and properties, is that of its headers: see the modules of
//! [`rstream_sys`], as [`rstream_sys::config`], [`rstream_sys::tunnel`] and [`rstream_sys::engine`].
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod arrivals;
mod client;
mod context;
mod control;
mod end;
mod engine;
mod error;
mod event_loop;
mod gate;
mod inventory;
mod loop_node;
mod node;
mod operation;
mod packets;
mod reading;
mod settings;
mod slot;
mod stream;
mod task;
mod tunnel;
mod version;
mod watch;

pub mod doctor;
pub mod log;

pub use client::Client;
pub use context::Context;
pub use control::Control;
pub use engine::Engine;
pub use error::{Code, EngineCode, Error, Result};
pub use event_loop::{Loop, LoopHandle, UvLoop};
pub use gate::Poster;
pub use inventory::{Check, Entry, Filters, Inventory};
pub use operation::Operation;
pub use packets::{PacketCounts, Packets};
pub use settings::{Config, EngineOptions, TunnelOptions};
pub use stream::{IntoFdError, Stream};
pub use tunnel::{ForwardEvent, Tunnel};
pub use version::{features, has_feature, protocol_version, version};
pub use watch::{Event, Watch, WatchTransport};
