// SPDX-License-Identifier: Apache-2.0
use crate::client::{close, ClientNode};
use crate::error::{checked, Code, Error, Result};
use crate::node::{self, Node, Object};
use crate::operation::{Completion, Operation, Ticket};
use crate::reading::{self, Piece, Read, Reading};
use rstream_sys as sys;
use std::cell::Cell;
use std::fmt;
use std::io::IoSlice;
use std::os::raw::{c_int, c_void};
use std::os::unix::io::{FromRawFd, OwnedFd};
use std::rc::Rc;

/// A byte stream, accepted from a tunnel or dialed. Dropping it closes it: what was written is still sent.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Stream>();
/// ```
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<rstream::Operation<()>>();
/// ```
pub struct Stream {
    node: Rc<StreamNode>,
}

pub(crate) struct StreamNode {
    node: Node,
    reading: Reading<Vec<u8>>,
    is_reset: Cell<bool>,
}

impl Object for StreamNode {
    fn node(&self) -> &Node {
        &self.node
    }

    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int {
        let callback: sys::rstream_close_cb = Some(node::closed::<Self>);
        unsafe {
            if self.is_reset.get() {
                sys::rstream_stream_reset(raw.cast(), callback, data)
            } else {
                sys::rstream_stream_close(raw.cast(), callback, data)
            }
        }
    }

    fn release(&self) {
        self.reading.release();
    }

    fn closed(&self) {
        self.reading.closed(Error::from(Code::STREAM_CLOSED));
    }
}

/// An empty piece is the end.
impl Piece for Vec<u8> {
    fn full(buffer: Vec<u8>) -> Self {
        buffer
    }

    fn end(buffer: Vec<u8>) -> Self {
        buffer
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        Some(self).filter(|bytes| !bytes.is_empty())
    }
}

impl Read for StreamNode {
    type Piece = Vec<u8>;
    const NAME: &'static str = "stream";

    fn reading(&self) -> &Reading<Vec<u8>> {
        &self.reading
    }

    fn start(&self) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the stream is open, and the node lives until its close callback.
        checked(unsafe { sys::rstream_stream_read_start(raw, Some(arrived), self.node.data()) }).map(drop)
    }

    fn stop(&self) -> Result<()> {
        let raw = self.node.raw()?;
        // SAFETY: the stream is open.
        checked(unsafe { sys::rstream_stream_read_stop(raw) }).map(drop)
    }
}

impl StreamNode {
    pub(crate) fn adopt(client: &Rc<ClientNode>, raw: *mut sys::rstream_stream) -> Result<Stream> {
        let node = Rc::new(StreamNode {
            node: Node::new(client.node().on.clone(), Code::STREAM_CLOSED),
            reading: Reading::default(),
            is_reset: Cell::new(false),
        });
        node::open(&node, raw, Some(client.clone()))?;
        Ok(Stream { node })
    }
}

impl Stream {
    /// The next bytes, in `buffer`, which is emptied first; an empty one is the end of the other side's direction. The
    /// stream is read only while somebody waits, which slows down a sender that is faster. One read at a time.
    ///
    /// What arrives for an operation that is dropped is what the next one gets.
    pub fn read(&self, buffer: Vec<u8>) -> Operation<Vec<u8>> {
        reading::read(&self.node, buffer)
    }

    /// Gives all bytes that arrive to `callback`, piece by piece; an empty piece is the end of the other side's
    /// direction. After the end or an error the callback is dropped, and with it what it owns.
    pub fn read_start(&self, callback: impl FnMut(Result<&[u8]>) + 'static) -> Result<()> {
        let mut callback = callback;
        let on_read = move |piece: Result<Option<&[u8]>>| callback(piece.map(Option::unwrap_or_default));
        reading::read_start(&self.node, Box::new(on_read))
    }

    /// Stops reading by callback: bytes wait, and slow down the sender.
    pub fn read_stop(&self) -> Result<()> {
        reading::read_stop(&*self.node)
    }

    /// Writes bytes, which are taken over before this returns; the operation ends when they have left the process. Await
    /// it before writing much more: when 64 MiB wait, the error is `ENOBUFS`.
    pub fn write(&self, bytes: impl AsRef<[u8]>) -> Operation<()> {
        Operation::start(|completion| self.start_write(bytes.as_ref(), completion))
    }

    /// Writes several pieces as one.
    pub fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> Operation<()> {
        let buffers: Vec<sys::rstream_buf> = pieces.iter().map(|piece| buffer(piece)).collect();
        Operation::start(|completion| self.start_write_all(&buffers, completion))
    }

    /// Writes bytes; `done` is called when they have left.
    pub fn write_with(&self, bytes: impl AsRef<[u8]>, done: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.start_write(bytes.as_ref(), Completion::calling(done))
    }

    /// Writes bytes without asking when they have left; see [`Stream::write_queue_size`].
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let raw = self.node.node.raw()?;
        let buffer = buffer(bytes.as_ref());
        // SAFETY: the stream is open, and the bytes are taken over before the call returns.
        checked(unsafe { sys::rstream_stream_write(raw, &buffer, 1, None, std::ptr::null_mut()) }).map(drop)
    }

    /// Bytes that were written and have not left yet.
    pub fn write_queue_size(&self) -> usize {
        // SAFETY: the stream is open.
        self.node.node.raw().map_or(0, |raw| unsafe { sys::rstream_stream_write_queue_size(raw) })
    }

    /// Ends the own direction after what was written; reading may go on.
    pub fn shutdown(&self) -> Operation<()> {
        Operation::start(|completion| self.start_shutdown(completion))
    }

    /// The same; `done` is called when the end was sent.
    pub fn shutdown_with(&self, done: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.start_shutdown(Completion::calling(done))
    }

    /// Address of the remote end as the engine reported it; empty when it is unknown or the stream is closed.
    pub fn peer(&self) -> String {
        // SAFETY: it is a stream.
        unsafe { self.node.node.text(sys::rstream_stream_peer) }
    }

    /// Id of the stream as the engine knows it; empty for streams that were dialed with `zeroRtt`, and closed ones.
    pub fn id(&self) -> String {
        // SAFETY: it is a stream.
        unsafe { self.node.node.text(sys::rstream_stream_id) }
    }

    /// Turns the stream into a connected, non-blocking socket. Its bytes are carried while the loop runs, which is
    /// another thread's task when the code that uses the socket blocks. Writes under way end with
    /// [`Code::STREAM_CLOSED`]; their bytes are still sent.
    pub fn into_fd(self) -> Result<OwnedFd, IntoFdError> {
        let mut fd = -1;
        match self.start_into_fd(&mut fd) {
            // SAFETY: the library has made the descriptor for us.
            Ok(()) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(error) => Err(IntoFdError { error, stream: self }),
        }
    }

    /// Closes the stream now; the operation ends when it is gone. What was written is still sent.
    pub fn close(self) -> Operation<()> {
        close(&self.node)
    }

    /// Aborts the stream now: what waits is dropped, and the other side sees a reset.
    pub fn reset(self) -> Operation<()> {
        self.node.is_reset.set(true);
        close(&self.node)
    }

    fn start_write(&self, bytes: &[u8], completion: Rc<Completion<()>>) -> Result<()> {
        self.start_write_all(&[buffer(bytes)], completion)
    }

    fn start_write_all(&self, buffers: &[sys::rstream_buf], completion: Rc<Completion<()>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        Ticket::issue(&self.node, completion, |data| {
            let (first, count) = (buffers.as_ptr(), buffers.len());
            // SAFETY: the stream is open, the bytes are taken over before the call returns, and `data` is the ticket that
            // the callback redeems.
            checked(unsafe { sys::rstream_stream_write(raw, first, count, Some(written), data) }).map(drop)
        })
    }

    fn start_shutdown(&self, completion: Rc<Completion<()>>) -> Result<()> {
        let raw = self.node.node.raw()?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the stream is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_stream_shutdown(raw, Some(written), data) }).map(drop)
        })
    }

    fn start_into_fd(&self, fd: &mut c_int) -> Result<()> {
        let node = &self.node;
        let raw = node.node.raw()?;
        if node.reading.has_operation() {
            return Err(Error::new(Code::ALREADY, "turn a stream into a descriptor: an operation reads it"));
        }
        if node.reading.has_left() {
            return Err(Error::new(Code::BUSY, "turn a stream into a descriptor: read first what has been read"));
        }
        // SAFETY: the stream is open. Callbacks of writes come before the call returns.
        checked(node.node.on.without_tasks(|| unsafe { sys::rstream_stream_into_fd(raw, fd) }))?;
        node::dissolve(node);
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = node::close(&*self.node);
    }
}

/// Why a stream could not become a descriptor, and the stream, which can still be used.
#[derive(Debug)]
pub struct IntoFdError {
    error: Error,
    stream: Stream,
}

impl IntoFdError {
    /// What went wrong.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The stream as it was.
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

impl fmt::Display for IntoFdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for IntoFdError {}

impl From<IntoFdError> for Error {
    fn from(failure: IntoFdError) -> Error {
        failure.error
    }
}

fn buffer(bytes: &[u8]) -> sys::rstream_buf {
    sys::rstream_buf { base: bytes.as_ptr().cast(), len: bytes.len() }
}

unsafe extern "C" fn arrived(
    _: *mut sys::rstream_stream,
    bytes: *const u8,
    len: usize,
    error: *const sys::rstream_error,
    data: *mut c_void,
) {
    // SAFETY: `data` is that of an object that C calls back, and the rest is valid for the call.
    unsafe {
        let outcome = match Error::lent(error) {
            Some(error) => Err(error),
            None if len == 0 => Ok(None),
            None => Ok(Some(std::slice::from_raw_parts(bytes, len))),
        };
        node::called(data, |stream: &Rc<StreamNode>| reading::arrived(&**stream, outcome));
    }
}

unsafe extern "C" fn written(_: *mut sys::rstream_stream, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    let (ticket, outcome) = unsafe {
        let ticket = Ticket::<StreamNode, ()>::redeem(data);
        (ticket, Error::lent(error).map_or(Ok(()), Err))
    };
    ticket.owner.node.on.clone().enter(move || ticket.completion.complete(outcome));
}

node::opaque_debug!(Stream);
