# SPDX-License-Identifier: Apache-2.0
"""Watching over WebSocket: our client with engines that others have written, and with ours."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from support.certificates import Authority
from support.fake_api import response
from support.ports import free_port_range
from support.proxies import ConnectProxy
from support.tokens import LIST, mint
from support.waiting import wait_until
from support.websocket_watch import next_event, watching

SECRET = "websocket-test-secret-0123456789abcd"


@pytest.fixture
def watch(watch):
    """Starts `rstreamctl watch --websocket --json`: watch(engine, *arguments)."""
    return lambda engine, *arguments, **options: watch(engine, "--websocket", *arguments, **options)


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
def test_answers_that_are_wrong(fake_api, watch, answer, name, code):
    def send(connection, request):
        with contextlib.suppress(OSError):
            connection.sendall(answer(request))
        return False

    api = fake_api(send)
    program = watch(api, "--reconnect", token="secret-token")
    line = program.wait_line(status="offline", timeout=20)
    assert line["code"] == name and "secret-token" not in line["error"]
    if line["engine_code"]:
        assert f"answered {line['engine_code']}" in line["error"]
    ended(program, code)
    assert len(api.requests) == 1


def test_an_engine_that_says_nothing(fake_api, watch):
    program = watch(fake_api(lambda *_: None))
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


def test_a_ping_comes_after_a_while(fake_api, watch):
    times = []
    program = watch(fake_api(silent(times)))
    program.wait_line(type="state.initial")
    started = time.monotonic()
    wait_until(lambda: times, timeout=30, what="a ping")
    assert 18 < times[0] - started < 25
    program.kill()


@pytest.mark.skipif("RSTREAM_SLOW_TESTS" not in os.environ, reason="takes 90 s: RSTREAM_SLOW_TESTS=1 runs it")
@pytest.mark.timeout(150)
def test_an_engine_that_gives_no_sign_is_gone(fake_api, watch):
    times = []
    program = watch(fake_api(silent(times)))
    program.wait_line(type="state.initial")
    started = time.monotonic()
    line = program.wait_line(status="offline", timeout=110)
    assert line["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT" and "silent for 90000 ms" in line["error"]
    assert 88 < time.monotonic() - started < 100
    assert len(times) == 4 and all(18 < after - before < 25 for before, after in zip([started, *times], times))
    ended(program, 5)
