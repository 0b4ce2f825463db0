// SPDX-License-Identifier: Apache-2.0
//! What the doctor says of an engine that is there, and of one that is not.
mod common;
use common::*;
use rstream::doctor::{examine, examine_with, Diagnosis, Status};
use rstream::{Config, Loop, Result};
use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;

#[test]
fn an_engine_that_is_there() {
    let world = World::new();
    let diagnosis = world.on.block_on(examine(&world.on, &config_of(&world.engine))).unwrap();
    let names: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.name.as_str()).collect();
    assert!(names.starts_with(&["configuration"]) && names.contains(&"tls"), "{names:?}");
    assert!(diagnosis.findings.iter().all(|finding| finding.status != Status::Fail), "{diagnosis:?}");
    assert_ne!(diagnosis.worst, Status::Fail);

    // Whoever drops the question hears of nothing.
    drop(examine(&world.on, &config_of(&world.engine)));
    assert!(world.on.block_on(world.client.connect()).is_ok());
}

#[test]
fn an_engine_that_is_not_there() {
    let on = Loop::new().unwrap();
    let mut config = Config::new().unwrap();
    // A port where nobody listens any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.set("engine", address).unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, handle) = (seen.clone(), on.handle());
    let done = move |diagnosis: Result<Diagnosis>| {
        assert_eq!(diagnosis.unwrap().worst, Status::Fail);
        handle.stop().unwrap();
    };
    examine_with(&on, &config, move |finding| log.borrow_mut().push(finding.clone()), done).unwrap();
    assert!(seen.borrow().is_empty());
    on.run().unwrap();
    let seen = seen.borrow();
    let tcp = seen.iter().find(|finding| finding.name == "tcp").unwrap();
    assert_eq!(tcp.status, Status::Fail);
    assert!(!tcp.detail.is_empty() && tcp.advice.is_some(), "{tcp:?}");
    assert_eq!(seen.iter().find(|finding| finding.name == "tls").unwrap().status, Status::Skip);

    // One that is under way when its loop closes is dropped with its callbacks.
    let held = Rc::new(());
    let guard = held.clone();
    examine_with(&on, &config, |_| {}, move |_| drop(guard)).unwrap();
    drop(on);
    assert_eq!(Rc::strong_count(&held), 1);
}
