# SPDX-License-Identifier: Apache-2.0
"""One program, with the official client's web helpers and with this package's."""

import asyncio
import http.client
import importlib
import ssl
from typing import Any

import pytest
from apps import flask_app, starlette_app
from served import SECONDS, World


@pytest.mark.parametrize("package", ["rstream", "librstream"])
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_serving(world: World, context: ssl.SSLContext, package: str, kind: str) -> None:
    rstream = importlib.import_module(package)
    helper = importlib.import_module(f"{package}.{kind}")
    app = {"asgi": starlette_app, "wsgi": flask_app}[kind]()

    def get(host: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(host, world.engine.port, context=context, timeout=SECONDS)
        connection.request("POST", "/digest", b"body", {"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    async def program() -> tuple[int, bytes]:
        tls = rstream.TLSOptions(ca_file=world.ca_file)
        async with rstream.Client(engine=world.engine.address, tls=tls) as client:
            control: Any = await client.connect()
            tunnel = await control.create_tunnel(protocol="http", http_version="http/1.1")
            serving = asyncio.create_task(
                helper.serve(app, tunnel, max_header_size=65536, max_body_size=1000, read_timeout=10.0)
            )
            try:
                return await asyncio.to_thread(get, tunnel.properties.hostname)
            finally:
                await tunnel.close()
                await asyncio.wait([serving], timeout=SECONDS)
                await control.close()

    status, body = asyncio.run(program())
    assert status == 200 and b'"size":4' in body.replace(b" ", b"")
