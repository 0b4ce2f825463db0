# SPDX-License-Identifier: Apache-2.0
"""Limits on handshakes and idle keep-alive end there: a stream that is silent, however long, is left alone."""

import socket
import time

import pytest

from support import origins, wire
from support.ports import free_port_range

SILENCE = 3.5
SHORT = {
    "timeouts.handshake_seconds": 1,
    "timeouts.stream_request_seconds": 1,
    "timeouts.http_idle_seconds": 1,
    "timeouts.drain_seconds": 1,
}


@pytest.fixture
def impatient(start_engine):
    return start_engine(settings=SHORT, arguments=["--tcp-ports", free_port_range(5)])


def test_silent_streams_of_every_kind(impatient, forward, tcp_server, name):
    """Private, tcp, tls and both TLS modes side by side: all are silent for a while and go on then."""
    echo = tcp_server(origins.echo).address
    forward(impatient, echo, name, ["--no-publish"])
    port = forward(impatient, echo, f"{name}-tcp", ["--protocol", "tcp"]).tunnel["port"]
    host = forward(impatient, echo, f"{name}-tls", ["--protocol", "tls"]).host
    client = impatient.fake_client()
    dialed = [client.dial(name, zero_rtt=zero_rtt) for zero_rtt in (True, False)]
    published = impatient.tls(host)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as tcp:
        for _ in range(2):
            for stream in (*dialed, published):
                stream.write(b"still there?")
                assert stream.read_exactly(12) == b"still there?"
            tcp.sendall(b"still there?")
            assert tcp.recv(100) == b"still there?"
            time.sleep(SILENCE)
        assert tcp.send(b"x") == 1 and tcp.recv(1) == b"x"


def test_silent_control_channels(impatient):
    """A client without liveness says nothing for long; one with liveness says something now and then."""
    client = impatient.fake_client()
    quiet, lively = client.control(), client.control(liveness=5000)
    lively.send(wire.heartbeat(1))
    time.sleep(SILENCE)
    assert quiet.is_open and lively.is_open
    assert quiet.open_tunnel(publish=False).id.value and lively.open_tunnel(publish=False).id.value


def test_silent_upgrades_and_slow_answers(impatient, forward, tcp_server, name):
    """An upgraded connection, and an answer with a pause in it, are not idle keep-alive connections."""

    def origin(sock):
        head = sock.recv(10000)
        if b"Upgrade" in head:
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
            origins.echo(sock)
            return
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(SILENCE)
        sock.sendall(b"cd")

    host = forward(impatient, tcp_server(origin).address, name).host
    upgraded, slow = impatient.tls(host), impatient.tls(host)
    upgraded.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n".encode())
    slow.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"abcd"):
        data = slow.read(timeout=10)
        assert data, answer
        answer += data
    assert b"101" in upgraded.read()
    upgraded.write(b"still there?")
    assert upgraded.read_exactly(12) == b"still there?"


def test_a_slow_upload(impatient, forward, site, name):
    """The limit is on the head of a request, not on a body that keeps coming."""
    host = forward(impatient, site().address, name).host
    stream = impatient.tls(host)
    stream.write(f"POST /digest HTTP/1.1\r\nHost: {host}\r\nContent-Length: 14\r\nConnection: close\r\n\r\n".encode())
    for _ in range(14):
        stream.write(b"x")
        time.sleep(SILENCE / 14)
    assert b" 200 " in stream.read_all().split(b"\r\n")[0]


def test_an_origin_that_thinks_for_long(impatient, forward, site, name):
    """How long a service takes to answer is its own business once it has the request."""
    host = forward(impatient, site().address, name).host
    connection = impatient.http(host)
    connection.request("GET", "/slow")
    assert connection.getresponse().read() == b"slow\n"
