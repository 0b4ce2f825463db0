# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections, one after the other, leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
from librstream import Client, ControlChannel, Engine, RstreamStream
from librstream._driver import Driver
from librstream._transport import StreamTransport
from support import serving, until

AT_ONCE = 16
MEBIBYTE = 1 << 20


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(180)
async def test_two_thousand_connections(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    callbacks = Driver.current().callbacks
    handled = 0

    async def answer(stream: RstreamStream) -> None:
        nonlocal handled
        stream.write((await stream.readline()).upper())
        await stream.drain()
        handled += 1

    async def connect(count: int) -> None:
        for _ in range(count):
            async with await client.dial(tunnel.id) as stream:
                stream.write(b"line\n")
                assert await stream.readline() == b"LINE\n"

    async def settled(connections: int) -> tuple[int, int]:
        """Memory and objects after so many connections more."""
        before = handled
        await asyncio.gather(*(connect(connections // AT_ONCE) for _ in range(AT_ONCE)))
        await until(lambda: handled == before + connections and not callbacks.readers)
        # Closed ones leave the engine a little later.
        await until(lambda: descriptors() <= files)
        gc.collect()
        return resident(), len(gc.get_objects())

    files = descriptors()
    async with serving(tunnel, answer):
        await settled(800)
        memory, objects = await settled(400)
        later_memory, later_objects = await settled(2000)
    assert later_objects < objects + 200
    assert later_memory < memory + 4 * MEBIBYTE


async def test_streams_that_are_closed_with_bytes_to_send(engine: Engine) -> None:
    """Over QUIC these leave a little later; then nothing keeps the streams any more."""

    def streams() -> int:
        gc.collect()
        return sum(isinstance(thing, StreamTransport) for thing in gc.get_objects())

    async with engine.client(tunnel_transport="quic") as client, await client.connect() as control:
        tunnel = await control.create_tunnel(publish=False)
        before = streams()
        near, far = await asyncio.gather(client.dial(tunnel.id), tunnel.accept())
        near.write(b"line\n")
        near.close()
        assert await far.read() == b"line\n"
        far.close()
        del near, far
        async with asyncio.timeout(10):
            await until(lambda: streams() == before)
