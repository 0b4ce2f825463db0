# SPDX-License-Identifier: Apache-2.0
"""A private tunnel: dialing it by name and by id, speaking both ways, ending one way before the other."""

import asyncio

import rstream


async def upper(stream: rstream.RstreamStream) -> None:
    async with stream:
        while data := await stream.read(65536):
            stream.write(data.upper())
            await stream.drain()


async def lines(stream: rstream.RstreamStream) -> None:
    async with stream:
        async for line in stream.reader:
            stream.writer.writelines([b"<", line.rstrip(), b">\n"])
        assert stream.reader.at_eof()


async def serve(tunnel: rstream.BytestreamTunnel) -> None:
    while True:
        await upper(await tunnel.accept())


async def main() -> None:
    async with rstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(name="echo", publish=False)
        print(tunnel.forwarding_address, tunnel.properties.publish, tunnel.properties.hostname)
        serving = asyncio.create_task(serve(tunnel))
        for target in ("echo", tunnel.id):
            for zero_rtt in (True, False):
                async with await client.dial(target, zero_rtt=zero_rtt) as stream:
                    stream.write(b"hello ")
                    stream.write(bytearray(b"and "))
                    stream.write(memoryview(b"goodbye"))
                    await stream.drain()
                    print(await stream.readexactly(17))
        large = bytes(range(256)) * 8192
        async with await client.dial_bytestream("echo") as stream:

            async def send() -> None:
                for begin in range(0, len(large), 100_000):
                    stream.write(large[begin : begin + 100_000])
                    await stream.drain()

            sending = asyncio.create_task(send())
            print(await stream.readexactly(len(large)) == large.upper())
            await sending
        serving.cancel()
        second = await control.create_tunnel(publish=False)
        print(second.forwarding_address == f"rstrm://{second.id} (unpublished)")
        stream = await client.dial(second.id)
        stream.writer.write(b"one\ntwo\nthree")
        await stream.writer.drain()
        other = asyncio.create_task(lines(await second.accept()))
        print(await stream.reader.readline(), await stream.reader.readuntil(b">"))
        print(isinstance(stream.reader, asyncio.StreamReader), isinstance(stream.writer, asyncio.StreamWriter))
        print(stream.writer.is_closing(), stream.writer.get_extra_info("nothing", "default"))
        stream.close()
        await stream.wait_closed()
        print(stream.writer.is_closing())
        await other


asyncio.run(main())
