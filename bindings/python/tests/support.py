# SPDX-License-Identifier: Apache-2.0
"""What several tests do: serve a tunnel, join two ends, speak HTTP to a published tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from librstream import BytestreamTunnel, Client, ControlChannel, Engine, RstreamStream

Handler = Callable[[RstreamStream], Awaitable[None]]


async def echo(stream: RstreamStream) -> None:
    while data := await stream.read(65536):
        stream.write(data)
        await stream.drain()
    stream.write_eof()


@contextlib.asynccontextmanager
async def serving(tunnel: BytestreamTunnel, handler: Handler = echo) -> AsyncIterator[None]:
    """Handles every stream of a tunnel while the block lasts; failures come out at its end."""

    async def one(stream: RstreamStream) -> None:
        async with stream:
            await handler(stream)

    async def every() -> None:
        async with asyncio.TaskGroup() as group:
            async for stream in tunnel:
                group.create_task(one(stream))

    task = asyncio.create_task(every())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def pair(client: Client, control: ControlChannel) -> tuple[RstreamStream, RstreamStream]:
    """The dialer's end of a new stream and the owner's."""
    tunnel = await control.create_tunnel(publish=False)
    near, far = await asyncio.gather(client.dial(tunnel.id), tunnel.accept())
    return near, far


async def http_get(engine: Engine, hostname: str, path: str = "/") -> bytes:
    """Everything a published tunnel answers to a GET, headers included."""
    context = ssl.create_default_context(cafile=engine.ca_file)
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.port, ssl=context, server_hostname=hostname)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {hostname}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def until(condition: Callable[[], bool]) -> None:
    """Gives other tasks their turns until something holds; the test's timeout ends it."""
    while not condition():
        await asyncio.sleep(0.001)
