# SPDX-License-Identifier: Apache-2.0
"""Watching over WebSocket: foreign clients with our engine, and ours with engines that others have written. The official
client's watch is in test_watch.py."""

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from support.certificates import Authority
from support.ctl import unique
from support.fake_api import FakeAPI, response
from support.ports import free_port_range
from support.process import Program, build_product, clean_environment
from support.proxies import ConnectProxy
from support.tls import client_context
from support.tokens import CREATE, LIST, mint
from support.waiting import wait_until

SECRET = "websocket-test-secret-0123456789abcd"


# -- foreign clients with our engine ----------------------------------------------------------------------------------


@contextlib.contextmanager
def watching(engine, query="", **options):
    """The websockets package at /api/websocket."""
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    context = client_context(engine.ca_file, ["http/1.1"])
    url = f"wss://{engine.host}:{engine.port}/api/websocket{query}"
    options = {"max_size": 1 << 24, **options}
    with connect(url, sock=sock, ssl=context, server_hostname=engine.host, **options) as connection:
        yield connection


def next_event(connection):
    message = connection.recv(timeout=10)
    assert isinstance(message, str)
    return json.loads(message)


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


# -- ours with engines that others have written -----------------------------------------------------------------------


@pytest.fixture
def watch(tmp_path):
    """Starts `rstreamctl watch --websocket --json`: watch(engine, *arguments)."""
    made = []

    def start(engine, *arguments, token=None):
        options = [*engine.client_options(token), *arguments]
        command = [build_product("rstreamctl"), "watch", "--websocket", "--json", *options]
        made.append(Program(command, tmp_path / f"watch-{len(made)}.log", environment=clean_environment()))
        return made[-1]

    yield start
    for program in made:
        if program.is_running:
            program.end()
        elif not program.judged:
            program.judge(program.wait())


def ended(program, code):
    program.judge(program.wait(timeout=40), code)


def event(number, **more):
    return json.dumps({"type": "tunnel.created", "object": {"id": f"t{number}"}, **more})


SNAPSHOT = json.dumps({"type": "state.initial", "object": {"clients": [], "tunnels": []}})


class ForeignEngine:
    """The websockets package as an engine; `handle(connection)` is called for each watch."""

    def __init__(self, directory, handle, **options):
        authority = Authority(directory)
        self.ca_file = authority.ca_file
        self.requests = []
        self._handle = handle
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("localhost"))
        context.set_alpn_protocols(["http/1.1"])
        self._server = serve(self._serve, "127.0.0.1", 0, ssl=context, **options)
        self.address = f"localhost:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def client_options(self, token=None):
        return ["--engine", self.address, "--ca-file", self.ca_file] + (["--token", token] if token else [])

    def _serve(self, connection):
        self.requests.append(connection.request)
        self._handle(connection)

    def close(self):
        self._server.shutdown()


@pytest.fixture
def foreign(tmp_path):
    made = []

    def start(handle, **options):
        made.append(ForeignEngine(tmp_path, handle, **options))
        return made[-1]

    yield start
    for engine in made:
        engine.close()


@pytest.fixture
def fake(tmp_path):
    made = []

    def start(answer):
        directory = tmp_path / f"api-{len(made)}"
        directory.mkdir()
        made.append(FakeAPI(directory, answer))
        return made[-1]

    yield start
    for api in made:
        api.close()


def test_ours_and_our_engine(engine, client, watch, name):
    control = client.control()
    early = control.open_tunnel(name=name, labels={"k": name}, publish=False).id.value
    program = watch(engine, "--tunnels", f"labels.k={name}", "--clients", "agent=nobody")
    first = program.wait_line(type="state.initial")
    assert [tunnel["id"] for tunnel in first["object"]["tunnels"]] == [early] and first["object"]["clients"] == []
    control.close_tunnel(early)
    assert program.wait_line(type="tunnel.deleted")["object"]["id"] == early


def test_ours_connects_again_when_the_engine_is_back(start_engine, watch):
    port = free_port_range(1).split("-")[0]
    engine = start_engine(arguments=["--listen", f"127.0.0.1:{port}"])
    once, always = watch(engine), watch(engine, "--reconnect")
    for program in (once, always):
        program.wait_line(type="state.initial")
    engine.end()
    ended(once, 0)
    engine = start_engine(arguments=["--listen", f"127.0.0.1:{port}"])
    assert always.wait_line(type="state.initial", timeout=40)["object"]["clients"] == []


def test_through_a_proxy(engine, watch):
    with ConnectProxy(engine.port) as proxy:
        program = watch(engine, "--config-set", f"transport.proxy.http=http://127.0.0.1:{proxy.port}")
        assert program.wait_line(type="state.initial")
        (request,) = proxy.requests
        assert request.startswith(f"CONNECT {engine.address} ")
        program.end()


def test_a_watch_ends_with_its_token(start_engine, watch):
    settings = {"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET}
    engine = start_engine(settings=settings)
    token = mint(SECRET, [LIST], lifetime=4)
    program = watch(engine, token=token)
    assert program.wait_line(type="state.initial")
    with watching(engine, f"?rstream.token={token}") as connection:
        assert next_event(connection)["type"] == "state.initial"
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=10)
    assert closed.value.rcvd.code == 1001
    ended(program, 0)


def test_what_is_asked(foreign, watch):
    def handle(connection):
        connection.send(SNAPSHOT)
        connection.recv()

    engine = foreign(handle)
    program = watch(engine, "--tunnels", "name=a b", "--tunnels", "labels.x", "--clients", "os=linux", token="secret")
    program.wait_line(type="state.initial")
    (request,) = engine.requests
    assert request.headers["Authorization"] == "Bearer secret" and "secret" not in request.path
    path, _, query = request.path.partition("?params=")
    assert path == "/api/websocket" and request.headers["Host"] == engine.address
    assert json.loads(urllib.parse.unquote(query)) == {
        "tunnels": {"name": "a b", "labels": {"x": None}},
        "clients": {"os": "linux"},
    }
    # Compression is not offered, and no page asks.
    assert {"Origin", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"}.isdisjoint(request.headers)


def test_events_of_every_form(foreign, watch):
    large = "x" * 3_000_000

    def handle(connection):
        assert connection.ping("there?").wait(10)
        connection.send(SNAPSHOT)
        connection.send(event(1).encode())
        connection.send([event(2)[:5], event(2)[5:6], event(2)[6:]])
        connection.send(json.dumps({"type": "stream.summary"}))
        connection.send("[1]")
        connection.send(event(3, filling=large))
        connection.send(event("é"))

    program = watch(foreign(handle))
    ended(program, 0)
    ids = [line["object"]["id"] for line in program.lines if line["type"] == "tunnel.created"]
    assert ids == ["t1", "t2", "t3", "té"]
    assert "offline" not in json.dumps([line for line in program.lines if "filling" not in line])


@pytest.mark.parametrize(
    "code, name, exit_code",
    [
        (1000, None, 0),
        (1001, None, 0),
        (1002, "ERR_RSTREAM_PROTOCOL", 1),
        (1008, "ECONNRESET", 5),
        (1011, "ECONNRESET", 5),
        (4321, "ECONNRESET", 5),
    ],
)
def test_codes_of_closing(foreign, watch, code, name, exit_code):
    def handle(connection):
        connection.send(SNAPSHOT)
        connection.close(code, "because of secret")

    program = watch(foreign(handle), token="secret")
    if name:
        line = program.wait_line(status="offline")
        assert line["code"] == name and f"the code {code}: because of ..." in line["error"]
    ended(program, exit_code)


def test_a_client_that_ends_says_so(foreign, watch):
    codes = []

    def handle(connection):
        connection.send(SNAPSHOT)
        with contextlib.suppress(ConnectionClosed):
            connection.recv()
        codes.append((connection.protocol.close_rcvd.code, connection.protocol.close_sent.code))

    program = watch(foreign(handle))
    program.wait_line(type="state.initial")
    program.end()
    wait_until(lambda: codes == [(1000, 1000)])


def test_an_engine_that_breaks_off(foreign, watch):
    """Each time there is a snapshot; codes that may pass and connections that are lost are tried again."""
    attempts = []

    def handle(connection):
        attempts.append(connection)
        connection.send(SNAPSHOT)
        if len(attempts) == 1:
            connection.close(1011)
        elif len(attempts) == 2:
            connection.socket.shutdown(socket.SHUT_RDWR)
        elif len(attempts) == 3:
            connection.send(event(3))
            with contextlib.suppress(ConnectionClosed):
                connection.recv()

    program = watch(foreign(handle), "--reconnect")
    assert program.wait_line(type="tunnel.created", timeout=30)["object"]["id"] == "t3"
    assert [line["type"] for line in program.lines].count("state.initial") == 3


def agreement(request, **changes):
    """The response to a handshake; a header that is None is left out."""
    key = request.headers["sec-websocket-key"]
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()


def frame(first, payload=b""):
    if len(payload) < 126:
        return struct.pack("!BB", first, len(payload)) + payload
    return struct.pack("!BBQ", first, 127, len(payload)) + payload


WRONG = {
    "accept": (lambda r: agreement(r, Sec_WebSocket_Accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "ERR_RSTREAM_PROTOCOL", 1),
    "no accept": (lambda r: agreement(r, Sec_WebSocket_Accept=None), "ERR_RSTREAM_PROTOCOL", 1),
    "upgrade": (lambda r: agreement(r, Upgrade="h2c"), "ERR_RSTREAM_PROTOCOL", 1),
    "no connection": (lambda r: agreement(r, Connection=None), "ERR_RSTREAM_PROTOCOL", 1),
    "extension": (lambda r: agreement(r, Sec_WebSocket_Extensions="permessage-deflate"), "ERR_RSTREAM_PROTOCOL", 1),
    "subprotocol": (lambda r: agreement(r, Sec_WebSocket_Protocol="x"), "ERR_RSTREAM_PROTOCOL", 1),
    "401": (lambda r: response(b"no such token", "401 Unauthorized", "text/plain"), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    "403": (lambda r: response(b"not permitted", "403 Forbidden", "text/plain"), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    "404": (lambda r: response(b"not here", "404 Not Found", "text/plain"), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    "302": (lambda r: response(b"", "302 Found", headers=("Location: /",)), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    "503": (lambda r: response(b"busy", "503 Busy", "text/plain"), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    "page": (lambda r: response(b"<html>hello</html>", "200 OK", "text/html"), "ERR_RSTREAM_ENGINE_API_PAYLOAD", 1),
    "no HTTP": (lambda r: b"\x16\x03\x01", "ERR_RSTREAM_PROTOCOL", 1),
    "no frame": (lambda r: agreement(r) + b"\x83\x00", "ERR_RSTREAM_PROTOCOL", 1),
    "masked": (lambda r: agreement(r) + b"\x81\x81\x01\x02\x03\x04\x05", "ERR_RSTREAM_PROTOCOL", 1),
    "no UTF-8": (lambda r: agreement(r) + frame(0x81, b"\xff"), "ERR_RSTREAM_PROTOCOL", 1),
    "no JSON": (lambda r: agreement(r) + frame(0x81, b"{"), "ERR_RSTREAM_EVENT_JSON", 1),
    "huge": (lambda r: agreement(r) + frame(0x81, b"x" * (17 << 20)), "ERR_RSTREAM_ENGINE_API_PAYLOAD", 1),
    "huge in theory": (lambda r: agreement(r) + b"\x81\x7f" + b"\x7f" + b"\xff" * 8, "ERR_RSTREAM_ENGINE_API_PAYLOAD", 1),
    "cut off": (lambda r: agreement(r) + frame(0x81, SNAPSHOT.encode())[:20], "ECONNRESET", 4),
}


@pytest.mark.parametrize("answer, name, code", WRONG.values(), ids=WRONG.keys())
def test_answers_that_are_wrong(fake, watch, answer, name, code):
    def send(connection, request):
        with contextlib.suppress(OSError):
            connection.sendall(answer(request))
        return False

    api = fake(send)
    program = watch(api, "--reconnect", token="secret-token")
    line = program.wait_line(status="offline", timeout=20)
    assert line["code"] == name and "secret-token" not in line["error"]
    if line["engine_code"]:
        assert f"answered {line['engine_code']}" in line["error"]
    ended(program, code)
    assert len(api.requests) == 1


def test_an_engine_that_says_nothing(fake, watch):
    program = watch(fake(lambda *_: None))
    started = time.monotonic()
    assert program.wait_line(status="offline")["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT"
    assert time.monotonic() - started < 10
    ended(program, 4)


def silent(times):
    """An engine that sends a snapshot and then nothing; `times` collects when it was pinged."""

    def serve(connection, request):
        connection.sendall(agreement(request) + frame(0x81, SNAPSHOT.encode()))
        while data := connection.recv(4096):
            assert data[0] == 0x89 and data[1] & 0x80
            times.append(time.monotonic())
        return False

    return serve


def test_a_ping_comes_after_a_while(fake, watch):
    times = []
    program = watch(fake(silent(times)))
    program.wait_line(type="state.initial")
    started = time.monotonic()
    wait_until(lambda: times, timeout=30, what="a ping")
    assert 18 < times[0] - started < 25
    program.kill()


@pytest.mark.skipif("RSTREAM_SLOW_TESTS" not in os.environ, reason="takes 90 s: RSTREAM_SLOW_TESTS=1 runs it")
@pytest.mark.timeout(150)
def test_an_engine_that_gives_no_sign_is_gone(fake, watch):
    times = []
    program = watch(fake(silent(times)))
    program.wait_line(type="state.initial")
    started = time.monotonic()
    line = program.wait_line(status="offline", timeout=110)
    assert line["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT" and "silent for 90000 ms" in line["error"]
    assert 88 < time.monotonic() - started < 100
    assert len(times) == 4 and all(18 < after - before < 25 for before, after in zip([started, *times], times))
    ended(program, 5)
