// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, Result};
use crate::gate::{Gate, Poster};
use crate::loop_node::LoopNode;
use rstream_sys as sys;
use std::any::Any;
use std::future::Future;
use std::ops::Deref;
use std::os::raw::{c_int, c_short, c_ulong};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The event loop that everything runs on. It belongs to the thread that made it.
///
/// Dropping it closes all objects on it, which ends operations under way, and drops the tasks that were spawned.
///
/// ```
/// fn shared<T: Send + Sync>() {}
/// shared::<rstream::Poster>();
/// shared::<rstream::Error>();
/// ```
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Loop>();
/// ```
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<rstream::Loop>();
/// ```
pub struct Loop {
    handle: LoopHandle,
    fd: RawFd,
}

/// The caller's libuv loop, which the caller runs.
///
/// Dropping it starts closing all objects on it; further turns of `uv_run()` finish that.
pub struct UvLoop {
    handle: LoopHandle,
}

/// A way to a loop for what runs on it. It may be cloned, and does not keep the loop open.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::LoopHandle>();
/// ```
#[derive(Clone)]
pub struct LoopHandle {
    pub(crate) node: Rc<LoopNode>,
}

impl LoopHandle {
    /// Another handle of the same loop.
    pub fn handle(&self) -> LoopHandle {
        self.clone()
    }

    /// Runs a future as a task on the loop, until it is ready or the loop closes. Whatever runs the loop runs its tasks.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) -> Result<()> {
        self.node.spawn(work)
    }

    /// Has `call` run on the loop, soon.
    pub fn post(&self, call: impl FnOnce() + 'static) -> Result<()> {
        self.node.gate.post(call)
    }

    /// The way to the loop from other threads.
    pub fn poster(&self) -> Poster {
        Poster { gate: self.node.gate.clone() }
    }

    /// Makes [`Loop::run`] return after the current callback.
    pub fn stop(&self) -> Result<()> {
        self.node.gate.stop()
    }

    /// Has panics of callbacks and tasks given to `hook`. Otherwise the first one stops the loop and leaves the call that
    /// runs it.
    pub fn on_panic(&self, hook: impl FnMut(Box<dyn Any + Send>) + 'static) {
        self.node.on_panic(Some(Box::new(hook)));
    }
}

impl Loop {
    /// Makes a loop.
    pub fn new() -> Result<Loop> {
        crate::log::refuse_inside()?;
        // SAFETY: `out` receives a loop, which the node closes.
        let node = LoopNode::new(true, |out| unsafe { sys::rstream_loop_new(out) })?;
        let mut on = Loop { handle: LoopHandle { node }, fd: -1 };
        // SAFETY: the loop is open, and its own.
        on.fd = checked(unsafe { sys::rstream_loop_fd(on.node.raw()?) })?;
        Ok(on)
    }

    /// Runs until nothing is left to wait for (false) or the loop was stopped (true).
    ///
    /// # Panics
    ///
    /// With the panic of a callback or task, if there is one.
    pub fn run(&self) -> Result<bool> {
        loop {
            let is_stopped = self.node.turn(sys::rstream_loop_run)?;
            if is_stopped || !self.node.gate.has_ready() {
                return Ok(is_stopped);
            }
        }
    }

    /// Does what is ready, without waiting; true when there is more to wait for.
    ///
    /// # Panics
    ///
    /// With the panic of a callback or task, if there is one.
    pub fn run_nowait(&self) -> Result<bool> {
        Ok(self.node.turn(sys::rstream_loop_run_nowait)? || self.node.gate.has_ready())
    }

    /// After which time [`Loop::run_nowait`] is to be called even when the loop's descriptor does not become readable.
    /// Ask anew after it, and after every call that starts something.
    pub fn timeout(&self) -> Option<Duration> {
        let raw = self.node.raw().ok()?;
        // SAFETY: the loop is open.
        let milliseconds = unsafe { sys::rstream_loop_timeout(raw) };
        u64::try_from(milliseconds).ok().map(Duration::from_millis)
    }

    /// Runs the loop until a future is ready.
    ///
    /// # Panics
    ///
    /// With the panic of a callback or task, if there is one; when the future can never become ready, because nothing is
    /// left on the loop and nobody has its waker; inside a callback of the loop.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let waiting = Arc::new(Blocked { gate: self.node.gate.clone(), is_woken: AtomicBool::new(true) });
        let waker = Waker::from(waiting.clone());
        let mut future = Box::pin(future);
        loop {
            if waiting.is_woken.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            let turned = if waiting.is_woken.load(Ordering::Acquire) {
                self.run_nowait().map(|_| true)
            } else {
                self.node.turn(sys::rstream_loop_run)
            };
            match turned {
                Err(error) => panic!("the loop cannot be run: {error}"),
                Ok(false) if !waiting.is_woken.load(Ordering::Acquire) && !self.node.gate.has_ready() => {
                    // Only other threads can go on with this: those that have the waker, and those that post.
                    let is_forgotten = Arc::strong_count(&waiting) == 2 && Arc::strong_count(&self.node.gate) == 2;
                    assert!(!is_forgotten, "the future waits for nothing, and nothing is left on the loop");
                    self.wait();
                }
                Ok(_) => {}
            }
        }
    }

    /// Closes the loop.
    ///
    /// # Panics
    ///
    /// With the panic of a callback that closing has called, if there is one.
    pub fn close(self) {
        let node = self.node.clone();
        drop(self);
        node.resume_panic();
    }

    /// Waits until the loop has something to do.
    fn wait(&self) {
        let mut watched = PollFd { fd: self.fd, events: POLLIN, revents: 0 };
        let milliseconds = self.timeout().map_or(-1, |time| time.as_millis().try_into().unwrap_or(c_int::MAX));
        // SAFETY: one structure is passed, as the number says. Whatever comes out of it, the loop is looked at next.
        unsafe { poll(&mut watched, 1, milliseconds) };
    }
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

const POLLIN: c_short = 1;

extern "C" {
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
}

/// The waker of block_on().
struct Blocked {
    gate: Arc<Gate>,
    is_woken: AtomicBool,
}

impl Wake for Blocked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.gate.interrupt();
        }
    }
}

/// The descriptor that becomes readable when [`Loop::run_nowait`] has something to do. It is not to be read or closed.
impl AsRawFd for Loop {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

/// See [`Loop::as_raw_fd`].
impl AsFd for Loop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open while the loop does, which `self` keeps open.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl UvLoop {
    /// Wraps a `uv_loop_t` of the libuv that librstream is linked with.
    ///
    /// # Safety
    ///
    /// `uv` is an initialised loop that this thread runs, and stays one until `closed` of [`UvLoop::close_with`] was
    /// called.
    pub unsafe fn wrap(uv: *mut sys::uv_loop_s) -> Result<UvLoop> {
        crate::log::refuse_inside()?;
        let node = LoopNode::new(false, |out| unsafe { sys::rstream_loop_wrap(uv, out) })?;
        Ok(UvLoop { handle: LoopHandle { node } })
    }

    /// Goes on with the panic of a callback or task; to be called after `uv_run()`.
    ///
    /// # Panics
    ///
    /// With that panic, if there is one.
    pub fn resume_panic(&self) {
        self.node.resume_panic();
    }

    /// Closes all objects on the loop, and calls `closed` when that is done and the `uv_loop_t` is free again.
    pub fn close_with(self, closed: impl FnOnce() + 'static) {
        self.node.close(Some(Box::new(closed)));
    }
}

macro_rules! handles {
    ($($name:ident),*) => {
        $(
            impl Deref for $name {
                type Target = LoopHandle;

                fn deref(&self) -> &LoopHandle {
                    &self.handle
                }
            }

            impl Drop for $name {
                fn drop(&mut self) {
                    self.node.close(None);
                }
            }
        )*
    };
}

handles!(Loop, UvLoop);

crate::node::opaque_debug!(Loop, LoopHandle, UvLoop);
