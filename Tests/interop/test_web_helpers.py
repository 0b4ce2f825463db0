# SPDX-License-Identifier: Apache-2.0
"""The official client's WSGI and ASGI helpers behind our engine: private through a dial, published over HTTPS."""

import asyncio
import contextlib
import json

import flask
import pytest
from rstream import asgi, wsgi

from support.official import official_client


def flask_app():
    app = flask.Flask("interop")

    @app.get("/health")
    def health():
        return {"status": "ok", "host": flask.request.host}

    @app.post("/sum")
    def total():
        return {"sum": sum(flask.request.get_json())}

    return app


async def raw_asgi_app(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    answer = json.dumps(
        {"status": "ok", "path": scope["path"], "host": headers.get("host"), "length": len(body)}
    ).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))],
        }
    )
    await send({"type": "http.response.body", "body": answer[:5], "more_body": True})
    await send({"type": "http.response.body", "body": answer[5:]})


@contextlib.asynccontextmanager
async def serving(helper, app, tunnel):
    task = asyncio.create_task(helper.serve(app, tunnel))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


HELPERS = pytest.mark.parametrize(
    "helper, make_app", [(wsgi, flask_app), (asgi, lambda: raw_asgi_app)], ids=["wsgi-flask", "asgi"]
)


@HELPERS
async def test_private(engine, name, helper, make_app):
    async with official_client(engine) as client:
        tunnel = await (await client.connect()).create_tunnel(name=name, publish=False)
        async with serving(helper, make_app(), tunnel):
            stream = await client.dial(name)
            stream.write(b"GET /health HTTP/1.1\r\nHost: private.test\r\nConnection: close\r\n\r\n")
            await stream.drain()
            answer = await asyncio.wait_for(stream.read(), 10)
            assert answer.startswith(b"HTTP/1.1 200") and b'"ok"' in answer and b"private.test" in answer
            stream.close()


@HELPERS
async def test_published(engine, name, helper, make_app):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, protocol="http", http_version="http/1.1")
        host = tunnel.properties.hostname

        def get():
            connection = engine.http(host)
            answers = []
            for _ in range(2):
                connection.request("GET", "/health?x=1")
                response = connection.getresponse()
                answers.append((response.status, json.loads(response.read())))
            return answers

        async with serving(helper, make_app(), tunnel):
            for status, body in await asyncio.to_thread(get):
                assert status == 200 and body["status"] == "ok"
                assert body["host"] == f"{host}:{engine.port}"


async def test_published_post_to_flask(engine, name):
    async with official_client(engine) as client:
        tunnel = await (await client.connect()).create_tunnel(name=name, protocol="http")

        def post():
            connection = engine.http(tunnel.properties.hostname)
            body = json.dumps([1, 2, 39])
            connection.request("POST", "/sum", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

        async with serving(wsgi, flask_app(), tunnel):
            assert await asyncio.to_thread(post) == (200, {"sum": 42})
