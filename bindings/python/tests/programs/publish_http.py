# SPDX-License-Identifier: Apache-2.0
"""Publishes a site that this program answers itself."""

import asyncio
import os
import ssl

import rstream


async def answer(stream: rstream.RstreamStream) -> None:
    async with stream:
        request = await stream.reader.readuntil(b"\r\n\r\n")
        body = b"you asked for " + request.split()[1]
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        stream.write(body)
        await stream.drain()


async def get(url: str) -> bytes:
    host, _, path = url.removeprefix("https://").partition("/")
    name, _, port = host.partition(":")
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname=name)
    writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    response = await reader.read()
    writer.close()
    return response


async def main() -> None:
    async with rstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(
            name="site", protocol="http", publish=True, http_version="http/1.1", labels={"team": "blue"}
        )
        async with asyncio.TaskGroup() as group:

            async def serve() -> None:
                async for stream in tunnel:
                    group.create_task(answer(stream))

            serving = group.create_task(serve())
            for path in ("one", "two?x=1"):
                head, _, body = (await get(f"{tunnel.forwarding_address}/{path}")).partition(b"\r\n\r\n")
                print(head.split(b"\r\n")[0], body)
            serving.cancel()
        properties = tunnel.properties
        print(properties.name, properties.type, properties.publish, properties.protocol, properties.http_version)
        print(properties.labels, properties.geo_ip, properties.trusted_ips, properties.mtls_auth)
        print(tunnel.forwarding_address == f"https://{properties.host}", type(properties.creation_date).__name__)


asyncio.run(main())
