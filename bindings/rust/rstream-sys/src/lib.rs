// SPDX-License-Identifier: Apache-2.0
//! The C API of librstream, function by function: `rstream.h` as Rust declarations.
//!
//! Conventions that hold for every function: handles are opaque and belong to the thread that made their loop; a started
//! operation calls back exactly once, never from inside the call that started it; errors given to callbacks are borrowed
//! for the call; strings are UTF-8 and NUL-terminated, copied in and borrowed out. No callback may unwind. The crate
//! `rstream` wraps all of this safely.
#![deny(missing_docs)]
#![allow(non_camel_case_types)]

pub mod client;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod inventory;
pub mod log;
#[path = "loop.rs"]
pub mod loop_;
pub mod packets;
pub mod stream;
pub mod tunnel;
pub mod types;
pub mod version;

pub use client::*;
pub use config::*;
pub use doctor::*;
pub use engine::*;
pub use error::*;
pub use inventory::*;
pub use log::*;
pub use loop_::*;
pub use packets::*;
pub use stream::*;
pub use tunnel::*;
pub use types::*;
pub use version::*;
