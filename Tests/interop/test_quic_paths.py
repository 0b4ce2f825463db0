# SPDX-License-Identifier: Apache-2.0
"""Our client and our engine over QUIC on paths as they are: what implementations of QUIC are tried with among themselves.

Agent and dialer reach the engine through a relay that does to their datagrams what networks do.
"""

import hashlib
import socket
import threading

import pytest

from support import origins
from support.certificates import Authority
from support.ctl import ClientOptions
from support.marking_relay import ECT0, MarkingRelay
from support.waiting import wait_until

QUIC = ["--config-set", "transport.mode=quic"]


def through(engine, relay, host="127.0.0.1", ca_file=None):
    """The engine as it is reached through a relay."""
    address = f"[{host}]" if ":" in host else host
    return ClientOptions(
        "--engine", f"{address}:{relay.port}", "--server-name", engine.host, "--ca-file", ca_file or engine.ca_file
    )


@pytest.fixture
def path(engine, udp_relay, forward, dial, tcp_server, name):
    """Starts agent and dialer on a path: path(handler, loss=...) -> (relay, local port of the dialer)."""

    def start(handler, own_engine=None, host="127.0.0.1", **shares):
        ours = own_engine or engine
        relay = udp_relay(ours.port, host=host).set(**shares)
        target = through(ours, relay, host)
        forward(target, tcp_server(handler).address, name, ["--no-publish", *QUIC])
        return relay, dial(target, name, arguments=QUIC).port

    return start


def exchange(port, payload, timeout=60):
    """Sends all, ends, and returns all that comes."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.settimeout(timeout)
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while data := sock.recv(1 << 18):
            answer += data
        return bytes(answer)


def digest(payload):
    return f"{len(payload)} {hashlib.sha256(payload).hexdigest()}".encode()


PAYLOAD = bytes(range(251)) * 41_777


def test_handshake(path):
    relay, port = path(origins.upper)
    assert exchange(port, b"hello") == b"HELLO"
    assert 0 < relay.amplification <= 3


def test_transfer(path):
    """10 MB there, and 10 MB back."""
    assert len(PAYLOAD) > 10 << 20
    _, port = path(origins.sink)
    assert exchange(port, PAYLOAD) == digest(PAYLOAD)
    _, port = path(origins.source(len(PAYLOAD)))
    assert len(exchange(port, b"")) == len(PAYLOAD)


def test_multiplexing(path):
    """500 streams at once, on one connection of each end."""
    relay, port = path(origins.upper)
    locals_ = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(500)]
    for number, sock in enumerate(locals_):
        sock.sendall(f"stream {number}".encode())
    for number, sock in enumerate(locals_):
        wanted = f"STREAM {number}".encode()
        assert sock.recv(len(wanted), socket.MSG_WAITALL) == wanted
        sock.close()
    assert len(relay.paths) == 2


@pytest.mark.parametrize(
    "shares", [{"loss": 0.02}, {"loss": 0.1}, {"corruption": 0.02}, {"duplication": 0.1, "reordering": 0.1}]
)
def test_bad_paths(path, shares):
    relay, port = path(origins.sink, **shares)
    payload = PAYLOAD[: 4 << 20 if shares.get("loss") == 0.1 else len(PAYLOAD)]
    assert exchange(port, payload) == digest(payload)
    for direction in (relay.to_server, relay.to_client):
        assert direction.lost + direction.spoilt + direction.repeated + direction.overtaken > 20


def test_handshakes_on_a_path_that_loses_a_third(engine, udp_relay, forward, tcp_server, name):
    for seed in range(5):
        relay = udp_relay(engine.port, seed=seed * 2).set(loss=0.3)
        ours = forward(through(engine, relay), "127.0.0.1:9", f"{name}-{seed}", ["--no-publish", *QUIC])
        relay.set(loss=0)
        ours.end()


def test_rebinding(path):
    """The NAT in front of both clients gives them another port, several times during a transfer. (QUIC knows nothing of
    that before a handshake is over: RFC 9000, section 9.)"""
    relay, port = path(origins.sink)
    assert exchange(port, b"first") == digest(b"first")
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.settimeout(60)
        step = len(PAYLOAD) // 4
        for start in range(0, len(PAYLOAD), step):
            sock.sendall(PAYLOAD[start : start + step])
            relay.rebind()
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(1000):
            answer += data
    assert answer == digest(PAYLOAD)
    assert relay.rebindings >= 4


def test_packets_go_on_while_the_address_changes(engine, udp_relay, forward, dial, udp_echo, name):
    """Both ends' addresses. What is under way meanwhile may be lost, as packets are, and is sent again."""
    relay = udp_relay(engine.port)
    target = through(engine, relay)
    agent = forward(target, udp_echo.address, name, ["--no-publish", "--udp", *QUIC])
    port = dial(target, name, arguments=["--udp", *QUIC]).port
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.5)
        sender.connect(("127.0.0.1", port))

        def answers(packet):
            sender.send(packet)
            try:
                return sender.recv(1000) == packet.upper()
            except TimeoutError:
                return False

        for turn in range(5):
            wait_until(lambda: answers(b"turn %d" % turn), timeout=20)
            relay.rebind()
        wait_until(lambda: answers(b"the last"), timeout=20)
    assert relay.rebindings == 5 and len(relay.paths) == 2
    # It is the channel from before.
    assert len(udp_echo.peers) == 1 and agent.opened()["peer"] == "127.0.0.1"


def test_blackhole(path):
    """Nothing gets through for five seconds in the middle of a transfer, which then goes on."""
    relay, port = path(origins.sink)
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.settimeout(60)
        half = len(PAYLOAD) // 2
        sock.sendall(PAYLOAD[:half])
        relay.darken(5)
        writer = threading.Thread(target=lambda: (sock.sendall(PAYLOAD[half:]), sock.shutdown(socket.SHUT_WR)))
        writer.start()
        answer = b""
        while data := sock.recv(1000):
            answer += data
        writer.join(10)
    assert answer == digest(PAYLOAD)
    assert relay.to_server.lost


@pytest.fixture
def verbose_certificate(tmp_path):
    """Settings of an engine whose certificate alone is larger than what may be sent to an address at first."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue(
        "localhost", *(f"name-{number}.a-long-label-for-a-long-name.test" for number in range(250))
    )
    return {"certs.static.cert_file": certificate, "certs.static.key_file": key}, authority.ca_file


def test_amplification_limit(start_engine, udp_relay, verbose_certificate, forward, name):
    """An engine with much to say waits until the address is known to be the client's."""
    settings, ca_file = verbose_certificate
    engine = start_engine(settings=settings)
    relay = udp_relay(engine.port)
    # At first the client's second word is lost, and all after it.
    heard = []
    relay.to_server.keep = lambda datagram: len(heard) < 1 and (heard.append(datagram) or True)
    target = through(engine, relay, ca_file=ca_file)
    ours = forward(target, "127.0.0.1:9", name, ["--no-publish", *QUIC], online=False)
    relay.wait_datagrams(2)
    wait_until(lambda: relay.to_server.lost >= 3, 10, what="the client to repeat itself")
    assert 0 < relay.amplification <= 3
    relay.to_server.keep = lambda datagram: True
    ours.wait_line(status="online")
    assert 1 < relay.amplification <= 3


def test_retry(start_engine, path):
    engine = start_engine(settings={"quic.retry": "always"})
    relay, port = path(origins.sink, engine)
    assert exchange(port, PAYLOAD[:100_000]) == digest(PAYLOAD[:100_000])


def test_ipv6(start_engine, path):
    engine = start_engine(arguments=["--listen", "[::1]:0"])
    _, port = path(origins.sink, engine, host="::1")
    assert exchange(port, PAYLOAD) == digest(PAYLOAD)


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "removed"])
def test_congestion_marks(engine, forward, dial, tcp_server, name, keeps):
    """Both ends mark what they send as capable of ECN, and go on with it where the peer counts these marks (RFC 9000, section
    13.4). On a path that removes them they stop.
    """
    with MarkingRelay(engine.port, keeps) as relay:
        forward(through(engine, relay), tcp_server(origins.echo).address, name, ["--no-publish", *QUIC])
        ours = dial(engine, name)
        for _ in range(3):
            assert exchange(ours.port, PAYLOAD[:300_000]) == PAYLOAD[:300_000]
        for marks in (relay.to_server, relay.to_client):
            assert len(marks) > 400 and marks[0] == ECT0
            # What comes last are acknowledgements, which are marked like the rest.
            assert set(marks[-200:]) == ({ECT0} if keeps else {0}), marks
