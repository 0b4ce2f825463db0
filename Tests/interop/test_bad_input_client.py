# SPDX-License-Identifier: Apache-2.0
"""Bad input for the client, and scarce resources: it ends with an error, or goes on."""

import os
import socket
import ssl
import struct
import threading
import time

import pytest

from support import origins, wire
from support.broken_frames import FRAMES
from support.tls import TLSStream, client_context, tls_connect
from support.waiting import wait_until

MEGABYTE = 1 << 20


@pytest.mark.parametrize("kind", FRAMES)
def test_client_ends_on_broken_frames(forward, fake_engine, kind):
    """Broken framing from the engine: one clear error, an exit, no crash."""
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    control = fake_engine.accept_control()
    control.grant_tunnel()
    process.wait_line(status="online")
    control.send(payload=FRAMES[kind])
    line = process.wait_line(status="offline")
    assert line["code"] in ("ERR_RSTREAM_PROTOCOL", "ERR_RSTREAM_FRAME_TOO_LARGE")
    process.judge(process.wait(), expect=(1, 5))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        wire.frame(b""),
        wire.frame(b"\x12\x00"),
        wire.frame(b"\x12\x02\x0a\x00"),
        wire.frame(wire.heartbeat()),
        wire.frame(wire.close_control_rsp()),
        b"\x00\x01\x00\x00",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        wire.frame(b"\xff" * 10),
        b"\x00\x00",
    ],
    ids=["nothing", "empty", "no-payload", "no-client-id", "heartbeat", "close", "oversize", "http", "garbage", "cut"],
)
def test_client_refuses_wrong_answers_to_its_first_request(forward, fake_engine, answer):
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    connection, _ = fake_engine.accept_request()
    connection.write(answer)
    connection.close()
    line = process.wait_line(status="offline")
    assert line["code"] and line["error"]
    process.judge(process.wait(), expect=(1, 4))


@pytest.mark.parametrize("answer", ["empty", "error", "wrong", "garbage", "end"])
def test_client_with_wrong_answers_to_its_stream(fake_engine, agent, tcp_server, answer):
    """The stream fails alone: the engine is told, the channel and the next stream work."""
    process, control, tunnel = agent(tcp_server(origins.echo).address, arguments=["--no-zero-rtt"])
    stream_id, _ = control.ask_stream(tunnel.id.value)
    connection, _ = fake_engine.accept_proxy()
    if answer == "end":
        connection.close()
    else:
        connection.write(
            {
                "empty": wire.frame(b""),
                "error": wire.frame(wire.proxy_rsp((4000, "unknown"))),
                "wrong": wire.frame(wire.heartbeat()),
                "garbage": b"\xff" * 50,
            }[answer]
        )
    reply = control.expect("proxy_conn_rsp")
    assert reply.stream_id == stream_id and reply.HasField("error")
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"
    assert process.lines_with(status="offline") == []


@pytest.mark.parametrize("answer", ["empty", "empty-rsp", "error", "wrong", "oversize", "end"])
def test_dialer_with_wrong_answers(fake_engine, dial, answer):
    process = dial(fake_engine, "x", listen=False, arguments=["--no-zero-rtt"])
    connection, _ = fake_engine.accept_dial()
    if answer != "end":
        connection.write(
            {
                "empty": wire.frame(b""),
                "empty-rsp": wire.frame(wire.stream_rsp()),
                "error": wire.frame(wire.stream_rsp(error=(3000, "no such tunnel"))),
                "wrong": wire.frame(wire.heartbeat()),
                "oversize": b"\x00\x01\x00\x00",
            }[answer]
        )
    connection.close()
    assert process.stdout.read() == b""
    process.judge(process.wait(), expect=3 if answer == "error" else (1, 4, 5))


def test_client_under_a_flood_of_requests_for_unknown_tunnels(fake_engine, agent, tcp_server):
    """Every one gets its error answer; memory stays where it was."""
    process, control, tunnel = agent(tcp_server(origins.echo).address)
    memory = process.resident
    for _ in range(20):
        control.send(*(wire.proxy_conn_req("unknown", os.urandom(12).hex(), "s") for _ in range(200)))
    for _ in range(4000):
        assert control.expect("proxy_conn_rsp", timeout=20).HasField("error")
    assert process.resident - memory < 16 * MEGABYTE
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"


def test_client_under_a_flood_of_server_messages(fake_engine, agent, tcp_server):
    process, control, tunnel = agent(tcp_server(origins.echo).address)
    memory = process.resident
    for _ in range(50):
        control.send(*(wire.server_message("m" * 60000) for _ in range(10)))
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"
    assert process.resident - memory < 16 * MEGABYTE


def test_client_with_an_engine_that_never_reads(fake_engine, agent, tcp_server):
    """A service that sends without end into a stream nobody reads is slowed down, not stored."""
    process, control, tunnel = agent(tcp_server(origins.source(256 * MEGABYTE)).address)
    memory = process.resident
    for _ in range(5):
        control.open_stream(tunnel.id.value)
    time.sleep(1.5)
    assert process.resident - memory < 48 * MEGABYTE
    stream = control.open_stream(tunnel.id.value)
    assert stream.read_exactly(1 * MEGABYTE)[:256] == bytes(range(256))


@pytest.mark.parametrize("junk", [b"\xff" * 100, b"\x15\x03\x03\x00\x02\x02\x28", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_client_with_a_port_that_does_not_speak_tls(fake_engine, forward, junk):
    def answer(sock):
        sock.sendall(junk)
        return False

    fake_engine.before_handshake = answer
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    assert process.wait_line(status="offline")["code"] == "ERR_RSTREAM_TLS"
    process.judge(process.wait(), expect=4)


def test_client_whose_handshake_is_cut_off(fake_engine, forward):
    """The error names what was under way."""

    def cut(sock):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        return False

    fake_engine.before_handshake = cut
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    line = process.wait_line(status="offline")
    assert line["code"] == "ECONNRESET" and "TLS handshake with localhost: " in line["error"], line
    process.judge(process.wait(), expect=4)


@pytest.mark.parametrize("alpn", [None, ["http/1.1"], ["rstrm/2"]], ids=str)
def test_client_insists_on_the_protocols_name(fake_engine, forward, alpn):
    """A TLS server that does not speak the protocol is told apart by its ALPN, before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*fake_engine.authority.issue("localhost"))
    if alpn:
        context.set_alpn_protocols(alpn)
    received = []

    def serve(sock):
        try:
            stream = TLSStream(sock, context, server_side=True).handshake()
            received.append(stream.read(timeout=2))
        except OSError:
            pass

    def take(sock):
        threading.Thread(target=serve, args=(sock,), daemon=True).start()
        return False

    fake_engine.before_handshake = take
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    assert process.wait_line(status="offline")["code"] in ("ERR_RSTREAM_TLS", "ERR_RSTREAM_PROTOCOL")
    process.judge(process.wait(), expect=4)
    assert b"".join(received) == b""


def test_client_refuses_tls_1_2(fake_engine, forward):
    fake_engine.context.maximum_version = ssl.TLSVersion.TLSv1_2
    process = forward(fake_engine, "127.0.0.1:9", "x", ["--no-publish"], online=False)
    assert process.wait_line(status="offline")["code"] == "ERR_RSTREAM_TLS"
    process.judge(process.wait(), expect=4)
    assert fake_engine.handshake_errors


def test_engine_refuses_tls_1_2_for_the_protocol(engine):
    context = client_context(engine.ca_file, [wire.ALPN])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stream = tls_connect(engine.port, engine.host, context)
        stream.write(wire.frame(wire.open_control()))
        assert stream.read() == b""
        raise ConnectionError("closed without an answer")


def test_client_out_of_file_descriptors_recovers(fake_engine, agent, tcp_server):
    """Streams it has no descriptors for are answered with an error; with some released it serves again."""
    process, control, tunnel = agent(tcp_server(origins.echo).address, prefix=["prlimit", "--nofile=40:40"])
    for _ in range(60):
        control.ask_stream(tunnel.id.value)
    answers = [control.expect("proxy_conn_rsp", timeout=30) for _ in range(60)]
    refused = sum(answer.HasField("error") for answer in answers)
    assert 20 <= refused < 60
    cpu, started = process.cpu_seconds, time.monotonic()
    time.sleep(1)
    assert process.cpu_seconds - cpu < 0.5 * (time.monotonic() - started), "the client spins without descriptors"
    while not fake_engine.connections.empty():
        fake_engine.accept().close()

    def served():
        stream_id, _ = control.ask_stream(tunnel.id.value)
        if control.expect("proxy_conn_rsp", where=lambda rsp: rsp.stream_id == stream_id).HasField("error"):
            return False
        stream = fake_engine.accept()
        while stream.expect("proxy_req").stream_id != stream_id:
            stream = fake_engine.accept()
        stream.write(b"x")
        return stream.read_exactly(1) == b"x"

    wait_until(served, timeout=10, what="a stream after descriptors were released")
    assert process.lines_with(status="offline") == []


def test_client_memory_after_many_streams(fake_engine, agent, tcp_server):
    """Streams that came and went leave nothing behind that grows."""
    process, control, tunnel = agent(tcp_server(origins.echo).address)

    def round_of_work():
        for number in range(150):
            stream = control.open_stream(tunnel.id.value, payload=b"x" * 1000)
            assert stream.read_exactly(1000)
            stream.abort() if number % 2 else stream.close()

    round_of_work()
    memory, files = process.resident, process.open_files
    for _ in range(3):
        round_of_work()
    wait_until(lambda: process.open_files <= files + 2)
    assert process.resident - memory < 8 * MEGABYTE
