# SPDX-License-Identifier: Apache-2.0
"""Blocks that close what they opened, also when they fail."""

import asyncio

import rstream


async def main() -> None:
    client = rstream.Client.from_env()
    async with client as same:
        print(same is client)
        control = await client.connect()
        async with control as channel:
            print(channel is control, control.closed)
            tunnel = await control.create_tunnel(name="held", publish=False)
            near = await client.dial("held")
            async with near as stream:
                print(stream is near)
                stream.write(b"x")
                far = await tunnel.accept()
                print(await far.readexactly(1))
            print(await far.read(), near.writer.is_closing())
            far.close()
        print(control.closed, tunnel.closed)
        second = await client.connect()
        details = second.server_details
        print(details is not None and bool(details.agent and details.version))
        kept = await second.create_tunnel(name="kept", publish=False)
        one = await client.dial("kept")
        one.write(b"1")
        two = await kept.accept()
        print(await two.readexactly(1))
        try:
            async with await client.connect() as third:
                raise ValueError("out of the block")
        except ValueError:
            print(third.closed, second.closed)
    print(second.closed, kept.closed)
    # Streams are not their client's.
    two.write(b"still there")
    two.close()
    print(await one.read())
    one.close()
    other = client.with_options(heartbeat=False, connect_timeout=5.0)
    async with other, await other.connect() as control:
        await control.create_tunnel(name="first", publish=False)
        tunnel = await control.create_tunnel(name="again", publish=False)
        await control.close_tunnel(tunnel.id)
        await control.close_tunnel("unknown")
        print(tunnel.closed, (await control.create_tunnel(name="again", publish=False)).closed)
    async with asyncio.timeout(5):
        async with rstream.Client.from_env(zero_rtt=False) as client, await client.connect() as control:
            accepting = asyncio.create_task((await control.create_tunnel(publish=False)).accept())
            accepting.cancel()
            print(await asyncio.gather(accepting, return_exceptions=True))


asyncio.run(main())
