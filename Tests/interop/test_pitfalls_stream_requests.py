# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 27 to 35: how streams begin, what they are told apart by and what they
carry. See test_pitfalls.py for the rest."""

import re
import socket
import threading
import time

import pytest

from support import origins, wire
from support.reading import read_until_end


# -- ids and secrets -------------------------------------------------------------------------------------------------


def test_pitfall_27_stream_ids(client, control, name):
    """24 hexadecimal digits, so that one can name a packet channel as well, and never one of them twice."""
    for _ in range(50):
        client.dial(name, zero_rtt=True)
    ids = [control.next_request().stream_id for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(re.fullmatch("[0-9a-f]{24}", stream_id) for stream_id in ids)


def test_pitfall_27_the_dialer_learns_the_id(client, control, name):
    """StreamRsp carries the id of the very stream that the owner was asked for."""
    dialer = {}
    thread = threading.Thread(target=lambda: dialer.update(stream=client.dial(name)))
    thread.start()
    request = control.next_request()
    control.open_stream(request)
    thread.join(5)
    assert dialer["stream"].stream_id == request.stream_id


def test_pitfall_27_client_with_a_blank_stream_id(agent):
    """A request without a stream id cannot be answered: the client ends the channel."""
    process, control, tunnel = agent("127.0.0.1:9")
    control.send(wire.proxy_conn_req(tunnel.id.value, "", "secret"))
    control.expect_end(timeout=10)
    assert not control.received("proxy_conn_rsp")
    assert process.wait_line(status="offline")["code"] == "ERR_RSTREAM_PROTOCOL"
    process.judge(process.wait(), expect=5)


def test_pitfall_28_a_secret_is_always_there(client, control, name):
    """Every request has a secret of its own, long enough that nobody guesses it."""
    for _ in range(20):
        client.dial(name, zero_rtt=True)
    secrets = [control.next_request().secret.value for _ in range(20)]
    assert len(set(secrets)) == 20 and all(len(secret) >= 16 for secret in secrets)


@pytest.mark.parametrize("zero_rtt", [False, True])
def test_pitfall_28_wrong_secrets_open_nothing(client, control, name, zero_rtt):
    """A wrong, cut, extended or missing secret is refused, and the right one still works afterwards."""
    near = client.dial(name, zero_rtt=True)
    request = control.next_request()
    good = request.secret.value
    for wrong in ("x" * len(good), good[:-1], good + "0", good.swapcase() + "!", "", None):
        connection = client.connect()
        connection.send(wire.proxy_req(request.stream_id, wrong, zero_rtt), payload=b"intruder")
        if not zero_rtt:
            assert connection.expect("proxy_rsp").error.code in (1000, 4000)
        assert read_until_end(connection) == b""
    near.write(b"for the owner only")
    with control.open_stream(request, zero_rtt) as far:
        assert far.read_exactly(18) == b"for the owner only"
        far.write(b"answer")
        assert near.read_exactly(6) == b"answer"


def test_pitfall_28_unknown_streams_open_nothing(client, control):
    """A stream id that nobody was asked for is refused without a difference."""
    for stream_id in ("00" * 12, "", "x" * 5000, control.tunnel.id.value):
        connection = client.connect()
        connection.send(wire.proxy_req(stream_id, "secret", False))
        assert connection.expect("proxy_rsp").error.code in (1000, 4000)
        connection.expect_end()


@pytest.mark.parametrize("zero_rtt", [False, True])
def test_pitfall_28_a_secret_works_once(client, control, name, zero_rtt):
    """The second use is refused while the first stream lives, and after it has ended."""
    near = client.dial(name, zero_rtt=True)
    request = control.next_request()
    first = control.open_stream(request, zero_rtt)
    for _ in range(2):
        again = client.connect()
        again.send(wire.proxy_req(request.stream_id, request.secret.value, zero_rtt))
        if not zero_rtt:
            assert again.expect("proxy_rsp").error.code in (1000, 4000)
        again.expect_end()
        if near:
            near.write(b"mine")
            assert first.read_exactly(4) == b"mine"
            near.close()
            first.close()
            near = None


def test_pitfall_28_a_secret_expires(start_engine, name):
    """The owner that comes after the consumer's waiting time is too late."""
    engine = start_engine(settings={"timeouts.stream_request_seconds": 1})
    client = engine.fake_client()
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    started = time.monotonic()
    with client.dial(name, zero_rtt=True) as near:
        request = control.next_request()
        near.expect_end()
        assert 0.5 < time.monotonic() - started < 4
        late = client.connect()
        late.send(wire.proxy_req(request.stream_id, request.secret.value, False))
        assert late.expect("proxy_rsp").error.code in (1000, 4000)
    with pytest.raises(wire.Refused) as refusal:
        client.dial(name)
    assert refusal.value.code in (4000, 6000)


def test_pitfall_29_the_retry_of_an_owner_wins(client, control, name):
    """An owner whose first connection hangs dials again with the same secret; the idle first one harms nothing."""
    near = client.dial(name, zero_rtt=True)
    request = control.next_request()
    hanging = client.connect()
    frame = wire.frame(wire.proxy_req(request.stream_id, request.secret.value))
    half = client.connect()
    half.write(frame[: len(frame) // 2])
    second = control.open_stream(request)
    near.write(b"hello")
    assert second.read_exactly(5) == b"hello"
    half.write(frame[len(frame) // 2 :])
    half.expect_end()
    hanging.close()
    near.write(b"again")
    assert second.read_exactly(5) == b"again"


@pytest.mark.timeout(60)
def test_pitfall_29_client_retries_a_hanging_connection_once(fake_engine, our_agent):
    """Ten seconds for an attempt, a second attempt after a timeout, the same id and secret, one answer."""
    control, tunnel_id = our_agent
    held = []
    fake_engine.before_handshake = lambda sock: held.append(sock) or len(held) > 1
    stream_id, secret = control.ask_stream(tunnel_id)
    started = time.monotonic()
    stream, request = fake_engine.accept_proxy(timeout=20)
    assert 8 < time.monotonic() - started < 15
    assert (request.stream_id, request.client_details.token.value) == (stream_id, secret)
    stream.write(b"x")
    assert stream.read_exactly(1) == b"x"
    assert not control.expect("proxy_conn_rsp").HasField("error")
    assert len(held) == 2 and len(control.received("proxy_conn_rsp")) == 1


# -- ProxyConnRsp ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after-payload", "never", "twice"])
def test_pitfall_30_payload_does_not_wait_for_the_confirmation(client, control, name, when):
    """ProxyConnRsp may come first, late, never or doubly: bytes flow as soon as the stream is there."""
    near = client.dial(name, zero_rtt=True, payload=b"hello")
    request = control.next_request()
    if when in ("before", "twice"):
        control.send(wire.proxy_conn_rsp(request.stream_id))
        time.sleep(0.2)
    with control.open_stream(request, confirm=False) as far:
        assert far.read_exactly(5) == b"hello"
        far.write(b"world")
        assert near.read_exactly(5) == b"world"
        if when in ("after-payload", "twice"):
            control.send(wire.proxy_conn_rsp(request.stream_id))
        control.open_tunnel(publish=False)
        near.write(b"more")
        assert far.read_exactly(4) == b"more"
    assert control.is_open


def test_pitfall_31_errors_reach_a_waiting_dialer_at_once(client, control, name):
    """The owner cannot deliver: the dialer gets StreamRsp.error instead of a timeout."""
    outcome = {}

    def dial():
        started = time.monotonic()
        try:
            client.dial(name)
        except wire.Refused as refusal:
            outcome["code"] = refusal.code
        outcome["after"] = time.monotonic() - started

    thread = threading.Thread(target=dial)
    thread.start()
    control.send(wire.proxy_conn_rsp(control.next_request().stream_id, (6000, "queue is full")))
    thread.join(5)
    assert outcome["code"] in (6000, 4000) and outcome["after"] < 2


def test_pitfall_31_errors_end_a_zero_rtt_dial_at_once(client, control, name):
    """Without an answer frame the only way to say it is the end of the connection."""
    with client.dial(name, zero_rtt=True) as near:
        control.send(wire.proxy_conn_rsp(control.next_request().stream_id, (6000, "no")))
        near.expect_end(timeout=2)


def test_pitfall_31_errors_are_502_and_a_reset(engine, client, name):
    """The same for published HTTP (502) and published TCP (the connection ends)."""
    control = client.control()
    web = control.open_tunnel(name=name)
    tcp = control.open_tunnel(name=f"{name}-tcp", protocol="tcp")

    def refuse():
        for _ in range(2):
            control.send(wire.proxy_conn_rsp(control.next_request().stream_id, (6000, "no")))

    thread = threading.Thread(target=refuse)
    thread.start()
    started = time.monotonic()
    connection = engine.http(web.hostname.value)
    connection.request("GET", "/")
    assert connection.getresponse().status == 502
    try:
        with socket.create_connection(("127.0.0.1", tcp.port.value), timeout=5) as sock:
            assert sock.recv(1) == b""
    except ConnectionResetError:
        pass
    thread.join(5)
    assert time.monotonic() - started < 3


def test_pitfall_31_unknown_streams_in_it_are_ignored(client, control, name):
    """A confirmation or an error for a stream the engine does not know changes nothing."""
    other = client.control()
    client.dial(name, zero_rtt=True)
    request = control.next_request()
    control.send(
        wire.proxy_conn_rsp("00" * 12),
        wire.proxy_conn_rsp("", (1, "x")),
        wire.proxy_conn_rsp("y" * 3000, (6000, "x")),
    )
    # Another client's error must not end a stream that is not its own.
    other.send(wire.proxy_conn_rsp(request.stream_id, (6000, "not mine")))
    other.open_tunnel(publish=False)
    with control.open_stream(request) as far:
        far.write(b"x")
    assert control.is_open and other.is_open


@pytest.mark.parametrize("code", [5, 12, -1, -2147483648, 2147483647, 0, 8000])
def test_pitfall_32_engine_takes_any_error_code(client, control, name, code):
    """Some clients send errno-like numbers: any 32-bit number is an error code."""
    with client.dial(name, zero_rtt=True) as near:
        control.send(wire.proxy_conn_rsp(control.next_request().stream_id, (code, "odd")))
        near.expect_end(timeout=2)
    assert control.open_tunnel(publish=False).id.value


@pytest.mark.parametrize("code", [5, -7, -2147483648, 2147483647, 8000])
def test_pitfall_32_client_reports_any_error_code(forward, fake_engine, code):
    """A number outside the published list reaches the user as it is."""
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    fake_engine.accept_control().refuse_tunnel(code, "odd number")
    line = process.wait_line(status="offline")
    assert line["code"] == "ERR_RSTREAM_ENGINE" and line["engine_code"] == code and "odd number" in line["error"]
    process.judge(process.wait(), expect=3)


# -- framing and payload ---------------------------------------------------------------------------------------------


def test_pitfall_33_payload_in_the_same_segment_as_the_request(client, control, name):
    """Zero-RTT bytes come in one record with StreamReq and ProxyReq; none is lost or taken for a frame."""
    early = bytes(range(256)) * 100
    near = client.dial(name, zero_rtt=True, payload=early)
    far = control.accept(payload=early[::-1])
    assert far.read_exactly(len(early)) == early
    assert near.read_exactly(len(early)) == early[::-1]


def test_pitfall_33_frames_cut_anywhere(client, control, name):
    """A frame may come byte by byte, and the next one's beginning with the end of the one before."""
    connection = client.connect()
    for byte in wire.frame(wire.stream_req(name, False)) + b"payload behind":
        connection.write(bytes([byte]))
    with control.accept() as far:
        connection.expect("stream_rsp")
        assert far.read_exactly(14) == b"payload behind"
        far.write(b"x")
        assert connection.read_exactly(1) == b"x"


def test_pitfall_33_answer_and_first_payload(client, control, name):
    """A server that speaks at once: StreamRsp and ProxyRsp are whole frames, the payload follows behind them."""
    connection = client.connect()
    connection.send(wire.stream_req(name, False), payload=b"question")
    far = control.accept(zero_rtt=False, payload=b"spoken before the answer")
    connection.expect("stream_rsp")
    assert connection.read_exactly(24) == b"spoken before the answer"
    assert far.read_exactly(8) == b"question"


@pytest.mark.parametrize("options", [[], ["--no-zero-rtt"]], ids=["zero-rtt", "rtt"])
def test_pitfall_33_client_keeps_payload_behind_the_answer(fake_engine, agent, tcp_server, options):
    """ProxyRsp and the first payload in one segment (or payload at once with zero RTT) reach the local service."""
    early = bytes(range(256)) * 64
    _, control, tunnel = agent(tcp_server(origins.echo).address, arguments=options)
    with control.open_stream(tunnel.id.value, payload=early) as stream:
        assert stream.read_exactly(len(early)) == early


@pytest.mark.parametrize("zero_rtt", [True, False])
def test_pitfall_33_dialer_keeps_payload_behind_the_answer(fake_engine, dial, zero_rtt):
    """The same for StreamRsp on the dialer's side."""
    process = dial(fake_engine, "some name", arguments=[] if zero_rtt else ["--no-zero-rtt"])
    with socket.create_connection(("127.0.0.1", process.port), timeout=10) as sock:
        connection, request = fake_engine.accept_dial()
        assert request.tunnel_id_name == "some name" and request.zero_rtt.value == zero_rtt
        if zero_rtt:
            connection.write(b"early bird")
        else:
            connection.send(wire.stream_rsp("ab" * 12), payload=b"early bird")
        assert sock.recv(100) == b"early bird"
        sock.sendall(b"back")
        assert connection.read_exactly(4) == b"back"


def test_pitfall_34_an_absent_zero_rtt_is_false(client, control, name):
    """A client that leaves the field out waits for an answer, on both kinds of streams."""
    connection = client.connect()
    connection.send(wire.stream_req(name, None))
    far = control.accept(zero_rtt=None)
    assert connection.expect("stream_rsp").stream_id
    connection.write(b"x")
    assert far.read_exactly(1) == b"x"


def test_pitfall_34_client_says_zero_rtt_in_so_many_words(fake_engine, agent, tcp_server):
    """Ours always writes the field, true by default and false when told so."""
    for options, expected in (([], True), (["--no-zero-rtt"], False)):
        _, control, tunnel = agent(tcp_server(origins.echo).address, arguments=options)
        stream_id, _ = control.ask_stream(tunnel.id.value)
        connection, request = fake_engine.accept_proxy()
        assert request.HasField("zero_rtt") and request.zero_rtt.value is expected
        if not expected:
            connection.send(wire.proxy_rsp())
        assert control.expect("proxy_conn_rsp").stream_id == stream_id


@pytest.mark.parametrize("kind", ["tcp", "zero-rtt", "rtt"])
def test_pitfall_35_servers_that_speak_first(engine, forward, tcp_server, client, name, kind):
    """Nobody on the way waits for the consumer's first byte."""
    greeting = b"220 hello, I speak first\r\n"
    arguments = ["--protocol", "tcp"] if kind == "tcp" else ["--no-publish"]
    ours = forward(engine, tcp_server(origins.banner).address, name, arguments)
    if kind == "tcp":
        with socket.create_connection(("127.0.0.1", ours.tunnel["port"]), timeout=5) as sock:
            assert sock.recv(100) == greeting
        return
    with client.dial(name, zero_rtt=kind == "zero-rtt") as stream:
        assert stream.read_exactly(len(greeting), timeout=5) == greeting
