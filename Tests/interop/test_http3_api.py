# SPDX-License-Identifier: Apache-2.0
"""The engine's API over HTTP/3, on the port of its QUIC connections: aioquic and gtlsclient as they are."""

import json
import subprocess

import pytest
from aioquic.h3.connection import Setting

from support import wire
from support.certificates import Authority
from support.http3_client import HTTP3Client
from support.waiting import wait_until


@pytest.fixture
def connect(engine):
    """Connects to the shared engine, or another one."""
    clients = []

    def open_one(target=engine, **options):
        clients.append(HTTP3Client(target.port, target.ca_file, **options))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


def test_the_same_answers_as_over_tls(engine, connect, client, name):
    control = client.control()
    tunnel = control.open_tunnel(name=name, labels={"k": name}).id.value
    http = connect()
    assert http.alpn == "h3"
    for path in (
        "/api/health/live",
        "/api/auth",
        f"/api/tunnels/{tunnel}",
        f'/api/tunnels?params={{"filters":{{"labels":{{"k":"{name}"}}}}}}'.replace('"', "%22"),
        "/api/openapi.json",
        "/.well-known/rstream/engine",
        "/api/nothing",
        "/api/tunnels?params=nonsense",
    ):
        answer = http.request(path)
        status, body = engine.api(path)
        assert answer.status == status, path
        if isinstance(body, bytes):
            assert bytes(answer.body) == body
        else:
            assert json.loads(answer.body) == body
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert "connection" not in answer.headers and "transfer-encoding" not in answer.headers


def test_other_methods(connect):
    http = connect()
    refused = http.request("/api/tunnels", method="POST", body=b"x" * 100_000)
    assert refused.status == 405 and refused.headers["allow"] == "GET, HEAD"
    # Whatever came of the body, the connection is as good as before.
    assert http.request("/api/health/live").status == 200
    upgrade = http.request("/api/websocket")
    assert upgrade.status == 426 and "upgrade" not in upgrade.headers


def test_requests_at_once(engine, connect):
    http = connect()
    answers = [http.begin("/api/openapi.json") for _ in range(90)]
    bodies = {bytes(answer.wait().body) for answer in answers}
    assert len(bodies) == 1 and {answer.status for answer in answers} == {200}
    # More than may be open at once: the rest follows as streams become free.
    for _ in range(300):
        assert http.request("/api/health/live").status == 200


def test_tokens(start_engine, connect):
    engine = start_engine(settings={"auth.open": "false", "auth.tokens": "static"})
    http = connect(engine)
    assert http.request("/api/tunnels").status == 401
    bearer = {"authorization": "Bearer static"}
    assert json.loads(http.request("/api/tunnels", headers=bearer).body) == []
    assert http.request("/api/tunnels", headers={"authorization": "Bearer wrong"}).status == 401
    assert http.request("/api/tunnels?rstream.token=static").status == 401


def test_certificates(start_engine, connect, tmp_path):
    authority = Authority(tmp_path)
    engine = start_engine(settings={"auth.open": "false", "auth.tokens": "x", "auth.mtls.ca_file": authority.ca_file})
    mine = authority.issue("agent-1", client=True)
    assert connect(engine, certificate=mine).request("/api/tunnels").status == 200
    assert connect(engine).request("/api/tunnels").status == 401


def test_watching(connect, client, name):
    http = connect()
    watch = http.begin("/api/sse")
    watch.wait_for(lambda answer: b"state.initial" in answer.body)
    assert watch.headers["content-type"] == "text/event-stream" and watch.status == 200
    control = client.control()
    control.open_tunnel(name=name)
    watch.wait_for(lambda answer: b"tunnel.created" in answer.body and name.encode() in answer.body)
    # It takes nothing from the other requests.
    assert http.request("/api/health/live").status == 200
    http.cancel(watch)
    assert http.request("/api/health/live").status == 200


def test_a_watcher_that_does_not_read(start_engine, name):
    """It is let go, and takes nobody with it."""
    engine = start_engine(log_level="debug")
    window = {"max_data": 20_000, "max_stream_data": 20_000}
    with HTTP3Client(engine.port, engine.ca_file, **window) as http:
        watch = http.begin("/api/sse")
        watch.wait_for(lambda answer: b"state.initial" in answer.body)
        http.connection.fall_silent()
        fake = engine.fake_client()
        control = fake.control()
        labels = {f"label-{number}": "x" * 200 for number in range(16)}
        for number in range(400):
            control.close_tunnel(control.open_tunnel(name=f"{name}-{number}", labels=labels).id.value)
        wait_until(lambda: "does not read" in engine.log)
        fake.close()


def test_settings_of_the_server(connect):
    http = connect()
    http.request("/api/health/live")
    # Nothing is offered that is not there.
    assert not http.settings.get(Setting.ENABLE_CONNECT_PROTOCOL)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({":authority": "a b"}, 400),
        ({":path": "no/slash"}, 400),
        ({"x-large-" + str(n): "x" * 20_000 for n in range(4)}, 431),
        ({"x-many-" + str(n): "y" for n in range(3000)}, 431),
        ({":authority": "x.t.localhost"}, 421),
    ],
)
def test_bad_requests(connect, fields, status):
    http = connect()
    answer = http.request("/api/health/live", headers=fields)
    assert answer.status == status or answer.reset is not None
    assert http.request("/api/health/live").status == 200


def test_malformed_messages_end_their_stream_alone(connect):
    http = connect()
    for fields in ({":scheme": ""}, {"Upper": "x"}, {"connection": "close"}, {"content-length": "7"}):
        answer = http.begin("/api/health/live", headers=fields).wait()
        assert answer.reset is not None or answer.status in (200, 400), fields
    assert http.request("/api/health/live").status == 200


def test_a_request_that_never_comes(start_engine):
    engine = start_engine(settings={"timeouts.handshake_seconds": 1})
    with HTTP3Client(engine.port, engine.ca_file) as http:
        # A HEADERS frame of 100 bytes, of which one comes.
        stream = http.connection.open_stream()
        stream.write(b"\x01\x40\x64\x00")
        assert b"arrive in time" in stream.read_all()
        assert http.request("/api/health/live").status == 200


def test_draining(start_engine):
    engine = start_engine()
    with HTTP3Client(engine.port, engine.ca_file) as http:
        assert http.request("/api/health/ready").status == 200
        watch = http.begin("/api/sse")
        watch.wait_for(lambda answer: b"state.initial" in answer.body)
        engine.end()
        assert watch.wait().status == 200
        closed = http.connection.wait_closed()
        # H3_NO_ERROR, of the application.
        assert (closed.code, closed.frame_type) == (0x100, None)


def test_a_connection_without_requests_is_closed(start_engine):
    engine = start_engine(settings={"timeouts.http_idle_seconds": 1})
    with HTTP3Client(engine.port, engine.ca_file) as http:
        assert http.request("/api/health/live").status == 200
        assert http.connection.wait_closed().code == 0x100


def test_both_protocols_on_one_port(engine, connect):
    """The protocol of agents goes first where both are offered."""
    assert connect(alpn=("h3", "unknown/1")).request("/api/health/live").status == 200
    quic = engine.quic_client()
    try:
        assert quic.quic.connect(alpn=["h3", wire.ALPN]).alpn == wire.ALPN
    finally:
        quic.close()


def gtlsclient(engine, *options, requests=1):
    done = subprocess.run(
        ["gtlsclient", "--exit-on-all-streams-close", "--sni=localhost", *options, "127.0.0.1", str(engine.port)]
        + [f"https://localhost:{engine.port}/api/health/live"] * requests,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=30,
    )
    return done.stdout + done.stderr


def test_gtlsclient(engine):
    said = gtlsclient(engine, requests=3)
    assert said.count("[:status: 200]") == 3 and said.count("body 17 bytes") == 3, said[-4000:]


def test_gtlsclient_and_heads(engine):
    """aioquic takes no answer to HEAD that tells the length of the body."""
    said = gtlsclient(engine, "--http-method=HEAD")
    assert "[:status: 200]" in said and "[content-length: 17]" in said and "body 17" not in said, said[-4000:]
