// SPDX-License-Identifier: Apache-2.0
use crate::gate::Gate;
use crate::loop_node::LoopNode;
use std::cell::RefCell;
use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The futures that were spawned on a loop.
#[derive(Default)]
pub(crate) struct Tasks {
    places: RefCell<Places>,
}

#[derive(Default)]
struct Places {
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
}

struct Task {
    /// None while it is being polled.
    work: Option<Work>,
    waker: Arc<TaskWaker>,
}

struct TaskWaker {
    gate: Arc<Gate>,
    place: usize,
    is_ready: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::AcqRel) {
            self.gate.wake(self.place);
        }
    }
}

impl Tasks {
    pub(crate) fn spawn(&self, gate: &Arc<Gate>, work: Work) {
        let mut places = self.places.borrow_mut();
        let place = places.free.pop().unwrap_or(places.tasks.len());
        let waker = Arc::new(TaskWaker { gate: gate.clone(), place, is_ready: AtomicBool::new(true) });
        let task = Some(Task { work: Some(work), waker });
        if place < places.tasks.len() {
            places.tasks[place] = task;
        } else {
            places.tasks.push(task);
        }
        drop(places);
        gate.wake(place);
    }

    /// Polls the task at a place; one that has ended, or panicked, is dropped.
    pub(crate) fn poll(&self, node: &Rc<LoopNode>, place: usize) {
        let taken = match self.places.borrow_mut().tasks.get_mut(place) {
            Some(Some(task)) => task.work.take().map(|work| (work, task.waker.clone())),
            _ => None,
        };
        let (mut work, waker) = match taken {
            Some(taken) => taken,
            None => return,
        };
        waker.is_ready.store(false, Ordering::Release);
        let mut is_pending = false;
        node.guard(|| {
            let waker = Waker::from(waker);
            is_pending = work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending;
        });
        if is_pending {
            if let Some(Some(task)) = self.places.borrow_mut().tasks.get_mut(place) {
                task.work = Some(work);
                return;
            }
        } else {
            let mut places = self.places.borrow_mut();
            if let Some(ended) = places.tasks.get_mut(place).and_then(Option::take) {
                places.free.push(place);
                drop(places);
                drop(ended);
            }
        }
        node.guard(|| drop(work));
    }

    /// Drops all tasks.
    pub(crate) fn clear(&self, node: &Rc<LoopNode>) {
        let tasks = take(&mut *self.places.borrow_mut()).tasks;
        for task in tasks {
            node.guard(|| drop(task));
        }
    }
}
