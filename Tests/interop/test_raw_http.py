# SPDX-License-Identifier: Apache-2.0
"""Published HTTP with origins and consumers that write their messages byte for byte: the corners of HTTP/1.1."""

import socket
import threading
import time

import pytest

from support import origins
from support.waiting import wait_until


class Origin:
    """Answers each request with the next of `answers`: bytes, or a function that gets the socket and the request."""

    def __init__(self, *answers, keep_alive=True):
        self.answers = list(answers)
        self.keep_alive = keep_alive
        self.requests = []
        self.connections = 0
        self._lock = threading.Lock()

    def __call__(self, sock):
        self.connections += 1
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = sock.recv(65536)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            with self._lock:
                self.requests.append(head)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(answer):
                if answer(sock, head, buffer) is False:
                    return
            else:
                sock.sendall(answer)
            if not self.keep_alive:
                return


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Consumer:
    """A TLS connection on which requests are written and answers read as bytes."""

    def __init__(self, engine, host):
        self.host = host
        self.stream = engine.tls(host)
        self.buffer = b""

    def send(self, text):
        self.stream.write(text.replace("@", self.host).encode("latin-1"))

    def get(self, path="/", extra="", method="GET"):
        self.send(f"{method} {path} HTTP/1.1\r\nHost: @\r\n{extra}\r\n")

    def until(self, what, timeout=5.0):
        """Everything up to and with `what`."""
        deadline = time.monotonic() + timeout
        while what not in self.buffer:
            data = self.stream.read(timeout=max(0.01, deadline - time.monotonic()))
            assert data, f"the connection ended before {what!r}: {self.buffer!r}"
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(what)
        return head + what

    def head(self, timeout=5.0):
        """Status and headers (lower-case names) of the next answer."""
        lines = self.until(b"\r\n\r\n", timeout)[:-4].split(b"\r\n")
        headers = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines[1:]]
        return int(lines[0].split()[1]), [(name.lower(), value) for name, value in headers]

    def body(self, size, timeout=5.0):
        while len(self.buffer) < size:
            data = self.stream.read(timeout=timeout)
            assert data, f"the connection ended: {self.buffer!r}"
            self.buffer += data
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body

    def rest(self, timeout=5.0):
        try:
            self.buffer += self.stream.read_all(timeout=timeout)
        except ConnectionError:
            pass
        data, self.buffer = self.buffer, b""
        return data

    def ended(self, timeout=5.0):
        assert self.rest(timeout) == b""


@pytest.fixture
def publish(engine, forward, tcp_server, name):
    """publish(origin) -> a function that makes consumers."""

    def start(origin):
        host = forward(engine, tcp_server(origin).address, name).host
        return lambda: Consumer(engine, host)

    return start


# -- answers ---------------------------------------------------------------------------------------------------------


def test_interim_answers_pass(publish):
    origin = Origin(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK)
    consumer = publish(origin)()
    consumer.get()
    statuses = [consumer.head()[0]]
    while statuses[-1] < 200:
        statuses.append(consumer.head()[0])
    assert statuses == [103, 102, 200] and consumer.body(2) == b"ok"
    consumer.get()
    assert consumer.head()[0] == 103


def test_interim_answers_are_kept_from_http_1_0(publish):
    consumer = publish(Origin(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK))()
    consumer.send("GET / HTTP/1.0\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] == 200


def test_trailers(publish):
    origin = Origin(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n", OK
    )
    make = publish(origin)
    consumer = make()
    consumer.get(extra="TE: trailers\r\n")
    status, headers = consumer.head()
    assert status == 200 and (b"transfer-encoding", b"chunked") in headers
    assert b"abc" in consumer.until(b"0\r\n")
    consumer.until(b"\r\n")
    consumer.get()
    if consumer.buffer.startswith(b"\r\n"):
        consumer.until(b"\r\n")
    assert consumer.head()[0] == 200


def test_chunk_extensions_and_odd_sizes(publish):
    origin = Origin(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0001;a=b\r\nx\r\n00a;c\r\n0123456789\r\n000\r\n\r\n", OK
    )
    consumer = publish(origin)()
    consumer.send("GET / HTTP/1.0\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] == 200 and consumer.rest() == b"x0123456789"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\nabc",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/3.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: " + b"v" * 300000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 50000 + b"\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
    ids=[
        "two-lengths", "negative", "huge-length", "bad-name", "bad-status", "bad-version", "length-and-chunked",
        "unknown-coding", "long-header", "many-headers", "tls", "ssh",
    ],
)  # fmt: skip
def test_ambiguous_answers_never_confuse_the_next_one(publish, answer):
    """Refused with 502 or made unambiguous; whatever follows on the connection belongs to the next request."""
    make = publish(Origin(answer, OK, keep_alive=False))
    consumer = make()
    consumer.get("/first")
    status, headers = consumer.head()
    names = [name for name, _ in headers]
    assert status == 502 or names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    fresh = make()
    fresh.get("/second")
    assert fresh.head()[0] == 200 and fresh.body(2) == b"ok"


def test_bytes_behind_an_answer_are_not_taken_for_the_next(publish):
    """An origin that sends more than it announced must not speak for a later request."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    consumer = publish(Origin(OK + poison, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"))()
    consumer.get("/first")
    assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"
    time.sleep(0.2)
    consumer.get("/second")
    assert consumer.head()[0] == 200 and consumer.body(5) == b"clean"


def test_answers_without_a_body_whatever_their_headers_say(publish):
    origin = Origin(
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        OK,
    )
    consumer = publish(origin)()
    for expected in (204, 304, 200):
        consumer.get()
        assert consumer.head()[0] == expected
    assert consumer.body(2) == b"ok"


def test_head_of_a_chunked_answer(publish):
    consumer = publish(Origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", OK))()
    consumer.get(method="HEAD")
    assert consumer.head()[0] == 200
    consumer.get()
    assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"


def test_an_origin_that_closes_idle_connections(publish):
    """A kept connection that the origin has closed meanwhile costs no request: it goes over a new one."""

    def answer_and_leave(sock, head, rest):
        sock.sendall(OK)
        return False

    origin = Origin(answer_and_leave)
    consumer = publish(origin)()
    for _ in range(5):
        consumer.get()
        assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"
    assert origin.connections == 5


def test_a_request_that_must_not_be_repeated(publish):
    """A POST whose connection broke before an answer is not sent twice: the consumer is told."""

    def vanish(sock, head, rest):
        return False

    origin = Origin(vanish, OK)
    consumer = publish(origin)()
    consumer.get(method="POST", extra="Content-Length: 3\r\n")
    consumer.send("abc")
    assert consumer.head()[0] == 502
    assert len(origin.requests) == 1


def test_an_early_answer_while_the_body_still_comes(publish):
    """The origin refuses a large upload at once: the consumer gets the answer, and nothing hangs."""

    def refuse(sock, head, rest):
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
        return False

    make = publish(Origin(refuse, OK))
    consumer = make()
    consumer.get(method="POST", extra="Content-Length: 50000000\r\n")
    try:
        consumer.stream.settimeout(3)
        for _ in range(50):
            consumer.send("x" * 100000)
    except OSError:
        pass
    assert consumer.head()[0] == 413
    fresh = make()
    fresh.get()
    assert fresh.head()[0] == 200


def test_a_slow_answer_flows_as_it_comes(publish):
    gate = threading.Semaphore(0)

    def drip(sock, head, rest):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        for byte in b"abc":
            sock.sendall(bytes([byte]))
            assert gate.acquire(timeout=10)

    consumer = publish(Origin(drip))()
    consumer.get()
    assert consumer.head()[0] == 200
    for byte in b"abc":
        assert consumer.body(1) == bytes([byte])
        gate.release()


# -- requests --------------------------------------------------------------------------------------------------------


def test_absolute_targets(publish):
    """A target with scheme and host is routed by that host; the origin gets one answerable request."""
    origin = Origin(OK)
    consumer = publish(origin)()
    consumer.send("GET https://@/path?x=1 HTTP/1.1\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"
    assert origin.requests[0].split(b"\r\n")[0] == b"GET /path?x=1 HTTP/1.1"


def test_absolute_target_against_the_host_header(publish, engine):
    """RFC 9112: the target wins over a Host that says something else; nobody is routed twice."""
    origin = Origin(OK)
    consumer = publish(origin)()
    consumer.send(f"GET https://nobody.t.{engine.host}/ HTTP/1.1\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] in (400, 404)
    assert origin.requests == []


def test_options_for_the_server_itself(publish):
    origin = Origin(OK)
    consumer = publish(origin)()
    consumer.send("OPTIONS * HTTP/1.1\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] == 200
    assert origin.requests[0].startswith(b"OPTIONS * HTTP/1.1")


def test_connect_reaches_the_tunnel_of_the_connection(publish):
    """The authority of CONNECT is the target, judged by the service; bytes flow once that has agreed."""

    def proxy(sock, head, rest):
        assert head.startswith(b"CONNECT target.example:7 HTTP/1.1\r\nHost: target.example:7")
        sock.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\nearly")
        origins.echo(sock)
        return False

    consumer = publish(Origin(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", proxy))()
    request = "CONNECT target.example:7 HTTP/1.1\r\nHost: target.example:7\r\n\r\n"
    consumer.send(request)
    assert consumer.head()[0] == 405
    consumer.send(request)
    status, headers = consumer.head()
    assert status == 200 and not [name for name, _ in headers if name in (b"content-length", b"transfer-encoding")]
    assert consumer.body(5) == b"early"
    consumer.send("raw bytes")
    assert consumer.body(9) == b"raw bytes"
    consumer.stream.shutdown_write()
    assert consumer.rest() == b""


@pytest.mark.parametrize("method", ["get", "PURGE", "M-SEARCH", "A" * 20])
def test_unusual_methods(publish, method):
    """Passed on as they are, or refused as unknown: never changed into another one."""
    origin = Origin(OK)
    consumer = publish(origin)()
    consumer.get(method=method)
    status = consumer.head()[0]
    if status == 200:
        assert origin.requests[0].startswith(method.encode() + b" / ")
    else:
        assert status in (400, 405, 501) and origin.requests == []


def test_connection_close_is_kept(publish):
    consumer = publish(Origin(OK))()
    consumer.get(extra="Connection: close\r\n")
    status, headers = consumer.head()
    assert status == 200 and (b"connection", b"close") in headers
    assert consumer.rest() == b"ok"


def test_an_empty_line_before_a_request(publish):
    """RFC 9112 2.2: a server ignores an empty line where it expects a request."""
    consumer = publish(Origin(OK))()
    consumer.send("\r\nGET / HTTP/1.1\r\nHost: @\r\n\r\n")
    assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"


@pytest.mark.parametrize(
    "extra",
    [
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length:\r\n",
        "X: a\r\n b\r\n",
        "X: a\rb\r\n",
    ],
    ids=range(12),
)
def test_smuggling_attempts(publish, extra):
    """What two servers could understand in two ways is refused, or reaches the origin in one way only."""
    origin = Origin(lambda sock, head, rest: sock.sendall(OK))
    consumer = publish(origin)()
    consumer.send(f"POST /a HTTP/1.1\r\nHost: @\r\n{extra}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: @\r\n\r\n")
    status = consumer.head()[0]
    time.sleep(0.2)
    if status == 400 or status == 501:
        assert origin.requests == []
        consumer.rest()
        return
    for head in origin.requests:
        assert (
            b"\r\n " not in head
            and head.lower().count(b"transfer-encoding") + head.lower().count(b"content-length") <= 1
        ), head


def test_many_requests_on_one_connection(publish):
    origin = Origin(OK)
    consumer = publish(origin)()
    for number in range(300):
        consumer.get(f"/{number}")
        assert consumer.head()[0] == 200 and consumer.body(2) == b"ok"
    assert [head.split()[1] for head in origin.requests] == [b"/%d" % number for number in range(300)]
    assert origin.connections == 1


def test_a_consumer_that_leaves_in_the_middle_of_its_request(publish):
    origin = Origin(OK)
    make = publish(origin)
    for text in ("GET / HT", "GET / HTTP/1.1\r\nHost: ", "POST / HTTP/1.1\r\nHost: @\r\nContent-Length: 10\r\n\r\nabc"):
        consumer = make()
        consumer.send(text)
        consumer.stream.close()
    consumer = make()
    consumer.get()
    assert consumer.head()[0] == 200
    wait_until(lambda: len(origin.requests) >= 1)


def test_websocket_refused_by_status_keeps_the_connection(publish):
    consumer = publish(Origin(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", OK))()
    consumer.get(extra="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n")
    assert consumer.head()[0] == 401 and consumer.body(2) == b"no"
    consumer.get()
    assert consumer.head()[0] == 200


def test_an_upgrade_nobody_asked_for(publish):
    """101 without a request for it breaks HTTP: the consumer gets 502, not raw bytes."""
    consumer = publish(Origin(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw"))()
    consumer.get()
    assert consumer.head()[0] == 502
