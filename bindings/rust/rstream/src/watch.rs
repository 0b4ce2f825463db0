// SPDX-License-Identifier: Apache-2.0
use crate::client::{close, Client};
use crate::end::End;
use crate::error::{checked, text, Code, Error, Result};
use crate::inventory::{Filters, Inventory};
use crate::node::{self, Node, Object};
use crate::operation::Operation;
use crate::slot::Slot;
use rstream_sys as sys;
use std::mem::ManuallyDrop;
use std::os::raw::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::rc::Rc;

/// A watch of what comes and goes at an engine. Dropping it ends it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Watch>();
/// ```
pub struct Watch {
    node: Rc<WatchNode>,
}

/// How events come from the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchTransport {
    /// As server-sent events, which may pause for as long as they like.
    #[default]
    ServerSentEvents,
    /// Over WebSocket: an engine that is silent for 90 s is noticed.
    WebSocket,
}

impl WatchTransport {
    fn flag(self) -> c_int {
        match self {
            WatchTransport::ServerSentEvents => 0,
            WatchTransport::WebSocket => sys::RSTREAM_WATCH_WEBSOCKET,
        }
    }
}

type OnEvent = dyn FnMut(&Event<'_>);

struct WatchNode {
    node: Node,
    on_event: Slot<OnEvent>,
    end: End,
}

impl Object for WatchNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_watch_close(raw.cast(), Some(node::closed::<Self>), data) }
    }

    fn release(&self) {
        self.on_event.set(None);
        self.end.release();
    }

    fn closed(&self) {
        self.end.closed(&self.node.on, Code::CLIENT_CLOSED);
    }
}

/// Something that has happened at an engine.
pub struct Event<'a> {
    kind: &'a str,
    json: &'a str,
    // Borrowed from the event, which frees them.
    tunnels: ManuallyDrop<Inventory>,
    clients: ManuallyDrop<Inventory>,
}

impl Event<'_> {
    /// `state.initial`, a snapshot that replaces what was known; `tunnel.created`, `tunnel.updated`, `tunnel.deleted`,
    /// `client.created`, `client.updated`, `client.deleted`. Others are to be ignored.
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// The tunnels it is about: all of a snapshot, or the one that has come, changed or gone.
    pub fn tunnels(&self) -> &Inventory {
        &self.tunnels
    }

    /// The clients it is about.
    pub fn clients(&self) -> &Inventory {
        &self.clients
    }

    /// All of it as one JSON document on one line, with whatever else the engine told.
    pub fn json(&self) -> &str {
        self.json
    }
}

impl Client {
    /// Watches tunnels and clients come and go: `callback` gets a snapshot first, then what happens. With `reconnects` a
    /// watch that is lost begins again, with another snapshot. [`Watch::on_end`] tells that it could not begin, too.
    pub fn watch(
        &self,
        tunnels: Option<&Filters>,
        clients: Option<&Filters>,
        reconnects: bool,
        callback: impl FnMut(&Event<'_>) + 'static,
    ) -> Result<Watch> {
        self.watch_over(WatchTransport::ServerSentEvents, tunnels, clients, reconnects, callback)
    }

    /// The same over a transport of choice.
    pub fn watch_over(
        &self,
        transport: WatchTransport,
        tunnels: Option<&Filters>,
        clients: Option<&Filters>,
        reconnects: bool,
        callback: impl FnMut(&Event<'_>) + 'static,
    ) -> Result<Watch> {
        let raw_client = self.node.node().raw()?;
        let on = self.node.node().on.clone();
        let node = Node::new(on, Code::CLIENT_CLOSED);
        let node = Rc::new(WatchNode { node, on_event: Slot::default(), end: End::default() });
        let [tunnels, clients] = [tunnels, clients].map(|filters| filters.map_or(null(), Filters::raw));
        let flags = transport.flag() | if reconnects { sys::RSTREAM_WATCH_RECONNECT } else { 0 };
        let data = Rc::as_ptr(&node) as *mut c_void;
        let mut raw = null_mut();
        // SAFETY: the client is open and the filters are valid or NULL. The first callback comes after this call, when C
        // has its share of the node.
        checked(unsafe {
            sys::rstream_client_watch(raw_client, tunnels, clients, flags, &mut raw, Some(happened), data)
        })?;
        node::open(&node, raw, Some(self.node.clone()))?;
        let watch = Watch { node };
        watch.node.on_event.set(Some(Box::new(callback)));
        // SAFETY: the watch is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_watch_on_end(raw, Some(ended), watch.node.node.data()) })?;
        Ok(watch)
    }
}

impl Watch {
    /// Calls `ended` when the watch ends without [`Watch::close`]: with a value when the engine ended it in an orderly
    /// way, otherwise with what went wrong.
    pub fn on_end(&self, ended: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.node.end.set(&self.node.node, Box::new(ended))
    }

    /// Waits for the end of the watch, which [`Watch::on_end`] explains; closing it is an error here.
    pub fn ended(&self) -> Operation<()> {
        self.node.end.wait(&self.node.node)
    }

    /// Ends the watch now; the operation ends when it is gone.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

unsafe extern "C" fn happened(_: *mut sys::rstream_watch, raw: *const sys::rstream_event, data: *mut c_void) {
    // SAFETY: `data` is that of an object that C calls back, and the event is valid for the call.
    unsafe {
        let inventory = |resource| {
            let raw = sys::rstream_event_inventory(raw, resource);
            ManuallyDrop::new(Inventory::borrowed(raw))
        };
        let event = Event {
            kind: text(sys::rstream_event_type(raw)).unwrap_or_default(),
            json: text(sys::rstream_event_json(raw)).unwrap_or_default(),
            tunnels: inventory(sys::RSTREAM_TUNNELS),
            clients: inventory(sys::RSTREAM_CLIENTS),
        };
        node::called(data, |watch: &Rc<WatchNode>| watch.on_event.call(|callback| callback(&event)));
    }
}

unsafe extern "C" fn ended(_: *mut sys::rstream_watch, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: `data` is that of an object that C calls back, and the error is valid for the call.
    unsafe {
        let outcome = Error::lent(error).map_or(Ok(()), Err);
        node::called(data, |watch: &Rc<WatchNode>| watch.end.ended(&watch.node.on, outcome));
    }
}

impl std::fmt::Debug for Event<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Event").field("kind", &self.kind).field("json", &self.json).finish()
    }
}

node::opaque_debug!(Watch);
