// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, Code, Error, Result};
use crate::loop_node::LoopNode;
use rstream_sys as sys;
use std::cell::Cell;
use std::mem::take;
use std::os::raw::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    static MARK: Cell<u8> = const { Cell::new(0) };
}

/// A number that tells the threads of the moment apart; 0 on a thread that is ending.
pub(crate) fn this_thread() -> usize {
    MARK.try_with(|mark| mark.as_ptr() as usize).unwrap_or(0)
}

/// What other threads share with a loop: how to reach it while it is open, and the tasks they have woken.
pub(crate) struct Gate {
    target: Mutex<Option<Target>>,
    ready: Mutex<Vec<usize>>,
    thread: usize,
    /// How many calls from C into this crate are on the stack; tasks are run when the last one ends.
    entered: AtomicUsize,
    /// How many calls that run the loop are on the stack.
    running: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Target {
    raw: *mut sys::rstream_loop,
    node: *const LoopNode,
}

// SAFETY: other threads use `raw` for rstream_loop_post() alone, and under the lock that closing takes first. They carry
// `node` to the loop's thread without looking at it.
unsafe impl Send for Target {}

struct Posted<F> {
    node: *const LoopNode,
    call: F,
}

impl Gate {
    pub(crate) fn new() -> Arc<Gate> {
        Arc::new(Gate {
            target: Mutex::new(None),
            ready: Mutex::new(Vec::new()),
            thread: this_thread(),
            entered: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
        })
    }

    /// Lets posts through. `node` lives until the loop's close callback, before which all posts have run.
    pub(crate) fn open(&self, raw: *mut sys::rstream_loop, node: *const LoopNode) {
        *lock(&self.target) = Some(Target { raw, node });
    }

    /// No post starts any more when this has returned.
    pub(crate) fn close(&self) {
        *lock(&self.target) = None;
    }

    pub(crate) fn is_home(&self) -> bool {
        self.thread == this_thread()
    }

    pub(crate) fn entered(&self) -> &AtomicUsize {
        &self.entered
    }

    pub(crate) fn running(&self) -> &AtomicUsize {
        &self.running
    }

    pub(crate) fn take_ready(&self) -> Vec<usize> {
        take(&mut *lock(&self.ready))
    }

    pub(crate) fn has_ready(&self) -> bool {
        !lock(&self.ready).is_empty()
    }

    /// A task wants to be run: when C returns from this crate, or by a post.
    pub(crate) fn wake(&self, task: usize) {
        lock(&self.ready).push(task);
        if !self.is_home() || self.entered.load(Ordering::Relaxed) == 0 {
            self.post_turn();
        }
    }

    /// Has the loop come by, to run what is ready. A closed loop has nothing to run.
    pub(crate) fn post_turn(&self) {
        let _ = self.post(|| {});
    }

    /// Ends the running call of Loop::block_on(), of whichever thread this is.
    pub(crate) fn interrupt(self: &Arc<Self>) {
        if !self.is_home() {
            let gate = self.clone();
            let _ = self.post(move || gate.interrupt());
        } else if self.running.load(Ordering::Relaxed) > 0 {
            let _ = self.stop();
        }
    }

    pub(crate) fn stop(&self) -> Result<()> {
        let target = *lock(&self.target);
        match target {
            // SAFETY: the loop is open, and this is its thread or else the library says so.
            Some(target) => checked(unsafe { sys::rstream_loop_stop(target.raw) }).map(drop),
            None => Err(Error::from(Code::LOOP_CLOSED)),
        }
    }

    pub(crate) fn post<F: FnOnce() + 'static>(&self, call: F) -> Result<()> {
        let target = lock(&self.target);
        let Target { raw, node } = match *target {
            Some(target) => target,
            None => return Err(Error::from(Code::LOOP_CLOSED)),
        };
        let data = Box::into_raw(Box::new(Posted { node, call }));
        // SAFETY: the loop is open while the lock is held.
        let started = checked(unsafe { sys::rstream_loop_post(raw, Some(posted::<F>), data.cast()) });
        drop(target);
        started.map(drop).map_err(|error| {
            // SAFETY: what was not posted is still ours.
            drop(unsafe { Box::from_raw(data) });
            error
        })
    }
}

unsafe extern "C" fn posted<F: FnOnce()>(data: *mut c_void) {
    // SAFETY: `data` was posted once, and the node lives until the loop's close callback, which comes later.
    let (posted, node) = unsafe {
        let posted = Box::from_raw(data.cast::<Posted<F>>());
        let node = LoopNode::at(posted.node);
        (posted, node)
    };
    node.enter(move || (posted.call)());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to a loop from other threads. It may be cloned, and may outlive the loop: then it gives
/// [`Code::LOOP_CLOSED`].
#[derive(Clone)]
pub struct Poster {
    pub(crate) gate: Arc<Gate>,
}

impl Poster {
    /// Has `call` run on the loop's thread, soon; posts of one thread run in their order. A post does not keep the loop
    /// alive; what is posted when the loop closes is still run.
    pub fn post(&self, call: impl FnOnce() + Send + 'static) -> Result<()> {
        self.gate.post(call)
    }

    /// Makes [`Loop::run`](crate::Loop::run) return, soon.
    pub fn stop(&self) -> Result<()> {
        if self.gate.is_home() {
            return self.gate.stop();
        }
        let gate = self.gate.clone();
        self.gate.post(move || drop(gate.stop()))
    }
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Poster").finish_non_exhaustive()
    }
}
