# SPDX-License-Identifier: Apache-2.0
"""Packet channels without asyncio, over TLS and QUIC."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Iterator

import librstream
import pytest
from librstream.blocking import Client, ControlChannel, Engine, PacketChannel

#: The path that packets have over each transport.
PATHS = {"tls": "stream", "quic": "quic-datagram"}


@pytest.fixture(params=PATHS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with Engine() as engine, engine.client(tunnel_transport=request.param) as client:
        yield client


@pytest.fixture
def control(client: Client) -> Iterator[ControlChannel]:
    with client.connect() as control:
        yield control


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    return PATHS[request.node.callspec.params["client"]]


def ends(client: Client, control: ControlChannel) -> tuple[PacketChannel, PacketChannel]:
    tunnel = control.create_packet_tunnel()
    return client.dial_packets(tunnel.id), tunnel.accept()


def test_both_ways(client: Client, control: ControlChannel, path: str) -> None:
    tunnel = control.create_packet_tunnel(name="packets")
    assert tunnel.properties.type == "datagram" and not tunnel.closed
    assert tunnel.forwarding_address == "rstrm://packets (unpublished)"
    with client.dial_packets("packets") as near, tunnel.accept(timeout=30) as far:
        assert (near.path, far.path, far.peer) == (path, path, "127.0.0.1") and far.id
        longest = 65_535 if path == "stream" else 1_100
        assert longest <= near.max_size <= 65_535
        for size in (0, 1, 1000, longest):
            near.send(bytes(size))
            assert far.receive() == bytes(size)
            assert far.send_nowait(memoryview(bytes(size)))
            assert near.receive(timeout=30) == bytes(size)
        with pytest.raises(OSError, match=f"65536 bytes: at most {near.max_size} ") as too_long:
            near.send(bytes(65_536))
        assert too_long.value.errno == errno.EMSGSIZE
        with pytest.raises(TimeoutError):
            near.receive(timeout=0.01)
        for end in (near, far):
            assert end.counts == {"sent": 4, "received": 4, "dropped_sending": 0, "dropped_receiving": 0}
    tunnel.close()
    assert tunnel.closed and list(tunnel) == []


@pytest.mark.parametrize("dialer_closes", [True, False])
def test_whoever_closes_the_other_side_sees_it(client: Client, control: ControlChannel, dialer_closes: bool) -> None:
    near, far = ends(client, control)
    near.send(b"ping")
    assert far.receive() == b"ping"
    far.send(b"pong")
    assert near.receive() == b"pong"
    closing, other = (near, far) if dialer_closes else (far, near)
    closing.send(b"last")
    closing.close()
    with pytest.raises(librstream.RstreamError) as closed:
        closing.receive()
    assert closed.value.code == "ERR_RSTREAM_STREAM_CLOSED"
    assert other.receive() == b"last"
    # The end is the end, however often somebody asks.
    for _ in range(2):
        with pytest.raises(EOFError):
            other.receive()
    assert list(other) == []
    with pytest.raises(EOFError):
        other.send(b"late")
    other.close()


def test_what_nobody_receives_is_dropped_or_waits(client: Client, control: ControlChannel, path: str) -> None:
    near, far = ends(client, control)
    if path == "stream":
        # Until all that is on the way is full.
        taken = 0
        while near.send_nowait(bytes(60_000)):
            taken += 1
            assert taken < 10_000
        assert near.counts["dropped_sending"] == 1
        for _ in range(taken):
            assert len(far.receive()) == 60_000
        near.send(b"room again")
        assert far.receive() == b"room again"
    else:
        sent = 0
        while far.counts["dropped_receiving"] == 0:
            near.send(sent.to_bytes(2, "big"))
            sent += 1
            assert sent < 10_000
        # Those that were there first have waited.
        received = [far.receive() for _ in range(64)]
        assert received == [number.to_bytes(2, "big") for number in range(64)]
    near.close()
    far.close()


def test_a_service_on_another_thread(rstream_engine: librstream.Engine) -> None:
    def serve() -> None:
        with Client(engine=rstream_engine.address, tls=tls) as client, client.connect() as control:
            tunnel = control.create_packet_tunnel()
            names.append(tunnel.id)
            online.set()
            for channel in tunnel:
                with channel:
                    for packet in channel:
                        channel.send(packet.upper())
                return

    tls = librstream.TLSOptions(ca_file=rstream_engine.ca_file)
    names: list[str] = []
    online = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    online.wait()
    with Client(engine=rstream_engine.address, tls=tls) as client, client.dial_packets(names[0]) as channel:
        for number in range(50):
            channel.send(b"packet %d" % number)
            assert channel.receive() == b"PACKET %d" % number
    thread.join()


def test_forwarding_until_the_tunnel_ends(rstream_engine: librstream.Engine) -> None:
    def dial() -> None:
        with Client(engine=rstream_engine.address, tls=tls) as client, client.dial_packets(tunnel.id) as channel:
            channel.send(b"question")
            answers.append(channel.receive())

    def answer() -> None:
        packet, address = service.recvfrom(100)
        service.sendto(packet + b" and answer", address)

    def close_tunnel(event: librstream.ForwardedConnection) -> None:
        events.append(event.event)
        if event.event == "closed":
            asyncio.get_running_loop().create_task(tunnel._inner.close())

    tls = librstream.TLSOptions(ca_file=rstream_engine.ca_file)
    answers: list[bytes] = []
    events: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        with Client(engine=rstream_engine.address, tls=tls) as client, client.connect() as control:
            tunnel = control.create_packet_tunnel()
            threads = [threading.Thread(target=work) for work in (dial, answer)]
            for thread in threads:
                thread.start()
            tunnel.forward_to(*service.getsockname(), on_connection=close_tunnel)
            for thread in threads:
                thread.join()
    assert answers == [b"question and answer"] and events == ["opened", "closed"]
