# SPDX-License-Identifier: Apache-2.0
"""WebSocket through published tunnels, with a foreign client, and raw through private ones."""

import asyncio
import base64
import logging
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from served import Site, read_all, read_until
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect

Serve = Callable[..., Site]
Connect = Callable[..., ClientConnection]


@pytest.fixture
def join(websocket_context: ssl.SSLContext) -> Connect:
    """Connects the client of the package websockets to a published tunnel."""

    def join(site: Site, path: str = "/", **options: Any) -> ClientConnection:
        url = site.url.replace("https", "wss", 1) + path
        connection: ClientConnection = connect(url, ssl=websocket_context, **options)
        return connection

    return join


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send"} | {key: message[key] for key in ("text", "bytes") if key in message})


def recording(events: list[Any], ended: threading.Event, *messages: Any) -> Any:
    """An application that accepts, sends messages, and keeps what it receives."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for message in messages:
            await send(message)
        while True:
            events.append(await receive())
            if events[-1]["type"] == "websocket.disconnect":
                break
        ended.set()

    return app


@pytest.mark.parametrize("compression", ["deflate", None])
def test_text_and_binary(serve_asgi: Serve, join: Connect, compression: Any) -> None:
    with join(serve_asgi(echo, publish=True), compression=compression, max_size=None) as socket:
        assert bool(socket.protocol.extensions) == (compression is not None)
        messages: list[str | bytes] = [
            "",
            "text",
            "é" * 1000,
            b"",
            b"\x00\xff" * 500,
            "x" * 2_000_000,
            b"y" * 2_000_000,
        ]
        for data in messages:
            socket.send(data)
            assert socket.recv(timeout=20) == data


def test_compression_may_be_declined(serve_asgi: Serve, join: Connect) -> None:
    with join(serve_asgi(echo, publish=True, websocket_compression=False)) as socket:
        assert not socket.protocol.extensions
        socket.send("plain")
        assert socket.recv(timeout=20) == "plain"


def test_fragments(serve_asgi: Serve, join: Connect) -> None:
    with join(serve_asgi(echo, publish=True)) as socket:
        socket.send(["one ", "two ", "é"])
        assert socket.recv(timeout=20) == "one two é"
        socket.send([b"1", b"2", b"3"])
        assert socket.recv(timeout=20) == b"123"


def test_pings_are_answered(serve_asgi: Serve, join: Connect) -> None:
    with join(serve_asgi(echo, publish=True)) as socket:
        assert socket.ping(b"are you there").wait(20)


def test_messages_that_come_with_the_handshake(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(handshake() + frame(Opcode.TEXT, b"early"))
    assert read_until(connection, b"\x81\x05early").startswith(b"HTTP/1.1 101 ")
    connection.sendall(frame(Opcode.CLOSE, b"\x03\xe8"))
    assert read_all(connection) == b"\x88\x02\x03\xe8"


def handshake(*fields: str, path: str = "/") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: private.test",
        "Connection: keep-alive, Upgrade",
        "Upgrade: WebSocket",
        *(fields or ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(bytes(16)).decode())),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """A frame with a mask of zeros."""
    assert len(data) < 126
    return bytes([opcode | (128 if fin else 0), 128 | len(data)]) + bytes(4) + data


def test_scope_and_subprotocol_and_headers(serve_asgi: Serve, join: Connect) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "two", "headers": [(b"x-extra", b"yes")]})
        await send({"type": "websocket.close"})

    site = serve_asgi(app, publish=True, root_path="/mounted")
    with join(site, "/a%20b?x=1", subprotocols=["one", "two"]) as socket:
        assert socket.subprotocol == "two" and socket.response is not None
        assert socket.response.headers["x-extra"] == "yes"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1000
    (scope,) = scopes
    assert (scope["scheme"], scope["http_version"], scope["subprotocols"]) == ("wss", "1.1", ["one", "two"])
    assert (scope["path"], scope["raw_path"]) == ("/mounted/a b", b"/mounted/a%20b")
    assert (scope["query_string"], scope["root_path"]) == (b"x=1", "/mounted")
    assert scope["client"] == ("127.0.0.1", 0) and scope["server"][0] == site.host
    assert "method" not in scope and "websocket.http.response" in scope["extensions"]
    names = [name for name, _ in scope["headers"]]
    assert b"sec-websocket-key" in names and b"sec-websocket-protocol" in names and b"host" in names


@pytest.mark.parametrize(
    ("sent", "received", "reason"), [((), 1000, ""), ((3007,), 3007, ""), ((4000, "enough é"), 4000, "enough é")]
)
def test_close_by_the_client(serve_asgi: Serve, join: Connect, sent: Any, received: int, reason: str) -> None:
    events: list[Any] = []
    ended = threading.Event()
    with join(serve_asgi(recording(events, ended), publish=True)) as socket:
        socket.send("first")
        socket.close(*sent)
    assert ended.wait(20)
    assert events == [
        {"type": "websocket.receive", "text": "first"},
        {"type": "websocket.disconnect", "code": received, "reason": reason},
    ]


def test_close_without_a_code(serve_asgi: Serve) -> None:
    events: list[Any] = []
    ended = threading.Event()
    connection = serve_asgi(recording(events, ended)).dial()
    connection.sendall(handshake() + frame(Opcode.CLOSE, b""))
    assert read_all(connection).endswith(b"\r\n\r\n\x88\x00")
    assert ended.wait(20) and events == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}]


@pytest.mark.parametrize(("code", "reason"), [(None, None), (3001, "because"), (1011, "x" * 300)])
def test_close_by_the_application(serve_asgi: Serve, join: Connect, code: Any, reason: Any) -> None:
    events: list[Any] = []
    ended = threading.Event()
    app = recording(events, ended, {"type": "websocket.close", "code": code, "reason": reason})
    with join(serve_asgi(app, publish=True)) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == (code or 1000)
        assert (socket.close_reason or "") == (reason or "")[:123]
    assert ended.wait(20) and events == [{"type": "websocket.disconnect", "code": code or 1000, "reason": reason or ""}]


def test_the_end_of_the_application_is_a_close(serve_asgi: Serve, join: Connect) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "that is all"})

    with join(serve_asgi(app, publish=True)) as socket:
        assert socket.recv(timeout=20) == "that is all"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1000


def test_a_client_that_vanishes(serve_asgi: Serve, join: Connect) -> None:
    events: list[Any] = []
    ended = threading.Event()
    connection = serve_asgi(recording(events, ended)).dial()
    connection.sendall(handshake() + frame(Opcode.TEXT, b"half", fin=False))
    read_until(connection, b"\r\n\r\n")
    connection.close()
    assert ended.wait(20) and events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_sending_after_the_client_left_raises(serve_asgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    raised: list[Any] = []
    ended = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as error:
            raised.append(error)
            raise
        finally:
            ended.set()

    connection = serve_asgi(app).dial()
    connection.sendall(handshake() + frame(Opcode.CLOSE, b"\x03\xe8"))
    read_all(connection)
    assert ended.wait(20) and len(raised) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_rejection(serve_asgi: Serve, join: Connect) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    with pytest.raises(InvalidStatus) as raised:
        join(serve_asgi(app, publish=True))
    assert raised.value.response.status_code == 403


def test_rejection_with_a_response(serve_asgi: Serve, join: Connect) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", b"text/plain"), (b"x-why", b"so")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you"})

    with pytest.raises(InvalidStatus) as raised:
        join(serve_asgi(app, publish=True))
    response = raised.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (401, "so", b"who are you")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_failing_applications(serve_asgi: Serve, join: Connect, caplog: pytest.LogCaptureFixture, moment: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if moment == "after":
            await send({"type": "websocket.accept"})
        raise ValueError("a mistake")

    site = serve_asgi(app, publish=True)
    if moment == "before":
        with pytest.raises(InvalidStatus) as raised:
            join(site)
        assert raised.value.response.status_code == 500
    else:
        with join(site) as socket:
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=20)
            assert socket.close_code == 1011
    assert "a mistake" in caplog.text


def test_an_application_that_does_not_answer(serve_asgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    connection = serve_asgi(app).dial()
    connection.sendall(handshake())
    assert read_all(connection).startswith(b"HTTP/1.1 500 ")
    assert "did not answer the handshake" in caplog.text


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "websocket.send", "text": "early"}],
        [{"type": "websocket.accept", "subprotocol": "unheard-of"}],
        [{"type": "websocket.http.response.start", "status": 200, "headers": []}, {"type": "websocket.accept"}],
        [{"type": "http.response.start", "status": 200}],
    ],
)
def test_wrong_answers_to_the_handshake(
    serve_asgi: Serve, caplog: pytest.LogCaptureFixture, messages: list[Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            await send(message)

    connection = serve_asgi(app).dial()
    connection.sendall(handshake())
    assert read_all(connection).startswith(b"HTTP/1.1 500 ")
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("message", [{"type": "websocket.send"}, {"type": "websocket.accept"}, {"type": "nonsense"}])
def test_wrong_messages(serve_asgi: Serve, caplog: pytest.LogCaptureFixture, message: Any) -> None:
    ended = threading.Event()
    connection = serve_asgi(recording([], ended, message)).dial()
    connection.sendall(handshake() + frame(Opcode.CLOSE, b"\x03\xe8"))
    read_all(connection)
    assert "the ASGI application failed" in caplog.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (("Sec-WebSocket-Version: 13",), 400),
        (("Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 426),
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA", "Sec-WebSocket-Protocol: \xff"), 400),
    ],
)
def test_bad_handshakes(serve_asgi: Serve, fields: Any, status: int) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(handshake(*fields).decode().encode("latin-1"))
    answer = read_until(connection, b"\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    if status == 426:
        assert b"sec-websocket-version: 13" in answer.lower()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x81\x05hello", 1002),
        (frame(Opcode.TEXT, b"\xff\xfe"), 1007),
        (frame(3, b"reserved"), 1002),
        (frame(Opcode.CONT, b"of nothing"), 1002),
        (frame(Opcode.PING, b"x", fin=False), 1002),
        (bytes([0xC1, 0x80]) + bytes(4), 1002),
    ],
)
def test_bad_frames(serve_asgi: Serve, frames: bytes, code: int) -> None:
    events: list[Any] = []
    ended = threading.Event()
    connection = serve_asgi(recording(events, ended)).dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    connection.sendall(frames)
    answer = read_all(connection)
    assert answer[0] == 0x88 and int.from_bytes(answer[2:4], "big") == code
    assert ended.wait(20) and events[-1]["code"] == code


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_that_are_too_long(serve_asgi: Serve, join: Connect, compression: Any) -> None:
    with join(serve_asgi(echo, publish=True, websocket_max_size=100_000), compression=compression) as socket:
        socket.send("x" * 100_000)
        assert len(socket.recv(timeout=20)) == 100_000
        socket.send("x" * 100_001)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1009


def test_silent_clients_are_pinged(serve_asgi: Serve) -> None:
    site = serve_asgi(recording([], threading.Event()), websocket_ping_interval=0.2, websocket_ping_timeout=0.2)
    connection = site.dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    for _ in range(3):
        assert connection.recv(2) == b"\x89\x00"
        connection.sendall(frame(Opcode.PONG, b""))
    answer = read_all(connection)
    assert answer.startswith(b"\x89\x00\x88") and int.from_bytes(answer[4:6], "big") == 1011


def test_a_slow_application_holds_the_sender_back(serve_asgi: Serve) -> None:
    go, ended = threading.Event(), threading.Event()
    received = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal received
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.to_thread(go.wait)
        while (message := await receive())["type"] == "websocket.receive":
            received += len(message["bytes"])
        ended.set()

    connection = serve_asgi(app).dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    message = b"\x82\xfe\xff\xff" + bytes(4) + b"z" * 65535
    connection.settimeout(0.5)
    sent, left = 0, b""
    with pytest.raises(TimeoutError):
        while True:
            left = left or message
            size = connection.send(left)
            sent, left = sent + size, left[size:]
    assert sent < 32 << 20
    go.set()
    connection.settimeout(20)
    connection.sendall(left + frame(Opcode.CLOSE, b"\x03\xe8"))
    assert ended.wait(20)
    assert received == (sent + len(left)) // len(message) * 65535


def test_a_slow_client_holds_the_application_back(serve_asgi: Serve) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(600):
            await send({"type": "websocket.send", "bytes": bytes(100_000)})
            sent += 1

    connection = serve_asgi(app, websocket_compression=False).dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    before = -1
    while sent != before:
        before = sent
        time.sleep(0.3)
    assert 0 < sent < 320
    connection.sendall(frame(Opcode.CLOSE, b"\x03\xe8"))
    assert len(read_all(connection)) > 0


def test_the_end_of_the_tunnel_closes_with_1012(serve_asgi: Serve) -> None:
    events: list[Any] = []
    ended = threading.Event()
    site = serve_asgi(recording(events, ended))
    connection = site.dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    site.close()
    assert connection.recv(4) == b"\x88\x02\x03\xf4"
    assert ended.wait(20) and events[-1]["code"] == 1012
    connection.sendall(frame(Opcode.CLOSE, b"\x03\xf4"))
    site.wait()
    assert read_all(connection) == b""


def test_an_application_that_goes_on_is_cut(serve_asgi: Serve) -> None:
    cancelled = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    site = serve_asgi(app, shutdown_timeout=0.2)
    connection = site.dial()
    connection.sendall(handshake())
    read_until(connection, b"\r\n\r\n")
    begin = time.monotonic()
    site.close()
    site.wait()
    assert cancelled.is_set() and time.monotonic() - begin < 5
    assert read_all(connection) == b"\x88\x02\x03\xf4"


def test_starlette(serve_asgi: Serve, join: Connect) -> None:
    left = threading.Event()

    async def room(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                data = await socket.receive_json()
                await socket.send_json({"you said": data, "in": socket.path_params["name"]})
        except WebSocketDisconnect as error:
            assert error.code == 1001
            left.set()

    app = Starlette(routes=[WebSocketRoute("/rooms/{name}", room)])
    site = serve_asgi(app, publish=True)
    with join(site, "/rooms/blue") as socket:
        socket.send('["hello"]')
        assert socket.recv(timeout=20) == '{"you said":["hello"],"in":"blue"}'
        socket.close(1001)
    assert left.wait(20)
    with pytest.raises(InvalidStatus) as raised:
        join(site, "/nowhere")
    assert raised.value.response.status_code == 403
