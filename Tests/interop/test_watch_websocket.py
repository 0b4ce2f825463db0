# SPDX-License-Identifier: Apache-2.0
"""Watching over WebSocket: foreign clients with our engine. The official client's watch is in test_watch.py, ours in
test_watch_websocket_client.py."""

import base64
import contextlib
import hashlib
import json
import select
import struct
import threading
import time
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.ctl import unique
from support.tokens import CREATE, LIST, mint
from support.waiting import wait_until
from support.websocket_watch import next_event, watching

SECRET = "websocket-test-secret-0123456789abcd"


def test_a_foreign_client(engine, client):
    label = unique("ws")
    control = client.control()
    early = control.open_tunnel(name=label, labels={"k": label}, publish=False).id.value
    params = {"tunnels": {"labels": {"k": label}}, "clients": {"id": "nobody"}}
    with watching(engine, f"?params={urllib.parse.quote(json.dumps(params))}", subprotocols=["other"]) as connection:
        assert connection.subprotocol is None and not connection.protocol.extensions
        first = next_event(connection)
        assert first["type"] == "state.initial" and first["object"]["clients"] == []
        assert [tunnel["id"] for tunnel in first["object"]["tunnels"]] == [early]
        assert connection.ping("are you there").wait(10)
        # Nobody asks what a watcher says; it does not end the watch either.
        connection.send("ignored")
        connection.send(["in ", "three ", "parts"])
        connection.send(b"\x00\xff")
        control.close_tunnel(early)
        assert next_event(connection)["type"] == "tunnel.deleted"
    assert connection.protocol.close_code == 1000


def test_tokens(start_engine):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})

    def status(query="", token=None, **options):
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            with watching(engine, query, additional_headers=headers, **options) as connection:
                return next_event(connection)["type"]
        except InvalidStatus as refusal:
            assert len(refusal.response.body) < 300 and b"<" not in refusal.response.body
            return refusal.response.status_code

    listing = mint(SECRET, [LIST])
    assert status(token=listing) == "state.initial"
    assert status(f"?rstream.token={listing}", origin="https://dashboard.example") == "state.initial"
    assert status() == 401
    assert status(token=mint("x" * 40)) == 401
    assert status(token=mint(SECRET, [CREATE])) == 403
    assert status(f"?rstream.token={mint(SECRET, [LIST], lifetime=7200)}") == 401
    assert status(f"?rstream.token={mint(SECRET)}") == 401
    assert status(f"?rstream.token={listing}", token=listing) == 401
    assert status("?params=%7B", token=listing) == 400
    assert listing not in engine.log


def test_pages_of_other_origins(engine):
    """A browser lets every page open a WebSocket; without a token, which only the owner knows, the page has to be ours."""
    with pytest.raises(InvalidStatus) as refusal:
        with watching(engine, origin="https://other.example"):
            pass
    assert refusal.value.response.status_code == 403
    with watching(engine, origin=f"https://{engine.host}:{engine.port}") as connection:
        assert next_event(connection)["type"] == "state.initial"


class RawClient:
    """WebSocket by hand: also what no library sends."""

    def __init__(self, engine):
        self.stream = engine.tls(alpn=["http/1.1"])
        key = base64.b64encode(b"0123456789abcdef").decode()
        self.stream.write(
            f"GET /api/websocket HTTP/1.1\r\nHost: {engine.host}:{engine.port}\r\nConnection: keep-alive, Upgrade\r\n"
            f"Upgrade: WebSocket\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.stream.read_exactly(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        assert b"\r\nSec-WebSocket-Accept: " + accept + b"\r\n" in head
        assert self.read()[:2] == (0x81, False)

    def send(self, first, payload=b"", masked=True):
        length = len(payload)
        mark = 0x80 if masked else 0
        if length < 126:
            head = struct.pack("!BB", first, mark | length)
        elif length < 65536:
            head = struct.pack("!BBH", first, mark | 126, length)
        else:
            head = struct.pack("!BBQ", first, mark | 127, length)
        mask = b"\x01\x02\x03\x04" if masked else b""
        if masked:
            payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.stream.write(head + mask + payload)

    def read(self):
        """A frame: (first byte, whether it is masked, payload)."""
        first, second = self.stream.read_exactly(2)
        length = second & 127
        if length >= 126:
            length = int.from_bytes(self.stream.read_exactly(2 if length == 126 else 8), "big")
        return first, bool(second & 0x80), self.stream.read_exactly(length)

    def expect_close(self, code):
        first, masked, payload = self.read()
        while first in (0x81, 0x8A):
            first, masked, payload = self.read()
        assert (first, masked) == (0x88, False)
        assert (int.from_bytes(payload[:2], "big") if payload else None) == code
        assert self.stream.read() == b""

    @property
    def is_reset(self):
        poll = select.poll()
        poll.register(self.stream.sock, 0)
        return bool(poll.poll(0))

    def close(self):
        self.stream.close()


@pytest.fixture
def raw(engine):
    client = RawClient(engine)
    yield client
    client.close()


def test_frames_that_are_in_order(raw):
    raw.send(0x89, b"x" * 125)
    assert raw.read() == (0x8A, False, b"x" * 125)
    raw.send(0x01, b"in ")
    raw.send(0x89, b"between")
    raw.send(0x00, b"two ")
    raw.send(0x80, b"parts")
    assert raw.read() == (0x8A, False, b"between")
    raw.send(0x81, "é".encode())
    raw.send(0x8A, b"nobody asked")
    raw.send(0x82, b"x" * 65536)
    raw.send(0x89)
    assert raw.read() == (0x8A, False, b"")
    raw.send(0x88, struct.pack("!H", 1001) + b"bye")
    raw.expect_close(1001)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 3000, 4999])
def test_codes_of_closing_come_back(raw, code):
    raw.send(0x88, struct.pack("!H", code) if code else b"")
    raw.expect_close(code)


BROKEN = {
    "unmasked": ([(0x81, b"x", False)], 1002),
    "unmasked close": ([(0x88, b"", False)], 1002),
    "reserved bit": ([(0xC1, b"x", True)], 1002),
    "reserved opcode": ([(0x83, b"x", True)], 1002),
    "long ping": ([(0x89, b"x" * 126, True)], 1002),
    "ping in parts": ([(0x09, b"x", True)], 1002),
    "continuation": ([(0x80, b"x", True)], 1002),
    "message in message": ([(0x01, b"x", True), (0x81, b"x", True)], 1002),
    "no UTF-8": ([(0x81, b"\xff", True)], 1007),
    "half a character": ([(0x01, b"\xc3", True), (0x80, b"x", True)], 1007),
    "half a code": ([(0x88, b"\x03", True)], 1002),
    "code of no one": ([(0x88, struct.pack("!H", 1006), True)], 1002),
    "reason without UTF-8": ([(0x88, b"\x03\xe8\xff", True)], 1007),
    "too large": ([(0x81, b"x" * 65537, True)], 1009),
    "too large in parts": ([(0x01, b"x" * 65536, True), (0x80, b"x", True)], 1009),
}


@pytest.mark.parametrize("frames, code", BROKEN.values(), ids=BROKEN.keys())
def test_frames_that_break_the_rules(raw, frames, code):
    for first, payload, masked in frames:
        raw.send(first, payload, masked)
    raw.expect_close(code)


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
REFUSED = [
    ({"Upgrade": None}, 426),
    ({"Connection": None}, 426),
    ({"Upgrade": "h2c"}, 426),
    ({"Sec-WebSocket-Version": "8"}, 426),
    ({"Sec-WebSocket-Version": None}, 426),
    ({"Sec-WebSocket-Key": None}, 400),
    ({"Sec-WebSocket-Key": "short"}, 400),
]


@pytest.mark.parametrize("changes, status", REFUSED, ids=range(len(REFUSED)))
def test_requests_that_are_no_handshake(engine, changes, status):
    headers = {name: value for name, value in (HANDSHAKE | changes).items() if value is not None}
    connection = engine.http()
    for _ in range(2):
        connection.request("GET", "/api/websocket", headers=headers)
        answer = connection.getresponse()
        assert answer.status == status and answer.headers.get_content_type() == "text/plain"
        assert 0 < len(answer.read()) < 200
        if status == 426:
            assert answer.headers["Upgrade"] == "websocket" and answer.headers["Sec-WebSocket-Version"] == "13"
    connection.close()


def test_who_does_not_read_is_cut_off(start_engine):
    engine = start_engine()
    reading, silent = RawClient(engine), RawClient(engine)
    control = engine.fake_client().control()
    labels = {f"label-{number}": "v" * 200 for number in range(20)}
    told = [0]

    def read():
        with contextlib.suppress(ConnectionError):
            while reading.read()[0] == 0x81:
                told[0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    changes = 0
    deadline = time.monotonic() + 60
    while not silent.is_reset and time.monotonic() < deadline:
        control.close_tunnel(control.open_tunnel(labels=labels, publish=False).id.value)
        changes += 2
    assert silent.is_reset, f"not cut off after {changes} changes"
    # Each tunnel twice, and the agent.
    wait_until(lambda: told[0] == changes + 1, timeout=20, what="the last event")
    engine.end()
    reader.join(10)
    assert not reader.is_alive()
    silent.close()
    reading.close()


def test_an_engine_that_stops_closes(start_engine):
    engine = start_engine()
    with watching(engine) as connection:
        assert next_event(connection)["type"] == "state.initial"
        engine.end()
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=10)
    assert closed.value.rcvd.code == 1001 and closed.value.rcvd_then_sent
