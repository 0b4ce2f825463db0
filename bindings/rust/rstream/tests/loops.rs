// SPDX-License-Identifier: Apache-2.0
//! What runs a loop, and who wakes it.
mod common;
use common::*;
use rstream::{Client, Code, Loop, Poster, UvLoop};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::raw::c_int;
use std::os::unix::io::{AsFd, AsRawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

/// A future that another thread makes ready.
#[derive(Clone, Default)]
struct Signal(Arc<Mutex<(bool, Option<Waker>)>>);

impl Signal {
    fn give(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

impl Future for Signal {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

#[test]
fn an_empty_loop_has_nothing_to_do() {
    let on = Loop::new().unwrap();
    assert!(!on.run().unwrap() && !on.run_nowait().unwrap());
    assert_eq!(on.timeout(), None);
    assert!(on.as_raw_fd() >= 0);
    assert_eq!(on.as_fd().as_raw_fd(), on.as_raw_fd());
    assert_eq!(on.block_on(async { 7 }), 7);
    on.close();
}

#[test]
fn posts_run_in_their_order() {
    let on = Loop::new().unwrap();
    let seen = Rc::new(RefCell::new(String::new()));
    let log = seen.clone();
    on.post(move || log.borrow_mut().push('a')).unwrap();
    let poster = on.poster();
    let shared = Arc::new(Mutex::new(String::new()));
    let sink = shared.clone();
    thread::spawn(move || {
        for letter in ['b', 'c'] {
            let sink = sink.clone();
            poster.post(move || sink.lock().unwrap().push(letter)).unwrap();
        }
    })
    .join()
    .unwrap();
    on.run().unwrap();
    assert_eq!((seen.borrow().as_str(), shared.lock().unwrap().as_str()), ("a", "bc"));
    // What is still pending when the loop closes is run.
    let log = seen.clone();
    on.post(move || log.borrow_mut().push('z')).unwrap();
    on.close();
    assert_eq!(*seen.borrow(), "az");
}

#[test]
fn posts_and_the_end_of_the_loop_may_meet() {
    for _ in 0..50 {
        let on = Loop::new().unwrap();
        let (started, starting) = channel();
        let ran = Arc::new(AtomicUsize::new(0));
        let (poster, count): (Poster, _) = (on.poster(), ran.clone());
        let posting = thread::spawn(move || {
            let mut accepted = 0;
            loop {
                let count = count.clone();
                let posted = poster.post(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                });
                let _ = started.send(());
                match posted {
                    Ok(()) => accepted += 1,
                    Err(error) => return (accepted, error.code()),
                }
            }
        });
        starting.recv().unwrap();
        on.run_nowait().unwrap();
        drop(on);
        let (accepted, code) = posting.join().unwrap();
        assert_eq!((ran.load(Ordering::Relaxed), code), (accepted, Code::LOOP_CLOSED));
    }
}

#[test]
fn other_threads_wake_what_waits() {
    // An empty loop waits in another way than one that has something to do.
    let (world, empty) = (World::new(), Loop::new().unwrap());
    for on in [&world.on, &empty].repeat(50) {
        for is_task in [false, true] {
            let (signal, done) = (Signal::default(), Signal::default());
            let (giving, telling) = (signal.clone(), done.clone());
            let giver = thread::spawn(move || giving.give());
            if is_task {
                on.spawn(async move {
                    signal.await;
                    telling.give();
                })
                .unwrap();
                on.block_on(done);
            } else {
                on.block_on(signal);
            }
            giver.join().unwrap();
        }
    }
}

#[test]
fn block_on_says_that_a_future_waits_for_nothing() {
    let on = Loop::new().unwrap();
    let blocked = catch_unwind(AssertUnwindSafe(|| on.block_on(std::future::pending::<()>())));
    assert!(blocked.unwrap_err().downcast_ref::<&str>().unwrap().contains("waits for nothing"));
    // It may be called inside a task, and not inside a callback.
    let handle = Rc::new(on);
    let inner = handle.clone();
    let outer = handle.block_on(async move { inner.block_on(async { 1 }) + 1 });
    assert_eq!(outer, 2);
    let inner = handle.clone();
    handle.post(move || assert_eq!(inner.run().unwrap_err().name(), "EINVAL")).unwrap();
    handle.run().unwrap();
}

#[test]
fn tasks_run_with_the_loop() {
    let world = World::new();
    let seen = Rc::new(Cell::new(0));
    let (count, on) = (seen.clone(), world.on.handle());
    world
        .on
        .spawn(async move {
            for _ in 0..10 {
                yield_now().await;
                count.set(count.get() + 1);
            }
            let count = count.clone();
            on.spawn(async move { count.set(count.get() + 1) }).unwrap();
        })
        .unwrap();
    assert_eq!(seen.get(), 0);
    world.until(|| seen.get() == 11);
    // A task that never sleeps does not keep others from running.
    let stop = Rc::new(Cell::new(false));
    let flag = stop.clone();
    world
        .on
        .spawn(async move {
            while !flag.get() {
                yield_now().await;
            }
        })
        .unwrap();
    let connected = world.on.block_on(world.client.connect());
    assert!(connected.is_ok());
    stop.set(true);
    // What is spawned while the loop stops waits for the next time.
    assert!(!Loop::new().unwrap().run().unwrap());
}

#[test]
fn loops_on_several_threads() {
    let threads: Vec<_> = (0..3)
        .map(|_| {
            thread::spawn(|| {
                let world = World::new();
                let (_control, tunnel) = world.tunnel("echo");
                world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
                world.on.block_on(async {
                    let stream = world.client.dial("echo").await.unwrap();
                    stream.write("hello").await.unwrap();
                    stream.shutdown().await.unwrap();
                    read_all(&stream).await.unwrap()
                })
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), b"hello");
    }
}

#[link(name = "uv")]
extern "C" {
    fn uv_loop_size() -> usize;
    fn uv_loop_init(uv: *mut rstream_sys::uv_loop_s) -> c_int;
    fn uv_loop_close(uv: *mut rstream_sys::uv_loop_s) -> c_int;
    fn uv_run(uv: *mut rstream_sys::uv_loop_s, mode: c_int) -> c_int;
    fn uv_stop(uv: *mut rstream_sys::uv_loop_s);
}

#[test]
fn the_callers_own_uv_loop() {
    let folder = Folder::new();
    // SAFETY: the memory is as large and aligned as libuv wants it, and freed when the loop was closed.
    unsafe {
        let mut memory = vec![0_u128; uv_loop_size() / 16 + 1];
        let uv = memory.as_mut_ptr().cast();
        assert_eq!(uv_loop_init(uv), 0);
        let on = UvLoop::wrap(uv).unwrap();
        let engine = start_engine(&on, folder.path(), &[]);
        let client = Client::new(&on, &config_of(&engine)).unwrap();
        assert_eq!(on.stop().unwrap_err().name(), "EINVAL");
        let connected = client.connect();
        let is_done = Rc::new(Cell::new(false));
        let flag = is_done.clone();
        on.spawn(async move {
            flag.set(connected.await.is_ok());
            uv_stop(uv);
        })
        .unwrap();
        uv_run(uv, 0);
        assert!(is_done.get());
        on.post(|| panic!("posted")).unwrap();
        while catch_unwind(AssertUnwindSafe(|| on.resume_panic())).is_ok() {
            uv_run(uv, 2);
        }
        let flag = is_done.clone();
        on.close_with(move || flag.set(false));
        assert!(is_done.get());
        uv_run(uv, 0);
        assert!(!is_done.get());
        assert_eq!(client.dial_with("t", drop).unwrap_err().code(), Code::CLIENT_CLOSED);
        assert_eq!(uv_loop_close(uv), 0);
    }
}
