# SPDX-License-Identifier: Apache-2.0
"""Our client and our engine with each other over QUIC."""

import socket
import threading

import pytest

from support import origins

QUIC = ["--config-set", "transport.mode=quic"]
PING = b"ping-stream\n"
BULK = bytes(range(256)) * 12_000


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=15)


def read_all(sock):
    received = bytearray()
    while data := sock.recv(65536):
        received += data
    return bytes(received)


def echoes_in_full(port, data=BULK):
    """Sends everything and its end, while the echo is read to its own end."""
    with connected(port) as sock:

        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=send)
        writer.start()
        received = read_all(sock)
        writer.join()
        return received == data


@pytest.mark.parametrize("agent, dialer", [(QUIC, QUIC), (QUIC, []), ([], QUIC)], ids=["both", "agent", "dialer"])
def test_bulk_with_half_close(engine, forward, dial, tcp_server, name, agent, dialer):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish", *agent])
    ours = dial(engine, name, arguments=dialer)
    for _ in range(3):
        assert echoes_in_full(ours.port)


def test_many_streams_at_once(engine, forward, dial, tcp_server, name):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish", *QUIC])
    ours = dial(engine, name, arguments=QUIC)
    socks = [connected(ours.port) for _ in range(100)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%03d" % number + PING)
    for number, sock in enumerate(socks):
        assert sock.recv(100).startswith(b"%03d" % number)
        sock.close()


def test_a_stream_that_nobody_reads_stops_no_other(engine, forward, dial, tcp_server, name):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish", *QUIC])
    ours = dial(engine, name, arguments=QUIC)
    with connected(ours.port) as stalled:
        stalled.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                stalled.sendall(BULK)
        assert echoes_in_full(ours.port)


def test_a_published_tunnel_of_an_agent_over_quic(engine, forward, tcp_server, name):
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--protocol", "tcp", *QUIC])
    assert echoes_in_full(ours.tunnel["port"])


def test_an_engine_that_was_killed_is_noticed(start_engine, forward, tcp_server, name):
    engine = start_engine()
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--no-publish", *QUIC])
    engine.end(number=9, expect=-9)
    ours.judge(ours.wait(timeout=25), expect=5)
