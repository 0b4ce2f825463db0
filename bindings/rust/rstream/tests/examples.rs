// SPDX-License-Identifier: Apache-2.0
//! The examples, as programs.
mod common;
use common::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

fn example(name: &str) -> Command {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    let mut command = Command::new(folder.with_file_name("examples").join(name));
    command.env_remove("RSTREAM_LOG");
    command
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn echo() {
    assert_eq!(told(&example("echo").args(["hello", "again"]).output().unwrap()), "hello again\n");
    assert_eq!(told(&example("echo").output().unwrap()), "hello\n");
}

#[test]
fn packets() {
    let output = example("packets").args(["hello", "again"]).output().unwrap();
    assert_eq!(told(&output), "path: quic-datagram\nhello\nagain\n");
}

#[test]
fn a_foreign_executor() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("an echo");
    world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
    let mut command = example("foreign_executor");
    command.env("RSTREAM_ENGINE", world.engine.address().unwrap());
    command.env("RSTREAM_CA_FILE", world.engine.ca_file().unwrap());
    let mut dialer = command.arg("an echo").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let poster = world.on.poster();
    let user = thread::spawn(move || {
        let (mut input, mut output) = (dialer.stdin.take().unwrap(), dialer.stdout.take().unwrap());
        // Each word comes back before the next one is said.
        for word in ["one", "two"] {
            input.write_all(word.as_bytes()).unwrap();
            let mut back = vec![0; word.len()];
            output.read_exact(&mut back).unwrap();
            assert_eq!(back, word.as_bytes());
        }
        // And much at once.
        let sent = noise(1 << 20);
        let wanted = sent.clone();
        let writing = thread::spawn(move || {
            input.write_all(&sent).unwrap();
            drop(input);
        });
        let mut received = Vec::new();
        output.read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        poster.stop().unwrap();
        assert!(received == wanted);
        assert!(dialer.wait().unwrap().success());
    });
    assert!(world.on.run().unwrap());
    user.join().unwrap();

    // Without an engine it fails, with words.
    let mut command = example("foreign_executor");
    let output = command.env_remove("RSTREAM_ENGINE").stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ENGINE_REQUIRED"));
}

#[test]
fn publish() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        let request = lines.next().unwrap().unwrap();
        while !lines.next().unwrap().unwrap().is_empty() {}
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
        request
    });
    let mut command = example("publish");
    command.env("RSTREAM_ENGINE", world.engine.address().unwrap());
    command.env("RSTREAM_CA_FILE", world.engine.ca_file().unwrap());
    let mut agent = command.arg(port.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (poster, ca_file) = (world.on.poster(), world.engine.ca_file().unwrap());
    let user = thread::spawn(move || {
        let mut address = String::new();
        BufReader::new(agent.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--cacert"]).arg(ca_file).arg(address.trim());
        let body = told(&curl.output().expect("curl runs"));
        let mut line = String::new();
        let mut lines = BufReader::new(agent.stderr.take().unwrap());
        lines.read_line(&mut line).unwrap();
        poster.stop().unwrap();
        (agent, body, line)
    });
    assert!(world.on.run().unwrap());
    let (mut agent, body, line) = user.join().unwrap();
    assert_eq!((body.as_str(), line.as_str()), ("hello", "127.0.0.1 has come\n"));
    assert_eq!(server.join().unwrap(), "GET / HTTP/1.1");
    // The end of the engine is the end of the agent: it says why.
    world.on.block_on(world.engine.stop()).unwrap();
    assert!(!agent.wait().unwrap().success());
}
