# SPDX-License-Identifier: Apache-2.0
"""Published HTTP over HTTP/1.1: HTTP/1.0 and 1.1 origins, server-sent events, keep-alive, routing by Host, errors."""

import concurrent.futures
import hashlib
import json
import os
import socket
import time

import pytest

from support.certificates import self_signed_context
from support.ports import unused_port
from support.waiting import wait_until

VERSIONS = pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])


def get(connection, path, method="GET", body=None, headers=None):
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response, response.read()


def seen(connection, path="/seen", **options):
    response, body = get(connection, path, **options)
    assert response.status == 200, (response.status, body)
    return json.loads(body)


def values(headers, name):
    return [value for key, value in headers if key.lower() == name.lower()]


@pytest.fixture
def published(engine, forward, site, name):
    """An HTTP/1.1 site behind a published tunnel: (site, Forward)."""
    origin = site(name=name)
    return origin, forward(engine, origin.address, name, ["--protocol", "http"])


@VERSIONS
def test_ping(engine, forward, site, name, version):
    ours = forward(engine, site(version).address, name)
    assert ours.tunnel["forwarding"] == f"https://{ours.host}:{engine.port}"
    host = engine.tunnels(name=name)[0]["host"]
    assert host == f"{ours.host}:{engine.port}"
    connection = engine.http(ours.host)
    for _ in range(3):
        response, body = get(connection, "/ping")
        assert (response.status, body) == (200, b"pong\n")


@VERSIONS
def test_server_sent_events_are_not_buffered(engine, forward, site, name, version):
    """The origin sends the next event only after the consumer has read the one before."""
    origin = site(version)
    ours = forward(engine, origin.address, name)
    connection = engine.http(ours.host)
    connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
    response = connection.getresponse()
    assert response.status == 200 and response.headers.get_content_type() == "text/event-stream"
    for number in (1, 2, 3):
        assert response.readline() == b"data: event-%d\n" % number
        assert response.readline() == b"\n"
        origin.step.release()
    assert response.read() == b""


def test_keep_alive_and_routing_by_host_on_one_connection(engine, forward, site, published, name):
    first_site, first = published
    second_site = site(name="second")
    second = forward(engine, second_site.address, f"{name}-b", ["--protocol", "http"])
    connection = engine.http(first.host)
    for host, expected in (
        (first.host, name),
        (second.host, "second"),
        (f"{second.host}:{engine.port}", "second"),
        (first.host.upper(), name),
        (f"{first.host}:{engine.port}", name),
    ):
        response, body = get(connection, "/name", headers={"Host": host})
        assert (response.status, body.decode()) == (200, expected)
        local_end = connection.sock.getsockname()
    assert connection.sock.getsockname() == local_end
    second.end()
    response, _ = get(connection, "/name", headers={"Host": second.host})
    assert response.status == 404
    response, body = get(connection, "/name", headers={"Host": first.host})
    assert (response.status, body.decode()) == (200, name)
    assert connection.sock.getsockname() == local_end


def test_the_connection_survives_its_first_tunnel(engine, forward, site, published, name):
    _, first = published
    second = forward(engine, site(name="second").address, f"{name}-b")
    connection = engine.http(first.host)
    assert get(connection, "/ping")[1] == b"pong\n"
    local_end = connection.sock.getsockname()
    first.end()
    response, body = get(connection, "/name", headers={"Host": second.host})
    assert (response.status, body) == (200, b"second")
    assert connection.sock.getsockname() == local_end


def test_unknown_host_is_404(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    response, body = get(connection, "/ping", headers={"Host": f"nobody.t.{engine.host}"})
    assert response.status == 404 and 0 < len(body) < 1000
    assert response.headers.get_content_type() == "text/plain"


def test_unknown_server_name_is_refused_or_404(engine):
    """Either the handshake fails or the answer is 404; a tunnel that is not there is never anything else."""
    try:
        connection = engine.http(f"nobody.t.{engine.host}")
        response, body = get(connection, "/ping")
    except OSError:
        return
    assert response.status == 404 and len(body) < 1000


def test_unreachable_origin_is_502(engine, forward, name):
    keep, port = unused_port()
    ours = forward(engine, f"127.0.0.1:{port}", name)
    connection = engine.http(ours.host)
    started = time.monotonic()
    for _ in range(2):
        response, body = get(connection, "/ping")
        assert response.status == 502 and 0 < len(body) < 1000
    assert time.monotonic() - started < 5
    keep.close()


def test_origin_that_is_not_http_is_502(engine, forward, tcp_server, name):
    def garbage(sock):
        sock.recv(10000)
        sock.sendall(b"this is not HTTP at all\r\n\r\n" * 10)

    ours = forward(engine, tcp_server(garbage).address, name)
    response, body = get(engine.http(ours.host), "/ping")
    assert response.status == 502 and len(body) < 1000


def test_origin_that_closes_without_an_answer_is_502(engine, forward, tcp_server, name):
    ours = forward(engine, tcp_server(lambda sock: sock.recv(10000)).address, name)
    response, _ = get(engine.http(ours.host), "/ping")
    assert response.status == 502


def test_agent_that_never_opens_the_stream_is_504(start_engine, name):
    engine = start_engine(settings={"timeouts.stream_request_seconds": 1})
    control = engine.fake_client().control()
    tunnel = control.open_tunnel(name=name)
    connection = engine.http(tunnel.hostname.value)
    started = time.monotonic()
    response, body = get(connection, "/ping")
    assert response.status == 504 and 0 < len(body) < 1000
    assert 0.5 < time.monotonic() - started < 5
    assert len(control.received("proxy_conn_req")) == 1


def test_forwarded_headers(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    host = f"{ours.host}:{engine.port}"
    answer = seen(connection)
    assert values(answer["headers"], "Host") == [host]
    assert values(answer["headers"], "X-Forwarded-For") == ["127.0.0.1"]
    assert values(answer["headers"], "X-Forwarded-Proto") == ["https"]
    assert values(answer["headers"], "X-Forwarded-Host") == [host]


def test_spoofed_forwarded_headers_do_not_pass_as_ours(engine, published):
    _, ours = published
    answer = seen(
        engine.http(ours.host),
        headers={
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "gopher",
            "X-Forwarded-Host": "evil.example.com",
            "Origin": f"https://{ours.host}",
        },
    )
    forwarded = ", ".join(values(answer["headers"], "X-Forwarded-For"))
    assert forwarded.split(", ")[-1] == "127.0.0.1"
    assert values(answer["headers"], "X-Forwarded-Proto") == ["https"]
    assert values(answer["headers"], "X-Forwarded-Host") == [f"{ours.host}:{engine.port}"]
    assert values(answer["headers"], "Origin") == [f"https://{ours.host}"]


def test_hop_by_hop_headers_stay_on_their_hop(engine, published):
    _, ours = published
    answer = seen(
        engine.http(ours.host),
        headers={"Connection": "X-Private, keep-alive", "X-Private": "1", "Keep-Alive": "timeout=5", "X-Public": "2"},
    )
    assert values(answer["headers"], "X-Private") == [] and values(answer["headers"], "Keep-Alive") == []
    assert values(answer["headers"], "X-Public") == ["2"]


@pytest.mark.parametrize(
    "target",
    [
        "/seen/../seen?a=1",
        "/seen?x=%2F%20+&y=a%00b",
        "//seen",
        "/%73een?q=%E4",
        "/seen/./?x=/../",
        "/seen?" + "k=v&" * 1000,
    ],
    ids=["dots", "query", "slashes", "escapes", "dot", "long"],
)
def test_targets_are_not_touched(engine, published, target):
    origin, ours = published
    get(engine.http(ours.host), target)
    assert origin.requests[-1][1] == target or (target.startswith("//") and origin.requests[-1][1] == "/seen")


def test_subpath_is_not_redirected_and_redirects_are_not_followed(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    assert get(connection, "/directory/")[1] == b"directory\n"
    response, _ = get(connection, "/redirect")
    assert response.status == 302 and response.headers["Location"] == "/directory/"


@pytest.mark.parametrize("path, status", [("/nothing", 204), ("/not-modified", 304), ("/missing", 404)])
def test_statuses_pass_and_the_connection_goes_on(engine, published, path, status):
    _, ours = published
    connection = engine.http(ours.host)
    assert get(connection, path)[0].status == status
    assert get(connection, "/ping")[1] == b"pong\n"


def test_head_has_no_body_and_the_connection_goes_on(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    response, body = get(connection, "/large", method="HEAD")
    assert response.headers["Content-Length"] == str(4 << 20) and body == b""
    assert get(connection, "/ping")[1] == b"pong\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_methods_and_bodies(engine, published, method):
    _, ours = published
    answer = seen(engine.http(ours.host), method=method, body=b"some body")
    assert answer["method"] == method and answer["body"] == "some body"


@VERSIONS
def test_large_bodies_both_ways(engine, forward, site, name, version):
    ours = forward(engine, site(version).address, name)
    connection = engine.http(ours.host)
    body = os.urandom(3 << 20)
    _, answer = get(connection, "/digest", method="POST", body=body)
    assert answer.decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    _, answer = get(connection, "/large")
    assert answer == bytes(range(256)) * 4096 * 4


def test_chunked_request_and_response(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    parts = [b"one ", b"two ", b"x" * 70000]
    connection.request("POST", "/digest", iter(parts), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    body = b"".join(parts)
    assert connection.getresponse().read().decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    response, body = get(connection, "/chunked")
    assert body == b"first second third"
    assert get(connection, "/ping")[1] == b"pong\n"


def test_body_that_ends_with_the_connection(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    for _ in range(2):
        assert get(connection, "/until-close")[1] == b"ends with the connection"
        assert get(connection, "/close")[1] == b"closing\n"


def test_truncated_answers_are_not_completed(engine, published):
    """The origin promises 1,000 bytes and breaks off: the consumer must see a broken answer as well."""
    _, ours = published
    connection = engine.http(ours.host)
    connection.request("GET", "/break")
    response = connection.getresponse()
    with pytest.raises(Exception) as failure:
        body = response.read()
        raise AssertionError(f"a complete answer: {body!r}")
    assert not isinstance(failure.value, AssertionError), failure.value


def test_repeated_headers_stay_apart(engine, published):
    _, ours = published
    response, _ = get(engine.http(ours.host), "/cookies")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_http_1_0_consumer(engine, published):
    _, ours = published
    with engine.tls(ours.host) as stream:
        stream.write(f"GET /ping HTTP/1.0\r\nHost: {ours.host}\r\n\r\n".encode())
        answer = stream.read_all()
    assert answer.startswith(b"HTTP/1.") and b" 200 " in answer.split(b"\r\n")[0]
    assert answer.endswith(b"pong\n") and b"chunked" not in answer.lower()


def test_http_1_0_consumer_of_a_chunked_answer(engine, published):
    """HTTP/1.0 knows no chunks: the body comes plain and ends with the connection."""
    _, ours = published
    with engine.tls(ours.host) as stream:
        stream.write(f"GET /chunked HTTP/1.0\r\nHost: {ours.host}\r\n\r\n".encode())
        answer = stream.read_all()
    assert answer.endswith(b"\r\n\r\nfirst second third"), answer


def test_pipelined_requests_are_answered_in_order(engine, published):
    _, ours = published
    request = f"Host: {ours.host}\r\n\r\n"
    with engine.tls(ours.host) as stream:
        stream.write(
            f"GET /slow HTTP/1.1\r\n{request}GET /ping HTTP/1.1\r\n{request}"
            f"GET /directory/ HTTP/1.1\r\nConnection: close\r\n{request}".encode()
        )
        answer = stream.read_all()
    positions = [answer.index(body) for body in (b"slow\n", b"pong\n", b"directory\n")]
    assert positions == sorted(positions)


def test_alpn_choices_on_a_http_host(engine, published):
    """http/1.1 or no ALPN at all means HTTP/1.1."""
    _, ours = published
    for alpn in (None, ["http/1.1"]):
        with engine.tls(ours.host, alpn) as stream:
            assert stream.alpn == (alpn[0] if alpn else None)
            stream.write(f"GET /ping HTTP/1.1\r\nHost: {ours.host}\r\nConnection: close\r\n\r\n".encode())
            assert stream.read_all().endswith(b"pong\n")


def test_expect_100_continue(engine, published):
    _, ours = published
    with engine.tls(ours.host) as stream:
        stream.write(
            f"POST /digest HTTP/1.1\r\nHost: {ours.host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += stream.read(timeout=5)
        assert answer.startswith(b"HTTP/1.1 100")
        stream.write(b"body")
        answer = answer.split(b"\r\n\r\n", 1)[1]
        while hashlib.sha256(b"body").hexdigest().encode() not in answer:
            data = stream.read(timeout=5)
            assert data, answer
            answer += data
        assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST /ping HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /ping HTTP/1.1\r\nHost: %s\r\nBad Header\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: %s\r\nX: a\x00b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: %s\r\n" + b"X-Many: 1\r\n" * 20000 + b"\r\n",
    ],
    ids=[
        "two-hosts",
        "no-host",
        "length-and-chunked",
        "two-lengths",
        "bad-chunk",
        "bad-header",
        "nul",
        "nonsense",
        "long-target",
        "many-headers",
    ],
)
def test_bad_requests_are_refused(engine, published, request_bytes):
    """Requests that two servers could read in two ways never reach the origin as they are."""
    origin, ours = published
    with engine.tls(ours.host) as stream:
        try:
            stream.write(request_bytes.replace(b"%s", ours.host.encode()))
            answer = stream.read_all(timeout=10)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.split(b" ")[1][:1] == b"4", answer[:200]
    assert get(engine.http(ours.host), "/ping")[1] == b"pong\n"
    assert len([path for _, path, _ in origin.requests if path == "/ping"]) <= 2


def test_idle_connections_are_closed(start_engine, forward, site, name):
    engine = start_engine(settings={"timeouts.http_idle_seconds": 1})
    ours = forward(engine, site().address, name)
    connection = engine.http(ours.host)
    assert get(connection, "/ping")[1] == b"pong\n"
    started = time.monotonic()
    connection.sock.settimeout(10)
    assert connection.sock.recv(1) == b""
    assert 0.5 < time.monotonic() - started < 6


def test_a_consumer_that_leaves_frees_its_stream(engine, published):
    origin, ours = published
    connection = engine.http(ours.host)
    connection.request("GET", "/hang")
    assert origin.hanging.wait(10)
    ours.opened()
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert ours.closed(timeout=10)


def test_many_consumers_at_once(engine, published):
    _, ours = published

    def one(number):
        connection = engine.http(ours.host)
        try:
            body = b"%d" % number * 1000
            _, answer = get(connection, "/digest", method="POST", body=body)
            return answer.decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(128)))


def test_upstream_tls(engine, forward, site, tmp_path, name):
    ours = forward(engine, site(tls=self_signed_context(tmp_path, ["http/1.1"])).address, name, ["--upstream-tls"])
    connection = engine.http(ours.host)
    for _ in range(2):
        assert get(connection, "/ping")[1] == b"pong\n"


def test_the_consumers_address_reaches_the_agent(engine, published):
    _, ours = published
    get(engine.http(ours.host), "/ping")
    assert ours.opened()["peer"].startswith("127.0.0.1")


def test_the_tunnel_is_gone_when_its_agent_is_killed(engine, published):
    _, ours = published
    connection = engine.http(ours.host)
    assert get(connection, "/ping")[0].status == 200
    ours.kill()
    wait_until(lambda: get(connection, "/ping")[0].status == 404, what="404 after the agent was killed")
