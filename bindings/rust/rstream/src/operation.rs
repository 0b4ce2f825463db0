// SPDX-License-Identifier: Apache-2.0
use crate::error::{Error, Result};
use crate::node::Object;
use rstream_sys as sys;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem::replace;
use std::os::raw::c_void;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Where the result of a started operation goes: to a future, to a closure, or nowhere any more.
pub(crate) struct Completion<T> {
    state: RefCell<State<T>>,
}

enum State<T> {
    Waiting(Option<Waker>),
    Calling(Box<dyn FnOnce(Result<T>)>),
    Done(Result<T>),
    Over,
}

impl<T> Completion<T> {
    pub(crate) fn waiting() -> Rc<Self> {
        Rc::new(Completion { state: RefCell::new(State::Waiting(None)) })
    }

    pub(crate) fn calling(callback: impl FnOnce(Result<T>) + 'static) -> Rc<Self> {
        Rc::new(Completion { state: RefCell::new(State::Calling(Box::new(callback))) })
    }

    /// Whether there is a result that nobody has taken.
    pub(crate) fn is_done(&self) -> bool {
        matches!(&*self.state.borrow(), State::Done(_))
    }

    /// Gives the result to whoever waits; what nobody waits for is dropped, and closed by that.
    pub(crate) fn complete(&self, result: Result<T>) {
        let before = self.state.replace(State::Over);
        match before {
            State::Waiting(waker) => {
                self.state.replace(State::Done(result));
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Calling(callback) => callback(result),
            State::Done(_) | State::Over => drop(result),
        }
    }
}

/// Who is told when an operation is dropped, with the result that nobody has taken.
pub(crate) trait Abandon<T> {
    fn abandon(&self, completion: &Rc<Completion<T>>, left: Option<Result<T>>);
}

/// An operation under way: a future for any executor on the loop's thread.
///
/// The operation has started with the call that gave this, and goes on while nobody looks. Dropping it forgets the
/// result: a handle that comes late is closed.
#[must_use = "an operation is under way: await it, or drop it to forget its result"]
pub struct Operation<T> {
    completion: Rc<Completion<T>>,
    owner: Option<Rc<dyn Abandon<T>>>,
}

impl<T> Operation<T> {
    /// Starts an operation.
    pub(crate) fn start(start: impl FnOnce(Rc<Completion<T>>) -> Result<()>) -> Self {
        let completion = Completion::waiting();
        if let Err(error) = start(completion.clone()) {
            completion.complete(Err(error));
        }
        Operation { completion, owner: None }
    }

    /// Starts an operation whose end somebody wants to hear of.
    pub(crate) fn owned(owner: Rc<dyn Abandon<T>>, start: impl FnOnce(Rc<Completion<T>>) -> Result<()>) -> Self {
        let mut operation = Self::start(start);
        operation.owner = Some(owner);
        operation
    }
}

impl<T> Future for Operation<T> {
    type Output = Result<T>;

    /// # Panics
    ///
    /// When it is polled again after it gave its result.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.completion.state.borrow_mut();
        let replaced = match &mut *state {
            State::Waiting(waker) => match waker {
                Some(known) if known.will_wake(context.waker()) => None,
                _ => waker.replace(context.waker().clone()),
            },
            State::Done(_) => match replace(&mut *state, State::Over) {
                State::Done(result) => return Poll::Ready(result),
                _ => None,
            },
            _ => panic!("an operation was polled after it gave its result"),
        };
        // Wakers are foreign code.
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Operation<T> {
    fn drop(&mut self) {
        let before = self.completion.state.replace(State::Over);
        let left = match before {
            State::Over | State::Calling(_) => return,
            State::Waiting(_) => None,
            State::Done(result) => Some(result),
        };
        if let Some(owner) = &self.owner {
            owner.abandon(&self.completion, left);
        }
    }
}

impl<T> fmt::Debug for Operation<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Operation").field("is_done", &self.completion.is_done()).finish()
    }
}

/// What C carries from the start of an operation to its end.
pub(crate) struct Ticket<N, T> {
    pub(crate) owner: Rc<N>,
    pub(crate) completion: Rc<Completion<T>>,
}

impl<N, T> Ticket<N, T> {
    /// Has `start` start something in C, with the ticket as its `data`.
    pub(crate) fn issue(
        owner: &Rc<N>,
        completion: Rc<Completion<T>>,
        start: impl FnOnce(*mut c_void) -> std::result::Result<(), Error>,
    ) -> Result<()> {
        let data = Box::into_raw(Box::new(Ticket { owner: owner.clone(), completion }));
        start(data.cast()).map_err(|error| {
            // SAFETY: what has not started does not call back, so the ticket is still ours.
            drop(unsafe { Box::from_raw(data) });
            error
        })
    }

    /// # Safety
    ///
    /// `data` is that of an issued ticket of these types, which nobody has redeemed.
    pub(crate) unsafe fn redeem(data: *mut c_void) -> Box<Self> {
        unsafe { Box::from_raw(data.cast()) }
    }
}

/// The one callback of an operation that opens something: `adopt` makes a handle of it.
///
/// # Safety
///
/// As for [`Ticket::redeem`], and the error is valid for the call.
pub(crate) unsafe fn opened<N: Object, H: 'static>(
    error: *const sys::rstream_error,
    data: *mut c_void,
    adopt: impl FnOnce(&Rc<N>) -> Result<H>,
) {
    let (ticket, error) = unsafe { (Ticket::<N, H>::redeem(data), Error::lent(error)) };
    ticket.owner.node().on.clone().enter(move || {
        let opened = match error {
            Some(error) => Err(error),
            None => adopt(&ticket.owner),
        };
        ticket.completion.complete(opened);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(operation: &mut Operation<u8>, count: &Arc<Count>) -> Poll<Result<u8>> {
        let waker = Waker::from(count.clone());
        Pin::new(operation).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn the_latest_waker_is_woken_once() {
        let mut started = None;
        let mut operation = Operation::start(|completion| {
            started = Some(completion);
            Ok(())
        });
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        for count in [&first, &first, &second] {
            assert!(poll(&mut operation, count).is_pending());
        }
        assert_eq!(Arc::strong_count(&first), 1);
        started.unwrap().complete(Ok(7));
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        assert_eq!(Arc::strong_count(&second), 1);
        assert!(matches!(poll(&mut operation, &second), Poll::Ready(Ok(7))));
    }

    #[test]
    fn what_cannot_start_is_an_error_at_once() {
        let mut operation = Operation::start(|_| Err(Error::from(Code::LOOP_CLOSED)));
        let count = Arc::new(Count::default());
        assert!(matches!(poll(&mut operation, &count), Poll::Ready(Err(error)) if error.code() == Code::LOOP_CLOSED));
    }

    #[test]
    fn whoever_drops_an_operation_wakes_nobody() {
        let mut started = None;
        let mut operation = Operation::start(|completion| {
            started = Some(completion);
            Ok(())
        });
        let count = Arc::new(Count::default());
        assert!(poll(&mut operation, &count).is_pending());
        drop(operation);
        assert_eq!(Arc::strong_count(&count), 1);
        let result = Rc::new(());
        let late = Completion::calling({
            let result = result.clone();
            move |_: Result<()>| drop(result)
        });
        late.complete(Ok(()));
        late.complete(Ok(()));
        assert_eq!(Rc::strong_count(&result), 1);
        started.unwrap().complete(Ok(7));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
