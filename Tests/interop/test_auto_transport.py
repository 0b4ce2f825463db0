# SPDX-License-Identifier: Apache-2.0
"""transport.mode=auto: QUIC with a head start of 300 ms, TLS when that fails or takes longer, the winner for good."""

import socket
import time

import pytest

from support import origins, quic, wire
from support.ctl import ClientOptions, unique
from support.waiting import wait_until

AUTO = ["--config-set", "transport.mode=auto"]
HEAD_START = 0.3


# How busy a machine may be that is said to have done something at once.
AT_ONCE = HEAD_START - 0.05


@pytest.fixture
def start_agent(forward):
    def start(engine, *arguments):
        return forward(engine, "127.0.0.1:9", unique("agent"), [*AUTO, "--no-publish", *arguments], online=False)

    return start


@pytest.fixture
def start_dialer(dial, name):
    """Starts a dialer that has not connected yet; its stream() makes it."""

    def start(engine):
        return Dialer(dial(engine, name, arguments=AUTO))

    return start


class Dialer:
    def __init__(self, program):
        self.program = program
        self.asked = None

    def stream(self, engine, count=1):
        """Connects to its local port, as often, and has bytes carried; the engine's ends are returned."""
        self.asked = time.monotonic()
        locals_ = [socket.create_connection(("127.0.0.1", self.program.port), 10) for _ in range(count)]
        streams = []
        for _ in locals_:
            stream, request = engine.accept_dial()
            if not request.zero_rtt.value:
                stream.send(wire.stream_rsp("0" * 24))
            streams.append(stream)
        for sock in locals_:
            sock.sendall(b"x")
        for stream in streams:
            assert stream.read_exactly(1) == b"x"
        for sock in locals_:
            sock.close()
        return streams


@pytest.fixture
def engine_with_slow_tls(start_quic_engine):
    """An engine that takes TCP connections and never begins TLS: QUIC wins however busy the machine is."""
    engine = start_quic_engine()
    engine.before_handshake = lambda sock: False
    return engine


def over_quic(wire_stream):
    return isinstance(wire_stream.stream, quic.Stream)


class MuteUDP:
    """Takes datagrams on the port of a TLS engine and answers none."""

    def __init__(self, port):
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(10)

    def wait_first(self):
        """Returns when the first one came."""
        self._socket.recv(2000)
        return time.monotonic()

    def close(self):
        self._socket.close()


def test_quic_wins(engine_with_slow_tls, start_agent):
    start_agent(engine_with_slow_tls)
    control = engine_with_slow_tls.accept_control()
    assert over_quic(control.wire)
    control.grant_tunnel()


def test_the_loser_is_closed_when_quic_wins(dark, start_agent):
    """TLS has begun, and its handshake is not done when QUIC gets through."""
    engine, reached, relay = dark
    engine.before_handshake = lambda sock: relay.lighten() or False
    process = start_agent(reached)
    control = engine.accept_control()
    assert over_quic(control.wire)
    assert engine.accepted == 1
    wait_until(lambda: process.sockets("tcp") == [], what="the loser to be closed")
    control.grant_tunnel()
    process.wait_line(status="online")


def test_redirects_go_the_chosen_way(engine_with_slow_tls, start_quic_engine, forward, tcp_server):
    engine = engine_with_slow_tls
    second = start_quic_engine(certificate=engine.authority.issue("localhost"))
    forward(engine, tcp_server(origins.echo).address, unique("agent"), [*AUTO, "--no-publish"], online=False)
    control = engine.accept_control()
    tunnel = control.grant_tunnel().id.value
    control.ask_stream(tunnel, proxy_endpoint=second.address)
    stream, request = second.accept_proxy()
    assert over_quic(stream)
    if not request.zero_rtt.value:
        stream.send(wire.proxy_rsp())
    stream.write(b"there and back")
    assert stream.read_exactly(14) == b"there and back"
    assert second.accepted == 0


def test_tls_waits_for_the_head_start(start_fake_engine, start_dialer):
    """QUIC packets are swallowed, as many firewalls do."""
    engine = start_fake_engine()
    mute = MuteUDP(engine.port)
    moments = []
    engine.before_handshake = lambda sock: moments.append(time.monotonic())
    dialer = start_dialer(engine)
    dialer.stream(engine)
    assert HEAD_START - 0.02 < moments[0] - dialer.asked < 3
    assert mute.wait_first()
    wait_until(lambda: dialer.program.sockets("udp") == [], what="the loser to be closed")
    mute.close()


@pytest.mark.parametrize("trouble", ["no-quic", "alpn", "certificate"])
def test_tls_at_once_when_quic_fails(start_fake_engine, start_quic_engine, start_dialer, trouble):
    """Nobody listens, or somebody whom the client does not want: no reason to wait for the head start."""
    moments = []
    if trouble == "no-quic":
        engine = start_fake_engine()
    elif trouble == "alpn":
        engine = start_quic_engine(alpn=["h3"])
    else:
        engine = start_quic_engine(certificate=start_quic_engine().authority.issue("localhost"))
    engine.before_handshake = lambda sock: moments.append(time.monotonic())
    dialer = start_dialer(engine)
    dialer.stream(engine)
    assert moments[0] - dialer.asked < AT_ONCE


def test_both_fail(start_quic_engine, start_agent):
    """The error tells of both."""
    other = start_quic_engine()
    engine = start_quic_engine(certificate=other.authority.issue("localhost"))
    engine.context.load_cert_chain(*other.authority.issue("localhost"))
    process = start_agent(engine)
    line = process.wait_line(20, status="offline")
    assert "QUIC" in line["error"] and "TLS" in line["error"], line
    process.judge(process.wait(), 4)


def test_no_fallback_after_an_answer_of_the_engine(engine_with_slow_tls, start_agent):
    engine = engine_with_slow_tls
    process = start_agent(engine)
    connection, _ = engine.accept_request()
    response = wire.pb.Message()
    response.open_control_channel_rsp.error.code = 1000
    response.open_control_channel_rsp.error.message.value = "not you"
    before = engine.accepted
    connection.send(response)
    line = process.wait_line(20, status="offline")
    assert "not you" in line["error"]
    process.judge(process.wait(), 3)
    assert engine.accepted == before


def test_quic_stays_chosen(engine_with_slow_tls, start_dialer):
    engine = engine_with_slow_tls
    dialer = start_dialer(engine)
    dialer.stream(engine)
    before = engine.accepted
    for _ in range(3):
        assert all(map(over_quic, dialer.stream(engine, 2)))
    assert (engine.seen, engine.accepted) == (1, before)


@pytest.fixture
def dark(start_quic_engine, udp_relay, pausing_proxy):
    """(an engine, how it is reached, the relay that carries none of its QUIC)"""
    engine = start_quic_engine()
    proxy = pausing_proxy(engine.port)
    relay = udp_relay(engine.port, port=proxy.port)
    relay.darken()
    return engine, ClientOptions("--engine", f"localhost:{proxy.port}", "--ca-file", engine.ca_file), relay


def test_tls_stays_chosen(dark, start_dialer):
    """QUIC could be had later; who has chosen does not ask again."""
    engine, reached, relay = dark
    dialer = start_dialer(reached)
    dialer.stream(engine)
    relay.lighten()
    for _ in range(3):
        dialer.stream(engine)
    # (A packet of the attempt that lost may come late.)
    assert engine.quic_connections.empty()


def test_dials_at_once_wait_for_one_choice(dark, start_dialer):
    engine, reached, relay = dark
    start_dialer(reached).stream(engine, 5)
    # One attempt at QUIC for all of them.
    assert len(relay.paths) == 1
