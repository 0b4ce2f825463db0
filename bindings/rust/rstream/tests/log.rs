// SPDX-License-Identifier: Apache-2.0
//! The log belongs to the process, so that all of it is in one test.
mod common;
use common::*;
use rstream::log::{set_level, set_sink, Level};
use rstream::Loop;
use std::cell::RefCell;
use std::os::unix::io::{AsFd, AsRawFd};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

thread_local! {
    static LOOP: RefCell<Option<Loop>> = const { RefCell::new(None) };
}

#[test]
fn lines_go_to_the_sink() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    set_sink(Level::Debug, move |level, module, message| {
        assert!(level != Level::Off && level <= Level::Debug);
        sink.lock().unwrap().push(format!("{module}: {message}"));
        // What is forbidden is refused, also to those who find a handle.
        assert_eq!(Loop::new().unwrap_err().name(), "EBUSY");
        LOOP.with(|on| {
            if let Some(on) = &*on.borrow() {
                assert_eq!(on.run().unwrap_err().name(), "EBUSY");
                assert_eq!(on.as_fd().as_raw_fd(), on.as_raw_fd());
            }
        });
        panic!("nobody hears of this");
    })
    .unwrap();
    LOOP.with(|on| *on.borrow_mut() = Some(Loop::new().unwrap()));
    let world = World::new();
    world.on.block_on(world.client.connect()).unwrap();
    let before = lines.lock().unwrap().len();
    assert!(before > 0);

    // Loops of this thread do not matter, those of others do.
    set_level(Level::Off).unwrap();
    world.on.block_on(world.client.connect()).unwrap();
    assert_eq!(lines.lock().unwrap().len(), before);
    let ((ready, is_ready), (finish, is_finished)) = (channel(), channel::<()>());
    let other = thread::spawn(move || {
        let on = Loop::new().unwrap();
        ready.send(()).unwrap();
        is_finished.recv().unwrap();
        drop(on);
    });
    is_ready.recv().unwrap();
    assert_eq!(set_level(Level::Info).unwrap_err().name(), "EBUSY");
    finish.send(()).unwrap();
    other.join().unwrap();
    set_level(Level::Off).unwrap();
    LOOP.with(|on| on.borrow_mut().take());
}
