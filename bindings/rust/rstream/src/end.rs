// SPDX-License-Identifier: Apache-2.0
use crate::error::{Code, Error, Result};
use crate::loop_node::LoopNode;
use crate::node::Node;
use crate::operation::{Completion, Operation};
use std::cell::RefCell;
use std::mem::take;
use std::os::raw::c_void;
use std::rc::Rc;

type Callback = Box<dyn FnOnce(Result<()>)>;

/// Who wants to hear that something ended by itself.
#[derive(Default)]
pub(crate) struct End {
    outcome: RefCell<Option<Result<()>>>,
    callback: RefCell<Option<Callback>>,
    waiting: RefCell<Vec<Rc<Completion<()>>>>,
}

impl End {
    /// Sets who is called when an object ends by itself; whoever asks after the end is called all the same.
    pub(crate) fn set(&self, node: &Node, callback: Callback) -> Result<()> {
        node.raw::<c_void>()?;
        let outcome = self.outcome.borrow().clone();
        match outcome {
            Some(outcome) => node.on.gate.post(move || callback(outcome)),
            None => {
                let old = self.callback.replace(Some(callback));
                drop(old);
                Ok(())
            }
        }
    }

    /// Waits until an object ends by itself.
    pub(crate) fn wait(&self, node: &Node) -> Operation<()> {
        Operation::start(|completion| {
            node.raw::<c_void>()?;
            let outcome = self.outcome.borrow().clone();
            match outcome {
                Some(outcome) => completion.complete(outcome),
                None => self.waiting.borrow_mut().push(completion),
            }
            Ok(())
        })
    }

    /// It has ended by itself.
    pub(crate) fn ended(&self, on: &LoopNode, outcome: Result<()>) {
        *self.outcome.borrow_mut() = Some(outcome.clone());
        self.answer(on, &outcome);
        let callback = self.callback.borrow_mut().take();
        if let Some(callback) = callback {
            on.guard(|| callback(outcome));
        }
    }

    /// Why nothing can be got any more; none while it has not ended.
    pub(crate) fn why(&self, closed: Code) -> Option<Error> {
        match &*self.outcome.borrow() {
            None => None,
            Some(Ok(())) => Some(Error::from(closed)),
            Some(Err(error)) => Some(error.clone()),
        }
    }

    /// The callback is not called any more.
    pub(crate) fn release(&self) {
        let callback = self.callback.borrow_mut().take();
        drop(callback);
    }

    /// The handle was closed.
    pub(crate) fn closed(&self, on: &LoopNode, code: Code) {
        self.answer(on, &Err(Error::from(code)));
    }

    fn answer(&self, on: &LoopNode, outcome: &Result<()>) {
        let waiting = take(&mut *self.waiting.borrow_mut());
        for completion in waiting {
            on.guard(|| completion.complete(outcome.clone()));
        }
    }
}
