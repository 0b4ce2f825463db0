# SPDX-License-Identifier: Apache-2.0
"""The official Python client, pointed at an engine under test."""

import asyncio
import contextlib

import rstream
from rstream.config import TLSOptions


def official_client(engine, token=None, port=None, **options):
    """A client that trusts the engine's development authority and ignores any configuration of this machine.

    It connects to localhost whatever the engine's name is, so that no resolver is asked for that.
    """
    options.setdefault("operation_timeout", 10.0)
    return rstream.Client(
        engine=f"localhost:{port or engine.port}",
        token=token,
        no_token=token is None,
        read_config_file=False,
        tls=TLSOptions(ca_file=engine.ca_file, server_name=engine.host),
        **options,
    )


@contextlib.asynccontextmanager
async def serving(tunnel, handler):
    """Runs `handler(stream)` for every stream of a tunnel, as long as the block lasts."""

    async def one(stream):
        async with stream:
            await handler(stream)

    async def loop():
        async for stream in tunnel:
            tasks.append(asyncio.create_task(one(stream)))

    tasks = [asyncio.create_task(loop())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def upper(stream):
    """Answers every chunk in capitals."""
    while data := await stream.read(65536):
        stream.write(data.upper())
        await stream.drain()


async def ask(stream, data):
    """Sends bytes and returns as many."""
    stream.write(data)
    await stream.drain()
    return await asyncio.wait_for(stream.readexactly(len(data)), 10)
