# SPDX-License-Identifier: Apache-2.0
"""Who may do what on our engine: open mode, static tokens, HS256 JWTs with expiry and permissions."""

import time

import pytest
from rstream.errors import EngineError

from support import origins, wire
from support.certificates import Authority
from support.ctl import Engine, unique
from support.official import ask, official_client
from support.tokens import CONNECT, CREATE, LIST, mint
from support.waiting import wait_until

SECRET = "a secret of the interop tests, long enough"
STATIC = ("static-token-one", "static-token-two")


@pytest.fixture(scope="module")
def closed_engine(tmp_path_factory):
    """A development engine is open; this one knows static tokens and JWTs and nobody else."""
    directory = tmp_path_factory.mktemp("closed-engine")
    authority = Authority(directory)
    certificate, key = authority.issue("localhost", "*.t.localhost")
    engine = Engine(
        directory,
        dev=False,
        settings={
            "engine.host": "localhost",
            "timeouts.drain_seconds": "1",
            "certs.static.cert_file": certificate,
            "certs.static.key_file": key,
            "auth.tokens": ",".join(STATIC),
            "auth.jwt.enabled": "true",
            "auth.jwt.token_jwt_secret": SECRET,
        },
    )
    assert engine.ca_file is None
    engine.ca_file = authority.ca_file
    yield engine
    engine.end()


BAD_TOKENS = {
    "none": None,
    "unknown": "static-token-three",
    "prefix": STATIC[0][:-1],
    "longer": STATIC[0] + "x",
    "blank": " ",
    "expired": mint(SECRET, lifetime=-60),
    "wrong-secret": mint("another secret, long enough as well!!"),
    "no-algorithm": mint(SECRET, algorithm="none"),
    "other-algorithm": mint(SECRET, algorithm="HS512"),
    "no-signature": mint(SECRET).rsplit(".", 1)[0] + ".",
    "no-parts": "a.b",
    "huge": "x" * 60000,
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_tokens_are_refused_with_1000_everywhere(closed_engine, kind):
    token = BAD_TOKENS[kind]
    client = closed_engine.fake_client()
    with pytest.raises(wire.Refused) as refusal:
        client.control(token=token)
    assert refusal.value.code == 1000 and refusal.value.text
    if token and token.strip():
        assert token not in refusal.value.text
    with pytest.raises(wire.Refused) as refusal:
        client.dial("anything", token=token)
    assert refusal.value.code == 1000
    if kind not in ("blank", "huge"):
        for path in ("/api/tunnels", "/api/clients", "/api/auth"):
            assert closed_engine.api(path, token=token)[0] == 401


def test_tampered_token(closed_engine):
    head, body, signature = mint(SECRET, permissions=[LIST]).split(".")
    other = mint(SECRET).split(".")[1]
    with pytest.raises(wire.Refused) as refusal:
        closed_engine.fake_client().control(token=f"{head}.{other}.{signature}")
    assert refusal.value.code == 1000


@pytest.mark.parametrize(
    "token", [*STATIC, mint(SECRET), mint(SECRET, [CREATE, CONNECT, LIST])], ids=["one", "two", "jwt", "jwt-all"]
)
def test_good_tokens_do_everything(closed_engine, token):
    client = closed_engine.fake_client(token=token)
    control = client.control()
    tunnel = control.open_tunnel(name=unique(), publish=False)
    near, far = client.pair(control, tunnel.id.value, zero_rtt=None)
    with near, far:
        near.write(b"hello")
        assert far.read_exactly(5) == b"hello"
    assert [entry["id"] for entry in closed_engine.tunnels(token, id=tunnel.id.value)] == [tunnel.id.value]
    assert closed_engine.api("/api/auth", token=token)[0] == 200
    control.close()


def test_permission_to_create(closed_engine):
    client = closed_engine.fake_client()
    control = client.control(token=mint(SECRET, [CREATE]))
    tunnel = control.open_tunnel(name=unique(), publish=False)
    with pytest.raises(wire.Refused) as refusal:
        client.dial(tunnel.id.value, token=mint(SECRET, [CREATE]))
    assert refusal.value.code == 1000
    assert closed_engine.api("/api/tunnels", token=mint(SECRET, [CREATE]))[0] == 403
    assert closed_engine.api("/api/auth", token=mint(SECRET, [CREATE]))[0] == 200


@pytest.mark.parametrize("permissions", [[], [CONNECT], [LIST], ["something.else"]], ids=str)
def test_without_permission_to_create(closed_engine, permissions):
    """Refused at the channel or at the tunnel, always with 1000."""
    with pytest.raises(wire.Refused) as refusal:
        closed_engine.fake_client().control(token=mint(SECRET, permissions)).open_tunnel(publish=False)
    assert refusal.value.code == 1000


def test_permission_to_connect(closed_engine):
    client = closed_engine.fake_client()
    control = client.control(token=STATIC[0])
    tunnel = control.open_tunnel(name=unique(), publish=False)
    stream = client.dial(tunnel.name.value, zero_rtt=True, token=mint(SECRET, [CONNECT]), payload=b"hi")
    with control.accept() as far, stream:
        assert far.read_exactly(2) == b"hi"
    for permissions in ([], [LIST], [CREATE]):
        with pytest.raises(wire.Refused) as refusal:
            client.dial(tunnel.name.value, token=mint(SECRET, permissions))
        assert refusal.value.code == 1000
    with client.dial(tunnel.name.value, zero_rtt=True, token=mint(SECRET, [])) as stream:
        stream.expect_end()
    assert len(control.received("proxy_conn_req")) == 1


def test_permission_to_list(closed_engine):
    assert closed_engine.api("/api/tunnels", token=mint(SECRET, [LIST]))[0] == 200
    assert closed_engine.api("/api/clients", token=mint(SECRET, [LIST]))[0] == 200
    for permissions in ([], [CREATE], [CONNECT]):
        assert closed_engine.api("/api/tunnels", token=mint(SECRET, permissions))[0] == 403
        assert closed_engine.api("/api/clients", token=mint(SECRET, permissions))[0] == 403


def test_tokens_in_the_query_are_refused_on_lists(closed_engine):
    connection = closed_engine.http()
    connection.request("GET", f"/api/tunnels?rstream.token={mint(SECRET)}")
    assert connection.getresponse().status == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", f"bearer{STATIC[0]}", STATIC[0]])
def test_malformed_authorization_headers(closed_engine, header):
    assert closed_engine.api("/api/tunnels", headers={"Authorization": header})[0] == 401


def test_health_needs_no_token(closed_engine):
    assert closed_engine.api("/api/health/live") == (200, {"status": "live"})
    assert closed_engine.api("/api/health/ready") == (200, {"status": "ready"})


def test_token_that_expires_between(closed_engine):
    """Judged at every use: a token that has expired since opens no further channel."""
    token = mint(SECRET, lifetime=2)
    client = closed_engine.fake_client(token=token)
    control = client.control()
    time.sleep(2.5)
    with pytest.raises(wire.Refused) as refusal:
        client.control()
    assert refusal.value.code == 1000
    assert control.is_open


async def test_official_client_with_tokens(closed_engine):
    async with official_client(closed_engine, token=mint(SECRET)) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(publish=False)
        stream = await client.dial(tunnel.id)
        far = await tunnel.accept()
        far.write(b"x")
        assert await ask(stream, b"y") == b"x"
        assert len(await client.list_tunnels(limit=1)) == 1
    async with official_client(closed_engine, token="wrong") as client:
        with pytest.raises(EngineError) as refusal:
            await client.connect()
        assert refusal.value.engine_code == 1000


def test_our_client_with_tokens(closed_engine, forward, tcp_server, name):
    ours = forward(closed_engine, tcp_server(origins.echo).address, name, ["--no-publish"], token=STATIC[1])
    with closed_engine.fake_client(token=STATIC[0]).dial(name) as stream:
        stream.write(b"abc")
        assert stream.read_exactly(3) == b"abc"
    assert STATIC[1] not in ours.log


def test_our_client_without_a_good_token_says_why(closed_engine, forward, tcp_server, name):
    refused = forward(
        closed_engine, tcp_server(origins.echo).address, name, ["--no-publish"], token="wrong-one", online=False
    )
    line = refused.wait_line(status="offline")
    assert line["code"] == "ERR_RSTREAM_ENGINE" and line["engine_code"] == 1000
    assert "wrong-one" not in line["error"]
    refused.judge(refused.wait(), expect=3)


def test_no_token_ever_reaches_the_log(closed_engine):
    token = mint(SECRET, lifetime=-1)
    with pytest.raises(wire.Refused):
        closed_engine.fake_client().control(token=token)
    closed_engine.api("/api/tunnels", token=STATIC[1])
    wait_until(lambda: closed_engine.log, what="a line in the log")
    for secret in (SECRET, token, token.split(".")[2], *STATIC):
        assert secret not in closed_engine.log


def test_open_engine_ignores_tokens(engine):
    for token in (None, "whatever", mint("some secret", lifetime=-5)):
        engine.fake_client().control(token=token).close()
    assert engine.api("/api/tunnels")[0] == 200
    assert engine.api("/api/auth")[0] == 200
