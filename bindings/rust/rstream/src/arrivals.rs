// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, Code, Error, Result};
use crate::node::Object;
use crate::operation::{Abandon, Completion, Operation};
use crate::packets::Packets;
use crate::slot::Slot;
use crate::stream::Stream;
use crate::tunnel::TunnelNode;
use rstream_sys as sys;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::take;
use std::os::raw::c_void;
use std::rc::Rc;

/// What comes in by a tunnel.
pub(crate) trait Arrival: Sized + 'static {
    /// What several are called in errors.
    const NAME: &'static str;

    fn arrivals(tunnel: &TunnelNode) -> &Arrivals<Self>;

    /// Has C give what comes in, or keep it waiting.
    ///
    /// # Safety
    ///
    /// The tunnel is open, and `data` is that of its node.
    unsafe fn listen(raw: *mut sys::rstream_tunnel, does: bool, data: *mut c_void) -> i32;
}

/// Who gets what comes in by a tunnel: a callback, or the operations that accept, in their order.
pub(crate) struct Arrivals<H> {
    callback: Slot<dyn FnMut(H)>,
    acceptors: RefCell<VecDeque<Rc<Completion<H>>>>,
    /// What was accepted for an operation that was dropped.
    left: RefCell<VecDeque<H>>,
}

impl<H> Default for Arrivals<H> {
    fn default() -> Self {
        Arrivals { callback: Slot::default(), acceptors: RefCell::default(), left: RefCell::default() }
    }
}

impl<H> Arrivals<H> {
    pub(crate) fn has_acceptors(&self) -> bool {
        !self.acceptors.borrow().is_empty()
    }

    pub(crate) fn forget_callback(&self) {
        self.callback.set(None);
    }

    pub(crate) fn release(&self) {
        self.forget_callback();
        drop(take(&mut *self.left.borrow_mut()));
    }

    /// Nothing comes any more.
    pub(crate) fn refuse(&self, tunnel: &TunnelNode, error: &Error) {
        let acceptors = take(&mut *self.acceptors.borrow_mut());
        for acceptor in acceptors {
            tunnel.node().on.guard(|| acceptor.complete(Err(error.clone())));
        }
    }
}

/// One has come.
pub(crate) fn came<H: Arrival>(tunnel: &TunnelNode, arrival: H) {
    let arrivals = H::arrivals(tunnel);
    let acceptor = arrivals.acceptors.borrow_mut().pop_front();
    if let Some(acceptor) = acceptor {
        if !arrivals.has_acceptors() {
            let _ = listen_for::<H>(tunnel, false);
        }
        acceptor.complete(Ok(arrival));
    } else if arrivals.callback.is_set() {
        arrivals.callback.call(|callback| callback(arrival));
    } else {
        arrivals.left.borrow_mut().push_back(arrival);
    }
}

/// The next one to come.
pub(crate) fn accept<H: Arrival>(tunnel: &Rc<TunnelNode>) -> Operation<H> {
    Operation::owned(tunnel.clone(), |completion| start_accept(tunnel, completion))
}

fn start_accept<H: Arrival>(tunnel: &TunnelNode, completion: Rc<Completion<H>>) -> Result<()> {
    tunnel.node().raw::<c_void>()?;
    let arrivals = H::arrivals(tunnel);
    let left = arrivals.left.borrow_mut().pop_front();
    if let Some(arrival) = left {
        completion.complete(Ok(arrival));
        return Ok(());
    }
    if let Some(error) = tunnel.end.why(Code::TUNNEL_CLOSED) {
        return Err(error);
    }
    if arrivals.callback.is_set() {
        return Err(Error::new(Code::ALREADY, format!("accept: the tunnel's {} go to a callback", H::NAME)));
    }
    if !arrivals.has_acceptors() {
        listen_for::<H>(tunnel, true)?;
    }
    arrivals.acceptors.borrow_mut().push_back(completion);
    Ok(())
}

/// Gives each one that comes to a callback.
pub(crate) fn listen<H: Arrival>(tunnel: &Rc<TunnelNode>, callback: Box<dyn FnMut(H)>) -> Result<()> {
    let arrivals = H::arrivals(tunnel);
    if arrivals.has_acceptors() {
        return Err(Error::new(Code::ALREADY, format!("listen: somebody accepts the tunnel's {}", H::NAME)));
    }
    listen_for::<H>(tunnel, true)?;
    arrivals.callback.set(Some(callback));
    if arrivals.left.borrow().is_empty() {
        return Ok(());
    }
    let tunnel = tunnel.clone();
    tunnel.node().on.clone().gate.post(move || {
        let left = take(&mut *H::arrivals(&tunnel).left.borrow_mut());
        left.into_iter().for_each(|arrival| came(&tunnel, arrival));
    })
}

fn listen_for<H: Arrival>(tunnel: &TunnelNode, does: bool) -> Result<()> {
    let raw = tunnel.node().raw()?;
    // SAFETY: the tunnel is open, and the node lives until its close callback.
    checked(unsafe { H::listen(raw, does, tunnel.node().data()) }).map(drop)
}

impl<H: Arrival> Abandon<H> for TunnelNode {
    fn abandon(&self, completion: &Rc<Completion<H>>, left: Option<Result<H>>) {
        if let Some(Ok(arrival)) = left {
            // The next one to accept gets it, unless there is none.
            if self.node().is_open() {
                came(self, arrival);
            }
            return;
        }
        let arrivals = H::arrivals(self);
        arrivals.acceptors.borrow_mut().retain(|acceptor| !Rc::ptr_eq(acceptor, completion));
        if !arrivals.has_acceptors() && !arrivals.callback.is_set() {
            let _ = listen_for::<H>(self, false);
        }
    }
}

impl Arrival for Stream {
    const NAME: &'static str = "streams";

    fn arrivals(tunnel: &TunnelNode) -> &Arrivals<Stream> {
        &tunnel.streams
    }

    unsafe fn listen(raw: *mut sys::rstream_tunnel, does: bool, data: *mut c_void) -> i32 {
        let callback: sys::rstream_stream_cb = if does { Some(crate::tunnel::stream_came) } else { None };
        unsafe { sys::rstream_tunnel_listen(raw, callback, data) }
    }
}

impl Arrival for Packets {
    const NAME: &'static str = "packet channels";

    fn arrivals(tunnel: &TunnelNode) -> &Arrivals<Packets> {
        &tunnel.packets
    }

    unsafe fn listen(raw: *mut sys::rstream_tunnel, does: bool, data: *mut c_void) -> i32 {
        let callback: sys::rstream_packets_cb = if does { Some(crate::tunnel::packets_came) } else { None };
        unsafe { sys::rstream_tunnel_listen_packets(raw, callback, data) }
    }
}
