# SPDX-License-Identifier: Apache-2.0
"""Datagram tunnels: UDP programs at both ends of `rstreamctl forward --udp` and `dial --udp`, and peers that speak the
wire protocol by themselves."""

import hashlib
import random
import socket
import struct
import subprocess

import pytest

from support import wire
from support.origins import UDPServer
from support.process import build_product, clean_environment

SIZES = [0, 1, 2, 99, 1200, 1280, 1472, 9000, 16_380, 16_384, 65_506, 65_507]


@pytest.fixture
def echo():
    """A UDP service that sends every packet back."""
    with UDPServer(lambda packet: packet) as server:
        yield server


def udp_client(port):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    return client


def ask(client, packet):
    client.send(packet)
    return client.recv(65_535)


@pytest.mark.parametrize("guaranteed", [False, True], ids=["plain", "guaranteed"])
def test_udp_at_both_ends(engine, forward, dial, echo, name, guaranteed):
    arguments = ["--udp"] + (["--property", "datagram_guaranteed_delivery=true"] if guaranteed else [])
    agent = forward(engine, echo.address, name, arguments)
    assert agent.tunnel["forwarding"] == f"rstrm://{name} (unpublished)"
    assert [tunnel["type"] for tunnel in engine.tunnels(name=name)] == ["datagram"]
    dialer = dial(engine, name, arguments=["--udp"])
    with udp_client(dialer.port) as client:
        for size in SIZES:
            packet = random.Random(size).randbytes(size)
            assert ask(client, packet) == packet
    assert agent.opened()["peer"] == "127.0.0.1"


def test_nothing_is_lost_or_out_of_order_with_guaranteed_delivery(engine, forward, dial, echo, name):
    """As many packets under way as UDP's own buffers hold: what is lost otherwise is lost by them."""
    forward(engine, echo.address, name, ["--udp", "--property", "datagram_guaranteed_delivery=true"])
    dialer = dial(engine, name, arguments=["--udp"])
    window, total = 32, 3000
    with udp_client(dialer.port) as client:
        received = []
        for number in range(total):
            client.send(struct.pack("!I", number) + bytes(number % 1200))
            if number >= window:
                received.append(client.recv(65_535))
        while len(received) < total:
            received.append(client.recv(65_535))
    for number, packet in enumerate(received):
        assert packet == struct.pack("!I", number) + bytes(number % 1200)


def test_each_local_peer_has_a_channel_of_its_own(engine, forward, dial, echo, name):
    forward(engine, echo.address, name, ["--udp"])
    dialer = dial(engine, name, arguments=["--udp"])
    clients = [udp_client(dialer.port) for _ in range(20)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(b"%d of %d" % (turn, number))
        for number, client in enumerate(clients):
            assert client.recv(100) == b"%d of %d" % (turn, number)
    assert len(echo.peers) == len(clients)
    for client in clients:
        client.close()


def test_an_idle_channel_ends_and_the_next_packet_opens_another(engine, forward, dial, echo, name):
    agent = forward(engine, echo.address, name, ["--udp"])
    dialer = dial(engine, name, arguments=["--udp", "--idle", "1"])
    with udp_client(dialer.port) as client:
        assert ask(client, b"one") == b"one"
        ended = dialer.wait_line(event="closed")
        assert (ended["bytes_in"], ended["bytes_out"], ended["dropped"], ended["error"]) == (3, 3, 0, None)
        assert agent.closed()["bytes_in"] == 3
        assert ask(client, b"two") == b"two"
    assert len(echo.peers) == 2


def test_a_tunnel_that_is_not_there_costs_packets_and_nothing_else(engine, forward, dial, echo, name):
    dialer = dial(engine, name, arguments=["--udp", "--no-zero-rtt"])
    with udp_client(dialer.port) as client:
        client.send(b"x")
        ended = dialer.wait_line(event="closed")
        assert "3000" in ended["error"]
        forward(engine, echo.address, name, ["--udp"])
        client.settimeout(0.25)
        answer = None
        for _ in range(40):
            try:
                answer = ask(client, b"again")
                break
            except TimeoutError:
                continue
        assert answer == b"again"


def test_a_service_that_is_down_ends_the_channel(engine, forward, dial, name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    agent = forward(engine, f"udp:127.0.0.1:{port}", name, ["--udp"])
    dialer = dial(engine, name, arguments=["--udp"])
    with udp_client(dialer.port) as client:
        client.send(b"x")
        assert "refused" in agent.closed()["error"]
        assert dialer.wait_line(event="closed")["bytes_out"] == 0


def test_usage(engine, name, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [build_product("rstreamctl"), *arguments, *engine.client_options()],
            capture_output=True,
            text=True,
            timeout=20,
            env=clean_environment(HOME=tmp_path),
        )

    needs_port = run("dial", name, "--udp")
    assert needs_port.returncode == 2 and "--listen" in needs_port.stderr
    for idle in ("0", "x", "86401", "1s"):
        bad = run("dial", name, "--udp", "--listen", "0", "--idle", idle)
        assert bad.returncode == 2 and "--idle" in bad.stderr
    unix = run("forward", "unix:/tmp/x", "--udp")
    assert unix.returncode != 0 and "UDP" in unix.stderr


# -- peers that speak for themselves ---------------------------------------------------------------------------------


def frame(packet):
    return struct.pack("!I", len(packet)) + packet


def read_packet(stream):
    (length,) = struct.unpack("!I", stream.read_exactly(4))
    return stream.read_exactly(length)


def test_a_foreign_dialer_meets_our_agent(engine, client, forward, echo, name):
    forward(engine, echo.address, name, ["--udp"])
    stream = client.dial(name).stream
    everything = b"".join(frame(bytes([size % 251]) * size) for size in SIZES)
    for start in range(0, len(everything), 7001):
        stream.write(everything[start : start + 7001])
    digests = sorted(hashlib.sha256(read_packet(stream)).digest() for _ in SIZES)
    assert digests == sorted(hashlib.sha256(bytes([size % 251]) * size).digest() for size in SIZES)
    stream.close()


@pytest.mark.parametrize("junk", [b"\0\1\0\0", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_packet_ends_that_channel_only(engine, client, forward, dial, echo, name, junk):
    forward(engine, echo.address, name, ["--udp"])
    stream = client.dial(name).stream
    stream.write(frame(b"fine"))
    assert read_packet(stream) == b"fine"
    stream.write(junk)
    with pytest.raises((EOFError, ConnectionError, OSError)):
        stream.read_exactly(1)
    again = client.dial(name).stream
    again.write(frame(b"fine again"))
    assert read_packet(again) == b"fine again"
    again.close()


def test_quic_datagrams_are_refused_over_tls(client, name):
    """A client that is refused asks again for frames."""
    control = client.control()
    control.open_tunnel(name=name, publish=False, type="datagram")
    connection = client.connect()
    connection.send(wire.stream_req(name, zero_rtt=False, datagram_channel=True))
    response = connection.expect("stream_rsp")
    assert response.error.code == 2000 and response.error.message.value
    assert not control.received("proxy_conn_req")
    near, far = client.pair(control, name)
    near.write(frame(b"ping"))
    assert read_packet(far) == b"ping"
