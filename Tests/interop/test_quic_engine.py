# SPDX-License-Identifier: Apache-2.0
"""Our engine's QUIC port against aioquic."""

import queue
import signal
import threading

import pytest
from aioquic.quic import packet_builder

from support import origins, quic, wire
from support.quic_client import QUICClient
from support.waiting import wait_until

PING = b"ping-stream\n"
BULK = bytes(range(256)) * 4_000


def echoes(stream, data=PING):
    writer = threading.Thread(target=stream.write, args=(data,))
    writer.start()
    received = stream.read_exactly(len(data))
    writer.join()
    return received == data


def test_a_dialer_has_many_streams_on_one_connection(engine, forward, tcp_server, quic_client, name):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])
    streams = [quic_client.dial(name) for _ in range(30)]
    assert all(echoes(stream) for stream in streams)
    assert echoes(streams[0], BULK)
    quic_client.connection.update_keys()
    assert all(echoes(stream) for stream in streams)


def test_an_agent_is_asked_on_its_connection(engine, dial, quic_client, name):
    control = quic_client.control(liveness=5000)
    control.open_tunnel(name=name, publish=False)
    near, far = quic_client.pair(control, name)
    near.write(PING)
    near.shutdown_write()
    assert far.read_all() == PING
    far.write(b"answered after the end")
    far.shutdown_write()
    assert near.read_all() == b"answered after the end"
    assert [each["id"] for each in engine.clients()].count(control.client_id) == 1
    control.close()
    wait_until(lambda: control.client_id not in [each["id"] for each in engine.clients()])


def test_a_stream_that_is_closed_ends_at_the_other_side(engine, quic_client, name):
    control = quic_client.control()
    control.open_tunnel(name=name, publish=False)
    near, far = quic_client.pair(control, name)
    near.write(PING)
    near.close()
    assert far.read_all() == PING
    near, far = quic_client.pair(control, name)
    near.stream.abort(7)
    with pytest.raises(ConnectionError):
        far.read_all()


def test_what_is_not_spoken(engine, quic_client):
    for name, alpn in [("localhost", "rstrm/9"), ("localhost", "h9")]:
        client = quic.Client(engine.port, engine.ca_file, name, [alpn])
        with pytest.raises(quic.QUICClosed) as closed:
            client.connect()
        assert closed.value.code == quic.NO_APPLICATION_PROTOCOL
        client.close()


def test_a_connection_that_says_nothing_is_no_error(start_engine):
    engine = start_engine()
    with QUICClient(engine.port, engine.ca_file) as client:
        client.connection.ping_peer()
        client.connection.end()
    with QUICClient(engine.port, engine.ca_file) as client:
        client.connect().write(b"")
        client.connect().close()
        client.connection.ping_peer()
    assert not [line for line in engine.log.splitlines() if "error" in line or "warn" in line]


def test_a_bad_first_message_ends_its_stream_alone(engine, quic_client, name):
    bad = quic_client.connect()
    bad.write(b"\xff\xff\xff\xff garbage")
    assert bad.read_all() == b""
    with pytest.raises(wire.Refused):
        quic_client.dial(name)


def test_retry(start_engine, name):
    engine = start_engine(settings={"quic.retry": "always"})
    with QUICClient(engine.port, engine.ca_file) as client:
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        near, far = client.pair(control, name)
        near.write(PING)
        assert far.read_exactly(len(PING)) == PING


def test_a_client_that_comes_back_may_clear_the_quic_bit(engine, quic_client, monkeypatch):
    """The engine takes packets without the bit, and the client's token shows that it knows (RFC 9287, section 3.1)."""
    tokens = queue.Queue()
    connection = quic_client.quic.connect(wait=False)
    connection._quic._token_handler = tokens.put
    connection.wait_ready()
    token = tokens.get(timeout=10)
    first_byte = packet_builder.encode_long_header_first_byte
    monkeypatch.setattr(
        packet_builder,
        "encode_long_header_first_byte",
        lambda *fields: first_byte(*fields) & ~packet_builder.PACKET_FIXED_BIT,
    )
    assert quic_client.quic.connect(token=token).alpn == wire.ALPN


def test_without_quic(start_engine):
    engine = start_engine(settings={"quic.enabled": "false"})
    client = quic.Client(engine.port, engine.ca_file, "localhost", [wire.ALPN])
    with pytest.raises((AssertionError, OSError, quic.QUICClosed)):
        client.connect(timeout=1)
    client.close()


def test_draining(start_engine, name):
    engine = start_engine()
    client = QUICClient(engine.port, engine.ca_file)
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near, far = client.pair(control, name)
    engine.send_signal(signal.SIGTERM)
    control.expect("close_control_channel_rsp", timeout=5)
    near.write(b"still here")
    assert far.read_exactly(10) == b"still here"
    near.close()
    far.close()
    engine.judge(engine.wait(timeout=8))
    assert client.connection.wait_closed().code == 0
    client.close()
