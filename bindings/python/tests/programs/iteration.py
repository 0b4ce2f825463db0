# SPDX-License-Identifier: Apache-2.0
"""Streams by iteration, and where it ends."""

import asyncio

import rstream


async def collect(tunnel: rstream.BytestreamTunnel, seen: list[bytes]) -> str:
    try:
        async for stream in tunnel:
            async with stream:
                seen.append(await stream.readexactly(1))
                stream.write(b"!")
                await stream.drain()
    except rstream.RstreamError as error:
        return error.code
    return "ended"


async def send(client: rstream.Client, name: str, letters: bytes) -> None:
    for letter in letters:
        async with await client.dial(name) as stream:
            stream.write(bytes([letter]))
            await stream.drain()
            print(await stream.read())


async def main() -> None:
    client = rstream.Client.from_env()
    control = await client.connect()
    seen: list[bytes] = []
    first = await control.create_tunnel(name="first", publish=False)
    collecting = asyncio.create_task(collect(first, seen))
    await send(client, "first", b"abc")
    await first.close()
    print(await collecting, seen, first.closed)

    # Streams that come before anybody asks wait.
    second = await control.create_tunnel(name="second", publish=False)
    sending = asyncio.create_task(send(client, "second", b"de"))
    await asyncio.sleep(0.1)
    collecting = asyncio.create_task(collect(second, seen))
    await sending
    collecting.cancel()
    await asyncio.gather(collecting, return_exceptions=True)

    # A cancelled accept takes no stream with it.
    accepting = asyncio.create_task(second.accept())
    await asyncio.sleep(0)
    accepting.cancel()
    collecting = asyncio.create_task(collect(second, seen))
    await send(client, "second", b"f")
    await control.close()
    print(await collecting, seen, second.closed, control.closed)
    await control.done()
    await client.close()


asyncio.run(main())
