# SPDX-License-Identifier: Apache-2.0
"""Streams as asyncio's readers and writers: reading, writing, half close, backpressure, ends."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os

import pytest
from librstream import Client, ControlChannel, RstreamError
from support import pair, serving, until

MEBIBYTE = 1 << 20


async def test_the_ways_of_reading(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        near.write(b"first line\nsecond line\nstop;exactly")
        near.write_eof()
        assert await far.readline() == b"first line\n"
        assert await far.readuntil(b";") == b"second line\nstop;"
        assert await far.readexactly(2) == b"ex" and not far.at_eof()
        assert await far.read(3) == b"act"
        assert await far.read() == b"ly"
        assert far.at_eof() and await far.read(1) == b"" and await far.readline() == b""


@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_pieces_are_put_together(client: Client, control: ControlChannel, piece: int) -> None:
    near, far = await pair(client, control)
    async with near, far:
        text = b"".join(b"%d\n" % number for number in range(200))

        async def send() -> None:
            for begin in range(0, len(text), piece):
                near.write(text[begin : begin + piece])
                await asyncio.sleep(0)
            near.write_eof()

        sending = asyncio.create_task(send())
        assert [await far.readline() for _ in range(100)] == [b"%d\n" % number for number in range(100)]
        assert await far.readexactly(4) == b"100\n"
        assert await far.read(2) in (b"10", b"1")
        assert text.endswith(await far.read())
        await sending


async def test_what_readers_raise(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        near.write(b"abc")
        near.write_eof()
        with pytest.raises(asyncio.IncompleteReadError) as incomplete:
            await far.readexactly(10)
        assert incomplete.value.partial == b"abc"
        far.write(b"x" * MEBIBYTE)
        with pytest.raises(asyncio.LimitOverrunError):
            await near.readuntil(b"\n")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_what_can_be_written(client: Client, control: ControlChannel, kind: type) -> None:
    near, far = await pair(client, control)
    async with near, far:
        near.write(kind(b"small "))
        near.writelines([kind(b"some "), kind(b"lines ")])
        near.write(kind(b""))
        large = os.urandom(3 * MEBIBYTE)
        buffer = bytearray(large)
        near.write(memoryview(buffer) if kind is memoryview else kind(large))
        buffer[:] = bytes(len(buffer))
        near.write_eof()
        assert await far.read() == b"small some lines " + large


async def test_writers_of_parts_of_memory(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        memory = memoryview(bytes(range(100)))
        near.write(memory[10:20])
        near.write(memory[::2])
        near.write(memory.cast("I"))
        near.write_eof()
        assert await far.read() == bytes(memory[10:20]) + bytes(memory[::2]) + bytes(memory)


async def test_half_close_both_ways(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        assert near.can_write_eof()
        near.write(b"question")
        near.write_eof()
        assert await far.read() == b"question"
        with pytest.raises(RuntimeError):
            near.write(b"more")
        far.write(b"answer")
        far.write_eof()
        assert await near.read() == b"answer"


async def test_readers_and_writers_are_those_of_asyncio(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        assert isinstance(near.reader, asyncio.StreamReader) and isinstance(near.writer, asyncio.StreamWriter)
        assert isinstance(near.writer.transport, asyncio.Transport)
        near.writer.write(b"1\n2\n")
        near.writer.write_eof()
        await near.writer.drain()
        assert [line async for line in far.reader] == [b"1\n", b"2\n"]
        assert far.get_extra_info("stream_id") == far.id and far.id
        assert far.get_extra_info("peername") == (far.peer, 0)
        assert far.get_extra_info("socket") is None and far.get_extra_info("nothing", 1) == 1


async def test_megabytes_arrive_whole_both_ways_at_once(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    payload = os.urandom(16 * MEBIBYTE)
    async with serving(tunnel), await client.dial(tunnel.id) as stream:

        async def send() -> None:
            for begin in range(0, len(payload), 100_000):
                stream.write(payload[begin : begin + 100_000])
                await stream.drain()
            stream.write_eof()

        sending = asyncio.create_task(send())
        received = await stream.read()
        await sending
    assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()


async def test_a_reader_that_pauses_makes_the_writer_wait(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    far_reader = far.reader
    sent = 0

    async def send() -> None:
        nonlocal sent
        while sent < 256 * MEBIBYTE:
            near.write(bytes(MEBIBYTE))
            await near.drain()
            sent += MEBIBYTE

    sending = asyncio.create_task(send())
    seen = -1
    while seen != sent or sent == 0:
        seen = sent
        await asyncio.sleep(0.5)
    # What waits: the reader's buffer, sockets and the engine; what asyncio itself holds is bounded.
    assert sent < 64 * MEBIBYTE and not sending.done()
    assert near.writer.transport.get_write_buffer_size() <= 2 * MEBIBYTE
    other = await control.create_tunnel(publish=False)
    async with serving(other), await client.dial(other.id) as stream:
        stream.write(b"others go on")
        assert await stream.readexactly(12) == b"others go on"
    await far_reader.readexactly(sent)
    await until(lambda: sent > seen)
    sending.cancel()
    near.abort()
    far.abort()


async def test_a_writer_that_never_has_to_wait_lets_others_run(client: Client, control: ControlChannel) -> None:
    """Among them whoever learns that the stream has ended: or the writer went on for ever."""
    near, far = await pair(client, control)
    async with near, far:
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        for _ in range(1024):
            near.write(bytes(1024))
            await near.drain()
        assert turned.is_set()
        assert len(await far.readexactly(MEBIBYTE)) == MEBIBYTE


async def test_close_sends_what_was_written(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    payload = os.urandom(8 * MEBIBYTE)
    near.write(payload)
    near.close()
    assert near.is_closing()
    near.write(b"too late, as with asyncio this is dropped")
    assert await far.read() == payload
    await near.wait_closed()
    far.close()
    await far.wait_closed()


async def test_an_abort_is_a_reset(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    near.write(b"x")
    assert await far.readexactly(1) == b"x"
    near.abort()
    with pytest.raises(ConnectionResetError) as reset:
        await far.read()
    assert isinstance(reset.value, RstreamError) and reset.value.code == "ECONNRESET"
    far.close()
    await far.wait_closed()
    await near.wait_closed()


async def test_writing_to_a_broken_stream_fails(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    near.write(b"x")
    assert await far.readexactly(1) == b"x"
    far.abort()
    with pytest.raises(ConnectionResetError):
        while True:
            near.write(bytes(1000))
            await near.drain()
            await asyncio.sleep(0)
    near.close()


async def test_a_cancelled_read_loses_nothing(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    async with near, far:
        for read in (far.read(10), far.readline(), far.readexactly(3)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read, 0.02)
        near.write(b"all of it\n")
        assert await far.readline() == b"all of it\n"


class Collecting(asyncio.BaseProtocol):
    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Collector(Collecting, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.received += data


class BufferedCollector(Collecting, asyncio.BufferedProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]


@pytest.mark.parametrize("kind", [Collector, BufferedCollector])
async def test_a_protocol_of_the_callers(
    client: Client, control: ControlChannel, kind: type[Collector | BufferedCollector]
) -> None:
    near, far = await pair(client, control)
    transport, protocol = far.use_protocol(kind)
    with pytest.raises(RstreamError, match="in use"):
        far.reader
    payload = os.urandom(MEBIBYTE)
    near.write(payload)
    await near.drain()
    near.close()
    assert await protocol.lost is None
    assert protocol.received == payload and transport.is_closing()


async def test_a_stream_that_was_closed_unused(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    near.close()
    await near.wait_closed()
    with pytest.raises(RstreamError) as closed:
        await near.read(1)
    assert closed.value.code == "ERR_RSTREAM_STREAM_CLOSED"
    async with far:
        assert await far.read() == b""


async def test_a_forgotten_stream_is_closed_with_a_warning(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    for _ in range(3):
        await asyncio.sleep(0)  # asyncio itself holds the result of the last await until now
    with pytest.warns(ResourceWarning, match="unclosed <RstreamStream"):
        del near
        gc.collect()
    async with far:
        assert await far.read() == b""


async def test_streams_outlive_their_client(client: Client, control: ControlChannel) -> None:
    near, far = await pair(client, control)
    await client.close()
    near.write(b"still there")
    near.write_eof()
    assert await far.read() == b"still there"
    near.close()
    far.close()
    await near.wait_closed()
    await far.wait_closed()


async def test_use_from_another_event_loop(client: Client, control: ControlChannel) -> None:
    with pytest.raises(RstreamError) as wrong:
        await asyncio.to_thread(asyncio.run, control.create_tunnel(publish=False))
    assert wrong.value.code == "ERR_RSTREAM_WRONG_THREAD"
