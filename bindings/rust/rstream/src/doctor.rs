// SPDX-License-Identifier: Apache-2.0
//! What keeps a client from its engine: one check after the other, each with what came of it and what to do.
use crate::error::{explained, owned, Result};
use crate::event_loop::LoopHandle;
use crate::loop_node::LoopNode;
use crate::operation::{Completion, Operation, Ticket};
use crate::settings::Config;
use rstream_sys as sys;
use std::cell::RefCell;
use std::os::raw::{c_char, c_void};
use std::rc::Rc;
use std::time::Duration;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Pass,
    /// Works, and may not for long or not safely.
    Warn,
    /// Does not work.
    Fail,
    /// Not checked: not needed, or not possible after an earlier failure.
    Skip,
}

impl Status {
    fn from_raw(raw: sys::rstream_doctor_status) -> Status {
        match raw {
            sys::RSTREAM_DOCTOR_PASS => Status::Pass,
            sys::RSTREAM_DOCTOR_WARN => Status::Warn,
            sys::RSTREAM_DOCTOR_SKIP => Status::Skip,
            _ => Status::Fail,
        }
    }
}

/// One check: [`rstream_sys::doctor`] lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub name: String,
    /// What it came to.
    pub status: Status,
    /// How long it took.
    pub time: Duration,
    /// What was found, as one line. Never contains a token, secret or key.
    pub detail: String,
    /// What to do about it, where there is something to do.
    pub advice: Option<String>,
}

/// What all checks came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The checks, in their order.
    pub findings: Vec<Finding>,
    /// The worst of them.
    pub worst: Status,
}

/// Checks the way to an engine, with a client of its own. What is wrong with the settings is a finding and no error.
pub fn examine(on: &LoopHandle, config: &Config) -> Operation<Diagnosis> {
    Operation::start(|completion| start(on, config, None, completion))
}

/// The same; `observer` is called for each check, `done` after the last one.
pub fn examine_with(
    on: &LoopHandle,
    config: &Config,
    observer: impl FnMut(&Finding) + 'static,
    done: impl FnOnce(Result<Diagnosis>) + 'static,
) -> Result<()> {
    start(on, config, Some(Box::new(observer)), Completion::calling(done))
}

type Observer = Box<dyn FnMut(&Finding)>;

struct Examination {
    on: Rc<LoopNode>,
    findings: RefCell<Vec<Finding>>,
    observer: RefCell<Option<Observer>>,
}

fn start(
    on: &LoopHandle,
    config: &Config,
    observer: Option<Observer>,
    completion: Rc<Completion<Diagnosis>>,
) -> Result<()> {
    let raw = on.node.raw()?;
    let observer = RefCell::new(observer);
    let owner = Rc::new(Examination { on: on.node.clone(), findings: RefCell::default(), observer });
    Ticket::issue(&owner, completion, |data| {
        // SAFETY: loop and config are valid, and `data` is the ticket that the last callback redeems.
        explained(|error| unsafe { sys::rstream_doctor(raw, config.raw(), Some(checked), Some(ended), data, error) })
    })
}

unsafe extern "C" fn checked(
    name: *const c_char,
    status: sys::rstream_doctor_status,
    microseconds: u64,
    detail: *const c_char,
    advice: *const c_char,
    data: *mut c_void,
) {
    // SAFETY: the ticket has not been redeemed yet.
    let examination = unsafe { (*data.cast::<Ticket<Examination, Diagnosis>>()).owner.clone() };
    examination.on.clone().enter(move || {
        // SAFETY: the strings are valid for the call.
        let copy = |string| unsafe { owned(string) };
        let finding = Finding {
            name: copy(name).unwrap_or_default(),
            status: Status::from_raw(status),
            time: Duration::from_micros(microseconds),
            detail: copy(detail).unwrap_or_default(),
            advice: copy(advice),
        };
        examination.findings.borrow_mut().push(finding.clone());
        if let Some(observer) = &mut *examination.observer.borrow_mut() {
            observer(&finding);
        }
    });
}

unsafe extern "C" fn ended(worst: sys::rstream_doctor_status, data: *mut c_void) {
    // SAFETY: this is the last callback of the ticket.
    let ticket = unsafe { Ticket::<Examination, Diagnosis>::redeem(data) };
    ticket.owner.on.clone().enter(move || {
        let findings = ticket.owner.findings.take();
        ticket.completion.complete(Ok(Diagnosis { findings, worst: Status::from_raw(worst) }));
    });
}
