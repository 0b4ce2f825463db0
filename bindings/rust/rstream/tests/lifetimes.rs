// SPDX-License-Identifier: Apache-2.0
//! Handles dropped in every order, from outside and inside callbacks, with operations under way; operations dropped
//! before and after their results: nothing is used after it is gone, and all that was moved into a callback is dropped.
mod common;
use common::*;
use rstream::{Client, Code, Config, Control, Engine, Loop, LoopHandle, Packets, Stream, Tunnel, TunnelOptions};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// All handles there are, each with callbacks and with operations under way.
struct Scene {
    dialed: Option<Stream>,
    accepted: Option<Stream>,
    near: Option<Packets>,
    far: Option<Packets>,
    tunnel: Option<Tunnel>,
    packet_tunnel: Option<Tunnel>,
    control: Option<Control>,
    client: Option<Client>,
    engine: Option<Engine>,
    on: LoopHandle,
}

const PARTS: usize = 6;

impl Scene {
    fn new(on: &Loop, folder: &Folder, held: &Rc<()>) -> Scene {
        let engine = start_engine(on, folder.path(), &[]);
        let client = Client::new(on, &config_of(&engine)).unwrap();
        let (control, tunnel, dialed, accepted) = on.block_on(async {
            let control = client.connect().await.unwrap();
            let tunnel = control.create_tunnel(&private("t")).await.unwrap();
            let accepting = tunnel.accept();
            let dialed = client.dial("t").await.unwrap();
            (control, tunnel, dialed, accepting.await.unwrap())
        });
        let (packet_tunnel, near, far) = on.block_on(async {
            let tunnel = control.create_tunnel(&datagrams("d")).await.unwrap();
            let accepting = tunnel.accept_packets();
            let near = client.dial_packets("d").await.unwrap();
            (tunnel, near, accepting.await.unwrap())
        });
        let hold = || held.clone();
        let holding = [hold(), hold(), hold(), hold(), hold(), hold(), hold(), hold(), hold(), hold()];
        let [a, b, c, d, e, f, g, h, i, j] = holding;
        dialed.read_start(move |_| drop(a.clone())).unwrap();
        accepted.read_start(move |_| drop(b.clone())).unwrap();
        tunnel.listen(move |_| drop(c.clone())).unwrap();
        tunnel.on_end(move |_| drop(d)).unwrap();
        control.on_end(move |_| drop(e)).unwrap();
        // Under way, whatever becomes of them.
        accepted.write_with("hello", move |_| drop(f)).unwrap();
        client.dial_with("t", move |_| drop(g)).unwrap();
        client.connect_with(move |_| drop(h)).unwrap();
        control.create_tunnel_with(&TunnelOptions::new().unwrap(), move |_| drop(i)).unwrap();
        on.post(move || drop(j)).unwrap();
        let [k, l, m] = [hold(), hold(), hold()];
        let (reading, ended) = (dialed.shutdown(), control.ended());
        let (packet, next) = (far.read(Vec::new()), packet_tunnel.accept_packets());
        on.spawn(async move {
            let _ = (k, reading.await, packet.await, next.await, ended.await);
        })
        .unwrap();
        let [n, o, p] = [hold(), hold(), hold()];
        near.read_start(move |_| drop(n.clone())).unwrap();
        near.on_drain(move || drop(o.clone())).unwrap();
        client.dial_packets_with("d", move |_| drop(p)).unwrap();
        near.send("hello").unwrap();
        engine.stop_with(move |_| drop(l)).unwrap();
        on.on_panic(move |_| drop(m.clone()));
        Scene {
            dialed: Some(dialed),
            accepted: Some(accepted),
            near: Some(near),
            far: Some(far),
            tunnel: Some(tunnel),
            packet_tunnel: Some(packet_tunnel),
            control: Some(control),
            client: Some(client),
            engine: Some(engine),
            on: on.handle(),
        }
    }

    fn drop_part(&mut self, part: usize) {
        match part {
            0 => drop((self.dialed.take(), self.near.take())),
            1 => drop((self.accepted.take(), self.far.take())),
            2 => drop((self.tunnel.take(), self.packet_tunnel.take())),
            3 => drop(self.control.take()),
            4 => drop(self.client.take()),
            _ => drop(self.engine.take()),
        }
    }

    /// What is left says that it is closed, or works.
    fn use_all(&self) {
        let all = [Code::STREAM_CLOSED, Code::TUNNEL_CLOSED, Code::CONTROL_CLOSED, Code::CLIENT_CLOSED];
        let refused = |result: rstream::Result<()>| {
            if let Err(error) = result {
                assert!(all.contains(&error.code()) || ["EPIPE", "ECONNRESET"].contains(&error.name()), "{error:?}");
            }
        };
        if let Some(stream) = &self.dialed {
            refused(stream.send("x"));
            let _ = (stream.peer(), stream.id(), stream.write_queue_size(), stream.read_stop());
        }
        if let Some(packets) = &self.near {
            refused(packets.send("x"));
            let _ = (packets.counts(), packets.max_size(), packets.room(), packets.read_stop());
        }
        if let Some(tunnel) = &self.tunnel {
            refused(tunnel.listen_stop());
            let _ = (tunnel.properties(), tunnel.forwarding_address(), tunnel.accept());
        }
        if let Some(control) = &self.control {
            refused(control.create_tunnel_with(&private("other"), drop));
            let _ = (control.client_id(), control.server_detail("agent"), control.ended());
        }
        if let Some(client) = &self.client {
            refused(client.dial_with("t", drop));
        }
        if let Some(engine) = &self.engine {
            let _ = (engine.port("tls"), engine.address(), engine.ca_file(), engine.stop());
        }
    }
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, place| {
        let mut order = order.clone();
        order.insert(place, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |place| insert(order, place))).collect()
}

#[test]
fn handles_end_in_any_order() {
    let folder = Folder::new();
    // All 720 take a while; these meet each pair of neighbours many times.
    for (index, order) in orders(PARTS).into_iter().step_by(31).enumerate() {
        let held = Rc::new(());
        let on = Loop::new().unwrap();
        let mut scene = Scene::new(&on, &folder, &held);
        for part in order {
            scene.drop_part(part);
            if index % 2 == 0 {
                on.run_nowait().unwrap();
            }
            scene.use_all();
        }
        drop((scene, on));
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

#[test]
fn the_loop_may_end_first() {
    let (folder, held) = (Folder::new(), Rc::new(()));
    let on = Loop::new().unwrap();
    let scene = Scene::new(&on, &folder, &held);
    let poster = on.poster();
    drop(on);
    scene.use_all();
    assert_eq!(scene.dialed.as_ref().unwrap().send("x").unwrap_err().code(), Code::STREAM_CLOSED);
    assert_eq!(scene.engine.as_ref().unwrap().start().unwrap_err().code(), Code::ENGINE_CLOSED);
    assert_eq!(scene.on.spawn(async {}).unwrap_err().code(), Code::LOOP_CLOSED);
    assert_eq!(scene.on.post(|| {}).unwrap_err().code(), Code::LOOP_CLOSED);
    assert_eq!(poster.post(|| {}).unwrap_err().code(), Code::LOOP_CLOSED);
    assert_eq!(poster.stop().unwrap_err().code(), Code::LOOP_CLOSED);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn handles_end_inside_callbacks() {
    for part in 0..PARTS {
        let (folder, held) = (Folder::new(), Rc::new(()));
        let on = Loop::new().unwrap();
        let scene = Rc::new(RefCell::new(Scene::new(&on, &folder, &held)));
        let called = Rc::new(Cell::new(false));
        let (inner, flag, guard) = (scene.clone(), called.clone(), held.clone());
        let dialed = scene.borrow_mut().dialed.take().unwrap();
        dialed.read_stop().unwrap();
        dialed
            .read_start(move |_| {
                if !flag.replace(true) {
                    let mut scene = inner.borrow_mut();
                    scene.drop_part(part);
                    scene.use_all();
                    // What the callback has moved in is still there.
                    assert!(Rc::strong_count(&guard) > 1);
                    scene.drop_part(4);
                }
            })
            .unwrap();
        scene.borrow_mut().dialed = Some(dialed);
        while !called.get() {
            on.run_nowait().unwrap();
        }
        drop(on);
        drop(scene);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

#[test]
fn who_waits_is_answered() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("t");
    let (dialed, accepted) = world.streams(&tunnel);
    let (reading, accepting, ended) = (dialed.read(Vec::new()), tunnel.accept(), control.ended());
    world.on.block_on(async {
        drop(dialed);
        assert_eq!(reading.await.unwrap_err().code(), Code::STREAM_CLOSED);
        accepted.close().await.unwrap();
        tunnel.close().await.unwrap();
        assert_eq!(accepting.await.unwrap_err().code(), Code::TUNNEL_CLOSED);
        control.close().await.unwrap();
        assert_eq!(ended.await.unwrap_err().code(), Code::CONTROL_CLOSED);
        let connecting = world.client.connect();
        world.client.close().await.unwrap();
        assert_eq!(connecting.await.unwrap_err().code(), Code::CLIENT_CLOSED);
        world.engine.close().await.unwrap();
    });
    world.on.close();
}

#[test]
fn late_results_close_their_handles() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("t");
    // Dropped at once, before and after the results are there.
    for turns in [0, 1, 50] {
        let connecting = world.client.connect();
        let creating = control.create_tunnel(&TunnelOptions::new().unwrap());
        let dialing = world.client.dial("t");
        for _ in 0..turns {
            world.on.run_nowait().unwrap();
        }
        drop((connecting, creating, dialing));
    }
    // Their streams have come all the same, and end.
    world.on.block_on(async {
        for _ in 0..3 {
            let stream = tunnel.accept().await.unwrap();
            assert!(matches!(stream.read(Vec::new()).await, Ok(bytes) if bytes.is_empty()));
        }
    });
}

#[test]
fn what_came_for_a_dropped_operation_is_not_lost() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let dialed = world.on.block_on(world.client.dial("t")).unwrap();
    dialed.send("first").unwrap();

    let mut accepting = tunnel.accept();
    world.until(|| format!("{accepting:?}").contains("true"));
    drop(accepting);
    // Another one waits already.
    accepting = tunnel.accept();
    let accepted = world.on.block_on(accepting).unwrap();

    let mut reading = accepted.read(Vec::new());
    world.until(|| format!("{reading:?}").contains("true"));
    drop(reading);
    reading = accepted.read(Vec::with_capacity(100));
    assert_eq!(accepted.read(Vec::new()).into_ready().unwrap_err().name(), "EALREADY");
    assert_eq!(world.on.block_on(reading).unwrap(), b"first");

    // Nobody waits for these bytes any more; a callback gets them first.
    dialed.send("second").unwrap();
    drop(accepted.read(Vec::new()));
    reading = accepted.read(Vec::new());
    world.until(|| format!("{reading:?}").contains("true"));
    drop(reading);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = seen.clone();
    accepted.read_start(move |bytes| sink.borrow_mut().extend_from_slice(bytes.unwrap())).unwrap();
    assert!(seen.borrow().is_empty());
    dialed.send(" third").unwrap();
    world.until(|| seen.borrow().len() == 12);
    assert_eq!(*seen.borrow(), b"second third");
}

#[test]
fn what_was_written_is_sent_though_all_is_dropped() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let (address, ca_file) = (world.engine.address().unwrap(), world.engine.ca_file().unwrap());
    let sent = noise(3 << 20);
    let wanted = sent.clone();
    // Another program, so to say, whose own loop ends at once.
    let dialer = std::thread::spawn(move || {
        let mut config = Config::new().unwrap();
        config.set("engine", address).unwrap().set("transport.tls.caFile", ca_file.display()).unwrap();
        let on = Loop::new().unwrap();
        let client = Client::new(&on, &config).unwrap();
        let stream = on.block_on(client.dial("t")).unwrap();
        stream.send(&sent).unwrap();
        drop((stream, client, on));
    });
    let received = world.on.block_on(async { read_all(&tunnel.accept().await.unwrap()).await });
    dialer.join().unwrap();
    assert!(received.unwrap() == wanted);
}

trait IntoReady<T> {
    fn into_ready(self) -> rstream::Result<T>;
}

impl<T> IntoReady<T> for rstream::Operation<T> {
    /// The result of an operation that could not start.
    fn into_ready(mut self) -> rstream::Result<T> {
        let on = Loop::new().unwrap();
        on.block_on(poll_once(&mut self)).expect("it is ready")
    }
}
