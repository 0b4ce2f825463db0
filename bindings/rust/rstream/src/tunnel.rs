// SPDX-License-Identifier: Apache-2.0
use crate::arrivals::{self, Arrivals};
use crate::client::{close, ClientNode};
use crate::control::ControlNode;
use crate::end::End;
use crate::error::{checked, explained, owned, text, Code, Error, Result};
use crate::node::{self, Node, Object};
use crate::operation::Operation;
use crate::packets::{Packets, PacketsNode};
use crate::settings::c_string;
use crate::slot::Slot;
use crate::stream::{Stream, StreamNode};
use rstream_sys as sys;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::null_mut;
use std::rc::Rc;

type OnForward = dyn FnMut(ForwardEvent<'_>);

/// A tunnel, and the streams or packet channels that come in by it. Dropping it closes it; what it gave out goes on.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Tunnel>();
/// ```
pub struct Tunnel {
    node: Rc<TunnelNode>,
}

/// What happens to the connections of [`Tunnel::forward_with`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ForwardEvent<'a> {
    /// A connection has begun.
    Opened {
        /// Address of the remote end, or empty.
        peer: &'a str,
    },
    /// A connection has ended.
    Closed {
        /// Address of the remote end, or empty.
        peer: &'a str,
        /// Bytes carried to the local service.
        bytes_in: u64,
        /// Bytes carried from the local service.
        bytes_out: u64,
        /// What ended it, when it was no orderly end.
        error: Option<Error>,
    },
}

pub(crate) struct TunnelNode {
    node: Node,
    client: Rc<ClientNode>,
    pub(crate) end: End,
    pub(crate) streams: Arrivals<Stream>,
    pub(crate) packets: Arrivals<Packets>,
    on_forward: Slot<OnForward>,
}

impl Object for TunnelNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_tunnel_close(raw.cast(), Some(node::closed::<Self>), data) }
    }

    fn release(&self) {
        self.streams.release();
        self.packets.release();
        self.on_forward.set(None);
        self.end.release();
    }

    fn closed(&self) {
        self.refuse_acceptors(&Error::from(Code::TUNNEL_CLOSED));
        self.end.closed(&self.node.on, Code::TUNNEL_CLOSED);
    }
}

impl TunnelNode {
    pub(crate) fn adopt(control: &Rc<ControlNode>, raw: *mut sys::rstream_tunnel) -> Result<Tunnel> {
        let node = Rc::new(TunnelNode {
            node: Node::new(control.node().on.clone(), Code::TUNNEL_CLOSED),
            client: control.client.clone(),
            end: End::default(),
            streams: Arrivals::default(),
            packets: Arrivals::default(),
            on_forward: Slot::default(),
        });
        node::open(&node, raw, Some(control.clone()))?;
        let tunnel = Tunnel { node };
        // SAFETY: the tunnel is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_tunnel_on_end(raw, Some(ended), tunnel.node.node.data()) })?;
        Ok(tunnel)
    }

    fn refuse_acceptors(&self, error: &Error) {
        self.streams.refuse(self, error);
        self.packets.refuse(self, error);
    }
}

impl Tunnel {
    /// The next incoming stream. While nobody accepts, streams wait, and their dialers with them. A stream that comes
    /// for an operation that is dropped goes to the next one.
    pub fn accept(&self) -> Operation<Stream> {
        arrivals::accept(&self.node)
    }

    /// The next packet channel that comes in by a datagram tunnel, in the same way.
    pub fn accept_packets(&self) -> Operation<Packets> {
        arrivals::accept(&self.node)
    }

    /// Gives every incoming stream to `callback`.
    pub fn listen(&self, callback: impl FnMut(Stream) + 'static) -> Result<()> {
        arrivals::listen(&self.node, Box::new(callback))
    }

    /// Gives every packet channel that comes in by a datagram tunnel to `callback`.
    pub fn listen_packets(&self, callback: impl FnMut(Packets) + 'static) -> Result<()> {
        arrivals::listen(&self.node, Box::new(callback))
    }

    /// Lets incoming streams, or packet channels, wait.
    pub fn listen_stop(&self) -> Result<()> {
        if self.node.streams.has_acceptors() || self.node.packets.has_acceptors() {
            return Err(Error::new(Code::ALREADY, "stop listening: somebody accepts what comes in by the tunnel"));
        }
        let raw = self.node.node.raw()?;
        // SAFETY: the tunnel is open.
        checked(unsafe {
            match sys::rstream_tunnel_listen(raw, None, null_mut()) {
                sys::RSTREAM_EUNSUPPORTED_TUNNEL => sys::rstream_tunnel_listen_packets(raw, None, null_mut()),
                code => code,
            }
        })?;
        self.node.streams.forget_callback();
        self.node.packets.forget_callback();
        Ok(())
    }

    /// Connects what comes in to a local service: `host:port`, `[v6]:port`, `:port`, `port` of this machine, or
    /// `unix:/path`, with packet channels a UDP one. Bytes never pass through the program.
    pub fn forward(&self, target: &str) -> Result<()> {
        self.start_forward(target, None)
    }

    /// The same; `observer` is told of every connection.
    pub fn forward_with(&self, target: &str, observer: impl FnMut(ForwardEvent<'_>) + 'static) -> Result<()> {
        self.start_forward(target, Some(Box::new(observer)))
    }

    /// Calls `ended` when the tunnel ends without [`Tunnel::close`]: with a value when the engine revoked it, otherwise
    /// with what ended its control channel.
    pub fn on_end(&self, ended: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.node.end.set(&self.node.node, Box::new(ended))
    }

    /// Waits for the end of the tunnel, which [`Tunnel::on_end`] explains; closing it is an error here.
    pub fn ended(&self) -> Operation<()> {
        self.node.end.wait(&self.node.node)
    }

    /// A property as the engine confirmed it; lists are comma-separated.
    pub fn property(&self, name: &str) -> Option<String> {
        let name = c_string(name).ok()?;
        let raw = self.node.node.raw().ok()?;
        // SAFETY: the tunnel is open, and its string is copied at once.
        unsafe { owned(sys::rstream_tunnel_property(raw, name.as_ptr())) }
    }

    /// All properties that the engine confirmed, with their names, `labels.<key>` for each label.
    pub fn properties(&self) -> Vec<(String, String)> {
        let name = |index| {
            let raw = self.node.node.raw().ok()?;
            // SAFETY: the tunnel is open, and its string is copied at once.
            unsafe { owned(sys::rstream_tunnel_property_name(raw, index)) }
        };
        let names = (0..).map_while(name);
        names.filter_map(|name| self.property(&name).map(|value| (name, value))).collect()
    }

    /// Where others reach the tunnel, e.g. `https://host`; empty when it is closed.
    pub fn forwarding_address(&self) -> String {
        // SAFETY: it is a tunnel.
        unsafe { self.node.node.text(sys::rstream_tunnel_forwarding_address) }
    }

    /// Closes the tunnel now; the operation ends when it is gone.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }

    fn start_forward(&self, target: &str, observer: Option<Box<OnForward>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        let target = c_string(target)?;
        let callback: sys::rstream_forward_cb = observer.as_ref().and(Some(forwarded));
        let data = self.node.node.data();
        // SAFETY: the tunnel is open, and the node lives until its close callback.
        explained(|error| unsafe { sys::rstream_tunnel_forward(raw, target.as_ptr(), callback, data, error) })?;
        self.node.on_forward.set(observer);
        Ok(())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

pub(crate) unsafe extern "C" fn stream_came(
    _: *mut sys::rstream_tunnel,
    raw: *mut sys::rstream_stream,
    data: *mut c_void,
) {
    let came = |tunnel: &Rc<TunnelNode>| {
        if let Ok(stream) = StreamNode::adopt(&tunnel.client, raw) {
            arrivals::came(tunnel, stream);
        }
    };
    // SAFETY: `data` is that of an object that C calls back.
    unsafe { node::called(data, came) }
}

pub(crate) unsafe extern "C" fn packets_came(
    _: *mut sys::rstream_tunnel,
    raw: *mut sys::rstream_packets,
    data: *mut c_void,
) {
    let came = |tunnel: &Rc<TunnelNode>| {
        if let Ok(packets) = PacketsNode::adopt(&tunnel.client, raw) {
            arrivals::came(tunnel, packets);
        }
    };
    // SAFETY: `data` is that of an object that C calls back.
    unsafe { node::called(data, came) }
}

unsafe extern "C" fn ended(_: *mut sys::rstream_tunnel, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: `data` is that of an object that C calls back, and the error is valid for the call.
    unsafe {
        let outcome = Error::lent(error).map_or(Ok(()), Err);
        node::called(data, |tunnel: &Rc<TunnelNode>| {
            let why = outcome.clone().err().unwrap_or_else(|| Error::from(Code::TUNNEL_CLOSED));
            tunnel.end.ended(&tunnel.node.on, outcome);
            tunnel.refuse_acceptors(&why);
        });
    }
}

unsafe extern "C" fn forwarded(
    _: *mut sys::rstream_tunnel,
    event: c_int,
    peer: *const c_char,
    bytes_in: u64,
    bytes_out: u64,
    error: *const sys::rstream_error,
    data: *mut c_void,
) {
    // SAFETY: `data` is that of an object that C calls back, and the rest is valid for the call.
    unsafe {
        let peer = text(peer).unwrap_or_default();
        let event = match event {
            sys::RSTREAM_FORWARD_OPENED => ForwardEvent::Opened { peer },
            sys::RSTREAM_FORWARD_CLOSED => {
                ForwardEvent::Closed { peer, bytes_in, bytes_out, error: Error::lent(error) }
            }
            _ => return,
        };
        node::called(data, |tunnel: &Rc<TunnelNode>| tunnel.on_forward.call(|callback| callback(event)));
    }
}

node::opaque_debug!(Tunnel);
