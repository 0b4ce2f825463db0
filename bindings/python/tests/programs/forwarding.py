# SPDX-License-Identifier: Apache-2.0
"""Forwards a tunnel to a service of this machine, until the tunnel is closed."""

import asyncio

import rstream


async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with rstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(name="service", publish=False)
        forwarding = asyncio.create_task(tunnel.forward_to(host, port))
        for number in range(3):
            async with await client.dial("service") as stream:
                stream.write(b"number %d\n" % number)
                await stream.drain()
                print(await stream.read())
        print("closed:", tunnel.closed)
        await tunnel.close()
        await forwarding
        print("closed:", tunnel.closed)
        for wrong in ("", " "):
            try:
                await tunnel.forward_to(wrong, 80)
            except rstream.RstreamError as error:
                print(repr(wrong), error.code)
        for port in (0, 65536, -1):
            try:
                await tunnel.forward_to("localhost", port)
            except rstream.RstreamError as error:
                print(port, error.code)
        tunnel = await control.create_tunnel(publish=False)
        forwarding = asyncio.create_task(tunnel.forward_to(host, 1))
        await asyncio.sleep(0)
        await control.close()
        try:
            await forwarding
        except rstream.RuntimeError as error:
            print("the control channel ends:", error.code)
    server.close()
    await server.wait_closed()


asyncio.run(main())
