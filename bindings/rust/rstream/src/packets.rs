// SPDX-License-Identifier: Apache-2.0
use crate::client::{close, ClientNode};
use crate::error::{checked, explained, Code, Error, Result};
use crate::node::{self, Node, Object};
use crate::operation::{Abandon, Completion, Operation};
use crate::reading::{self, Piece, Read, Reading};
use crate::slot::Slot;
use rstream_sys as sys;
use std::cell::RefCell;
use std::mem::take;
use std::os::raw::{c_int, c_void};
use std::rc::Rc;

/// Packets that may wait to be sent.
const QUEUE_LIMIT: usize = 64;

/// A packet channel, accepted from a datagram tunnel or dialed. Dropping it closes it: packets that were taken are still
/// sent.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Packets>();
/// ```
pub struct Packets {
    node: Rc<PacketsNode>,
}

/// How many packets a channel has carried, and how many it has not, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketCounts {
    /// Packets that were taken to be sent.
    pub sent: u64,
    /// Packets that were read.
    pub received: u64,
    /// Packets that were not taken: 64 or 256 KiB of them waited, or they were too long.
    pub dropped_sending: u64,
    /// Packets that arrived while nobody read and 64, or 256 KiB of them, waited.
    pub dropped_receiving: u64,
}

pub(crate) struct PacketsNode {
    node: Node,
    reading: Reading<Option<Vec<u8>>>,
    on_drain: Slot<dyn FnMut()>,
    /// Who waits for room.
    senders: RefCell<Vec<Rc<Completion<()>>>>,
}

impl Object for PacketsNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        unsafe { sys::rstream_packets_close(raw.cast(), Some(node::closed::<Self>), data) }
    }

    fn release(&self) {
        self.reading.release();
        self.on_drain.set(None);
    }

    fn closed(&self) {
        self.answer_senders(&Err(Error::from(Code::STREAM_CLOSED)));
        self.reading.closed(Error::from(Code::STREAM_CLOSED));
    }
}

impl Piece for Option<Vec<u8>> {
    fn full(buffer: Vec<u8>) -> Self {
        Some(buffer)
    }

    fn end(_: Vec<u8>) -> Self {
        None
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        self
    }
}

impl Read for PacketsNode {
    type Piece = Option<Vec<u8>>;
    const NAME: &'static str = "packet channel";

    fn reading(&self) -> &Reading<Option<Vec<u8>>> {
        &self.reading
    }

    fn start(&self) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the channel is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_packets_read_start(raw, Some(arrived), self.node.data()) }).map(drop)
    }

    fn stop(&self) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the channel is open.
        checked(unsafe { sys::rstream_packets_read_stop(raw) }).map(drop)
    }
}

impl PacketsNode {
    pub(crate) fn adopt(client: &Rc<ClientNode>, raw: *mut sys::rstream_packets) -> Result<Packets> {
        let node = Rc::new(PacketsNode {
            node: Node::new(client.node().on.clone(), Code::STREAM_CLOSED),
            reading: Reading::default(),
            on_drain: Slot::default(),
            senders: RefCell::default(),
        });
        node::open(&node, raw, Some(client.clone()))?;
        Ok(Packets { node })
    }

    fn ask_for_drain(&self) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the channel is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_packets_on_drain(raw, Some(drained), self.node.data()) }).map(drop)
    }

    fn wait_for_room(&self, completion: Rc<Completion<()>>) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the channel is open.
        if unsafe { sys::rstream_packets_queue_size(raw) } < QUEUE_LIMIT {
            completion.complete(Ok(()));
            return Ok(());
        }
        self.ask_for_drain()?;
        self.senders.borrow_mut().push(completion);
        Ok(())
    }

    fn answer_senders(&self, outcome: &Result<()>) {
        let senders = take(&mut *self.senders.borrow_mut());
        for sender in senders {
            self.node.on.guard(|| sender.complete(outcome.clone()));
        }
    }

    fn count(&self, name: &'static [u8]) -> u64 {
        debug_assert!(name.ends_with(b"\0"));
        // SAFETY: the channel is open, and the name ends with NUL.
        self.node.raw().map_or(0, |raw| unsafe { sys::rstream_packets_count(raw, name.as_ptr().cast()) })
    }
}

impl Abandon<()> for PacketsNode {
    fn abandon(&self, completion: &Rc<Completion<()>>, _: Option<Result<()>>) {
        self.senders.borrow_mut().retain(|sender| !Rc::ptr_eq(sender, completion));
    }
}

impl Packets {
    /// The next packet, in `buffer`, which is emptied first; none when the other side has closed the channel. One read at
    /// a time.
    ///
    /// While nobody reads, packets wait: on a stream their sender has to wait as well, of QUIC datagrams 64 wait and
    /// further ones are dropped. What arrives for an operation that is dropped is what the next one gets.
    pub fn read(&self, buffer: Vec<u8>) -> Operation<Option<Vec<u8>>> {
        reading::read(&self.node, buffer)
    }

    /// Gives all packets that arrive to `callback`; none stands for the end, when the other side has closed the channel.
    /// After that or an error the callback is dropped, and with it what it owns.
    pub fn read_start(&self, callback: impl FnMut(Result<Option<&[u8]>>) + 'static) -> Result<()> {
        reading::read_start(&self.node, Box::new(callback))
    }

    /// Stops reading by callback: packets wait.
    pub fn read_stop(&self) -> Result<()> {
        reading::read_stop(&*self.node)
    }

    /// Sends a packet, which is taken over before this returns, or not sent at all: the error is `EMSGSIZE` when it is
    /// longer than [`Packets::max_size`], `EAGAIN` when 64 or 256 KiB of them wait, which drops and counts it, `EPIPE` when
    /// the other side has closed the channel.
    pub fn send(&self, packet: impl AsRef<[u8]>) -> Result<()> {
        let raw = self.node.node.raw()?;
        let packet = packet.as_ref();
        // SAFETY: the channel is open, and the bytes are taken over before the call returns.
        explained(|error| unsafe { sys::rstream_packets_send(raw, packet.as_ptr().cast(), packet.len(), error) })
    }

    /// Ends when a packet would not have to be dropped, or the channel has ended, of which [`Packets::send`] tells.
    /// Whoever awaits it before sending each packet loses none on a channel whose path is `stream`.
    pub fn room(&self) -> Operation<()> {
        Operation::owned(self.node.clone(), |completion| self.node.wait_for_room(completion))
    }

    /// Calls `callback` when packets that waited to be sent have left, any number of times.
    pub fn on_drain(&self, callback: impl FnMut() + 'static) -> Result<()> {
        self.node.ask_for_drain()?;
        self.node.on_drain.set(Some(Box::new(callback)));
        Ok(())
    }

    /// How long a packet may be that is sent now; 0 when the channel is closed. With QUIC datagrams it may change with
    /// the network.
    pub fn max_size(&self) -> usize {
        // SAFETY: the channel is open.
        self.node.node.raw().map_or(0, |raw| unsafe { sys::rstream_packets_max_size(raw) })
    }

    /// Packets that wait to be sent; 64 when no further one is taken.
    pub fn queue_size(&self) -> usize {
        // SAFETY: the channel is open.
        self.node.node.raw().map_or(0, |raw| unsafe { sys::rstream_packets_queue_size(raw) })
    }

    /// What the channel has carried and dropped; nothing when it is closed.
    pub fn counts(&self) -> PacketCounts {
        PacketCounts {
            sent: self.node.count(b"sent\0"),
            received: self.node.count(b"received\0"),
            dropped_sending: self.node.count(b"dropped_sending\0"),
            dropped_receiving: self.node.count(b"dropped_receiving\0"),
        }
    }

    /// What packets travel on: `stream` or `quic-datagram`; empty when the channel is closed.
    pub fn path(&self) -> String {
        // SAFETY: it is a packet channel.
        unsafe { self.node.node.text(sys::rstream_packets_path) }
    }

    /// Address of the remote end as the engine reported it; empty when it is unknown or the channel is closed.
    pub fn peer(&self) -> String {
        // SAFETY: it is a packet channel.
        unsafe { self.node.node.text(sys::rstream_packets_peer) }
    }

    /// Id of the stream that the channel is for the engine; empty when it was dialed with `zeroRtt`, or is closed.
    pub fn id(&self) -> String {
        // SAFETY: it is a packet channel.
        unsafe { self.node.node.text(sys::rstream_packets_stream_id) }
    }

    /// Closes the channel now; the operation ends when it is gone. Packets that were taken are still sent.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

unsafe extern "C" fn arrived(
    _: *mut sys::rstream_packets,
    packet: *const u8,
    len: usize,
    error: *const sys::rstream_error,
    data: *mut c_void,
) {
    // SAFETY: `data` is that of an object that C calls back, and the rest is valid for the call.
    unsafe {
        let outcome = match Error::lent(error) {
            Some(error) => Err(error),
            None if packet.is_null() => Ok(None),
            None => Ok(Some(std::slice::from_raw_parts(packet, len))),
        };
        node::called(data, |packets: &Rc<PacketsNode>| reading::arrived(&**packets, outcome));
    }
}

unsafe extern "C" fn drained(_: *mut sys::rstream_packets, data: *mut c_void) {
    let drained = |packets: &Rc<PacketsNode>| {
        packets.node.on.guard(|| packets.on_drain.call(|callback| callback()));
        packets.answer_senders(&Ok(()));
    };
    // SAFETY: `data` is that of an object that C calls back.
    unsafe { node::called(data, drained) }
}

node::opaque_debug!(Packets);
