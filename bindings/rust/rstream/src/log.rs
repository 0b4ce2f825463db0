// SPDX-License-Identifier: Apache-2.0
//! Where the library's log lines go. No line ever contains a token, a secret or a key.
use crate::error::{checked, text, Code, Error, Result};
use crate::loop_node::discard;
use rstream_sys as sys;
use std::cell::Cell;
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may be wrong.
    Warn,
    /// What happened.
    Info,
    /// What happened, in detail.
    Debug,
}

impl Level {
    fn raw(self) -> c_int {
        match self {
            Level::Off => sys::RSTREAM_LOG_OFF,
            Level::Error => sys::RSTREAM_LOG_ERROR,
            Level::Warn => sys::RSTREAM_LOG_WARN,
            Level::Info => sys::RSTREAM_LOG_INFO,
            Level::Debug => sys::RSTREAM_LOG_DEBUG,
        }
    }

    fn from_raw(raw: c_int) -> Level {
        let all = [Level::Off, Level::Error, Level::Warn, Level::Info];
        all.into_iter().find(|level| level.raw() == raw).unwrap_or(Level::Debug)
    }
}

type Sink = dyn Fn(Level, &str, &str) + Send + Sync;

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
/// How many loops are open in the process.
static LOOPS: Mutex<usize> = Mutex::new(0);

thread_local! {
    static LOOPS_HERE: Cell<usize> = const { Cell::new(0) };
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Counts an open loop: while other threads have some, the log stays as it is.
pub(crate) struct OpenLoop(());

impl OpenLoop {
    pub(crate) fn new() -> OpenLoop {
        *loops() += 1;
        LOOPS_HERE.with(|here| here.set(here.get() + 1));
        OpenLoop(())
    }
}

impl Drop for OpenLoop {
    fn drop(&mut self) {
        *loops() -= 1;
        let _ = LOOPS_HERE.try_with(|here| here.set(here.get() - 1));
    }
}

fn loops() -> MutexGuard<'static, usize> {
    LOOPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets how much is logged, to standard error. Before the first call the environment variable `RSTREAM_LOG` says it.
///
/// The error is `EBUSY` while another thread has a loop.
pub fn set_level(level: Level) -> Result<()> {
    set(level, None, None)
}

/// Sets how much is logged, and who gets the lines: `sink(level, module, message)`, on the thread that logs. Nothing of
/// this crate can be used inside it, and its panics are ignored.
///
/// The error is `EBUSY` while another thread has a loop.
pub fn set_sink(level: Level, sink: impl Fn(Level, &str, &str) + Send + Sync + 'static) -> Result<()> {
    set(level, Some(line), Some(Arc::new(sink)))
}

fn set(level: Level, callback: sys::rstream_log_cb, sink: Option<Arc<Sink>>) -> Result<()> {
    refuse_inside()?;
    let open = loops();
    if *open != LOOPS_HERE.with(Cell::get) {
        return Err(Error::new(Code::BUSY, "the log cannot be set while other threads have loops"));
    }
    let old = std::mem::replace(&mut *SINK.write().unwrap_or_else(PoisonError::into_inner), sink);
    // SAFETY: no other thread has a loop, nor makes one before the lock is released.
    let result = checked(unsafe { sys::rstream_log_set(level.raw(), callback, null_mut()) });
    drop(open);
    drop(old);
    result.map(drop)
}

/// The library may not be called while it logs.
pub(crate) fn refuse_inside() -> Result<()> {
    if IS_INSIDE.try_with(Cell::get).unwrap_or(false) {
        return Err(Error::new(Code::BUSY, "the library cannot be used by the one who receives its log"));
    }
    Ok(())
}

unsafe extern "C" fn line(level: c_int, module: *const c_char, message: *const c_char, _data: *mut c_void) {
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
    let sink = match sink {
        Some(sink) if refuse_inside().is_ok() => sink,
        _ => return,
    };
    // SAFETY: the strings are valid for the call.
    let (module, message) = unsafe { (text(module).unwrap_or_default(), text(message).unwrap_or_default()) };
    let _ = IS_INSIDE.try_with(|inside| inside.set(true));
    let call = AssertUnwindSafe(move || sink(Level::from_raw(level), module, message));
    if let Err(payload) = catch_unwind(call) {
        discard(payload);
    }
    let _ = IS_INSIDE.try_with(|inside| inside.set(false));
}
