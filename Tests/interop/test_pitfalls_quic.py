# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, in the forms that only QUIC has: a stream's direction that ends with FIN,
RESET_STREAM or STOP_SENDING. The numbers are those of test_pitfalls.py.
"""

import hashlib
import signal
import threading
import time

import pytest

from support import origins, wire
from support.quic_client import QUICClient
from support.waiting import wait_until

QUIC = ["--config-set", "transport.mode=quic"]
BULK = bytes(range(256)) * 4_096
AGENTS = pytest.mark.parametrize("agent", [QUIC, []], ids=["quic", "tls"])


class Collector:
    """A service that notes what each connection has sent until its end, and answers meanwhile as `answer` says."""

    def __init__(self, answer):
        self.answer = answer
        self.received = []

    def __call__(self, sock):
        received = b""
        try:
            while data := sock.recv(65536):
                received += data
                if self.answer == "echo":
                    sock.sendall(data)
                elif self.answer == "slow":
                    sock.sendall(b".")
                    time.sleep(0.01)
            received += b" and its end"
        except OSError as error:
            received += repr(error).encode()
        self.received.append(received)


def test_pitfall_11_connections_show_in_time_that_they_may_ask(start_engine, name):
    """A connection that is only kept alive, or only asks for what it may not have, ends as a TLS connection would. One that was
    accepted once may idle.
    """
    engine = start_engine(settings={"timeouts.handshake_seconds": 2, "auth.open": "false", "auth.tokens": "the-token"})
    idle, refused, dialer, agent = [QUICClient(engine.port, engine.ca_file, token="the-token") for _ in range(4)]
    begun = time.monotonic()
    idle.connection.ping_peer()
    control = agent.control()
    control.open_tunnel(name=name, publish=False)
    near = dialer.dial(name, zero_rtt=True)
    far = control.accept()
    near.close()
    far.close()
    while time.monotonic() < begun + 1.5:
        with pytest.raises(wire.Refused):
            refused.dial(name, token="another one")
        idle.connection.ping_peer()
        time.sleep(0.3)
    for each in (idle, refused):
        assert each.connection.wait_closed(5).reason == "no request was accepted in time"
    assert 1.5 < time.monotonic() - begun < 5
    dialer.connection.ping_peer()
    near = dialer.dial(name, zero_rtt=True)
    far = control.accept()
    near.write(b"still here")
    assert far.read_exactly(10) == b"still here"
    for each in (idle, refused, dialer, agent):
        each.close()


def test_pitfall_12_engine_confirms_the_close_and_then_ends_the_stream(engine, quic_client, name):
    """The answer, and FIN behind it; the connection stays for what else travels on it."""
    control = quic_client.control()
    control.open_tunnel(name=name, publish=False)
    control.close()
    assert control.kinds()[-1] == "close_control_channel_rsp"
    assert engine.tunnels(name=name) == [] and engine.clients(id=control.client_id) == []
    quic_client.connection.ping_peer()


def test_pitfall_12_client_waits_for_the_confirmation(start_quic_engine, forward, name):
    """The client ends neither its stream nor its connection before the answer."""
    engine = start_quic_engine()
    agent = forward(engine, "127.0.0.1:9", name, ["--no-publish", *QUIC], online=False)
    control = engine.accept_control()
    control.auto_close = False
    control.grant_tunnel()
    agent.wait_line(status="online")
    agent.send_signal(signal.SIGINT)
    control.expect("close_control_channel_req")
    time.sleep(1)
    assert control.is_open and agent.is_running
    control.send(wire.close_control_rsp())
    control.expect_end()
    agent.judge(agent.wait())


@pytest.mark.parametrize("first", ["consumer", "owner"])
def test_pitfall_39_half_close_over_quic(quic_client, name, first):
    """FIN ends one direction only."""
    control = quic_client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near, far = quic_client.pair(control, name, True)
    leaving, staying = (near, far) if first == "consumer" else (far, near)
    # The engine knows the consumer's stream by its request already, and the owner's as well.
    leaving.write(b"question")
    leaving.shutdown_write()
    assert staying.read_all() == b"question"
    staying.write(BULK)
    staying.shutdown_write()
    assert leaving.read_all(20) == BULK


@pytest.mark.parametrize("who", ["consumer", "owner"])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_pitfall_40_a_full_end_is_passed_on_at_once(quic_client, name, who, how):
    """STOP_SENDING with FIN or with RESET_STREAM: the other side is told within a moment."""
    control = quic_client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near, far = quic_client.pair(control, name, True)
    near.write(b"x")
    assert far.read_exactly(1) == b"x"
    leaving, staying = (near, far) if who == "consumer" else (far, near)
    started = time.monotonic()
    leaving.close() if how == "close" else leaving.stream.abort()
    if how == "abort":
        with pytest.raises(ConnectionResetError):
            staying.read_all(3)
    else:
        assert staying.read_all(3) == b""
        with pytest.raises(OSError):
            for _ in range(100):
                staying.write(bytes(65536))
                time.sleep(0.02)
    assert time.monotonic() - started < 5


@AGENTS
@pytest.mark.parametrize("answer", ["echo", "slow"])
def test_pitfall_40_what_was_sent_before_the_end_arrives(engine, forward, tcp_server, quic_client, name, agent, answer):
    """A dialer that sends all it has and closes (STOP_SENDING at once, FIN behind the data) takes no answer any more. Its
    bytes reach the service nevertheless, which answers all the time.
    """
    service = Collector(answer)
    forward(engine, tcp_server(service).address, name, ["--no-publish", *agent])
    for count in range(1, 4):
        stream = quic_client.dial(name, zero_rtt=True)
        stream.write(BULK)
        stream.close()
        wait_until(lambda: len(service.received) == count, 20, what="the end of the service's connection")
        received = service.received[-1]
        assert hashlib.sha256(received).digest() == hashlib.sha256(BULK + b" and its end").digest(), (
            f"{len(received)} of {len(BULK)} bytes, and then {received[-60:]}"
        )


def test_pitfall_40_who_only_stops_reading_goes_on_sending(quic_client, name):
    """STOP_SENDING says nothing of the other direction."""
    control = quic_client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near, far = quic_client.pair(control, name, True)
    near.stream.stop(0)
    sender = threading.Thread(target=near.write, args=(BULK,))
    sender.start()
    try:
        for _ in range(5):
            far.write(b"answer")
            far.stream.connection.ping_peer()
    finally:
        sender.join()
    near.shutdown_write()
    assert far.read_all(20) == BULK
