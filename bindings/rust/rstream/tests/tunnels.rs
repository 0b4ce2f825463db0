// SPDX-License-Identifier: Apache-2.0
//! Tunnels of each kind that the engine serves, what is known about them, forwarding, and how they end.
mod common;
use common::*;
use rstream::{Code, ForwardEvent};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::thread;

#[test]
fn properties_of_a_private_tunnel() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("a name");
    assert_eq!(tunnel.property("name").as_deref(), Some("a name"));
    assert_eq!(tunnel.property("hostname"), None);
    assert_eq!(tunnel.forwarding_address(), "rstrm://a name (unpublished)");
    let properties = tunnel.properties();
    assert!(properties.contains(&("publish".to_string(), "false".to_string())), "{properties:?}");
    assert!(!control.client_id().is_empty());
    assert!(control.server_detail("agent").is_some());
    assert_eq!(control.server_detail("no such detail"), None);

    // By its id, too.
    let id = tunnel.property("id").unwrap();
    let accepting = tunnel.accept();
    let (dialed, accepted) = world.on.block_on(async { (world.client.dial(&id).await, accepting.await) });
    assert!(dialed.is_ok() && accepted.is_ok());
}

/// An HTTP server for one request, which gives what it was asked.
fn http_service() -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
        String::from_utf8(head).unwrap()
    });
    (port, server)
}

/// Runs curl while the loop runs.
fn curl(world: &World, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]).args(arguments);
    command.arg("--cacert").arg(world.engine.ca_file().unwrap()).stdin(Stdio::null());
    let poster = world.on.poster();
    let running = thread::spawn(move || {
        let output = command.output().expect("curl runs");
        poster.stop().unwrap();
        output
    });
    while !running.is_finished() {
        world.on.run().unwrap();
    }
    let output = running.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_http_tunnel_forwards_to_a_local_service() {
    let world = World::new();
    let (port, server) = http_service();
    let events = Rc::new(RefCell::new(Vec::new()));
    let (log, on) = (events.clone(), &world.on);
    let (_control, tunnel) = on.block_on(async {
        let control = world.client.connect().await.unwrap();
        let tunnel = control.create_tunnel(&options(&[("protocol", "http")])).await.unwrap();
        (control, tunnel)
    });
    tunnel
        .forward_with(&format!("127.0.0.1:{port}"), move |event| {
            log.borrow_mut().push(match event {
                ForwardEvent::Opened { peer } => format!("opened {peer}"),
                ForwardEvent::Closed { peer, bytes_in, bytes_out, error } => {
                    assert!(bytes_in > 50 && bytes_out > 60);
                    format!("closed {peer} {error:?}")
                }
                other => panic!("{other:?}"),
            })
        })
        .unwrap();
    assert_eq!(curl(&world, &[&(tunnel.forwarding_address() + "/path")]), "hello");
    assert!(server.join().unwrap().starts_with("GET /path HTTP/1.1\r\n"));
    world.until(|| events.borrow().len() == 2);
    assert_eq!(*events.borrow(), ["opened 127.0.0.1", "closed 127.0.0.1 None"]);
}

#[test]
fn a_tls_tunnel_gives_the_bytes_inside() {
    let world = World::new();
    let (port, server) = http_service();
    let (_control, tunnel) = world.on.block_on(async {
        let control = world.client.connect().await.unwrap();
        let tunnel = control.create_tunnel(&options(&[("protocol", "tls"), ("tls_mode", "terminated")])).await.unwrap();
        (control, tunnel)
    });
    assert!(tunnel.forwarding_address().ends_with(" (tls)"));
    tunnel.forward(&format!(":{port}")).unwrap();
    let url = format!("https://{}/", tunnel.property("host").unwrap());
    assert_eq!(curl(&world, &["--http1.1", &url]), "hello");
    assert!(server.join().unwrap().contains("Host: "));
}

#[test]
fn a_tls_tunnel_passes_the_handshake_through() {
    let world = World::new();
    let (_control, tunnel) = world.on.block_on(async {
        let control = world.client.connect().await.unwrap();
        let asked = options(&[("protocol", "tls"), ("tls_mode", "passthrough"), ("tls_alpns", "h2,http/1.1")]);
        let tunnel = control.create_tunnel(&asked).await.unwrap();
        (control, tunnel)
    });
    // What comes in is the client's own hello: a TLS record of the type handshake.
    let host = tunnel.property("host").unwrap();
    let address = format!("127.0.0.1:{}", world.engine.port("tls").unwrap());
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", host.split(':').next().unwrap()])
        .args(["-alpn", "http/1.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let first = world.on.block_on(async {
        let stream = tunnel.accept().await.unwrap();
        stream.read(Vec::new()).await.unwrap()
    });
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(first[0], 22);
}

#[test]
fn a_tcp_tunnel_is_a_port() {
    let world = World::with(&[("tcp.port_range", "20000-60000")]);
    let (_control, tunnel) = world.on.block_on(async {
        let control = world.client.connect().await.unwrap();
        let tunnel = control.create_tunnel(&options(&[("protocol", "tcp")])).await.unwrap();
        (control, tunnel)
    });
    let port: u16 = tunnel.property("port").unwrap().parse().unwrap();
    world.on.spawn(serve_echo(world.on.handle(), tunnel)).unwrap();
    let sent = noise(300_000);
    let poster = world.on.poster();
    let wanted = sent.clone();
    let user = thread::spawn(move || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut writer = socket.try_clone().unwrap();
        let sending = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        socket.read_to_end(&mut received).unwrap();
        sending.join().unwrap();
        poster.stop().unwrap();
        received
    });
    assert!(world.on.run().unwrap());
    assert!(user.join().unwrap() == wanted);
}

#[test]
fn a_tunnel_forwards_to_a_unix_socket() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    let path = world.folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    tunnel.forward(&format!("unix:{}", path.display())).unwrap();
    let service = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut all = String::new();
        socket.read_to_string(&mut all).unwrap();
        socket.write_all(all.to_uppercase().as_bytes()).unwrap();
    });
    let answer = world.on.block_on(async {
        let stream = world.client.dial("t").await.unwrap();
        stream.write("loud").await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&stream).await.unwrap()
    });
    assert_eq!(answer, b"LOUD");
    service.join().unwrap();
    assert_eq!(tunnel.forward("a b:80").unwrap_err().code(), Code::INVALID_LOCAL_ENDPOINT);
}

#[test]
fn streams_wait_until_somebody_accepts() {
    let world = World::new();
    let (_control, tunnel) = world.tunnel("t");
    world.on.block_on(async {
        let mut dialed = Vec::new();
        for n in 0..5_u8 {
            let stream = world.client.dial("t").await.unwrap();
            stream.write([n]).await.unwrap();
            dialed.push(stream);
        }
        let waiting = [tunnel.accept(), tunnel.accept()];
        assert_eq!(tunnel.listen(drop).unwrap_err().name(), "EALREADY");
        let mut seen = Vec::new();
        for accepting in waiting {
            seen.extend(accepting.await.unwrap().read(Vec::new()).await.unwrap());
        }
        for _ in 2..5 {
            seen.extend(tunnel.accept().await.unwrap().read(Vec::new()).await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn the_end_of_the_engine_is_the_end_of_tunnels() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("t");
    let told = Rc::new(RefCell::new(Vec::new()));
    for (name, is_tunnel) in [("control", false), ("tunnel", true)] {
        let log = told.clone();
        let callback = move |outcome: rstream::Result<()>| log.borrow_mut().push((name, outcome.is_ok()));
        if is_tunnel { tunnel.on_end(callback) } else { control.on_end(callback) }.unwrap();
    }
    let (accepting, ended, channel) = (tunnel.accept(), tunnel.ended(), control.ended());
    world.on.block_on(async {
        world.engine.stop().await.unwrap();
        assert!(channel.await.is_ok());
        assert_eq!(ended.await.unwrap_err().code(), accepting.await.unwrap_err().code());
        let late = tunnel.accept().await.unwrap_err();
        assert_eq!(late.code(), tunnel.ended().await.unwrap_err().code());
        assert_eq!(world.client.connect().await.unwrap_err().name(), "ECONNREFUSED");
    });
    world.until(|| told.borrow().len() == 2);
    told.borrow_mut().sort_unstable();
    assert_eq!(*told.borrow(), [("control", true), ("tunnel", false)]);
    // Whoever asks late hears of it all the same, but not inside the call.
    let log = told.clone();
    control.on_end(move |_| log.borrow_mut().push(("late", true))).unwrap();
    assert_eq!(told.borrow().len(), 2);
    world.until(|| told.borrow().len() == 3);
}
