// SPDX-License-Identifier: Apache-2.0
use std::cell::{Cell, RefCell};

/// A registered callback, which may replace or remove itself while it runs.
pub(crate) struct Slot<F: ?Sized> {
    callback: RefCell<Option<Box<F>>>,
    is_set: Cell<bool>,
    version: Cell<u64>,
}

impl<F: ?Sized> Default for Slot<F> {
    fn default() -> Self {
        Slot { callback: RefCell::new(None), is_set: Cell::new(false), version: Cell::new(0) }
    }
}

impl<F: ?Sized> Slot<F> {
    pub(crate) fn set(&self, callback: Option<Box<F>>) {
        self.is_set.set(callback.is_some());
        self.version.set(self.version.get() + 1);
        let old = self.callback.replace(callback);
        drop(old);
    }

    /// Whether there is a callback, also while it runs.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Has `call` call the callback, which stays registered unless it says otherwise.
    pub(crate) fn call(&self, call: impl FnOnce(&mut F)) {
        let version = self.version.get();
        let callback = self.callback.borrow_mut().take();
        if let Some(callback) = callback {
            let mut running = Running { slot: self, version, callback: Some(callback) };
            if let Some(callback) = &mut running.callback {
                call(callback);
            }
        }
    }

    /// A call after which there is none.
    pub(crate) fn last(&self, call: impl FnOnce(&mut F)) {
        self.is_set.set(false);
        self.version.set(self.version.get() + 1);
        let callback = self.callback.borrow_mut().take();
        if let Some(mut callback) = callback {
            call(&mut callback);
        }
    }
}

/// Puts a callback back when it has returned or panicked.
struct Running<'a, F: ?Sized> {
    slot: &'a Slot<F>,
    version: u64,
    callback: Option<Box<F>>,
}

impl<F: ?Sized> Drop for Running<'_, F> {
    fn drop(&mut self) {
        if self.slot.version.get() == self.version {
            *self.slot.callback.borrow_mut() = self.callback.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_callback_may_replace_and_remove_itself() {
        let slot = Rc::new(Slot::<dyn FnMut(u32)>::default());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (inner, log) = (slot.clone(), seen.clone());
        slot.set(Some(Box::new(move |n| {
            log.borrow_mut().push(n);
            let (again, log) = (inner.clone(), log.clone());
            inner.set(Some(Box::new(move |n| {
                log.borrow_mut().push(n * 10);
                again.set(None);
                assert!(!again.is_set());
            })));
            assert!(inner.is_set());
        })));
        for n in 1..4 {
            slot.call(|callback| callback(n));
        }
        assert_eq!(*seen.borrow(), [1, 20]);
        assert_eq!(Rc::strong_count(&slot), 1);
    }

    #[test]
    fn a_callback_stays_after_a_panic() {
        let slot = Slot::<dyn FnMut()>::default();
        let calls = Rc::new(Cell::new(0));
        let counter = calls.clone();
        slot.set(Some(Box::new(move || {
            counter.set(counter.get() + 1);
            assert!(counter.get() > 1, "the first call fails");
        })));
        let call = std::panic::AssertUnwindSafe(|| slot.call(|callback| callback()));
        assert!(std::panic::catch_unwind(call).is_err());
        slot.call(|callback| callback());
        slot.last(|callback| callback());
        slot.call(|callback| callback());
        assert_eq!((calls.get(), Rc::strong_count(&calls)), (3, 1));
    }
}
