# SPDX-License-Identifier: Apache-2.0
"""Bad input and scarce resources: nothing crashes, memory stays bounded, other tunnels keep working."""

import contextlib
import os
import random
import resource
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from support import origins, wire
from support.fake_client import echo
from support.ports import free_port_range
from support.tls import TLSStream, client_context, tls_connect
from support.waiting import wait_until

MEGABYTE = 1 << 20


@contextlib.contextmanager
def bystander(engine, name):
    """A tunnel of somebody else: must work before, during (call the yielded function) and after."""
    with engine.fake_client() as client:
        control = client.control(liveness=60000)
        control.open_tunnel(name=f"{name}-bystander", publish=False)
        control.serve(echo)

        def check(timeout=5.0):
            with client.dial(f"{name}-bystander", timeout=timeout) as stream:
                stream.write(b"still fine?")
                assert stream.read_exactly(11, timeout=timeout) == b"still fine?"

        check()
        yield check
        check()
        assert control.is_open


def garbage(seed):
    return random.Random(seed).randbytes(2000)


# -- the engine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_engine_takes_garbage_instead_of_tls(engine, client, name, seed):
    with bystander(engine, name) as check:
        for _ in range(20):
            sock = client.connect_tcp()
            sock.sendall(garbage(seed))
            check() if _ == 10 else None
            sock.settimeout(5)
            with contextlib.suppress(ConnectionError):
                while sock.recv(1000):
                    pass


FIRST_RECORDS = {
    "huge-record": b"\x16\x03\x01\xff\xff",
    "huge-hello": b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
    "empty-record": b"\x16\x03\x01\x00\x00",
    "alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data": b"\x17\x03\x03\x40\x00",
    "sslv2": b"\x80\x2e\x01\x03\x01",
    "http": b"GET / HTTP/1.0\r\n\r\n",
    "ssh": b"SSH-2.0-x\r\n",
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
}


@pytest.mark.parametrize("start", FIRST_RECORDS.values(), ids=FIRST_RECORDS.keys())
def test_engine_takes_strange_first_records(start_engine, name, start):
    engine = start_engine(settings={"timeouts.handshake_seconds": 1})
    client = engine.fake_client()
    with bystander(engine, name):
        sock = client.connect_tcp()
        sock.sendall(start + b"\0" * 200)
        sock.settimeout(5)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass


def test_engine_takes_a_client_hello_cut_at_every_tenth_byte(engine, client, name):
    with bystander(engine, name):
        hello = client.begin_tls(client.connect_tcp()).client_hello()
        for length in range(1, len(hello), 10):
            sock = client.connect_tcp()
            sock.sendall(hello[:length])
            sock.close()


def test_engine_takes_a_client_hello_with_every_byte_broken(engine, client, name):
    with bystander(engine, name):
        hello = bytearray(client.begin_tls(client.connect_tcp()).client_hello())
        for index in range(5, len(hello), 7):
            broken = bytes(hello[:index]) + bytes([hello[index] ^ 0xFF]) + bytes(hello[index + 1 :])
            sock = client.connect_tcp()
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.sendall(broken)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
            sock.close()


FRAMES = {
    "oversize": b"\x00\x01\x00\x00" + b"x" * 65536,
    "huge": b"\xff\xff\xff\xff" + b"x" * 1000,
    "garbage": wire.frame(b"\xde\xad\xbe\xef" * 10),
    "invalid-utf8": wire.frame(b"\x2a\x06\x0a\x04\xff\xfe\xfd\xfc"),
    "length-beyond": wire.frame(b"\x2a\xff\x01\x0a"),
    "endless-varint": wire.frame(b"\x08" + b"\xff" * 20),
    "open-group": wire.frame(b"\x2b"),
    "field-zero": wire.frame(b"\x00\x00"),
    "deep": wire.frame(b"\x0a\x02" * 5000),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_engine_closes_channels_that_break_the_framing(engine, client, name, kind):
    with bystander(engine, name):
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        try:
            control.send(payload=FRAMES[kind])
        except OSError:
            pass
        control.expect_end()
        assert engine.tunnels(name=name) == []


@pytest.mark.parametrize(
    "kind", ["empty", "unknown-payload", "engine-message", "open-again", "proxy-req", "unknown-field"]
)
def test_engine_with_messages_that_do_not_belong_on_a_channel(engine, client, name, kind):
    """Ignored or answered by the end of this channel; never more than that."""
    unknown = wire.open_tunnel("r", name=name, publish=False).SerializeToString() + b"\xfa\x07\x02hi"
    message = {
        "empty": b"",
        "unknown-payload": b"\xfa\x07\x02hi",
        "engine-message": wire.proxy_conn_req("t", "s", "x"),
        "open-again": wire.open_control(),
        "proxy-req": wire.proxy_req("s", "x"),
        "unknown-field": unknown,
    }[kind]
    with bystander(engine, name):
        control = client.control()
        control.send(message)
        if kind == "unknown-field":
            assert control.expect("open_tunnel_rsp").tunnel_properties.id.value
            return
        try:
            assert control.open_tunnel(publish=False).id.value
        except (wire.Closed, OSError):
            control.expect_end()


def test_engine_takes_every_truncation_of_a_conversation(engine, client, name):
    whole = wire.frame(wire.open_control(liveness=1000)) + wire.frame(wire.open_tunnel("r", name=name, publish=False))
    with bystander(engine, name):
        for length in range(1, len(whole), 3):
            connection = client.connect()
            connection.write(whole[:length])
            connection.stream.sock.close()
        wait_until(lambda: engine.tunnels(name=name) == [])


def test_engine_takes_flipped_bits_in_a_conversation(engine, client, name):
    whole = wire.frame(wire.open_control(token="t", liveness=1000)) + wire.frame(
        wire.open_tunnel("r", name=name, labels={"a": "b"}, publish=True, protocol="tls", tls_alpns=["x"])
    )
    dice = random.Random(7)
    with bystander(engine, name):
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(dice.randrange(1, 4)):
                broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
            connection = client.connect()
            connection.write(bytes(broken))
            with contextlib.suppress(OSError):
                connection.read(timeout=0.02)
            connection.stream.sock.close()


@pytest.mark.parametrize(
    "values",
    [
        dict(name="x" * 60000),
        dict(labels={f"label-{n}": "v" * 10 for n in range(2500)}),
        dict(tls_alpns=["a" * 300], protocol="tls"),
        dict(tls_alpns=[""], protocol="tls"),
        dict(tls_alpns=["a" * 200] * 250, protocol="tls"),
        dict(hostname="a" * 300),
        dict(hostname="..\0"),
        dict(hostname="*"),
        dict(port=0, protocol="tcp"),
        dict(port=4294967295, protocol="tcp"),
        dict(trusted_ips=["1.2.3.4/99"]),
        dict(trusted_ips=["::/0"] * 3000),
        dict(type="nonsense"),
        dict(protocol="nonsense"),
        dict(tls_min_version="ssl3", protocol="tls"),
        dict(tls_ciphers=["NOT-A-CIPHER"], protocol="tls"),
        dict(http_version="http/9"),
    ],
    ids=lambda values: next(iter(values)),
)
def test_engine_with_extreme_properties(engine, client, name, values):
    """Refused with 2000 (or granted where nothing is wrong with it): the channel goes on either way."""
    with bystander(engine, name):
        control = client.control()
        try:
            control.open_tunnel(**values)
        except wire.Refused as refusal:
            assert refusal.code in (2000, 5000, 7000), refusal
        assert control.open_tunnel(publish=False).id.value
        assert engine.api("/api/tunnels")[0] == 200


def test_engine_with_a_thousand_silent_connections(start_engine, name):
    """They cost little, nobody else notices, and they are gone after the handshake time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    engine = start_engine(settings={"timeouts.handshake_seconds": 4})
    client = engine.fake_client()
    with bystander(engine, name) as check:
        files, memory = engine.open_files, engine.resident
        sockets = [client.connect_tcp() for _ in range(1000)]
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        wait_until(lambda: engine.open_files <= files + 3, timeout=15, what="the end of the silent connections")
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        for sock in sockets:
            sock.close()


def test_engine_with_silent_tls_connections(start_engine, name):
    engine = start_engine(settings={"timeouts.handshake_seconds": 3})
    client = engine.fake_client()
    with bystander(engine, name) as check:
        files = engine.open_files
        connections = [client.connect() for _ in range(200)]
        check()
        wait_until(lambda: engine.open_files <= files + 3, timeout=15, what="the end of the silent connections")
        connections[0].expect_end()


def test_engine_limits_connections(start_engine, name):
    """Beyond the limit new connections are refused or wait; after some have gone there is room again."""
    engine = start_engine(settings={"limits.connections": 50, "timeouts.handshake_seconds": 60})
    client = engine.fake_client()
    sockets = []
    for _ in range(80):
        with contextlib.suppress(ConnectionError):
            sockets.append(client.connect_tcp())
    time.sleep(0.3)
    assert engine.open_files < 50 + 40
    for sock in sockets:
        sock.close()

    def served():
        with contextlib.suppress(OSError, wire.Closed):
            client.control().close()
            return True

    wait_until(served, timeout=10, what="a connection after the others have gone")


def test_engine_limits_clients_and_tunnels(start_engine):
    engine = start_engine(settings={"limits.clients": 3, "limits.tunnels_per_client": 5})
    client = engine.fake_client()
    controls = [client.control() for _ in range(3)]
    with pytest.raises(wire.Refused) as refusal:
        client.control()
    assert refusal.value.code == 7000
    ids = [controls[0].open_tunnel(publish=False).id.value for _ in range(5)]
    with pytest.raises(wire.Refused) as refusal:
        controls[0].open_tunnel(publish=False)
    assert refusal.value.code == 7000
    controls[0].close_tunnel(ids[0])
    assert controls[0].open_tunnel(publish=False).id.value
    controls[1].close()
    assert client.control().client_id


def test_engine_out_of_tcp_ports(start_engine):
    engine = start_engine(arguments=["--tcp-ports", free_port_range(2)])
    control = engine.fake_client().control()
    first = control.open_tunnel(protocol="tcp")
    second = control.open_tunnel(protocol="tcp")
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp")
    assert refusal.value.code == 7000
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp", port=first.port.value)
    assert refusal.value.code == 8000
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp", port=1)
    assert refusal.value.code in (2000, 5000)
    control.close_tunnel(second.id.value)
    assert control.open_tunnel(protocol="tcp").port.value == second.port.value


def test_engine_without_a_tcp_range_says_so(start_engine):
    with pytest.raises(wire.Refused) as refusal:
        start_engine().fake_client().control().open_tunnel(protocol="tcp")
    assert refusal.value.code == 5000


def test_engine_out_of_file_descriptors_recovers(start_engine, name):
    """Every descriptor is taken: the engine neither spins nor dies, and accepts again when some are free."""
    engine = start_engine(prefix=["prlimit", "--nofile=96:96"], settings={"timeouts.handshake_seconds": 60})
    client = engine.fake_client()
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    control.serve(echo)
    sockets = [client.connect_tcp() for _ in range(150)]
    wait_until(lambda: engine.open_files >= 90, what="exhausted descriptors")
    cpu, started = engine.cpu_seconds, time.monotonic()
    control.send(wire.heartbeat(1))
    control.expect("heartbeat", timeout=3)
    time.sleep(2)
    assert engine.cpu_seconds - cpu < 0.5 * (time.monotonic() - started), "the engine spins without descriptors"
    for sock in sockets:
        sock.close()

    def served():
        with contextlib.suppress(OSError, wire.Closed, wire.Refused):
            with client.dial(name) as stream:
                stream.write(b"recovered")
                return stream.read_exactly(9) == b"recovered"

    wait_until(served, timeout=10, what="a stream after descriptors were released")
    assert control.is_open


def test_engine_with_peers_that_never_read(engine, client, name):
    """Consumers and owners that only write: what the engine holds for them is bounded."""
    with bystander(engine, name) as check:
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        memory = engine.resident
        pairs = []
        for _ in range(10):
            near = client.dial(name, zero_rtt=True)
            pairs.append((near, control.accept()))
        ends = [end for pair in pairs for end in pair]
        sent = []
        # The kernel's buffers on the way, as large as they may grow; the engine's own share is small.
        limits = [Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split() for way in "rw"]
        room = sum(2 * int(largest) for _, _, largest in limits) + 8 * MEGABYTE

        def fill(end):
            end.stream.settimeout(1.0)
            amount = 0
            with contextlib.suppress(TimeoutError):
                while amount < 2 * room:
                    end.write(b"x" * 65536)
                    amount += 65536
            sent.append(amount)

        threads = [threading.Thread(target=fill, args=(end,)) for end in ends]
        for thread in threads:
            thread.start()
        check(timeout=15)
        for thread in threads:
            thread.join()
        assert max(sent) < room, sent
        assert engine.resident - memory < 96 * MEGABYTE
        for end in ends:
            end.abort()


def test_engine_with_a_control_channel_that_never_reads(engine, name):
    """Requests whose answers nobody takes: the answers are bounded, by an end of the channel if need be."""
    with bystander(engine, name) as check, engine.fake_client() as client:
        connection = client.connect()
        connection.send(wire.open_control(liveness=60000))
        memory = engine.resident
        request = b"".join(wire.frame(wire.open_tunnel("r" * 200, name="y" * 200, port=1)) for _ in range(100))
        connection.stream.settimeout(1.0)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100 * MEGABYTE:
                connection.write(request)
                sent += len(request)
        check()
        assert engine.resident - memory < 48 * MEGABYTE
        connection.abort()


def test_engine_with_consumers_that_never_read_an_answer(engine, forward, site, name):
    ours = forward(engine, site().address, name)
    with bystander(engine, name) as check:
        memory = engine.resident
        streams = []
        for _ in range(10):
            stream = engine.tls(ours.host)
            stream.write((f"GET /large HTTP/1.1\r\nHost: {ours.host}\r\n\r\n" * 20).encode())
            streams.append(stream)
        time.sleep(1)
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        for stream in streams:
            stream.abort()


def test_engine_with_slow_http_heads(start_engine, forward, site, name):
    """A request head that comes a byte at a time is given up, whatever the pace."""
    engine = start_engine(settings={"timeouts.handshake_seconds": 2})
    ours = forward(engine, site().address, name)
    with bystander(engine, name):
        stream = engine.tls(ours.host)
        started = time.monotonic()
        head = f"GET /ping HTTP/1.1\r\nHost: {ours.host}\r\nX-Slow: ".encode() + b"x" * 1000
        ended = False
        with contextlib.suppress(OSError):
            for index in range(len(head)):
                stream.write(head[index : index + 1])
                try:
                    if stream.read(timeout=0.1) == b"":
                        ended = True
                        break
                except TimeoutError:
                    pass
                if time.monotonic() - started > 10:
                    break
        assert ended or time.monotonic() - started < 8


def test_engine_memory_after_many_tunnels_and_streams(engine, client, name):
    """Tunnels and streams that came and went leave nothing behind that grows."""
    control = client.control()

    def round_of_work():
        for _ in range(100):
            tunnel_id = control.open_tunnel(name=name, publish=False, labels={"k": "v" * 100}).id.value
            near = client.dial(name, zero_rtt=True, payload=b"x" * 1000)
            far = control.accept()
            assert far.read_exactly(1000)
            near.abort()
            far.abort()
            control.close_tunnel(tunnel_id)

    round_of_work()
    memory, files = engine.resident, engine.open_files
    for _ in range(3):
        round_of_work()
    wait_until(lambda: engine.open_files <= files + 2)
    assert engine.resident - memory < 12 * MEGABYTE


# -- the client ------------------------------------------------------------------------------------------------------


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
