// SPDX-License-Identifier: Apache-2.0
use crate::error::{Code, Error, Result};
use crate::node::Object;
use crate::operation::{Abandon, Completion, Operation};
use crate::slot::Slot;
use std::cell::{Cell, RefCell};
use std::os::raw::c_void;
use std::rc::{Rc, Weak};

/// Who gets what is read, piece by piece, and none at the end.
pub(crate) type OnRead = dyn FnMut(Result<Option<&[u8]>>);

/// What an operation that reads gives.
pub(crate) trait Piece: Sized + 'static {
    /// A piece, in the buffer that was lent for it.
    fn full(buffer: Vec<u8>) -> Self;
    /// The end, with the empty buffer.
    fn end(buffer: Vec<u8>) -> Self;
    /// The bytes of a piece; none of the end.
    fn into_bytes(self) -> Option<Vec<u8>>;
}

/// An object that is read.
pub(crate) trait Read: Object {
    type Piece: Piece;
    /// What it is called in errors.
    const NAME: &'static str;

    fn reading(&self) -> &Reading<Self::Piece>;
    /// Has C give what arrives.
    fn start(&self) -> Result<()>;
    /// Has C keep it.
    fn stop(&self) -> Result<()>;
}

/// Who reads an object: a callback, or one operation at a time.
pub(crate) struct Reading<T> {
    callback: Slot<OnRead>,
    reader: RefCell<Option<Reader<T>>>,
    /// The latest operation that reads, whose piece may not have been taken yet.
    latest: RefCell<Weak<Completion<T>>>,
    /// What was read for an operation that was dropped.
    left: RefCell<Option<Vec<u8>>>,
    has_ended: Cell<bool>,
}

/// Who waits for a piece, and where its bytes go.
struct Reader<T> {
    completion: Rc<Completion<T>>,
    buffer: Vec<u8>,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Reading {
            callback: Slot::default(),
            reader: RefCell::default(),
            latest: RefCell::default(),
            left: RefCell::default(),
            has_ended: Cell::new(false),
        }
    }
}

impl<T: Piece> Reading<T> {
    /// Whether an operation reads, or has read what nobody has taken or dropped.
    pub(crate) fn has_operation(&self) -> bool {
        self.reader.borrow().is_some() || self.latest.borrow().upgrade().map_or(false, |latest| latest.is_done())
    }

    /// Whether something was read that nobody has got.
    pub(crate) fn has_left(&self) -> bool {
        self.left.borrow().is_some()
    }

    pub(crate) fn release(&self) {
        self.callback.set(None);
    }

    /// The object is gone.
    pub(crate) fn closed(&self, error: Error) {
        if let Some(reader) = self.take_reader() {
            reader.completion.complete(Err(error));
        }
    }

    fn take_reader(&self) -> Option<Reader<T>> {
        self.reader.borrow_mut().take()
    }

    fn take_left(&self) -> Option<Vec<u8>> {
        self.left.borrow_mut().take()
    }

    /// Callbacks get first what was read for an operation that was dropped.
    fn give_left(&self) {
        if self.callback.is_set() {
            if let Some(left) = self.take_left() {
                self.callback.call(|callback| callback(Ok(Some(&left))));
            }
        }
    }
}

/// Reads one piece.
pub(crate) fn read<N: Read>(object: &Rc<N>, buffer: Vec<u8>) -> Operation<N::Piece> {
    Operation::owned(object.clone(), |completion| start_read(&**object, completion, buffer))
}

fn start_read<N: Read>(object: &N, completion: Rc<Completion<N::Piece>>, mut buffer: Vec<u8>) -> Result<()> {
    let reading = object.reading();
    check_not_reading(object)?;
    buffer.clear();
    *reading.latest.borrow_mut() = Rc::downgrade(&completion);
    if let Some(mut left) = reading.take_left() {
        buffer.append(&mut left);
        completion.complete(Ok(N::Piece::full(buffer)));
    } else if reading.has_ended.get() {
        completion.complete(Ok(N::Piece::end(buffer)));
    } else {
        object.start()?;
        *reading.reader.borrow_mut() = Some(Reader { completion, buffer });
    }
    Ok(())
}

/// Reads by callback.
pub(crate) fn read_start<N: Read>(object: &Rc<N>, callback: Box<OnRead>) -> Result<()> {
    check_not_reading(&**object)?;
    object.start()?;
    let reading = object.reading();
    reading.callback.set(Some(callback));
    if !reading.has_left() && !reading.has_ended.get() {
        return Ok(());
    }
    let object = object.clone();
    object.node().on.clone().gate.post(move || {
        let reading = object.reading();
        reading.give_left();
        if reading.has_ended.get() {
            reading.callback.last(|callback| callback(Ok(None)));
        }
    })
}

/// Ends reading by callback.
pub(crate) fn read_stop<N: Read>(object: &N) -> Result<()> {
    if object.reading().has_operation() {
        return Err(Error::new(Code::ALREADY, "stop reading: an operation reads"));
    }
    object.stop()?;
    object.reading().callback.set(None);
    Ok(())
}

/// C has given a piece, or the end.
pub(crate) fn arrived<N: Read>(object: &N, outcome: Result<Option<&[u8]>>) {
    let reading = object.reading();
    let is_last = outcome.as_ref().map_or(true, |piece| piece.is_none());
    reading.has_ended.set(is_last && outcome.is_ok());
    if let Some(Reader { completion, mut buffer }) = reading.take_reader() {
        if !is_last {
            let _ = object.stop();
        }
        completion.complete(outcome.map(|piece| match piece {
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                N::Piece::full(buffer)
            }
            None => N::Piece::end(buffer),
        }));
        return;
    }
    reading.give_left();
    if is_last {
        reading.callback.last(|callback| callback(outcome));
    } else {
        reading.callback.call(|callback| callback(outcome));
    }
}

fn check_not_reading<N: Read>(object: &N) -> Result<()> {
    object.node().raw::<c_void>()?;
    if object.reading().callback.is_set() || object.reading().has_operation() {
        return Err(Error::new(Code::ALREADY, format!("read: the {} is being read already", N::NAME)));
    }
    Ok(())
}

impl<N: Read> Abandon<N::Piece> for N {
    fn abandon(&self, _: &Rc<Completion<N::Piece>>, left: Option<Result<N::Piece>>) {
        match left {
            Some(Ok(piece)) => *self.reading().left.borrow_mut() = piece.into_bytes(),
            Some(Err(_)) => {}
            None => {
                if let Some(reader) = self.reading().take_reader() {
                    let _ = self.stop();
                    drop(reader);
                }
            }
        }
    }
}
