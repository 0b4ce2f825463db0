# SPDX-License-Identifier: Apache-2.0
"""The eight stream cases of the official end-to-end matrix, with each transport between our clients and our engine; the
owner is ours, the consumer foreign where it can be.
"""

import socket
import ssl

import pytest

from support import origins, wire
from support.certificates import self_signed_context
from support.ports import unused_port
from support.tls import TLSStream, client_context

PING = b"ping-stream\n"
ALPN = "rstream-stream-echo"


@pytest.fixture(params=["tls", "quic", "auto"])
def transport(request):
    return request.param


def over(start, transport):
    """Starts our clients with a transport, and sees what they have then. With auto either may have won on a busy machine."""

    def check(engine, first, name=None, arguments=(), **options):
        options["arguments"] = [*arguments, "--config-set", f"transport.mode={transport}"]
        program = start(engine, first, **options) if name is None else start(engine, first, name, **options)
        uses_tls = engine.port in program.sockets("tcp")
        if transport == "quic":
            assert not uses_tls
        elif transport == "tls" and program.tunnel:
            # (A dialer connects when it has something to connect for.)
            assert uses_tls
        return program

    return check


@pytest.fixture
def forward(forward, transport):
    return over(forward, transport)


@pytest.fixture
def dial(dial, transport):
    return over(dial, transport)


@pytest.fixture
def client(engine, transport):
    """A wire-level client of the shared engine."""
    client = engine.fake_client() if transport == "tls" else engine.quic_client()
    yield client
    client.close()


def echoes(stream):
    stream.write(PING)
    return stream.read_exactly(len(PING)) == PING


def test_plain(engine, forward, tcp_server, client, name):
    forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])
    with client.dial(name) as stream:
        assert echoes(stream)


def test_tcp_published(engine, forward, tcp_server, name):
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--protocol", "tcp"])
    assert ours.tunnel["forwarding"] == f"{ours.host}:{ours.tunnel['port']} (tcp)"
    with socket.create_connection(("127.0.0.1", ours.tunnel["port"]), timeout=10) as sock:
        sock.sendall(PING)
        assert sock.recv(100) == PING


def test_tls(engine, forward, dial, tcp_server, tmp_path, name):
    """The application's own TLS inside a private tunnel, through our dialer's local port."""
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path, ["http/1.1"]))
    forward(engine, server.address, name, ["--no-publish"])
    ours = dial(engine, name)
    sock = socket.create_connection(("127.0.0.1", ours.port), timeout=10)
    context = client_context(verify=False, alpn=["http/1.1"])
    with TLSStream(sock, context, server_hostname="inside.test").handshake() as stream:
        assert stream.alpn == "http/1.1"
        assert echoes(stream)


@pytest.fixture
def tls_published(engine, forward, tcp_server, name):
    return forward(
        engine,
        tcp_server(origins.echo).address,
        name,
        ["--protocol", "tls", "--tls-mode", "terminated", "--tls-alpn", ALPN],
    )


def test_tls_published(engine, tls_published):
    assert tls_published.tunnel["forwarding"] == f"{tls_published.host}:{engine.port} (tls)"
    with engine.tls(tls_published.host, [ALPN]) as stream:
        assert stream.alpn == ALPN
        assert echoes(stream)
    with engine.tls(tls_published.host, ["first", ALPN]) as stream:
        assert stream.alpn == ALPN


def test_tls_published_alpn_reject(engine, tls_published):
    for offered in (["rstream-stream-wrong"], None):
        with pytest.raises((ssl.SSLError, ConnectionError)) as failure:
            engine.tls(tls_published.host, offered)
        if offered:
            assert "no application protocol" in str(failure.value).lower().replace("_", " ")
    with engine.tls(tls_published.host, [ALPN]) as stream:
        assert echoes(stream)


def test_tls_published_passthrough(engine, forward, tcp_server, tmp_path, name):
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path, ["http/1.1"]))
    ours = forward(engine, server.address, name, ["--protocol", "tls", "--tls-mode", "passthrough"])
    context = client_context(verify=False, alpn=["http/1.1"])
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    with TLSStream(sock, context, server_hostname=ours.host).handshake() as stream:
        assert stream.alpn == "http/1.1"
        assert echoes(stream)


@pytest.fixture
def tls_published_upstream_tls(engine, forward, tcp_server, tmp_path, name):
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path, [ALPN]))
    return forward(engine, server.address, name, ["--protocol", "tls", "--upstream-tls", "--tls-alpn", ALPN])


def test_tls_published_upstream_tls(engine, tls_published_upstream_tls):
    with engine.tls(tls_published_upstream_tls.host, [ALPN]) as stream:
        assert stream.alpn == ALPN
        assert echoes(stream)


def test_tls_published_upstream_tls_alpn_reject(engine, tls_published_upstream_tls):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        engine.tls(tls_published_upstream_tls.host, ["rstream-stream-wrong"])


# -- around the eight ------------------------------------------------------------------------------------------------


def test_upstream_tls_without_any_alpn_of_the_server(engine, forward, tcp_server, tmp_path, name):
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path))
    ours = forward(engine, server.address, name, ["--protocol", "tls", "--upstream-tls", "--tls-alpn", ALPN])
    with engine.tls(ours.host, [ALPN]) as stream:
        assert stream.alpn == ALPN and echoes(stream)


@pytest.mark.parametrize("piece", [1, 7, 200])
def test_passthrough_of_a_client_hello_in_pieces(engine, forward, tcp_server, tmp_path, name, piece):
    """The name is read out of the ClientHello however many segments and records it comes in."""
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path))
    ours = forward(engine, server.address, name, ["--protocol", "tls", "--tls-mode", "passthrough"])
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = TLSStream(sock, client_context(verify=False), server_hostname=ours.host)
    hello = stream.client_hello()
    for start in range(0, len(hello), piece):
        sock.send(hello[start : start + piece])
    with stream.handshake():
        assert echoes(stream)


def test_passthrough_of_a_client_hello_split_into_records(engine, forward, tcp_server, tmp_path, name):
    """A handshake message may be cut into several TLS records; servers behind a passthrough accept that, so do we."""
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path))
    ours = forward(engine, server.address, name, ["--protocol", "tls", "--tls-mode", "passthrough"])
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    stream = TLSStream(sock, client_context(verify=False), server_hostname=ours.host)
    hello = stream.client_hello()
    message = hello[5:]
    for start in range(0, len(message), 50):
        part = message[start : start + 50]
        sock.send(hello[:3] + len(part).to_bytes(2, "big") + part)
    with stream.handshake():
        assert echoes(stream)


def test_passthrough_of_a_large_client_hello(engine, forward, tcp_server, tmp_path, name):
    """Hybrid post-quantum key shares make a ClientHello larger than a segment; a long ALPN list does as well."""
    server = tcp_server(origins.echo, tls=self_signed_context(tmp_path))
    ours = forward(engine, server.address, name, ["--protocol", "tls", "--tls-mode", "passthrough"])
    context = client_context(verify=False, alpn=[f"protocol-number-{n:03}" for n in range(200)])
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    with TLSStream(sock, context, server_hostname=ours.host).handshake() as stream:
        assert echoes(stream)


def test_half_close_over_published_tcp(engine, forward, tcp_server, name):
    ours = forward(engine, tcp_server(origins.reply_after_end).address, name, ["--protocol", "tcp"])
    with socket.create_connection(("127.0.0.1", ours.tunnel["port"]), timeout=10) as sock:
        sock.sendall(PING)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(1000):
            answer += data
    assert answer == b"reply-after-eof:" + PING


def test_source_address_reaches_the_agent(engine, forward, tcp_server, client, name):
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--protocol", "tcp"])
    with socket.create_connection(("127.0.0.1", ours.tunnel["port"]), timeout=10) as sock:
        sock.sendall(PING)
        assert sock.recv(100) == PING
    assert ours.opened()["peer"].startswith("127.0.0.1")


def test_forward_to_a_unix_socket(engine, forward, client, tcp_server, tmp_path, name):
    path = tmp_path / "service.sock"
    server = tcp_server(origins.echo, family=socket.AF_UNIX, address=str(path))
    forward(engine, f"unix:{path}", name, ["--no-publish"])
    assert server.port is None
    with client.dial(name) as stream:
        assert echoes(stream)


def test_dial_on_standard_input_and_output(engine, forward, dial, tcp_server, name):
    forward(engine, tcp_server(origins.reply_after_end).address, name, ["--no-publish"])
    ours = dial(engine, name, listen=False)
    ours.stdin.write(PING)
    ours.stdin.close()
    assert ours.stdout.read() == b"reply-after-eof:" + PING
    ours.judge(ours.wait())


def test_refused_local_service_ends_the_stream(engine, forward, client, name):
    """A consumer learns at once that the local service is down, whether its stream was confirmed before or not."""
    keep, port = unused_port()
    forward(engine, f"127.0.0.1:{port}", name, ["--no-publish"])
    with client.dial(name, zero_rtt=True) as stream:
        stream.expect_end()
    with pytest.raises((wire.Refused, wire.Closed, ConnectionError)):
        client.dial(name).read_exactly(1, timeout=5)
    keep.close()
