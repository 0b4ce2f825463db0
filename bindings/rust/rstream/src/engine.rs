// SPDX-License-Identifier: Apache-2.0
use crate::client::close;
use crate::error::{checked, explained, owned, Code, Error, Result};
use crate::event_loop::LoopHandle;
use crate::node::{self, Node, Object};
use crate::operation::{Completion, Operation};
use crate::settings::{c_string, EngineOptions};
use rstream_sys as sys;
use std::cell::RefCell;
use std::mem::take;
use std::os::raw::{c_int, c_void};
use std::path::PathBuf;
use std::rc::Rc;

/// The embedded engine: the edge that agents connect to and that publishes their tunnels. Dropping it closes it at once.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Engine>();
/// ```
pub struct Engine {
    node: Rc<EngineNode>,
}

struct EngineNode {
    node: Node,
    stopping: RefCell<Vec<Rc<Completion<()>>>>,
}

impl Object for EngineNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_engine_close(raw.cast(), Some(node::closed::<Self>), data) }
    }

    fn closed(&self) {
        self.answer(Err(Error::from(Code::ENGINE_CLOSED)));
    }
}

impl EngineNode {
    fn answer(&self, outcome: Result<()>) {
        let stopping = take(&mut *self.stopping.borrow_mut());
        for completion in stopping {
            self.node.on.guard(|| completion.complete(outcome.clone()));
        }
    }
}

impl Engine {
    /// Makes an engine; nothing listens yet.
    pub fn new(on: &LoopHandle, options: &EngineOptions) -> Result<Engine> {
        let raw_loop = on.node.raw()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the loop is open and the options valid.
        explained(|error| unsafe { sys::rstream_engine_new(raw_loop, options.raw(), &mut raw, error) })?;
        let node = Node::new(on.node.clone(), Code::ENGINE_CLOSED);
        let node = Rc::new(EngineNode { node, stopping: RefCell::default() });
        node::open(&node, raw, None)?;
        Ok(Engine { node })
    }

    /// Opens the listeners. In development mode the CA and certificates are made first, when they are not there yet.
    pub fn start(&self) -> Result<()> {
        let raw = self.node.node.raw()?;
        // SAFETY: the engine is open.
        explained(|error| unsafe { sys::rstream_engine_start(raw, error) })
    }

    /// The port of a listener: `tls`, `http` or `metrics`.
    pub fn port(&self, listener: &str) -> Result<u16> {
        let listener = c_string(listener)?;
        let raw = self.node.node.raw()?;
        // SAFETY: the engine is open.
        let port = checked(unsafe { sys::rstream_engine_port(raw, listener.as_ptr()) })?;
        u16::try_from(port).map_err(|_| Error::from(Code::INVALID))
    }

    /// `host:port` for a client's setting `engine`, once the engine was started.
    pub fn address(&self) -> Option<String> {
        self.info("address")
    }

    /// The certificate of the development CA, for a client's setting `transport.tls.caFile`.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.info("ca_file").map(PathBuf::from)
    }

    /// What clients need to know: `address`, `ca_file` or `host`.
    pub fn info(&self, name: &str) -> Option<String> {
        let name = c_string(name).ok()?;
        let raw = self.node.node.raw().ok()?;
        // SAFETY: the engine is open, and its string is copied at once.
        unsafe { owned(sys::rstream_engine_info(raw, name.as_ptr())) }
    }

    /// Stops in an orderly way: control channels are told, streams may go on for `timeouts.drain_seconds`. The operation
    /// ends when listeners and connections are gone.
    pub fn stop(&self) -> Operation<()> {
        Operation::start(|completion| self.start_stop(completion))
    }

    /// The same; `done` is called when they are gone.
    pub fn stop_with(&self, done: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.start_stop(Completion::calling(done))
    }

    /// Closes the engine now, with all its connections; the operation ends when they are gone.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }

    fn start_stop(&self, completion: Rc<Completion<()>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        // SAFETY: the engine is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_engine_stop(raw, Some(stopped), self.node.node.data()) })?;
        self.node.stopping.borrow_mut().push(completion);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

unsafe extern "C" fn stopped(_: *mut sys::rstream_engine, data: *mut c_void) {
    // SAFETY: `data` is that of an object that C calls back.
    unsafe { node::called(data, |engine: &Rc<EngineNode>| engine.answer(Ok(()))) }
}

node::opaque_debug!(Engine);
