// SPDX-License-Identifier: Apache-2.0
//! Streams through private tunnels: bytes both ways, half close, backpressure, reset, descriptors.
mod common;
use common::*;
use rstream::Code;
use std::cell::{Cell, RefCell};
use std::io::{IoSlice, Read, Write};
use std::os::unix::io::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

#[test]
fn a_big_transfer_comes_back_as_it_was_sent() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("echo");
    world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
    let sent = noise(8 << 20);
    let received = world.on.block_on(async {
        let stream = world.client.dial("echo").await.unwrap();
        let sending = async {
            for piece in sent.chunks(100_000) {
                stream.write(piece).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        };
        both(sending, read_all(&stream)).await.1.unwrap()
    });
    assert!(received == sent);
}

#[test]
fn bytes_by_callbacks() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("echo");
    let held = Rc::new(());
    let guard = held.clone();
    tunnel
        .listen(move |stream| {
            let stream = Rc::new(stream);
            let (writer, guard) = (stream.clone(), guard.clone());
            stream
                .read_start(move |bytes| {
                    let _ = &guard;
                    // The stream closes with the last callback that has it.
                    let keeps = writer.clone();
                    match bytes.unwrap() {
                        [] => writer.shutdown_with(move |done| done.map(|()| drop(keeps)).unwrap()).unwrap(),
                        bytes => writer.write_with(bytes, |done| done.unwrap()).unwrap(),
                    }
                })
                .unwrap();
        })
        .unwrap();
    let received = Rc::new(RefCell::new(Vec::new()));
    let (sink, on) = (received.clone(), world.on.handle());
    world
        .client
        .dial_with("echo", move |stream| {
            let stream = Rc::new(stream.unwrap());
            stream.send("hello ").unwrap();
            stream.send(b"again").unwrap();
            stream.shutdown_with(|done| done.unwrap()).unwrap();
            let keeps_itself = stream.clone();
            stream
                .read_start(move |bytes| {
                    let _ = &keeps_itself;
                    match bytes.unwrap() {
                        [] => on.stop().unwrap(),
                        bytes => sink.borrow_mut().extend_from_slice(bytes),
                    }
                })
                .unwrap();
        })
        .unwrap();
    assert!(world.on.run().unwrap());
    assert_eq!(*received.borrow(), b"hello again");
    drop((tunnel, world));
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn each_direction_ends_by_itself() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let (dialed, accepted) = world.streams(&tunnel);
    world.on.block_on(async {
        dialed.write("question").await.unwrap();
        dialed.shutdown().await.unwrap();
        assert_eq!(dialed.write("more").await.unwrap_err().name(), "EPIPE");
        assert_eq!(dialed.shutdown().await.unwrap_err().name(), "EALREADY");
        assert_eq!(read_all(&accepted).await.unwrap(), b"question");
        // The end stays the end.
        assert!(accepted.read(vec![1, 2, 3]).await.unwrap().is_empty());
        accepted.write_vectored(&[IoSlice::new(b"an "), IoSlice::new(b"answer")]).await.unwrap();
        accepted.shutdown().await.unwrap();
        assert_eq!(read_all(&dialed).await.unwrap(), b"an answer");
    });
    assert_eq!(accepted.peer(), "127.0.0.1");
    assert!(!accepted.id().is_empty());
    let ended = Rc::new(Cell::new(0));
    let count = ended.clone();
    accepted.read_start(move |bytes| count.set(count.get() + 1 + bytes.unwrap().len())).unwrap();
    assert_eq!(ended.get(), 0);
    world.until(|| ended.get() == 1);
}

#[test]
fn a_stream_that_is_not_read_slows_its_sender_down() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let (dialed, accepted) = world.streams(&tunnel);
    let piece = noise(1 << 20);
    // Writes until the buffers on the way are full: then a write does not end.
    let mut written = 0;
    let stuck = loop {
        let mut write = dialed.write(&piece);
        written += 1;
        assert!(written < 64, "somebody takes all bytes");
        let on = &world.on;
        let waited = on.block_on(async {
            for _ in 0..2000 {
                if let Some(outcome) = poll_once(&mut write).await {
                    outcome.unwrap();
                    return true;
                }
                yield_now().await;
            }
            false
        });
        if !waited {
            break write;
        }
    };
    assert!(dialed.write_queue_size() > 0);
    // Another stream goes on meanwhile.
    let (other, other_end) = world.streams(&tunnel);
    world.on.block_on(async {
        other.write("x").await.unwrap();
        assert_eq!(other_end.read(Vec::new()).await.unwrap(), b"x");
        // And this one when it is read.
        let wanted = piece.len() * written;
        let mut received = 0;
        while received < wanted {
            let bytes = accepted.read(Vec::new()).await.unwrap();
            assert!(bytes[..] == piece.repeat(2)[received % piece.len()..][..bytes.len()]);
            received += bytes.len();
        }
        assert_eq!(received, wanted);
        stuck.await.unwrap();
        assert_eq!(dialed.write_queue_size(), 0);
    });
    let too_much = vec![0; (64 << 20) + 1];
    assert_eq!(dialed.send(&too_much).unwrap_err().name(), "ENOBUFS");
}

#[test]
fn a_reset_is_an_error_on_the_other_side() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let (dialed, accepted) = world.streams(&tunnel);
    world.on.block_on(async {
        let reading = accepted.read(Vec::new());
        dialed.reset().await.unwrap();
        assert_eq!(reading.await.unwrap_err().name(), "ECONNRESET");
    });
}

#[test]
fn a_stream_becomes_a_socket() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("echo");
    world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
    let poster = world.on.poster();
    let fd = world.on.block_on(async {
        let stream = world.client.dial("echo").await.unwrap();
        let written = stream.write("first, ");
        let fd = stream.into_fd().unwrap();
        assert_eq!(written.await.unwrap_err().code(), Code::STREAM_CLOSED);
        fd
    });
    let user = std::thread::spawn(move || {
        // SAFETY: the descriptor is moved from one owner to the other.
        let mut socket = unsafe { UnixStream::from_raw_fd(fd.into_raw_fd()) };
        socket.set_nonblocking(false).unwrap();
        socket.write_all(b"then").unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = String::new();
        socket.read_to_string(&mut all).unwrap();
        poster.stop().unwrap();
        all
    });
    assert!(world.on.run().unwrap());
    assert_eq!(user.join().unwrap(), "first, then");
}

#[test]
fn a_stream_that_is_read_does_not_become_a_socket() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let (dialed, accepted) = world.streams(&tunnel);
    let reading = dialed.read(Vec::new());
    let failure = dialed.into_fd().unwrap_err();
    assert_eq!((failure.error().name(), failure.to_string()), ("EALREADY", failure.error().message().to_string()));
    let dialed = failure.into_stream();
    drop(reading);
    accepted.send("bytes").unwrap();
    // Bytes that were read and not taken would be lost.
    let reading = dialed.read(Vec::new());
    world.until(|| !format!("{reading:?}").contains("false"));
    drop(reading);
    let dialed = dialed.into_fd().unwrap_err().into_stream();
    assert_eq!(world.on.block_on(dialed.read(Vec::new())).unwrap(), b"bytes");
    let fd = dialed.into_fd().unwrap();
    assert!(fd.as_raw_fd() >= 0);
}
