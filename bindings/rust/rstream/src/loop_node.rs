// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, Code, Error, Result};
use crate::gate::Gate;
use crate::log::OpenLoop;
use crate::node::{self, Children};
use crate::slot::Slot;
use crate::task::Tasks;
use rstream_sys as sys;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem::forget;
use std::os::raw::{c_int, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub(crate) type Payload = Box<dyn Any + Send>;
type Closed = Box<dyn FnOnce()>;

/// What everything on a loop shares.
pub(crate) struct LoopNode {
    raw: Cell<*mut sys::rstream_loop>,
    is_own: bool,
    pub(crate) gate: Arc<Gate>,
    pub(crate) children: Children,
    tasks: Tasks,
    on_panic: Slot<dyn FnMut(Payload)>,
    panic: RefCell<Option<Payload>>,
    on_closed: RefCell<Option<Closed>>,
    counted: RefCell<Option<OpenLoop>>,
}

impl LoopNode {
    pub(crate) fn new(is_own: bool, make: impl FnOnce(*mut *mut sys::rstream_loop) -> c_int) -> Result<Rc<LoopNode>> {
        let counted = OpenLoop::new();
        let mut raw = std::ptr::null_mut();
        checked(make(&mut raw))?;
        let node = Rc::new(LoopNode {
            raw: Cell::new(raw),
            is_own,
            gate: Gate::new(),
            children: Children::default(),
            tasks: Tasks::default(),
            on_panic: Slot::default(),
            panic: RefCell::new(None),
            on_closed: RefCell::new(None),
            counted: RefCell::new(Some(counted)),
        });
        // C's share of the node, until the close callback.
        let life = Rc::into_raw(node.clone());
        node.gate.open(raw, life);
        Ok(node)
    }

    /// # Safety
    ///
    /// `node` is C's share, and the loop's close callback has not returned.
    pub(crate) unsafe fn at(node: *const LoopNode) -> Rc<LoopNode> {
        unsafe {
            Rc::increment_strong_count(node);
            Rc::from_raw(node)
        }
    }

    /// The loop, while nobody has closed it.
    pub(crate) fn raw(&self) -> Result<*mut sys::rstream_loop> {
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(Error::from(Code::LOOP_CLOSED));
        }
        crate::log::refuse_inside()?;
        Ok(raw)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    /// Everything that C calls goes through here: no panic gets out, and tasks that it woke are run.
    pub(crate) fn enter(self: &Rc<Self>, body: impl FnOnce()) {
        let outer = self.gate.entered().fetch_add(1, Ordering::Relaxed);
        self.guard(body);
        if outer == 0 {
            for task in self.gate.take_ready() {
                self.tasks.poll(self, task);
            }
        }
        self.leave();
    }

    /// Runs a call of C that may call back before it returns. Tasks have to wait until the caller of it is done.
    pub(crate) fn without_tasks<T>(&self, call: impl FnOnce() -> T) -> T {
        self.gate.entered().fetch_add(1, Ordering::Relaxed);
        let result = call();
        self.leave();
        result
    }

    fn leave(&self) {
        let outer = self.gate.entered().fetch_sub(1, Ordering::Relaxed) - 1;
        if outer == 0 && self.gate.has_ready() {
            self.gate.post_turn();
        }
    }

    /// Runs foreign code; its panic is reported.
    pub(crate) fn guard(&self, body: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            self.report(payload);
        }
    }

    fn report(&self, mut payload: Payload) {
        if self.on_panic.is_set() {
            let mut given = Some(payload);
            let call = AssertUnwindSafe(|| {
                self.on_panic.call(|callback| {
                    if let Some(payload) = given.take() {
                        callback(payload);
                    }
                })
            });
            payload = match (catch_unwind(call), given) {
                (Ok(()), None) => return,
                // It panicked while it ran.
                (Ok(()), Some(payload)) | (Err(payload), _) => payload,
            };
        }
        if self.panic.borrow().is_some() {
            // One panic is as much as can be resumed.
            return discard(payload);
        }
        *self.panic.borrow_mut() = Some(payload);
        if self.is_own {
            let _ = self.gate.stop();
        }
    }

    pub(crate) fn on_panic(&self, callback: Option<Box<dyn FnMut(Payload)>>) {
        self.on_panic.set(callback);
    }

    /// Goes on with a panic that came out of a callback or a task.
    pub(crate) fn resume_panic(&self) {
        let payload = self.panic.borrow_mut().take();
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + 'static) -> Result<()> {
        if self.is_closed() {
            return Err(Error::from(Code::LOOP_CLOSED));
        }
        self.tasks.spawn(&self.gate, Box::pin(work));
        Ok(())
    }

    /// Runs an own loop; false when nothing is left.
    pub(crate) fn turn(&self, run: unsafe extern "C" fn(*mut sys::rstream_loop) -> c_int) -> Result<bool> {
        let raw = self.raw()?;
        self.gate.running().fetch_add(1, Ordering::Relaxed);
        // SAFETY: the loop is open, and stays so: whoever runs it has borrowed it.
        let code = unsafe { run(raw) };
        self.gate.running().fetch_sub(1, Ordering::Relaxed);
        self.resume_panic();
        Ok(checked(code)? > 0)
    }

    /// Closes everything on the loop, then the loop; an own one is gone when this returns.
    pub(crate) fn close(self: &Rc<Self>, callback: Option<Closed>) {
        // What logs cannot be closed meanwhile: it stays open for ever.
        if crate::log::refuse_inside().is_err() {
            return;
        }
        let raw = self.raw.replace(std::ptr::null_mut());
        if raw.is_null() {
            return;
        }
        self.gate.close();
        *self.on_closed.borrow_mut() = callback;
        self.tasks.clear(self);
        for child in self.children.all() {
            self.guard(|| drop(node::close(&*child)));
        }
        let life = Rc::as_ptr(self) as *mut c_void;
        // SAFETY: this is the loop's thread, since handles do not leave it, and `life` is C's share. An own loop is not
        // inside one of its callbacks, since whoever runs it has borrowed it. A loop that is not closed keeps its share.
        unsafe { sys::rstream_loop_close(raw, Some(closed), life) };
        if self.is_own {
            drop(self.counted.take());
        }
    }
}

unsafe extern "C" fn closed(data: *mut c_void) {
    // SAFETY: C gives its share back, once.
    let node = unsafe { Rc::from_raw(data as *const LoopNode) };
    if !node.is_own {
        drop(node.counted.take());
    }
    node.guard(|| {
        let callback = node.on_closed.borrow_mut().take();
        if let Some(callback) = callback {
            callback();
        }
    });
    let last = AssertUnwindSafe(move || {
        node.on_panic.set(None);
        drop(node);
    });
    if let Err(payload) = catch_unwind(last) {
        discard(payload);
    }
}

/// Drops a panic that nobody hears of. What it carries may itself panic when it is dropped, but not for ever.
pub(crate) fn discard(payload: Payload) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        forget(again);
    }
}
