// SPDX-License-Identifier: Apache-2.0
use crate::error::{checked, owned, Code, Error, Result};
use crate::loop_node::LoopNode;
use crate::operation::Completion;
use std::cell::{Cell, RefCell};
use std::mem::take;
use std::os::raw::{c_char, c_int, c_void};
use std::rc::Rc;

/// The object behind a handle. C has a share of it, whose address is the `data` of its callbacks, until the close
/// callback; the handle and the operations under way have others.
pub(crate) trait Object: 'static {
    fn node(&self) -> &Node;

    /// Closes the C object.
    ///
    /// # Safety
    ///
    /// `raw` is the open object.
    unsafe fn end(&self, raw: *mut c_void, data: *mut c_void) -> c_int;

    /// Lets go of callbacks, which are not called any more.
    fn release(&self) {}

    /// Answers whoever still waits for something of the closed object.
    fn closed(&self) {}
}

/// What all objects have.
pub(crate) struct Node {
    pub(crate) on: Rc<LoopNode>,
    /// None stands for the loop.
    above: RefCell<Option<Rc<dyn Object>>>,
    place: Cell<usize>,
    children: Children,
    raw: Cell<*mut c_void>,
    life: Cell<*mut c_void>,
    state: Cell<State>,
    closed_code: Code,
    closers: RefCell<Vec<Rc<Completion<()>>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Closing,
    Gone,
}

/// The objects that end with an object above them.
#[derive(Default)]
pub(crate) struct Children {
    places: RefCell<Vec<Option<Rc<dyn Object>>>>,
    free: RefCell<Vec<usize>>,
}

impl Children {
    fn add(&self, child: Rc<dyn Object>) -> usize {
        let mut places = self.places.borrow_mut();
        if let Some(place) = self.free.borrow_mut().pop() {
            places[place] = Some(child);
            return place;
        }
        places.push(Some(child));
        places.len() - 1
    }

    fn remove(&self, place: usize) {
        let child = self.places.borrow_mut().get_mut(place).and_then(Option::take);
        if child.is_some() {
            self.free.borrow_mut().push(place);
        }
        drop(child);
    }

    pub(crate) fn all(&self) -> Vec<Rc<dyn Object>> {
        self.places.borrow().iter().flatten().cloned().collect()
    }
}

impl Node {
    pub(crate) fn new(on: Rc<LoopNode>, closed_code: Code) -> Node {
        Node {
            on,
            above: RefCell::new(None),
            place: Cell::new(0),
            children: Children::default(),
            raw: Cell::new(std::ptr::null_mut()),
            life: Cell::new(std::ptr::null_mut()),
            state: Cell::new(State::Gone),
            closed_code,
            closers: RefCell::new(Vec::new()),
        }
    }

    /// The C object, while nobody has closed it.
    pub(crate) fn raw<T>(&self) -> Result<*mut T> {
        if self.state.get() != State::Open {
            return Err(self.closed_error());
        }
        crate::log::refuse_inside()?;
        Ok(self.raw.get().cast())
    }

    /// A string of the C object, copied; empty when it is closed.
    ///
    /// # Safety
    ///
    /// `get` is for objects of this kind.
    pub(crate) unsafe fn text<T>(&self, get: unsafe extern "C" fn(*const T) -> *const c_char) -> String {
        let copy = |raw: *mut T| unsafe { owned(get(raw)) };
        self.raw().ok().and_then(copy).unwrap_or_default()
    }

    /// The `data` for callbacks that end with the object.
    pub(crate) fn data(&self) -> *mut c_void {
        self.life.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    pub(crate) fn closed_error(&self) -> Error {
        Error::from(self.closed_code)
    }

    /// Completes when the object is gone.
    pub(crate) fn when_gone(&self, completion: Rc<Completion<()>>) {
        if self.state.get() == State::Gone {
            completion.complete(Ok(()));
        } else {
            self.closers.borrow_mut().push(completion);
        }
    }

    fn unlink(&self) {
        let above = self.above.borrow_mut().take();
        match above {
            Some(above) => above.node().children.remove(self.place.get()),
            None => self.on.children.remove(self.place.get()),
        }
    }
}

/// Gives C its share of a new object, which ends with what is above it: another object, or the loop.
pub(crate) fn open<N: Object, T>(object: &Rc<N>, raw: *mut T, above: Option<Rc<dyn Object>>) -> Result<()> {
    let node = object.node();
    node.raw.set(raw.cast());
    node.life.set(Rc::into_raw(object.clone()) as *mut c_void);
    node.state.set(State::Open);
    let is_late = match &above {
        Some(above) => !above.node().is_open(),
        None => node.on.is_closed(),
    };
    node.place.set(match &above {
        Some(above) => above.node().children.add(object.clone()),
        None => node.on.children.add(object.clone()),
    });
    node.above.replace(above);
    if is_late {
        close(&**object)?;
        return Err(node.closed_error());
    }
    Ok(())
}

/// Closes an object, and first what is below it.
pub(crate) fn close(object: &dyn Object) -> Result<()> {
    let node = object.node();
    let raw = node.raw()?;
    node.state.set(State::Closing);
    for child in node.children.all() {
        // One that is being closed already is what it should be.
        let _ = close(&*child);
    }
    // SAFETY: the object was open until now, and nobody else closes it.
    let started = checked(unsafe { object.end(raw, node.data()) });
    // Callbacks are foreign code also when they are dropped, and whoever closes has more to close.
    node.on.guard(|| object.release());
    started.map(drop)
}

/// The close callback of all objects.
pub(crate) unsafe extern "C" fn closed<N: Object>(data: *mut c_void) {
    // SAFETY: C gives its share back, once.
    let object = unsafe { Rc::from_raw(data as *const N) };
    let on = object.node().on.clone();
    on.enter(move || gone(&*object));
}

fn gone(object: &dyn Object) {
    let node = object.node();
    node.state.set(State::Gone);
    node.unlink();
    node.on.guard(|| object.closed());
    let closers = take(&mut *node.closers.borrow_mut());
    for closer in closers {
        node.on.guard(|| closer.complete(Ok(())));
    }
}

/// The C object has become something else, without a close callback.
pub(crate) fn dissolve<N: Object>(object: &Rc<N>) {
    let node = object.node();
    // SAFETY: C has forgotten the object, and its share with it.
    drop(unsafe { Rc::from_raw(node.data() as *const N) });
    node.state.set(State::Gone);
    node.unlink();
    object.release();
}

/// Runs a callback of an object, with a share of it.
///
/// # Safety
///
/// `data` is the object's, and its close callback has not returned.
pub(crate) unsafe fn called<N: Object>(data: *mut c_void, body: impl FnOnce(&Rc<N>)) {
    let object = unsafe {
        Rc::increment_strong_count(data as *const N);
        Rc::from_raw(data as *const N)
    };
    let on = object.node().on.clone();
    on.enter(move || body(&object));
}

/// Handles have nothing to show.
macro_rules! opaque_debug {
    ($($name:ident),*) => {
        $(
            impl std::fmt::Debug for $name {
                fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
                }
            }
        )*
    };
}
pub(crate) use opaque_debug;
