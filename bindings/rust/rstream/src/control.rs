// SPDX-License-Identifier: Apache-2.0
use crate::client::{close, ClientNode};
use crate::end::End;
use crate::error::{checked, explained, owned, Code, Error, Result};
use crate::node::{self, Node, Object};
use crate::operation::{self, Completion, Operation, Ticket};
use crate::settings::{c_string, TunnelOptions};
use crate::tunnel::{Tunnel, TunnelNode};
use rstream_sys as sys;
use std::os::raw::{c_int, c_void};
use std::rc::Rc;

/// A control channel to an engine. Dropping it closes it and its tunnels; streams go on.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Control>();
/// ```
pub struct Control {
    node: Rc<ControlNode>,
}

pub(crate) struct ControlNode {
    node: Node,
    pub(crate) client: Rc<ClientNode>,
    end: End,
}

impl Object for ControlNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_control_close(raw.cast(), Some(node::closed::<Self>), data) }
    }

    fn release(&self) {
        self.end.release();
    }

    fn closed(&self) {
        self.end.closed(&self.node.on, Code::CONTROL_CLOSED);
    }
}

impl ControlNode {
    pub(crate) fn adopt(client: &Rc<ClientNode>, raw: *mut sys::rstream_control) -> Result<Control> {
        let node = Node::new(client.node().on.clone(), Code::CONTROL_CLOSED);
        let node = Rc::new(ControlNode { node, client: client.clone(), end: End::default() });
        node::open(&node, raw, Some(client.clone()))?;
        let control = Control { node };
        // SAFETY: the channel is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_control_on_end(raw, Some(ended), control.node.node.data()) })?;
        Ok(control)
    }
}

impl Control {
    /// Asks the engine for a tunnel.
    pub fn create_tunnel(&self, options: &TunnelOptions) -> Operation<Tunnel> {
        Operation::start(|completion| self.start_create(options, completion))
    }

    /// The same; `done` is called with the result.
    pub fn create_tunnel_with(
        &self,
        options: &TunnelOptions,
        done: impl FnOnce(Result<Tunnel>) + 'static,
    ) -> Result<()> {
        self.start_create(options, Completion::calling(done))
    }

    /// Calls `ended` when the channel ends without [`Control::close`]: with a value when the engine closed it in an
    /// orderly way, otherwise with what went wrong. Its tunnels have ended then; streams go on.
    pub fn on_end(&self, ended: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.node.end.set(&self.node.node, Box::new(ended))
    }

    /// Waits for the end of the channel, which [`Control::on_end`] explains; closing it is an error here.
    pub fn ended(&self) -> Operation<()> {
        self.node.end.wait(&self.node.node)
    }

    /// The id the engine gave to this client; empty when the channel is closed.
    pub fn client_id(&self) -> String {
        // SAFETY: it is a control channel.
        unsafe { self.node.node.text(sys::rstream_control_client_id) }
    }

    /// What the engine told about itself: `agent`, `channel`, `version`, `plan`, `provider`, `region` or `update`.
    pub fn server_detail(&self, name: &str) -> Option<String> {
        let name = c_string(name).ok()?;
        let raw = self.node.node.raw().ok()?;
        // SAFETY: the channel is open, and its string is copied at once.
        unsafe { owned(sys::rstream_control_server_detail(raw, name.as_ptr())) }
    }

    /// Closes the channel and its tunnels now, in an orderly way; the operation ends when they are gone.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }

    fn start_create(&self, options: &TunnelOptions, completion: Rc<Completion<Tunnel>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the channel is open, and `data` is the ticket that the callback redeems.
            explained(|error| unsafe {
                sys::rstream_control_create_tunnel(raw, options.raw(), Some(created), data, error)
            })
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

unsafe extern "C" fn created(raw: *mut sys::rstream_tunnel, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    unsafe { operation::opened(error, data, |control: &Rc<ControlNode>| TunnelNode::adopt(control, raw)) }
}

unsafe extern "C" fn ended(_: *mut sys::rstream_control, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: `data` is that of an object that C calls back, and the error is valid for the call.
    unsafe {
        let outcome = Error::lent(error).map_or(Ok(()), Err);
        node::called(data, |control: &Rc<ControlNode>| control.end.ended(&control.node.on, outcome));
    }
}

node::opaque_debug!(Control);
