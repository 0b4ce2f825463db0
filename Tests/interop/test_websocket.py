# SPDX-License-Identifier: Apache-2.0
"""WebSocket through published and private tunnels, with the websockets package at both ends."""

import socket
import threading

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from support import origins
from support.websocket_client import websocket


@pytest.fixture
def echo_site():
    """A WebSocket server that accepts only a browser origin equal to its host, as same-origin checks do."""

    def check(connection, request):
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if origin is not None and origin.split("://")[1] != host:
            return connection.respond(403, "origin does not match host\n")
        if request.path == "/ping":
            return connection.respond(200, "pong\n")
        return None

    def handler(connection):
        for message in connection:
            connection.send(message)

    server = serve(handler, "127.0.0.1", 0, process_request=check, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.socket.getsockname()[1]}"
    server.shutdown()


def test_published(engine, forward, echo_site, name):
    ours = forward(engine, echo_site, name)
    with websocket(engine, ours.host, "/ws", origin=f"https://{ours.host}") as connection:
        connection.send(b"hello-ws")
        assert connection.recv(timeout=10) == b"hello-ws"
        connection.send("text")
        assert connection.recv(timeout=10) == "text"
        large = bytes(range(256)) * 2000
        connection.send(large)
        assert connection.recv(timeout=10) == large
        assert connection.ping().wait(10)
    assert connection.protocol.close_code == 1000


def test_published_with_compression(engine, forward, name):
    """An extension negotiated end to end is none of the engine's business."""
    server = serve(lambda c: [c.send(m) for m in c], "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours = forward(engine, f"127.0.0.1:{server.socket.getsockname()[1]}", name)
    with websocket(engine, ours.host, "/ws") as connection:
        assert connection.protocol.extensions
        connection.send("a" * 100000)
        assert connection.recv(timeout=10) == "a" * 100000
    server.shutdown()


def test_the_server_may_speak_first(engine, forward, name):
    server = serve(lambda c: (c.send("first"), c.recv()), "127.0.0.1", 0, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours = forward(engine, f"127.0.0.1:{server.socket.getsockname()[1]}", name)
    with websocket(engine, ours.host, "/ws") as connection:
        assert connection.recv(timeout=10) == "first"
    server.shutdown()


def test_bytes_behind_the_101_are_not_lost(engine, forward, tcp_server, name):
    """The origin sends its first frame in the same segment as the 101."""

    def origin(sock):
        sock.recv(10000)
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x82\x05early"
        )
        origins.echo(sock)

    ours = forward(engine, tcp_server(origin).address, name)
    with engine.tls(ours.host) as stream:
        stream.write(
            f"GET /ws HTTP/1.1\r\nHost: {ours.host}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"early"):
            data = stream.read(timeout=10)
            assert data, answer
            answer += data
        head = answer.split(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 101") and b"upgrade: websocket" in head and b"connection: upgrade" in head
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
        stream.write(b"raw bytes")
        assert stream.read_exactly(9) == b"raw bytes"


def test_refused_upgrade_is_an_ordinary_answer(engine, forward, echo_site, name):
    ours = forward(engine, echo_site, name)
    with pytest.raises(Exception, match="403"):
        with websocket(engine, ours.host, "/ws", origin="https://elsewhere.example.com"):
            pass


def test_end_of_either_side_ends_the_other(engine, forward, tcp_server, name):
    def origin(sock):
        sock.recv(10000)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        origins.echo(sock)

    server = tcp_server(origin)
    ours = forward(engine, server.address, name)
    request = f"GET / HTTP/1.1\r\nHost: {ours.host}\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n".encode()
    with engine.tls(ours.host) as stream:
        stream.write(request)
        assert b"101" in stream.read()
        stream.write(b"abc")
        assert stream.read_exactly(3) == b"abc"
        stream.shutdown_write()
        assert stream.read_all() == b""
    assert ours.closed()
    with engine.tls(ours.host) as stream:
        stream.write(request)
        assert b"101" in stream.read()
        server.connections[-1].shutdown(socket.SHUT_RDWR)
        assert stream.read_all() == b""


def test_private(engine, forward, dial, echo_site, name):
    """Private HTTP and WebSocket: plain HTTP/1.1 over a dialed stream."""
    forward(engine, echo_site, name, ["--no-publish"])
    ours = dial(engine, name)
    sock = socket.create_connection(("127.0.0.1", ours.port), timeout=10)
    with connect(f"ws://{name}/ws", sock=sock, compression=None) as connection:
        connection.send(b"hello-ws")
        assert connection.recv(timeout=10) == b"hello-ws"
    sock = socket.create_connection(("127.0.0.1", ours.port), timeout=10)
    sock.sendall(b"GET /ping HTTP/1.1\r\nHost: private\r\nConnection: close\r\n\r\n")
    answer = b""
    while data := sock.recv(1000):
        answer += data
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"pong\n")


def test_a_plain_tls_handshake_without_alpn(engine, forward, echo_site, name):
    ours = forward(engine, echo_site, name)
    with websocket(engine, ours.host, "/ws", alpn=None) as connection:
        connection.send("no alpn")
        assert connection.recv(timeout=10) == "no alpn"
