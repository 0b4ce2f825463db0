# SPDX-License-Identifier: Apache-2.0
"""Bad input for the engine: nothing crashes, other tunnels keep working. The client's is in test_bad_input_client.py."""

import contextlib
import random
import socket

import pytest

from support import wire
from support.broken_frames import FRAMES
from support.bystander import bystander
from support.waiting import wait_until


def garbage(seed):
    return random.Random(seed).randbytes(2000)


@pytest.mark.parametrize("seed", range(5))
def test_engine_takes_garbage_instead_of_tls(engine, client, name, seed):
    with bystander(engine, name) as check:
        for _ in range(20):
            sock = client.connect_tcp()
            sock.sendall(garbage(seed))
            check() if _ == 10 else None
            sock.settimeout(5)
            with contextlib.suppress(ConnectionError):
                while sock.recv(1000):
                    pass


FIRST_RECORDS = {
    "huge-record": b"\x16\x03\x01\xff\xff",
    "huge-hello": b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
    "empty-record": b"\x16\x03\x01\x00\x00",
    "alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data": b"\x17\x03\x03\x40\x00",
    "sslv2": b"\x80\x2e\x01\x03\x01",
    "http": b"GET / HTTP/1.0\r\n\r\n",
    "ssh": b"SSH-2.0-x\r\n",
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
}


@pytest.mark.parametrize("start", FIRST_RECORDS.values(), ids=FIRST_RECORDS.keys())
def test_engine_takes_strange_first_records(start_engine, name, start):
    engine = start_engine(settings={"timeouts.handshake_seconds": 1})
    client = engine.fake_client()
    with bystander(engine, name):
        sock = client.connect_tcp()
        sock.sendall(start + b"\0" * 200)
        sock.settimeout(5)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass


def test_engine_takes_a_client_hello_cut_at_every_tenth_byte(engine, client, name):
    with bystander(engine, name):
        hello = client.begin_tls(client.connect_tcp()).client_hello()
        for length in range(1, len(hello), 10):
            sock = client.connect_tcp()
            sock.sendall(hello[:length])
            sock.close()


def test_engine_takes_a_client_hello_with_every_byte_broken(engine, client, name):
    with bystander(engine, name):
        hello = bytearray(client.begin_tls(client.connect_tcp()).client_hello())
        for index in range(5, len(hello), 7):
            broken = bytes(hello[:index]) + bytes([hello[index] ^ 0xFF]) + bytes(hello[index + 1 :])
            sock = client.connect_tcp()
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.sendall(broken)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
            sock.close()


@pytest.mark.parametrize("kind", FRAMES)
def test_engine_closes_channels_that_break_the_framing(engine, client, name, kind):
    with bystander(engine, name):
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        try:
            control.send(payload=FRAMES[kind])
        except OSError:
            pass
        control.expect_end()
        assert engine.tunnels(name=name) == []


@pytest.mark.parametrize(
    "kind", ["empty", "unknown-payload", "engine-message", "open-again", "proxy-req", "unknown-field"]
)
def test_engine_with_messages_that_do_not_belong_on_a_channel(engine, client, name, kind):
    """Ignored or answered by the end of this channel; never more than that."""
    unknown = wire.open_tunnel("r", name=name, publish=False).SerializeToString() + b"\xfa\x07\x02hi"
    message = {
        "empty": b"",
        "unknown-payload": b"\xfa\x07\x02hi",
        "engine-message": wire.proxy_conn_req("t", "s", "x"),
        "open-again": wire.open_control(),
        "proxy-req": wire.proxy_req("s", "x"),
        "unknown-field": unknown,
    }[kind]
    with bystander(engine, name):
        control = client.control()
        control.send(message)
        if kind == "unknown-field":
            assert control.expect("open_tunnel_rsp").tunnel_properties.id.value
            return
        try:
            assert control.open_tunnel(publish=False).id.value
        except (wire.Closed, OSError):
            control.expect_end()


def test_engine_takes_every_truncation_of_a_conversation(engine, client, name):
    whole = wire.frame(wire.open_control(liveness=1000)) + wire.frame(wire.open_tunnel("r", name=name, publish=False))
    with bystander(engine, name):
        for length in range(1, len(whole), 3):
            connection = client.connect()
            connection.write(whole[:length])
            connection.stream.sock.close()
        wait_until(lambda: engine.tunnels(name=name) == [])


def test_engine_takes_flipped_bits_in_a_conversation(engine, client, name):
    whole = wire.frame(wire.open_control(token="t", liveness=1000)) + wire.frame(
        wire.open_tunnel("r", name=name, labels={"a": "b"}, publish=True, protocol="tls", tls_alpns=["x"])
    )
    dice = random.Random(7)
    with bystander(engine, name):
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(dice.randrange(1, 4)):
                broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
            connection = client.connect()
            connection.write(bytes(broken))
            with contextlib.suppress(OSError):
                connection.read(timeout=0.02)
            connection.stream.sock.close()


@pytest.mark.parametrize(
    "values",
    [
        dict(name="x" * 60000),
        dict(labels={f"label-{n}": "v" * 10 for n in range(2500)}),
        dict(tls_alpns=["a" * 300], protocol="tls"),
        dict(tls_alpns=[""], protocol="tls"),
        dict(tls_alpns=["a" * 200] * 250, protocol="tls"),
        dict(hostname="a" * 300),
        dict(hostname="..\0"),
        dict(hostname="*"),
        dict(port=0, protocol="tcp"),
        dict(port=4294967295, protocol="tcp"),
        dict(trusted_ips=["1.2.3.4/99"]),
        dict(trusted_ips=["::/0"] * 3000),
        dict(type="nonsense"),
        dict(protocol="nonsense"),
        dict(tls_min_version="ssl3", protocol="tls"),
        dict(tls_ciphers=["NOT-A-CIPHER"], protocol="tls"),
        dict(http_version="http/9"),
    ],
    ids=lambda values: next(iter(values)),
)
def test_engine_with_extreme_properties(engine, client, name, values):
    """Refused with 2000 (or granted where nothing is wrong with it): the channel goes on either way."""
    with bystander(engine, name):
        control = client.control()
        try:
            control.open_tunnel(**values)
        except wire.Refused as refusal:
            assert refusal.code in (2000, 5000, 7000), refusal
        assert control.open_tunnel(publish=False).id.value
        assert engine.api("/api/tunnels")[0] == 200
