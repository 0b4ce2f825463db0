// SPDX-License-Identifier: Apache-2.0
//! A panic that leaves a callback or a task never enters the library.
mod common;
use common::*;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

fn message(payload: Box<dyn Any + Send>) -> String {
    payload.downcast_ref::<&str>().map(|text| text.to_string()).unwrap_or_default()
}

fn panic_of(body: impl FnOnce()) -> String {
    catch_unwind(AssertUnwindSafe(body)).map_or_else(message, |()| "none".to_string())
}

#[test]
fn a_panic_leaves_the_call_that_runs_the_loop() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("t");
    let run = || drop(world.on.run());
    world.on.post(|| panic!("posted")).unwrap();
    assert_eq!(panic_of(run), "posted");
    world.client.connect_with(|_| panic!("connected")).unwrap();
    assert_eq!(panic_of(run), "connected");
    control.create_tunnel_with(&private("other"), |_| panic!("created")).unwrap();
    assert_eq!(panic_of(run), "created");
    tunnel.listen(|_| panic!("came")).unwrap();
    let dialed = world.on.block_on(world.client.dial("t")).unwrap();
    assert_eq!(panic_of(run), "came");
    tunnel.listen_stop().unwrap();
    drop(dialed);
    let (dialed, accepted) = world.streams(&tunnel);
    dialed.read_start(|_| panic!("arrived")).unwrap();
    accepted.write_with("x", |_| panic!("written")).unwrap();
    let mut seen = [panic_of(run), panic_of(run)];
    seen.sort();
    assert_eq!(seen, ["arrived", "written"]);
    world.on.spawn(async { panic!("spawned") }).unwrap();
    assert_eq!(panic_of(run), "spawned");
    world.on.spawn(async { panic!("spawned") }).unwrap();
    assert_eq!(panic_of(|| world.on.block_on(std::future::pending())), "spawned");
    world.engine.stop_with(|_| panic!("stopped")).unwrap();
    assert_eq!(panic_of(run), "stopped");
    // Of several the first one is resumed, and all is as it was.
    world.on.post(|| panic!("first")).unwrap();
    world.on.post(|| panic!("second")).unwrap();
    assert_eq!(panic_of(|| drop(world.on.run_nowait())), "first");
    assert_eq!(panic_of(|| drop(world.on.run_nowait())), "none");
    drop(tunnel);
}

#[test]
fn a_hook_gets_panics() {
    let world = World::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, on) = (seen.clone(), world.on.handle());
    world.on.on_panic(move |payload| {
        log.borrow_mut().push(message(payload));
        if log.borrow().len() == 2 {
            on.stop().unwrap();
        }
    });
    let (_control, tunnel) = world.tunnel("t");
    // The callback stays after its panic.
    tunnel.listen(|_| panic!("came")).unwrap();
    let streams = world.on.block_on(async { [world.client.dial("t").await, world.client.dial("t").await] });
    if seen.borrow().len() < 2 {
        assert!(world.on.run().unwrap());
    }
    assert_eq!(*seen.borrow(), ["came", "came"]);
    drop(streams);
    // One that panics itself.
    world.on.on_panic(|_| panic!("the hook"));
    world.on.post(|| panic!("posted")).unwrap();
    assert_eq!(panic_of(|| drop(world.on.run())), "the hook");
}

#[test]
fn panics_while_closing() {
    let world = World::new();
    world.client.connect_with(|_| panic!("too late")).unwrap();
    let World { client, engine, on, folder } = world;
    assert_eq!(panic_of(|| on.close()), "too late");
    drop((client, engine, folder));

    // When the loop is dropped it is lost, as it must be.
    let world = World::new();
    world.client.connect_with(|_| panic!("too late")).unwrap();
    drop(world);
}

#[test]
fn values_that_panic_when_they_are_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let world = World::new();
    let bomb = Bomb;
    world.on.post(move || drop(bomb)).unwrap();
    assert_eq!(panic_of(|| drop(world.on.run())), "dropped");
    let bomb = Bomb;
    world
        .on
        .spawn(async move {
            yield_now().await;
            let _ = &bomb;
        })
        .unwrap();
    assert_eq!(panic_of(|| drop(world.on.run())), "dropped");
    // In a callback that goes with its handle.
    let (_control, tunnel) = world.tunnel("t");
    let bomb = Bomb;
    tunnel
        .listen(move |_| {
            let _ = &bomb;
        })
        .unwrap();
    drop(tunnel);
    assert_eq!(panic_of(|| drop(world.on.run())), "dropped");
    let bomb = Bomb;
    world
        .on
        .spawn(async move {
            std::future::pending::<()>().await;
            drop(bomb);
        })
        .unwrap();
    world.on.run_nowait().unwrap();
    let World { client, engine, on, folder } = world;
    assert_eq!(panic_of(|| on.close()), "dropped");
    drop((client, engine, folder));
}
