# SPDX-License-Identifier: Apache-2.0
"""The WSGI helper: PEP 3333 on raw connections through a private tunnel, and Flask."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from apps import flask_app
from served import Site, read_all, read_until

Serve = Callable[..., Site]

GET = b"GET /%s HTTP/1.1\r\nHost: private.test\r\nConnection: close\r\n\r\n"


def plain(environ: Any, start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def post(body: bytes, *fields: str) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: private.test", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_connections_are_kept(serve_wsgi: Serve) -> None:
    client = serve_wsgi(plain).http()
    for number in range(20):
        client.request("POST", "/", f"request {number}".encode())
        assert client.getresponse().read() == f"request {number}".encode()


def test_environ(serve_wsgi: Serve) -> None:
    environs: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environs.append(environ)
        return plain(environ, start_response)

    site = serve_wsgi(app, root_path="/mounted")
    connection = site.dial()
    connection.sendall(
        b"POST /a%20b/%C3%A9?x=%20&y HTTP/1.1\r\nHost: private.test\r\nContent-Type: text/x\r\nContent-Length: 2\r\n"
        b"X-Two: a\r\nX-Two: b\r\nCookie: c=1\r\nCookie: d=2\r\nX_Spoofed: z\r\nConnection: close\r\n\r\nhi"
    )
    assert read_all(connection).endswith(b"hi")
    (environ,) = environs
    wanted = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/mounted",
        "PATH_INFO": "/a b/é".encode().decode("latin-1"),
        "QUERY_STRING": "x=%20&y",
        "REQUEST_URI": "/a%20b/%C3%A9?x=%20&y",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "2",
        "SERVER_NAME": site.tunnel.properties.name,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "private.test",
        "HTTP_X_TWO": "a,b",
        "HTTP_COOKIE": "c=1; d=2",
        "HTTP_CONNECTION": "close",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {name: environ.get(name) for name in wanted} == wanted
    assert not any("SPOOFED" in name for name in environ)
    assert all(type(value) is str for name, value in environ.items() if name.isupper())


def test_the_reference_validator_is_content(serve_wsgi: Serve) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        size = len(environ["wsgi.input"].read(-1)) if environ["REQUEST_METHOD"] == "POST" else 0
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"size %d\n" % size]

    client = serve_wsgi(validator(app)).http()
    for method, body, answer in [("GET", None, b"size 0\n"), ("POST", b"x" * 99_999, b"size 99999\n")]:
        client.request(method, "/", body)
        assert client.getresponse().read() == answer


def test_input_as_a_file(serve_wsgi: Serve) -> None:
    read: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        read.extend([body.readline(), body.read(3), body.readlines(), body.read(), body.readline()])
        start_response("204 No Content", [])
        return []

    connection = serve_wsgi(app).dial()
    connection.sendall(post(b"one\ntwo\nthree\nfour", "Connection: close"))
    assert read_all(connection).startswith(b"HTTP/1.1 204 No Content\r\n")
    assert read == [b"one\n", b"two", [b"\n", b"three\n", b"four"], b"", b""]


def test_input_is_streamed(serve_wsgi: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while line := environ["wsgi.input"].readline():
            yield line.upper()

    connection = serve_wsgi(app).dial()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(5):
        connection.sendall(b"7\r\nline %d\n\r\n" % number)
        read_until(connection, b"LINE %d\n" % number)
    connection.sendall(b"0\r\n\r\n")
    read_until(connection, b"0\r\n\r\n")


def test_100_continue_comes_when_the_body_is_wanted(serve_wsgi: Serve) -> None:
    connection = serve_wsgi(plain).dial()
    connection.sendall(post(b"", "Expect: 100-continue").replace(b": 0", b": 5"))
    assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"hello")
    assert read_until(connection, b"hello").startswith(b"HTTP/1.1 200")


def test_responses_are_streamed_and_closed(serve_wsgi: Serve) -> None:
    steps, closed = [threading.Event() for _ in range(3)], threading.Event()

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            for number, step in enumerate(steps):
                yield b"piece %d" % number
                yield b""
                assert step.wait(20)

        def close(self) -> None:
            closed.set()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Pieces()

    connection = serve_wsgi(app).dial()
    connection.sendall(GET % b"")
    for number, step in enumerate(steps):
        read_until(connection, b"piece %d" % number)
        step.set()
    assert read_all(connection).endswith(b"0\r\n\r\n")
    assert closed.wait(20)


def test_one_piece_gets_a_length(serve_wsgi: Serve) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 Fine", [])
        return [b"one piece"]

    client = serve_wsgi(app).http()
    client.request("GET", "/")
    answer = client.getresponse()
    assert (answer.reason, answer.headers["content-length"], answer.read()) == ("Fine", "9", b"one piece")
    client.request("HEAD", "/")
    assert client.getresponse().read() == b""


def test_write(serve_wsgi: Serve) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"written, ")
        write(b"again, ")
        return [b"returned"]

    client = serve_wsgi(app).http()
    client.request("GET", "/")
    assert client.getresponse().read() == b"written, again, returned"


def test_a_response_is_replaced_before_it_has_begun(serve_wsgi: Serve) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise ValueError("in between")
        except ValueError:
            import sys

            start_response("418 I'm a teapot", [("X-Second", "2")], sys.exc_info())
        return [b"short and stout"]

    client = serve_wsgi(app).http()
    client.request("GET", "/")
    answer = client.getresponse()
    assert (answer.status, answer.headers["x-first"], answer.headers["x-second"]) == (418, None, "2")


def test_an_error_after_the_begin_breaks_off(serve_wsgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"begun")
        try:
            raise ValueError("too late")
        except ValueError:
            import sys

            start_response("500 Oh", [], sys.exc_info())
        return []

    assert b"begun" in serve_wsgi(app).broken_off(GET % b"")
    assert "too late" in caplog.text


@pytest.mark.parametrize(
    ("app", "log"),
    [
        (lambda environ, start: 1 / 0, "division by zero"),
        (lambda environ, start: [b"no head"], "start_response"),
        (lambda environ, start: [], "start_response"),
        (lambda environ, start: start("200 OK", []) and ["text"], "bytes, not str"),
        (lambda environ, start: start("200 OK", []) and start("200 OK", []) and [], "called already"),
        (lambda environ, start: start("fine", []) and [], "fine"),
        (lambda environ, start: start("200 OK", [("A", "b\r\nC: d")]) and [], "no such response"),
        (lambda environ, start: start("200 OK", [("A", "\u20ac")]) and [], "latin-1"),
        (lambda environ, start: start("200 OK", []) and None, "NoneType"),
    ],
)
def test_faulty_applications_give_500_and_a_log_line(
    serve_wsgi: Serve, caplog: pytest.LogCaptureFixture, app: Any, log: str
) -> None:
    connection = serve_wsgi(app).dial()
    connection.sendall(GET % b"faulty?token=hidden")
    assert read_all(connection).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    (record,) = [record for record in caplog.records if record.name == "librstream.wsgi"]
    assert record.levelno == logging.ERROR
    assert log in caplog.text and "'/faulty'" in caplog.text and "hidden" not in caplog.text


@pytest.mark.parametrize("threads", [1, 4])
def test_the_application_runs_on_so_many_threads(serve_wsgi: Serve, threads: int) -> None:
    names: set[str] = set()
    running, most = 0, 0
    lock = threading.Lock()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        nonlocal running, most
        with lock:
            names.add(threading.current_thread().name)
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        start_response("200 OK", [])
        return [str(environ["wsgi.multithread"]).encode()]

    site = serve_wsgi(app, threads=threads)
    connections = [site.dial() for _ in range(10)]
    for connection in connections:
        connection.sendall(GET % b"")
    for connection in connections:
        assert read_all(connection).endswith(str(threads > 1).encode())
    assert most == threads and len(names) == threads
    assert all(name.startswith("librstream.wsgi") for name in names)


def test_a_client_that_leaves_ends_a_read(serve_wsgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    failed, closed = threading.Event(), threading.Event()

    class Nothing:
        def __init__(self, environ: Any) -> None:
            self.input = environ["wsgi.input"]

        def __iter__(self) -> Iterator[bytes]:
            try:
                yield self.input.read()
            except OSError:
                failed.set()
                raise

        def close(self) -> None:
            closed.set()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Nothing(environ)

    connection = serve_wsgi(app).dial()
    connection.sendall(post(b"").replace(b": 0", b": 5") + b"12")
    time.sleep(0.05)
    connection.close()
    assert failed.wait(20) and closed.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_client_that_leaves_ends_a_response(serve_wsgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    closed = threading.Event()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    connection = serve_wsgi(app).dial()
    connection.sendall(GET % b"")
    read_until(connection, b"xxx")
    connection.close()
    assert closed.wait(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_requests_may_end_after_the_tunnel_has(serve_wsgi: Serve) -> None:
    began, go = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        began.set()
        assert go.wait(20)
        return plain(environ, start_response)

    site = serve_wsgi(app)
    connection = site.dial()
    connection.sendall(post(b"late"))
    assert began.wait(20)
    serving = site.close()
    assert not serving.done()
    go.set()
    answer = read_all(connection)
    assert answer.endswith(b"late") and b"connection: close" in answer.lower()
    site.wait()


def test_requests_that_do_not_end_are_cut(serve_wsgi: Serve) -> None:
    began, failed = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        began.set()
        try:
            environ["wsgi.input"].read()
        except OSError:
            failed.set()
            raise
        return []

    site = serve_wsgi(app, shutdown_timeout=0.2)
    connection = site.dial()
    connection.sendall(post(b"").replace(b": 0", b": 5"))
    assert began.wait(20)
    site.close()
    site.wait()
    assert failed.wait(20)
    assert read_all(connection) == b""


def test_flask(serve_wsgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = serve_wsgi(flask_app()).http()
    client.request("GET", "/count?to=1000")
    assert client.getresponse().read().split() == [str(number).encode() for number in range(1000)]
    client.request("GET", "/big?size=5000000")
    assert client.getresponse().read() == b"x" * 5_000_000
    client.request("HEAD", "/big?size=5000")
    answer = client.getresponse()
    assert (answer.headers["content-length"], answer.read()) == ("5000", b"")
    client.request("GET", "/empty")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    client.request("GET", "/fail")
    answer = client.getresponse()
    assert answer.status == 500 and b"Internal Server Error" in answer.read()
    client.request("GET", "/shown")
    assert b"/shown" in client.getresponse().read()


def test_limits_are_checked(serve_wsgi: Serve) -> None:
    site = serve_wsgi(plain, threads=0)
    with pytest.raises(ValueError, match="threads is 0"):
        site.wait()
