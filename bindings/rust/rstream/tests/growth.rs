// SPDX-License-Identifier: Apache-2.0
//! A thousand streams come and go, and leave nothing behind: in a program of its own, whose descriptors and memory are
//! those of the test alone.
mod common;
use common::*;
use std::fs;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in KiB.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_streams_leave_nothing_behind() {
    // Under valgrind memory is valgrind's.
    let is_watched = std::env::var_os("RSTREAM_TEST_SLOW").is_some();
    let world = World::new();
    let (_control, tunnel) = world.tunnel("echo");
    world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
    let talk = |count: usize| {
        world.on.block_on(async {
            for _ in 0..count / 10 {
                let mut streams = Vec::new();
                for _ in 0..10 {
                    streams.push(world.client.dial("echo").await.unwrap());
                }
                for stream in streams {
                    stream.write(noise(1000)).await.unwrap();
                    stream.shutdown().await.unwrap();
                    assert!(read_all(&stream).await.unwrap() == noise(1000));
                    stream.close().await.unwrap();
                }
            }
        });
    };
    talk(if is_watched { 20 } else { 400 });
    let (fds, kib) = (descriptors(), memory());
    talk(if is_watched { 20 } else { 1000 });
    // The engine's own ends of the latest streams go a little later.
    world.until(|| descriptors() <= fds);
    if !is_watched {
        assert!(memory() < kib + 4096, "{} KiB have become {} KiB", kib, memory());
    }
}
