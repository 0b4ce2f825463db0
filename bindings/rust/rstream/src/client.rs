// SPDX-License-Identifier: Apache-2.0
use crate::control::{Control, ControlNode};
use crate::error::{checked, explained, Code, Result};
use crate::event_loop::LoopHandle;
use crate::node::{self, Node, Object};
use crate::operation::{self, Completion, Operation, Ticket};
use crate::packets::{Packets, PacketsNode};
use crate::settings::{c_string, Config};
use crate::stream::{Stream, StreamNode};
use rstream_sys as sys;
use std::os::raw::{c_int, c_void};
use std::rc::Rc;

/// What knows an engine and how to reach it. Dropping it closes all that came from it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Client>();
/// ```
pub struct Client {
    pub(crate) node: Rc<ClientNode>,
}

pub(crate) struct ClientNode {
    node: Node,
}

impl Object for ClientNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_client_close(raw.cast(), Some(node::closed::<Self>), data) }
    }
}

impl Client {
    /// Makes a client; no connection is made yet.
    pub fn new(on: &LoopHandle, config: &Config) -> Result<Client> {
        let raw_loop = on.node.raw()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the loop is open and the config valid.
        explained(|error| unsafe { sys::rstream_client_new(raw_loop, config.raw(), &mut raw, error) })?;
        let node = Rc::new(ClientNode { node: Node::new(on.node.clone(), Code::CLIENT_CLOSED) });
        node::open(&node, raw, None)?;
        Ok(Client { node })
    }

    /// Connects to the engine and opens a control channel. A client may have several.
    pub fn connect(&self) -> Operation<Control> {
        Operation::start(|completion| self.start_connect(completion))
    }

    /// The same; `done` is called with the result.
    pub fn connect_with(&self, done: impl FnOnce(Result<Control>) + 'static) -> Result<()> {
        self.start_connect(Completion::calling(done))
    }

    /// Opens a stream to a private bytestream tunnel. With the setting `zeroRtt`, as by default, the engine's answer is
    /// not awaited: an unknown tunnel then shows as a stream that ends at once.
    pub fn dial(&self, name_or_id: &str) -> Operation<Stream> {
        Operation::start(|completion| self.start_dial(name_or_id, completion))
    }

    /// The same; `done` is called with the result.
    pub fn dial_with(&self, name_or_id: &str, done: impl FnOnce(Result<Stream>) + 'static) -> Result<()> {
        self.start_dial(name_or_id, Completion::calling(done))
    }

    /// Opens a packet channel to a private datagram tunnel; `zeroRtt` means the same as with [`Client::dial`].
    pub fn dial_packets(&self, name_or_id: &str) -> Operation<Packets> {
        Operation::start(|completion| self.start_dial_packets(name_or_id, completion))
    }

    /// The same; `done` is called with the result.
    pub fn dial_packets_with(&self, name_or_id: &str, done: impl FnOnce(Result<Packets>) + 'static) -> Result<()> {
        self.start_dial_packets(name_or_id, Completion::calling(done))
    }

    /// Closes the client, its control channels, tunnels and streams now; the operation ends when they are gone.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }

    fn start_connect(&self, completion: Rc<Completion<Control>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the client is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_client_connect(raw, Some(connected), data) }).map(drop)
        })
    }

    fn start_dial(&self, name_or_id: &str, completion: Rc<Completion<Stream>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        let name_or_id = c_string(name_or_id)?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the client is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_client_dial(raw, name_or_id.as_ptr(), Some(dialed), data) }).map(drop)
        })
    }

    fn start_dial_packets(&self, name_or_id: &str, completion: Rc<Completion<Packets>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        let name_or_id = c_string(name_or_id)?;
        Ticket::issue(&self.node, completion, |data| {
            let done: sys::rstream_dial_packets_cb = Some(packets_dialed);
            // SAFETY: the client is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_client_dial_packets(raw, name_or_id.as_ptr(), done, data) }).map(drop)
        })
    }
}

/// Closes an object on behalf of its handle.
pub(crate) fn close<N: Object>(object: &Rc<N>) -> Operation<()> {
    Operation::start(|completion| {
        node::close(&**object)?;
        object.node().when_gone(completion);
        Ok(())
    })
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

unsafe extern "C" fn connected(raw: *mut sys::rstream_control, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    unsafe { operation::opened(error, data, |client: &Rc<ClientNode>| ControlNode::adopt(client, raw)) }
}

unsafe extern "C" fn dialed(raw: *mut sys::rstream_stream, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    unsafe { operation::opened(error, data, |client: &Rc<ClientNode>| StreamNode::adopt(client, raw)) }
}

unsafe extern "C" fn packets_dialed(
    raw: *mut sys::rstream_packets,
    error: *const sys::rstream_error,
    data: *mut c_void,
) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    unsafe { operation::opened(error, data, |client: &Rc<ClientNode>| PacketsNode::adopt(client, raw)) }
}

node::opaque_debug!(Client);
