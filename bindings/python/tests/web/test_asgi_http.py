# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as the ASGI helper speaks it, on raw connections through a private tunnel."""

import asyncio
import hashlib
import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from apps import echo, starlette_app
from served import Site, read_all, read_until

Serve = Callable[..., Site]


def responder(status: int = 200, headers: Any = (), *bodies: bytes) -> Any:
    """An application that ignores its request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def request(method: str = "GET", path: str = "/", *fields: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: private.test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CLOSE = "Connection: close"


def test_connections_are_kept(serve_asgi: Serve) -> None:
    client = serve_asgi(echo).http()
    for number in range(20):
        client.request("POST", "/", f"request {number}".encode())
        assert client.getresponse().read() == f"request {number}".encode()


def test_connection_close_is_heeded(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(request("POST", "/", CLOSE, body=b"last"))
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert body == b"last" and b"connection: close" in head.lower()


def test_an_old_client_gets_no_chunks(serve_asgi: Serve) -> None:
    connection = serve_asgi(responder(200, (), b"one", b"two")).dial()
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert body == b"onetwo" and b"chunked" not in head.lower()


def test_pipelined_requests_are_answered_in_order(serve_asgi: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        # The earlier, the slower.
        await asyncio.sleep(0.05 if scope["path"] == "/0" else 0)
        await responder(200, (), scope["path"].encode())(scope, receive, send)

    connection = serve_asgi(app).dial()
    connection.sendall(b"".join(request(path=f"/{number}") for number in range(9)) + request("GET", "/9", CLOSE))
    answer = read_all(connection)
    positions = [answer.index(b"\r\n/%d\r\n" % number) for number in range(10)]
    assert positions == sorted(positions) and answer.count(b"HTTP/1.1 200") == 10


def test_pipelined_requests_of_a_client_that_ends_its_side(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(request("POST", "/", body=b"first") + request("POST", "/", body=b"second"))
    connection.shutdown(socket.SHUT_WR)
    answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200") == 2 and answer.endswith(b"second")


@pytest.mark.parametrize("piece", [1, 7, 100_000], ids=lambda size: f"{size}-bytes")
def test_bodies_in_pieces_of_any_size(serve_asgi: Serve, piece: int) -> None:
    body = bytes(range(256)) * (4 if piece < 100 else 4000)
    connection = serve_asgi(echo).dial()
    connection.sendall(request("POST", "/", "Transfer-Encoding: chunked", CLOSE))
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(connection)))
    reader.start()
    for begin in range(0, len(body), piece):
        part = body[begin : begin + piece]
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")
    reader.join(20)
    head, _, rest = received[0].partition(b"\r\n\r\n")
    assert b"chunked" in head.lower()
    assert dechunk(rest) == body


def dechunk(data: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, _, data = data.partition(b"\r\n")
        if int(size, 16) == 0:
            assert data == b"\r\n"
            return b"".join(pieces)
        pieces.append(data[: int(size, 16)])
        data = data[int(size, 16) + 2 :]


def test_each_direction_streams_while_the_other_does(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(request("POST", "/", "Transfer-Encoding: chunked"))
    for number in range(5):
        connection.sendall(b"7\r\npiece %d\r\n" % number)
        read_until(connection, b"piece %d\r\n" % number)
    connection.sendall(b"0\r\n\r\n")
    read_until(connection, b"0\r\n\r\n")


def test_large_bodies_both_ways(serve_asgi: Serve) -> None:
    client = serve_asgi(starlette_app()).http()
    body = bytes(range(256)) * 80_000
    client.request("POST", "/digest", body)
    answer = client.getresponse().read()
    assert hashlib.sha256(body).hexdigest().encode() in answer and b"20480000" in answer
    client.request("GET", "/big?size=20000000")
    assert client.getresponse().read() == b"x" * 20_000_000


def test_a_slow_reader_holds_the_application_back(serve_asgi: Serve) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
        await send({"type": "http.response.body"})

    connection = serve_asgi(app).dial()
    connection.sendall(request("GET", "/", CLOSE))
    read_until(connection, b"\r\n\r\n")
    before = -1
    while sent != before:
        before = sent
        time.sleep(0.3)
    assert 0 < sent < 32 << 20
    assert len(read_all(connection)) > 60_000_000
    assert sent == 65_536_000


def test_a_slow_application_holds_the_sender_back(serve_asgi: Serve) -> None:
    go = threading.Event()
    sizes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(go.wait)
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            sizes.append(len(message["body"]))
        await responder()(scope, receive, send)

    connection = serve_asgi(app).dial()
    total = 64 << 20
    connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n".encode())
    connection.settimeout(0.5)
    sent = 0
    piece = b"y" * 65536
    with pytest.raises(TimeoutError):
        while True:
            sent += connection.send(piece)
    assert sent < 32 << 20
    connection.settimeout(20)
    go.set()
    while sent < total:
        sent += connection.send(piece[: total - sent])
    assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert sum(sizes) == total and max(sizes) <= 128 * 1024


def test_100_continue_comes_when_the_body_is_wanted(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo).dial()
    connection.sendall(request("POST", "/", "Expect: 100-continue", "Content-Length: 5"))
    assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"hello")
    assert read_until(connection, b"hello").startswith(b"HTTP/1.1 200")
    connection.sendall(request("POST", "/", CLOSE, body=b"again"))
    assert read_all(connection).endswith(b"again")


def test_no_100_continue_for_a_body_that_nobody_wants(serve_asgi: Serve) -> None:
    connection = serve_asgi(responder(403, (), b"no")).dial()
    connection.sendall(request("POST", "/", "Expect: 100-continue", "Content-Length: 5"))
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 403") and b"connection: close" in answer.lower()


def test_a_body_that_nobody_reads_does_not_disturb(serve_asgi: Serve) -> None:
    client = serve_asgi(responder(200, (), b"fine")).http()
    for _ in range(3):
        client.request("POST", "/", b"z" * 100_000)
        assert client.getresponse().read() == b"fine"


def test_a_huge_body_that_nobody_reads_ends_the_connection(serve_asgi: Serve) -> None:
    connection = serve_asgi(responder(200, [(b"content-length", b"4")], b"fine")).dial()
    connection.sendall(request("POST", "/", "Content-Length: 100000000") + b"z" * 1_000_000)
    connection.shutdown(socket.SHUT_WR)
    assert read_all(connection).endswith(b"\r\n\r\nfine")


def test_head_and_bodiless_statuses(serve_asgi: Serve) -> None:
    client = serve_asgi(starlette_app()).http()
    client.request("HEAD", "/hello/you")
    answer = client.getresponse()
    assert answer.headers["content-length"] == "10" and answer.read() == b""
    client.request("GET", "/empty")
    answer = client.getresponse()
    assert answer.status == 204 and answer.read() == b"" and "content-length" not in answer.headers
    client.request("GET", "/hello/you")
    assert client.getresponse().read() == b"hello you\n"


def test_a_body_for_head_is_dropped(serve_asgi: Serve) -> None:
    client = serve_asgi(responder(200, (), b"one", b"two")).http()
    for _ in range(2):
        client.request("HEAD", "/")
        assert client.getresponse().read() == b""


def test_scope(serve_asgi: Serve) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await responder()(scope, receive, send)

    site = serve_asgi(app, root_path="/mounted/")
    connection = site.dial()
    connection.sendall(request("PATCH", "/a%20b/%C3%A9?x=%20&y", "X-Thing: One", "x-thing: two", CLOSE))
    read_all(connection)
    (scope,) = scopes
    assert scope["type"] == "http" and scope["asgi"]["version"] == "3.0"
    assert scope["method"] == "PATCH" and scope["http_version"] == "1.1" and scope["scheme"] == "http"
    assert scope["path"] == "/mounted/a b/é" and scope["raw_path"] == b"/mounted/a%20b/%C3%A9"
    assert scope["query_string"] == b"x=%20&y" and scope["root_path"] == "/mounted"
    assert scope["headers"][:3] == [(b"host", b"private.test"), (b"x-thing", b"One"), (b"x-thing", b"two")]
    assert scope["client"] == ("127.0.0.1", 0)
    assert scope["server"] == (site.tunnel.properties.name, 80)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://private.test/x?y=1", "/x", b"y=1"),
        ("http://private.test?y=/1", "/", b"y=/1"),
        ("http://private.test", "/", b""),
        ("/http://elsewhere/", "/http://elsewhere/", b""),
        ("/x?", "/x", b""),
        ("//x", "//x", b""),
    ],
)
def test_targets(serve_asgi: Serve, target: str, path: str, query: bytes) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await responder()(scope, receive, send)

    connection = serve_asgi(app).dial()
    connection.sendall(request("GET", target, CLOSE))
    assert read_all(connection).startswith(b"HTTP/1.1 200")
    assert (scopes[0]["path"], scopes[0]["query_string"]) == (path, query)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: rot13\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_bad_requests(serve_asgi: Serve, sent: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await responder()(scope, receive, send)

    connection = serve_asgi(app).dial()
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"connection: close" in answer.lower()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_body_limit(serve_asgi: Serve, chunked: bool) -> None:
    connection = serve_asgi(echo_whole, max_body_size=1000).dial()
    if chunked:
        connection.sendall(request("POST", "/", "Transfer-Encoding: chunked") + b"800\r\n" + b"x" * 2048 + b"\r\n")
    else:
        connection.sendall(request("POST", "/", body=b"x" * 1001))
    assert read_all(connection).startswith(b"HTTP/1.1 413 ")


async def echo_whole(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    await responder(200, (), body)(scope, receive, send)


@pytest.mark.parametrize("started", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nxy"])
def test_read_timeout(serve_asgi: Serve, started: bytes) -> None:
    connection = serve_asgi(echo_whole, read_timeout=0.3).dial()
    connection.sendall(started)
    begin = time.monotonic()
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ") if started else answer == b""
    assert 0.2 < time.monotonic() - begin < 5


def test_a_header_that_trickles_is_given_up(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo, read_timeout=0.5).dial()
    begin = time.monotonic()
    for byte in request(path="/" + "a" * 1000):
        connection.sendall(bytes([byte]))
        if select.select([connection], [], [], 0.02)[0]:
            break
    assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begin < 5


def test_keep_alive_timeout(serve_asgi: Serve) -> None:
    connection = serve_asgi(echo, keep_alive_timeout=0.3).dial()
    connection.sendall(request("POST", "/", body=b"one"))
    read_until(connection, b"one")
    begin = time.monotonic()
    assert connection.recv(1) == b""
    assert 0.2 < time.monotonic() - begin < 5


def test_write_timeout(serve_asgi: Serve) -> None:
    failed = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        except OSError:
            failed.set()

    connection = serve_asgi(app, write_timeout=0.3).dial()
    connection.sendall(request())
    assert failed.wait(20)
    assert not read_all(connection).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_client_that_leaves_is_told_of(serve_asgi: Serve, how: str) -> None:
    began, seen = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        began.set()
        assert (await receive())["type"] == "http.disconnect"
        seen.set()

    connection = serve_asgi(app).dial()
    connection.sendall(request())
    assert began.wait(20)
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert seen.wait(20)


def test_what_is_sent_to_a_client_that_left_fails_quietly(serve_asgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    began, failed = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                began.set()
        except OSError:
            failed.set()
            raise

    connection = serve_asgi(app).dial()
    connection.sendall(request())
    assert began.wait(20)
    connection.close()
    assert failed.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_receive_after_the_response_says_disconnect(serve_asgi: Serve) -> None:
    last: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await responder()(scope, receive, send)
        last.append(await receive())

    client = serve_asgi(app).http()
    for _ in range(2):
        client.request("GET", "/")
        client.getresponse().read()
    client.request("GET", "/")
    client.getresponse().read()
    assert last[0] == {"type": "http.disconnect"}


def test_a_receive_that_outlives_its_request_takes_nothing(serve_asgi: Serve) -> None:
    tasks = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        tasks.append(asyncio.create_task(receive()))
        await asyncio.sleep(0)
        await responder(200, (), scope["path"].encode())(scope, receive, send)

    client = serve_asgi(app).http()
    for number in range(5):
        client.request("GET", f"/{number}")
        assert client.getresponse().read() == f"/{number}".encode()
    assert [task.result() for task in tasks[:4]] == [{"type": "http.disconnect"}] * 4


@pytest.mark.parametrize(
    ("messages", "log"),
    [
        ([], "did not complete"),
        ([ValueError("a mistake")], "a mistake"),
        ([{"type": "http.response.start", "status": 200, "headers": []}], "did not complete"),
        ([{"type": "http.response.start", "status": 200}, ValueError("late")], "late"),
        ([{"type": "http.response.body", "body": b"x"}], "http.response.start is expected"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")]}], "no such response"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}], "no such response"),
        ([{"type": "http.response.start", "status": 42, "headers": []}], "no such response"),
        ([{"type": "nonsense"}], "is expected, not 'nonsense'"),
    ],
)
def test_faulty_applications_give_500_and_a_log_line(
    serve_asgi: Serve, caplog: pytest.LogCaptureFixture, messages: list[Any], log: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    connection = serve_asgi(app).dial()
    connection.sendall(request(path="/faulty?token=hidden"))
    assert read_all(connection).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    (record,) = [record for record in caplog.records if record.name == "librstream.asgi"]
    assert record.levelno == logging.ERROR
    assert log in caplog.text and "'/faulty'" in caplog.text and "hidden" not in caplog.text


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"x", "more_body": True}, ValueError("late")],
        [{"type": "http.response.body", "body": b"x", "more_body": True}],
    ],
)
def test_half_a_response_is_seen_as_such(
    serve_asgi: Serve, caplog: pytest.LogCaptureFixture, messages: list[Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    received = serve_asgi(app).broken_off(request())
    assert not received.endswith(b"0\r\n\r\n")
    assert [record.name for record in caplog.records].count("librstream.asgi") == 1


@pytest.mark.parametrize("size", [b"3", b"5"])
def test_a_content_length_that_does_not_hold(serve_asgi: Serve, caplog: pytest.LogCaptureFixture, size: bytes) -> None:
    serve_asgi(responder(200, [(b"content-length", size)], b"four")).broken_off(request())
    assert "Content-Length" in caplog.text


def test_context_variables_end_with_the_request(serve_asgi: Serve) -> None:
    import contextvars

    user = contextvars.ContextVar("user", default="nobody")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen = user.get()
        user.set("somebody")
        await responder(200, (), seen.encode())(scope, receive, send)

    client = serve_asgi(app).http()
    for _ in range(2):
        client.request("GET", "/")
        assert client.getresponse().read() == b"nobody"


def test_a_date_is_added_where_there_is_none(serve_asgi: Serve) -> None:
    client = serve_asgi(responder()).http()
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    assert answer.headers["date"].endswith(" GMT")
    client = serve_asgi(responder(200, [(b"Date", b"Mon, 01 Jan 2024 00:00:00 GMT")])).http()
    client.request("GET", "/")
    assert client.getresponse().headers.get_all("date") == ["Mon, 01 Jan 2024 00:00:00 GMT"]
