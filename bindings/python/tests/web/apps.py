# SPDX-License-Identifier: Apache-2.0
"""Applications that the tests serve, on the frameworks that people use."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """A bare ASGI application: the body comes back piece by piece, as it comes."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"echo")]})
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


def starlette_app() -> Starlette:
    async def show(request: Request) -> Response:
        scope = request.scope
        return JSONResponse(
            {
                "method": request.method,
                "url": str(request.url),
                "path": scope["path"],
                "raw_path": scope["raw_path"].decode("latin-1"),
                "query": scope["query_string"].decode("latin-1"),
                "root_path": scope["root_path"],
                "scheme": scope["scheme"],
                "http_version": scope["http_version"],
                "client": scope["client"],
                "server": scope["server"],
                "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            }
        )

    async def digest(request: Request) -> Response:
        state, size = hashlib.sha256(), 0
        async for piece in request.stream():
            state.update(piece)
            size += len(piece)
        return JSONResponse({"size": size, "sha256": state.hexdigest()})

    async def count(request: Request) -> Response:
        async def numbers() -> AsyncIterator[str]:
            for number in range(int(request.query_params["to"])):
                yield f"{number}\n"
                await asyncio.sleep(0)

        return StreamingResponse(numbers(), media_type="text/plain")

    async def big(request: Request) -> Response:
        return Response(b"x" * int(request.query_params["size"]))

    async def fail(request: Request) -> Response:
        raise ValueError("the application's own mistake")

    async def empty(request: Request) -> Response:
        return Response(status_code=204)

    async def greet(request: Request) -> Response:
        return PlainTextResponse(f"hello {request.path_params['name']}\n")

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    return Starlette(
        routes=[
            Route("/digest", digest, methods=["POST", "PUT"]),
            Route("/count", count),
            Route("/big", big),
            Route("/fail", fail),
            Route("/empty", empty),
            Route("/hello/{name}", greet),
            Route("/{rest:path}", show, methods=methods),
        ]
    )


def flask_app() -> flask.Flask:
    app = flask.Flask("tests")

    @app.route("/digest", methods=["POST"])
    def digest() -> Any:
        state, size = hashlib.sha256(), 0
        while piece := flask.request.stream.read(10_000):
            state.update(piece)
            size += len(piece)
        return {"size": size, "sha256": state.hexdigest()}

    @app.get("/count")
    def count() -> Any:
        def numbers() -> Iterator[str]:
            for number in range(int(flask.request.args["to"])):
                yield f"{number}\n"

        return flask.Response(flask.stream_with_context(numbers()), mimetype="text/plain")

    @app.get("/big")
    def big() -> Any:
        return flask.Response(b"x" * int(flask.request.args["size"]))

    @app.get("/fail")
    def fail() -> Any:
        raise ValueError("the application's own mistake")

    @app.get("/empty")
    def empty() -> Any:
        return "", 204

    @app.post("/form")
    def form() -> Any:
        return {"form": dict(flask.request.form), "files": {k: len(v.read()) for k, v in flask.request.files.items()}}

    @app.route("/", defaults={"rest": ""})
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def show(rest: str) -> Any:
        plain = (str, int, bool, tuple, list)
        environ = {key: value for key, value in flask.request.environ.items() if isinstance(value, plain)}
        return flask.Response(
            json.dumps({"url": flask.request.url, "path": flask.request.path, "environ": environ}, default=str),
            mimetype="application/json",
        )

    return app
