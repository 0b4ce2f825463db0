// SPDX-License-Identifier: Apache-2.0
//! Packet channels over TLS and QUIC: sizes, counts, what is too long and too much, the end seen from each side.
mod common;
use common::*;
use rstream::{Client, Code, Control, EngineCode, LoopHandle, Packets, Result, Tunnel};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A transport, the path that packets have over it, and how long they may be at least: with QUIC datagrams that grows
/// while the network is found out.
const WAYS: [(&str, &str, usize); 2] = [("tls", "stream", 65_535), ("quic", "quic-datagram", 1_100)];

/// Both ends of a channel, and what they came by, which tells each of the other's end.
async fn join(client: &Client) -> (Packets, Packets, (Control, Tunnel)) {
    let control = client.connect().await.unwrap();
    let tunnel = control.create_tunnel(&datagrams("packets")).await.unwrap();
    let accepting = tunnel.accept_packets();
    let near = client.dial_packets("packets").await.unwrap();
    let far = accepting.await.unwrap();
    (near, far, (control, tunnel))
}

async fn receive(packets: &Packets) -> Vec<u8> {
    packets.read(Vec::new()).await.unwrap().expect("a packet comes")
}

#[test]
fn packets_both_ways() {
    let world = World::new();
    for (transport, path, longest) in WAYS {
        let client = world.client_over(transport);
        world.on.block_on(async {
            let (near, far, _through) = join(&client).await;
            assert_eq!((near.path(), far.path(), far.peer()), (path.into(), path.into(), "127.0.0.1".into()));
            assert!(!far.id().is_empty());
            assert!((longest..=65_535).contains(&near.max_size()), "{}", near.max_size());
            let mut buffer = vec![1, 2, 3];
            for size in [0, 1, 1000, longest, 0] {
                let sent = noise(size);
                near.send(&sent).unwrap();
                buffer = far.read(buffer).await.unwrap().unwrap();
                assert!(buffer == sent);
                far.send(&buffer).unwrap();
                assert!(receive(&near).await == sent);
            }
            let refused = near.send(noise(65_536)).unwrap_err();
            assert_eq!(refused.name(), "EMSGSIZE");
            let message = refused.message().to_string();
            assert!(message.contains("65536") && message.contains(&near.max_size().to_string()), "{message}");
            let [near_counts, far_counts] = [near.counts(), far.counts()];
            assert_eq!((near_counts.sent, near_counts.received, near_counts.dropped_sending), (5, 5, 1));
            assert_eq!((far_counts.sent, far_counts.received, far_counts.dropped_sending), (5, 5, 0));
            assert_eq!((near_counts.dropped_receiving, far_counts.dropped_receiving), (0, 0));
        });
    }
}

#[test]
fn whoever_closes_the_other_side_sees_the_end_once() {
    let world = World::new();
    for (transport, ..) in WAYS {
        let client = world.client_over(transport);
        for dialer_closes in [true, false] {
            world.on.block_on(async {
                let (near, far, _through) = join(&client).await;
                // Each side has heard from the other.
                near.send("ping").unwrap();
                assert_eq!(receive(&far).await, b"ping");
                far.send("pong").unwrap();
                assert_eq!(receive(&near).await, b"pong");
                let (closing, other) = if dialer_closes { (near, far) } else { (far, near) };
                closing.send("last").unwrap();
                closing.close().await.unwrap();
                // The end comes behind the last packet, and stays the end, for callbacks as well, which are called once and then
                // dropped.
                assert_eq!(receive(&other).await, b"last");
                assert_eq!(other.read(Vec::new()).await.unwrap(), None);
                assert_eq!(other.read(Vec::new()).await.unwrap(), None);
                let ends = Rc::new(Cell::new(0));
                let count = ends.clone();
                other
                    .read_start(move |packet| {
                        assert_eq!(packet.unwrap(), None);
                        count.set(count.get() + 1);
                    })
                    .unwrap();
                while Rc::strong_count(&ends) > 1 {
                    yield_now().await;
                }
                assert_eq!(ends.get(), 1);
                assert_eq!(other.send("x").unwrap_err().name(), "EPIPE");
                other.room().await.unwrap();
            });
        }
    }
}

async fn send_numbers(packets: Packets, total: u32) -> Result<()> {
    for number in 0..total {
        packets.room().await?;
        let mut packet = number.to_be_bytes().to_vec();
        packet.resize(5000, 0);
        packets.send(packet)?;
    }
    Ok(())
}

#[test]
fn who_waits_for_room_loses_nothing_and_others_are_told() {
    let world = World::new();
    let on: LoopHandle = world.on.handle();
    world.on.block_on(async {
        let (near, far, _through) = join(&world.client).await;
        let drains = Rc::new(Cell::new(0));
        let count = drains.clone();
        near.on_drain(move || count.set(count.get() + 1)).unwrap();
        // Nobody reads until everything on the way is full.
        let big = vec![7; 60_000];
        let mut taken = 0;
        let refused = loop {
            match near.send(&big) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 10_000);
        };
        assert_eq!(refused.name(), "EAGAIN");
        assert_eq!((near.queue_size(), near.counts().dropped_sending), (64, 1));
        drop(near.room());
        let mut room = near.room();
        assert!(poll_once(&mut room).await.is_none());
        for _ in 0..taken {
            assert_eq!(receive(&far).await.len(), big.len());
        }
        room.await.unwrap();
        assert!(drains.get() > 0 && near.queue_size() < 64);

        let total = 2000;
        on.spawn(async move { send_numbers(near, total).await.unwrap() }).unwrap();
        for number in 0..total {
            assert_eq!(receive(&far).await[..4], number.to_be_bytes());
        }
        assert_eq!(far.read(Vec::new()).await.unwrap(), None);
    });
}

#[test]
fn packets_by_callbacks() {
    let world = World::new();
    for (transport, ..) in WAYS {
        let client = world.client_over(transport);
        let control = world.on.block_on(client.connect()).unwrap();
        let tunnel = world.on.block_on(control.create_tunnel(&datagrams("packets"))).unwrap();
        let held = Rc::new(());
        let guard = held.clone();
        tunnel
            .listen_packets(move |packets| {
                let packets = Rc::new(packets);
                let (sender, guard) = (packets.clone(), guard.clone());
                packets
                    .read_start(move |packet| {
                        let _ = &guard;
                        if let Some(packet) = packet.unwrap() {
                            sender.send(packet.to_ascii_uppercase()).unwrap();
                        }
                    })
                    .unwrap();
            })
            .unwrap();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (sink, on) = (heard.clone(), world.on.handle());
        client
            .dial_packets_with("packets", move |packets| {
                let packets = Rc::new(packets.unwrap());
                packets.send("one").unwrap();
                let sender = RefCell::new(Some(packets.clone()));
                packets
                    .read_start(move |packet| {
                        sink.borrow_mut().push(packet.unwrap().unwrap().to_vec());
                        match sink.borrow().len() {
                            1 => sender.borrow().as_ref().unwrap().send("").unwrap(),
                            _ => {
                                sender.take();
                                on.stop().unwrap();
                            }
                        }
                    })
                    .unwrap();
            })
            .unwrap();
        assert!(world.on.run().unwrap());
        assert_eq!(*heard.borrow(), [&b"ONE"[..], b""]);
        tunnel.listen_stop().unwrap();
        // The other end has seen the end of the dialer's, and its callback has gone.
        world.until(|| Rc::strong_count(&held) == 1);
    }
}

#[test]
fn dropped_operations_lose_nothing_and_closing_answers_the_others() {
    let world = World::new();
    let careful = world.careful_client();
    world.on.block_on(async {
        let control = world.client.connect().await.unwrap();
        let tunnel = control.create_tunnel(&datagrams("packets")).await.unwrap();
        assert_eq!(tunnel.accept().await.unwrap_err().code(), Code::UNSUPPORTED_TUNNEL);
        drop(tunnel.accept_packets());
        let accepting = tunnel.accept_packets();
        assert_eq!(tunnel.listen_packets(drop).unwrap_err().name(), "EALREADY");
        assert_eq!(tunnel.listen_stop().unwrap_err().name(), "EALREADY");
        let near = world.client.dial_packets("packets").await.unwrap();
        let far = accepting.await.unwrap();
        drop(far.read(Vec::new()));
        // Read for an operation that nobody takes the result of, an empty packet as well.
        for packet in ["packet", ""] {
            let reading = far.read(Vec::new());
            near.send(packet).unwrap();
            while format!("{reading:?}").contains("false") {
                yield_now().await;
            }
            drop(reading);
            assert_eq!(receive(&far).await, packet.as_bytes());
        }
        let reading = far.read(Vec::new());
        assert_eq!(far.read(Vec::new()).await.unwrap_err().name(), "EALREADY");
        assert_eq!(far.read_stop().unwrap_err().name(), "EALREADY");
        let last = tunnel.accept_packets();
        drop(far.close());
        drop(tunnel);
        assert_eq!(reading.await.unwrap_err().code(), Code::STREAM_CLOSED);
        assert_eq!(last.await.unwrap_err().code(), Code::TUNNEL_CLOSED);

        let unknown = careful.dial_packets("nobody").await.unwrap_err();
        assert_eq!(unknown.engine_code(), Some(EngineCode::TUNNEL_NOT_FOUND));
    });
}

#[test]
fn a_closed_channel_says_so() {
    let world = World::new();
    let (near, far, _through) = world.on.block_on(join(&world.client));
    drop(world.client);
    world.on.block_on(async {
        for packets in [&near, &far] {
            assert_eq!(packets.send("x").unwrap_err().code(), Code::STREAM_CLOSED);
            assert_eq!(packets.read(Vec::new()).await.unwrap_err().code(), Code::STREAM_CLOSED);
            assert_eq!(packets.room().await.unwrap_err().code(), Code::STREAM_CLOSED);
            assert_eq!(packets.on_drain(|| {}).unwrap_err().code(), Code::STREAM_CLOSED);
            assert_eq!((packets.max_size(), packets.queue_size(), packets.path()), (0, 0, String::new()));
            assert_eq!(packets.counts(), Default::default());
        }
    });
}
