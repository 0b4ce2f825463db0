// SPDX-License-Identifier: Apache-2.0
//! Tunnels and clients come and go, and somebody watches.
mod common;
use common::*;
use rstream::{Code, Filters, WatchTransport};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn who_watches_is_told() {
    who_watches_is_told_over(WatchTransport::ServerSentEvents);
    who_watches_is_told_over(WatchTransport::WebSocket);
}

fn who_watches_is_told_over(transport: WatchTransport) {
    let world = World::new();
    let (control, first) = world.tunnel("first");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    let mut filters = Filters::of_tunnels().unwrap();
    filters.set("publish", "false").unwrap();
    let watch = world
        .client
        .watch_over(transport, Some(&filters), None, false, move |event| {
            assert!(event.json().starts_with('{'), "{event:?}");
            for (what, inventory) in [("", event.tunnels()), ("client ", event.clients())] {
                for entry in inventory.iter() {
                    let name = entry.property("name").unwrap_or_default();
                    log.borrow_mut().push(format!("{what}{} {name}", event.kind()));
                }
            }
        })
        .unwrap();
    world.until(|| seen.borrow().len() == 2);
    assert_eq!(seen.borrow()[0], "state.initial first");
    assert!(seen.borrow()[1].starts_with("client state.initial"));
    let second = world.on.block_on(control.create_tunnel(&private("second"))).unwrap();
    world.until(|| seen.borrow().iter().any(|line| line == "tunnel.created second"));
    world.on.block_on(second.close()).unwrap();
    world.until(|| seen.borrow().iter().any(|line| line == "tunnel.deleted second"));

    // The end is told to whoever asks.
    let ended = watch.ended();
    world.on.block_on(async {
        world.engine.stop().await.unwrap();
        let _ = ended.await;
    });
    drop((watch, first));
    assert_eq!(Rc::strong_count(&seen), 1);
}

#[test]
fn a_watch_ends_with_its_client() {
    let world = World::new();
    let held = Rc::new(());
    let guard = held.clone();
    let watch = world.client.watch(None, None, true, move |_| drop(guard.clone())).unwrap();
    let ended = watch.ended();
    world.on.block_on(async {
        world.client.close().await.unwrap();
        assert_eq!(ended.await.unwrap_err().code(), Code::CLIENT_CLOSED);
    });
    assert_eq!(watch.on_end(drop).unwrap_err().code(), Code::CLIENT_CLOSED);
    assert_eq!(Rc::strong_count(&held), 1);
}
