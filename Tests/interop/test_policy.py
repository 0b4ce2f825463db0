# SPDX-License-Identifier: Apache-2.0
"""What a tunnel may ask for and what is then enforced at the edge; what cannot be enforced is refused, not ignored."""

import socket
import ssl

import pytest

from support import origins, wire
from support.ctl import ClientOptions
from support.tls import TLSStream, client_context, tls_connect
from support.tokens import CONNECT, CREATE, mint

UNAVAILABLE = {
    "rstream-auth": dict(rstream_auth=True),
    "challenge": dict(challenge_mode=True),
    "http-mtls": dict(mtls_auth=True),
    "tls-mtls": dict(protocol="tls", mtls_auth=True),
    "geoip": dict(geoip=["FR"]),
    "token-auth-without-tokens": dict(token_auth=True),
    "dtls": dict(protocol="dtls"),
    "webtty": dict(protocol="webtty"),
    "h3": dict(http_version="h3"),
    "h2c": dict(http_version="h2c"),
}


@pytest.mark.parametrize("kind", UNAVAILABLE)
def test_what_this_engine_cannot_do_is_refused(client, kind):
    """A tunnel that asks for protection must never come up without it."""
    control = client.control()
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(**UNAVAILABLE[kind])
    assert refusal.value.code == 5000 and refusal.value.text
    assert control.open_tunnel(publish=False).id.value


@pytest.mark.parametrize(
    "values",
    [
        dict(publish=False, hostname="x"),
        dict(publish=False, token_auth=True),
        dict(publish=False, http_version="http/1.1"),
        dict(port=443),
        dict(protocol="tls", tls_mode="passthrough", tls_min_version="tls1.3"),
        dict(http_use_tls=True, upstream_tls=False),
        dict(type="datagram"),
        dict(protocol="tls", type="datagram"),
        dict(protocol="tls", type="datagram", publish=False),
        dict(protocol="tcp", tls_alpns=["x"]),
        dict(hostname="-x"),
        dict(hostname="a.b"),
        dict(hostname="x.t.elsewhere"),
    ],
    ids=lambda values: "-".join(values),
)
def test_contradictions_are_refused_with_2000(client, values):
    with pytest.raises(wire.Refused) as refusal:
        client.control().open_tunnel(**values)
    assert refusal.value.code == 2000 and refusal.value.text


def test_read_only_properties_are_not_taken_from_a_client(client):
    control = client.control()
    first = control.open_tunnel(publish=False)
    second = control.open_tunnel(id=first.id.value, host="stolen.example.com", name="x", publish=False)
    assert second.id.value != first.id.value and not second.HasField("host")


# -- who may connect -------------------------------------------------------------------------------------------------

ALLOWED, REFUSED = ["127.0.0.0/8", "192.0.2.0/24"], ["192.0.2.0/24", "2001:db8::/32"]


def test_trusted_addresses_of_http(engine, forward, site, client, name):
    control = client.control()
    host = control.open_tunnel(name=name, trusted_ips=REFUSED).hostname.value
    connection = engine.http(host)
    connection.request("GET", "/ping")
    assert connection.getresponse().status == 403
    forward(
        engine,
        site().address,
        f"{name}-allowed",
        ["--hostname", name + "-a", "--property", f"trusted_ips={ALLOWED[0]}"],
    )
    connection = engine.http(f"{name}-a.t.{engine.host}")
    connection.request("GET", "/ping")
    assert connection.getresponse().read() == b"pong\n"
    assert not control.received("proxy_conn_req")


def test_trusted_addresses_cannot_be_talked_into(engine, client, name):
    """A header says nothing about where a connection comes from."""
    control = client.control()
    host = control.open_tunnel(name=name, trusted_ips=REFUSED).hostname.value
    connection = engine.http(host)
    connection.request("GET", "/", headers={"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"})
    assert connection.getresponse().status == 403
    assert not control.received("proxy_conn_req")


@pytest.mark.parametrize("mode", ["terminated", "passthrough"])
def test_trusted_addresses_of_tls(engine, client, name, mode):
    control = client.control()
    host = control.open_tunnel(name=name, protocol="tls", tls_mode=mode, trusted_ips=REFUSED).hostname.value
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with engine.tls(host) as stream:
            stream.write(b"x")
            raise ConnectionError(f"closed: {stream.read_exactly(1)}")
    assert not control.received("proxy_conn_req")
    allowed = control.open_tunnel(protocol="tls", tls_mode=mode, trusted_ips=ALLOWED).hostname.value
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=5)
    sock.sendall(TLSStream(sock, client_context(), server_hostname=allowed).client_hello())
    if mode == "terminated":
        sock.close()
        with engine.tls(allowed):
            assert control.next_request()
    else:
        assert control.next_request()
        sock.close()


def test_trusted_addresses_of_tcp(client, name):
    control = client.control()
    port = control.open_tunnel(name=name, protocol="tcp", trusted_ips=REFUSED).port.value
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            assert sock.recv(1) == b""
    except ConnectionResetError:
        pass
    assert not control.received("proxy_conn_req")
    port = control.open_tunnel(protocol="tcp", trusted_ips=["127.0.0.1"]).port.value
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        assert wire.source_address(control.next_request()) == "127.0.0.1"


# -- TLS of published tunnels ----------------------------------------------------------------------------------------


def connect_with(engine, host, maximum=None, ciphers=None):
    context = client_context(engine.ca_file)
    if maximum:
        context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    return tls_connect(engine.port, host, context)


def test_least_version_of_tls(engine, client, name):
    control = client.control()
    modern = control.open_tunnel(name=name, protocol="tls", tls_min_version="tls1.3").hostname.value
    either = control.open_tunnel(protocol="tls", tls_min_version="tls1.2").hostname.value
    with connect_with(engine, modern) as stream:
        assert stream.version == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect_with(engine, modern, ssl.TLSVersion.TLSv1_2)
    with connect_with(engine, either, ssl.TLSVersion.TLSv1_2) as stream:
        assert stream.version == "TLSv1.2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_refused(engine, client, name):
    host = client.control().open_tunnel(name=name, protocol="tls").hostname.value
    context = client_context(engine.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls_connect(engine.port, host, context)


def test_cipher_suites(engine, client, name):
    control = client.control()
    tunnel = control.open_tunnel(name=name, protocol="tls", tls_ciphers=["TLS_CHACHA20_POLY1305_SHA256"])
    assert list(tunnel.tls_ciphers) == ["TLS_CHACHA20_POLY1305_SHA256"]
    with connect_with(engine, tunnel.hostname.value) as stream:
        assert stream.cipher == "TLS_CHACHA20_POLY1305_SHA256"


# -- token_auth ------------------------------------------------------------------------------------------------------

SECRET = "an edge secret of the tests, long enough"


@pytest.fixture
def guarded(start_engine, forward, site, name):
    """An engine with JWTs and a published site that demands a token."""
    engine = start_engine(
        settings={"auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET, "timeouts.drain_seconds": 1}
    )
    origin = site()
    target = ClientOptions(*engine.client_options(mint(SECRET)))
    ours = forward(target, origin.address, name, ["--property", "token_auth=true"])
    return engine, origin, ours.host


def status(engine, host, path="/ping", headers=None):
    connection = engine.http(host)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    response.read()
    return response.status


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_guarded_site_wants_a_token(guarded):
    engine, origin, host = guarded
    assert status(engine, host) == 401
    assert status(engine, host, headers=bearer("nonsense")) == 401
    assert status(engine, host, headers=bearer(mint(SECRET, lifetime=-5))) == 401
    assert status(engine, host, headers=bearer(mint("another secret, also long enough!!!!!!!"))) == 401
    assert status(engine, host, headers=bearer(mint(SECRET, [CREATE]))) == 403
    assert origin.requests == []
    assert status(engine, host, headers=bearer(mint(SECRET, [CONNECT]))) == 200
    assert status(engine, host, headers=bearer(mint(SECRET))) == 200
    assert len(origin.requests) == 2


def test_a_token_in_the_query_opens_a_guarded_site_and_stays_at_the_edge(guarded):
    engine, origin, host = guarded
    token = mint(SECRET, [CONNECT])
    assert status(engine, host, f"/ping?a=1&rstream.token={token}&b=2") == 200
    assert token not in origin.requests[-1][1]
    assert status(engine, host, "/ping?rstream.token=wrong") == 401


def test_a_guarded_site_judges_every_request_of_a_connection(guarded):
    engine, origin, host = guarded
    connection = engine.http(host)
    for headers, expected in ((bearer(mint(SECRET)), 200), ({}, 401), (bearer(mint(SECRET)), 200), ({}, 401)):
        connection.request("GET", "/ping", headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == expected
    assert len(origin.requests) == 2


def test_an_upgrade_does_not_pass_a_guard(guarded):
    engine, origin, host = guarded
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert status(engine, host, headers=upgrade) == 401
    assert origin.requests == []


def test_the_guarded_tunnels_own_origin_is_untouched(guarded, forward, site, name):
    """Another tunnel of the same engine without token_auth stays open, and passes credentials of its own through."""
    engine, _, _ = guarded
    origin = site()
    target = ClientOptions(*engine.client_options(mint(SECRET)))
    ours = forward(target, origin.address, f"{name}-open")
    assert status(engine, ours.host, headers={"Authorization": "Basic dXNlcjpwYXNz"}) == 200
    assert ("Authorization", "Basic dXNlcjpwYXNz") in origin.requests[-1][2]


def test_origins_of_another_service_are_not_reached_through_a_guard(guarded):
    """What one request may do does not carry over to the next one for another host on the same connection."""
    engine, origin, host = guarded
    connection = engine.http(host)
    connection.request("GET", "/ping", headers=bearer(mint(SECRET)))
    connection.getresponse().read()
    connection.request("GET", "/ping", headers={"Host": f"{host}:{engine.port}"})
    assert connection.getresponse().status == 401
    assert len(origin.requests) == 1


def test_local_echo_is_reachable_without_any_policy(engine, forward, tcp_server, client, name):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish", "--property", "labels.tier=free"])
    with client.dial(name) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"
    assert engine.tunnels(labels={"tier": "free"}, name=name)
