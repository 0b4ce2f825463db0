# SPDX-License-Identifier: Apache-2.0
"""Packet channels: both ends in Python, protocols, sizes, ends, forwarding."""

from __future__ import annotations

import array
import asyncio
import errno
import socket
from typing import Any

import pytest
from librstream import Client, ControlChannel, PacketChannel, PacketTunnel, RstreamError
from support import until


async def ends(client: Client, control: ControlChannel, **options: Any) -> tuple[PacketChannel, PacketChannel]:
    tunnel = await control.create_packet_tunnel(**options)
    near, far = await asyncio.gather(client.dial_packets(tunnel.id), tunnel.accept())
    return near, far


async def test_packets_both_ways(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_packet_tunnel(name="packets", guaranteed_delivery=True)
    assert isinstance(tunnel, PacketTunnel) and tunnel.properties.type == "datagram"
    assert tunnel.forwarding_address == "rstrm://packets (unpublished)"
    near, far = await asyncio.gather(client.dial_packets("packets", zero_rtt=False), tunnel.accept())
    assert (near.path, near.max_size, far.peer) == ("stream", 65_535, "127.0.0.1") and near.id == far.id
    async with near, far:
        for size in (0, 1, 1200, 65_507, 65_535):
            await near.send(bytes(size))
            assert await far.receive() == bytes(size)
        far.send_nowait(bytearray(b"back"))
        far.send_nowait(memoryview(b"again"))
        assert [await near.receive(), await near.receive()] == [b"back", b"again"]
        with pytest.raises(OSError) as too_long:
            await near.send(bytes(65_536))
        assert too_long.value.errno == errno.EMSGSIZE
        assert near.counts == {"sent": 5, "received": 2, "dropped_sending": 0, "dropped_receiving": 0}


async def test_packets_of_anything_that_has_bytes_and_of_nothing_else(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    numbers = memoryview(array.array("I", range(20_000)))
    async with near, far:
        near.send_nowait(numbers[:3])
        near.send_nowait(memoryview(b"a-b-c")[::2])
        assert await far.receive() == numbers[:3].tobytes() and await far.receive() == b"abc"
        for odd in (5, [1], "text", None):
            with pytest.raises(TypeError):
                near.send_nowait(odd)  # type: ignore[arg-type]
        with pytest.raises(OSError) as too_long:
            near.send_nowait(numbers)
        assert too_long.value.errno == errno.EMSGSIZE
        near.send_nowait(b"fine")
        assert await far.receive() == b"fine"
    near, far = await ends(client, control)
    transport, _ = far.use_protocol(asyncio.DatagramProtocol)
    async with near:
        for odd in (5, [1], "text", None):
            with pytest.raises(TypeError):
                transport.sendto(odd)
        transport.sendto(memoryview(b"fine"))
        assert await near.receive() == b"fine"


async def test_nothing_is_lost_when_the_sender_waits(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    total = 3000

    async def send() -> None:
        for number in range(total):
            await near.send(number.to_bytes(4, "big") + bytes(5000))
        near.close()

    sending = asyncio.create_task(send())
    # Everything on the way fills up before anybody receives.
    await until(lambda: near._open()[0].is_full)
    received = [packet async for packet in far]
    await sending
    assert [int.from_bytes(packet[:4], "big") for packet in received] == list(range(total))
    far.close()


async def test_who_does_not_wait_loses_packets_and_knows(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    outcomes: list[bool] = []
    while len(outcomes) < 10_000 and (not outcomes or outcomes[-1]):
        outcomes.append(near.send_nowait(bytes(60_000)))
    assert outcomes[-1] is False and near.counts["dropped_sending"] == 1
    near.close()
    assert len([packet async for packet in far]) == len(outcomes) - 1
    far.close()


async def test_a_sender_hears_of_the_end_though_nothing_is_received(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    # As many as wait for the receiver here, and more that it has not read.
    for _ in range(200):
        await far.send(bytes(1000))
    await until(lambda: len(near._open()[1].packets) >= 64)
    far.close()
    await far.wait_closed()

    async def send() -> None:
        while True:
            await near.send(bytes(60_000))

    with pytest.raises((EOFError, ConnectionError)):
        await send()
    near.close()


class Recorder(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: list[Exception | None] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def test_protocols(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    sender, at_near = near.use_protocol(Recorder)
    receiver, at_far = far.use_protocol(Recorder)
    with pytest.raises(RstreamError):
        near.use_protocol(Recorder)
    assert receiver.get_extra_info("peername") == ("127.0.0.1", 0) and receiver.get_extra_info("path") == "stream"
    sender.sendto(b"one")
    sender.sendto(b"")
    sender.sendto(bytes(65_536))
    assert isinstance(at_near.errors[0], OSError) and at_near.errors[0].errno == errno.EMSGSIZE
    await until(lambda: len(at_far.packets) == 2)
    assert at_far.packets == [(b"one", ("127.0.0.1", 0)), (b"", ("127.0.0.1", 0))]
    receiver.pause_reading()
    sender.sendto(b"two")
    sender.close()
    assert sender.is_closing()
    receiver.resume_reading()
    await until(lambda: bool(at_far.lost) and bool(at_near.lost))
    assert at_far.packets[-1][0] == b"two" and at_far.lost == at_near.lost == [None]
    sender.sendto(b"late")


async def test_ends(client: Client, control: ControlChannel) -> None:
    near, far = await ends(client, control)
    await near.send(b"last")
    near.close()
    await near.wait_closed()
    assert await far.receive() == b"last"
    with pytest.raises(EOFError):
        await far.receive()
    with pytest.raises(EOFError):
        far.send_nowait(b"x")
    with pytest.raises(RstreamError) as closed:
        await near.receive()
    assert closed.value.code == "ERR_RSTREAM_STREAM_CLOSED"
    far.close()
    unused = await client.dial_packets(control.client_id)
    unused.close()
    with pytest.raises(RstreamError):
        await unused.send(b"x")
    with pytest.raises(RstreamError) as unknown:
        await client.dial_packets("nobody", zero_rtt=False)
    assert unknown.value.details == {"engine_code": 3000}


async def test_forwarding_to_a_udp_service(client: Client, control: ControlChannel) -> None:
    loop = asyncio.get_running_loop()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data.upper(), addr)  # type: ignore[attr-defined]

    service, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0), family=socket.AF_INET)
    tunnel = await control.create_packet_tunnel()
    forwarding = asyncio.create_task(tunnel.forward_to(*service.get_extra_info("sockname")))
    async with await client.dial_packets(tunnel.id) as channel:
        await channel.send(b"ping")
        assert await channel.receive() == b"PING"
    forwarding.cancel()
    service.close()
