# SPDX-License-Identifier: Apache-2.0
"""Pitfalls of an engine that everybody can reach: who a peer is, how long it may take, what its strings may be. Tokens in
logs are test_secrets.py's."""

import contextlib
import ssl
import threading
import time

import pytest

from support import wire

LIMIT = 2


@pytest.fixture
def impatient(start_engine):
    """An engine that gives its peers two seconds, with a plain listener too."""
    return start_engine(
        settings={
            "timeouts.handshake_seconds": LIMIT,
            "timeouts.stream_request_seconds": LIMIT,
            "timeouts.http_idle_seconds": LIMIT,
            "http.enabled": "true",
            "http.listen_addr": "127.0.0.1:0",
        }
    )


class Secured:
    """A TLS stream with the names of a socket."""

    def __init__(self, stream):
        self._stream = stream

    def sendall(self, data):
        self._stream.write(data)

    def recv(self, _size):
        return self._stream.read(timeout=15)


def ended_after(peer, piece_of, pause=0.1, limit=10.0):
    """Writes piece after piece, and tells how long that went on until the engine ended it."""
    begun = time.monotonic()
    over = threading.Event()

    def read():
        with contextlib.suppress(OSError, ssl.SSLError):
            while peer.recv(4096):
                pass
        over.set()

    threading.Thread(target=read, daemon=True).start()
    with contextlib.suppress(OSError, ssl.SSLError):
        for piece in piece_of:
            if over.is_set() or time.monotonic() - begun > limit:
                break
            peer.sendall(piece)
            over.wait(pause)
    assert over.wait(max(0, limit - (time.monotonic() - begun))), "the engine does not end it"
    return time.monotonic() - begun


def drips(data, endless=b"x"):
    """A byte at a time, and on and on."""
    for index in range(len(data)):
        yield data[index : index + 1]
    while True:
        yield endless


# -- 76: who a peer is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\0\1\0\2",
    ],
)
def test_pitfall_76_nobody_says_by_the_proxy_protocol_who_he_is(engine, client, line):
    sock = client.connect_tcp()
    sock.sendall(line)
    # No connection that another address could be ascribed to comes of it.
    with pytest.raises((OSError, ssl.SSLError)):
        client.begin_tls(sock).handshake()


def test_pitfall_76_the_source_is_the_peer_s_address(engine, client, name):
    control = client.control()
    tunnel = control.open_tunnel(name=name, protocol="http")
    with contextlib.closing(engine.tls(tunnel.hostname.value, alpn=["http/1.1"])) as stream:
        stream.write(
            f"GET / HTTP/1.1\r\nHost: {tunnel.hostname.value}\r\nX-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\n"
            "Forwarded: for=192.0.2.9\r\n\r\n".encode()
        )
        assert wire.source_address(control.next_request()) == "127.0.0.1"


# -- 77: how long a peer may take -------------------------------------------------------------------------------------


def test_pitfall_77_a_dripping_client_hello(impatient):
    client = impatient.fake_client()
    hello = client.begin_tls(client.connect_tcp()).client_hello()
    assert ended_after(client.connect_tcp(), drips(hello[:-1], b"")) < LIMIT + 3


@pytest.mark.parametrize("head", ["GET /api/tunnels HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "GET /" + "a" * 20, "\r\n"])
def test_pitfall_77_a_dripping_request_to_the_api(impatient, head):
    assert ended_after(Secured(impatient.tls(alpn=["http/1.1"])), drips(head.encode())) < LIMIT + 3


def test_pitfall_77_a_second_request_that_drips(impatient):
    peer = Secured(impatient.tls(alpn=["http/1.1"]))
    peer.sendall(b"GET /api/tunnels HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert peer.recv(4096).startswith(b"HTTP/1.1 200")
    assert ended_after(peer, drips(b"GET /api/tunnels HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")) < 2 * LIMIT + 3


def test_pitfall_77_an_idle_connection(impatient):
    peer = Secured(impatient.tls(alpn=["http/1.1"]))
    peer.sendall(b"GET /api/tunnels HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ended_after(peer, []) < LIMIT + 3


def test_pitfall_77_a_consumer_whose_agent_does_not_answer(impatient):
    """The agent's stream has a bounded time to come, and the consumer hears about it."""
    with impatient.fake_client() as client:
        tunnel = client.control().open_tunnel(protocol="http")
        peer = Secured(impatient.tls(tunnel.hostname.value, alpn=["http/1.1"]))
        begun = time.monotonic()
        peer.sendall(f"GET / HTTP/1.1\r\nHost: {tunnel.hostname.value}\r\n\r\n".encode())
        assert peer.recv(4096).split()[1] in (b"502", b"504")
        assert time.monotonic() - begun < LIMIT + 3


# -- 78: what strings may be ------------------------------------------------------------------------------------------

MARK = "mark" * 4
NOT_UTF8 = {
    "bare bytes": b"\xff\xfe" * 8,
    "cut short": b"markmarkmarkmar\xc3",
    "surrogate": b"markmarkmarkm\xed\xa0\x80",
    "overlong": b"markmarkmarkma\xc0\x80",
}


def opening(**values):
    return wire.open_tunnel("r1", **values)


@pytest.mark.parametrize("how", NOT_UTF8)
@pytest.mark.parametrize(
    "what",
    [
        lambda: wire.open_tunnel(MARK, name="x"),
        lambda: opening(name=MARK),
        lambda: opening(labels={MARK: "x"}),
        lambda: opening(labels={"x": MARK}),
        lambda: opening(hostname=MARK),
        lambda: opening(protocol="tls", tls_alpns=[MARK]),
        lambda: wire.close_tunnel(MARK),
        lambda: wire.proxy_conn_rsp(MARK),
    ],
)
def test_pitfall_78_strings_that_are_not_utf8_end_the_channel(client, what, how):
    payload = what().SerializeToString()
    assert MARK.encode() in payload and len(NOT_UTF8[how]) == len(MARK)
    control, other = client.control(), client.control()
    control.send(payload=wire.frame(payload.replace(MARK.encode(), NOT_UTF8[how])))
    control.expect_end()
    assert other.open_tunnel(publish=False).id.value


@pytest.mark.parametrize("how", NOT_UTF8)
@pytest.mark.parametrize(
    "what",
    [
        lambda: wire.open_control(token=MARK),
        lambda: wire.open_control(agent=MARK),
        lambda: wire.stream_req(MARK),
        lambda: wire.proxy_req(MARK),
        lambda: wire.proxy_req("0" * 24, MARK),
    ],
)
def test_pitfall_78_first_messages_that_are_not_utf8_get_no_answer(client, what, how):
    connection = client.connect()
    connection.write(wire.frame(what().SerializeToString().replace(MARK.encode(), NOT_UTF8[how])))
    connection.expect_end(timeout=10)
    client.control().close()


LIMITS = {
    "name": (256, lambda count: dict(name="n" * count)),
    "name in two bytes": (128, lambda count: dict(name="é" * count)),
    "labels": (64, lambda count: dict(labels={f"l{n}": "" for n in range(count)})),
    "name of a label": (128, lambda count: dict(labels={"l" * count: "v"})),
    "value of a label": (1024, lambda count: dict(labels={"l": "v" * count})),
    "label of a host name": (63, lambda count: dict(hostname="h" * count)),
}


@pytest.mark.parametrize("what", LIMITS)
def test_pitfall_78_lengths_have_limits(engine, client, what):
    limit, values = LIMITS[what]
    control = client.control()
    tunnel = control.open_tunnel(**values(limit))
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(**values(limit + 1))
    assert refusal.value.code == 2000
    # Not cut, but refused: what is listed is what was asked for.
    listed = [entry for entry in engine.tunnels() if entry["id"] == tunnel.id.value]
    assert len(listed) == 1
    asked = values(limit)
    if "name" in asked:
        assert listed[0]["name"] == asked["name"]
    if "labels" in asked:
        assert listed[0]["labels"] == asked["labels"]
    assert control.is_open


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\x1b[31mred", "\x7f", "\u0085", "\u009b31m"])
def test_pitfall_78_control_characters_stay_out_of_names(client, text):
    control = client.control()
    for values in (dict(name=text), dict(labels={text: "x"}), dict(labels={"x": text})):
        with pytest.raises(wire.Refused) as refusal:
            control.open_tunnel(**values)
        assert refusal.value.code == 2000
