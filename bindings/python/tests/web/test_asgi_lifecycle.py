# SPDX-License-Identifier: Apache-2.0
"""Begin and end of serving: the lifespan protocol, limits, the drain."""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import librstream
import pytest
from librstream import asgi
from served import SECONDS, Site, World, read_all, read_until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Serve = Callable[..., Site]

GET = b"GET / HTTP/1.1\r\nHost: private.test\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Gate:
    """An application that says when a request has begun, and waits for a word."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.set()
        try:
            while not self.go.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await hello(scope, receive, send)


def test_lifespan_of_starlette(serve_asgi: Serve) -> None:
    steps: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        steps.append("startup")
        yield {"words": ["from the lifespan"]}
        steps.append("shutdown")

    async def show(request: Request) -> JSONResponse:
        steps.append("request")
        return JSONResponse(request.state.words)

    app = Starlette(routes=[Route("/", show)], lifespan=lifespan)
    site = serve_asgi(app, lifespan="on")
    connection = site.dial()
    connection.sendall(GET)
    read_until(connection, b'["from the lifespan"]')
    site.close()
    site.wait()
    assert steps == ["startup", "request", "shutdown"]


def lifespan_app(*answers: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope["state"]["count"] = scope["state"].get("count", 0) + 1
            assert scope["state"]["count"] == 1
            return await hello(scope, receive, send)
        assert scope["asgi"]["version"] == "3.0"
        for answer in answers:
            await receive()
            if isinstance(answer, Exception):
                raise answer
            await send(answer)

    return app


STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


def test_each_request_has_its_copy_of_the_state(serve_asgi: Serve) -> None:
    connection = serve_asgi(lifespan_app(STARTED, STOPPED), lifespan="on").dial()
    for _ in range(2):
        connection.sendall(GET)
        assert read_until(connection, b"hello").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_startup_that_fails(serve_asgi: Serve, mode: str) -> None:
    app = lifespan_app({"type": "lifespan.startup.failed", "message": "no database"})
    site = serve_asgi(app, lifespan=mode)
    with pytest.raises(RuntimeError, match="did not start: no database"):
        site.wait()


def test_an_application_without_lifespan(serve_asgi: Serve) -> None:
    site = serve_asgi(hello, lifespan="on")
    with pytest.raises(RuntimeError, match="did not start: AssertionError"):
        site.wait()
    for mode in ("auto", "off"):
        connection = serve_asgi(hello, lifespan=mode).dial()
        connection.sendall(GET)
        read_until(connection, b"hello")


def test_an_application_that_returns_from_lifespan(serve_asgi: Serve) -> None:
    site = serve_asgi(lifespan_app(STARTED), lifespan="on")
    connection = site.dial()
    connection.sendall(GET)
    read_until(connection, b"hello")
    site.close()
    site.wait()


@pytest.mark.parametrize(
    ("answers", "log"),
    [
        ([STARTED, {"type": "lifespan.shutdown.failed", "message": "still busy"}], "still busy"),
        ([STARTED, ValueError("a mistake")], "a mistake"),
        ([STARTED, STARTED], "is not expected"),
    ],
)
def test_a_shutdown_that_fails(
    serve_asgi: Serve, caplog: pytest.LogCaptureFixture, answers: list[Any], log: str
) -> None:
    site = serve_asgi(lifespan_app(*answers), lifespan="on")
    connection = site.dial()
    connection.sendall(GET)
    read_until(connection, b"hello")
    site.close()
    site.wait()
    assert log in caplog.text


def test_a_shutdown_that_does_not_end(serve_asgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(STARTED)
        await asyncio.sleep(3600)

    site = serve_asgi(app, lifespan="on", shutdown_timeout=0.1)
    site.dial().close()
    site.close()
    site.wait()
    assert "not within 0.1 s" in caplog.text


def test_requests_may_end_after_the_tunnel_has(serve_asgi: Serve) -> None:
    gate = Gate()
    site = serve_asgi(gate)
    connection = site.dial()
    connection.sendall(GET)
    assert gate.began.wait(SECONDS)
    serving = site.close()
    assert not serving.done()
    gate.go.set()
    answer = read_all(connection)
    assert answer.endswith(b"hello") and b"connection: close" in answer.lower()
    site.wait()
    assert not gate.cancelled.is_set()


def test_idle_connections_end_with_the_tunnel(serve_asgi: Serve) -> None:
    site = serve_asgi(hello)
    connection = site.dial()
    connection.sendall(GET)
    read_until(connection, b"hello")
    site.close()
    assert read_all(connection) == b""
    site.wait()


def test_requests_that_do_not_end_are_cut(serve_asgi: Serve) -> None:
    gate = Gate()
    site = serve_asgi(gate, shutdown_timeout=0.2)
    connection = site.dial()
    connection.sendall(GET)
    assert gate.began.wait(SECONDS)
    site.close()
    site.wait()
    assert gate.cancelled.is_set() and read_all(connection) == b""


def test_cancelling_is_a_drain_and_cancelling_again_is_not(serve_asgi: Serve, world: World) -> None:
    for often in (1, 2):
        gate = Gate()
        site = serve_asgi(gate)
        connection = site.dial()
        connection.sendall(GET)
        assert gate.began.wait(SECONDS)
        world.loop.call_soon_threadsafe(site.serving.cancel)
        if often == 1:
            gate.go.set()
            assert read_all(connection).endswith(b"hello")
        else:
            world.run(asyncio.sleep(0.05))
            world.loop.call_soon_threadsafe(site.serving.cancel)
            assert read_all(connection) == b""
        with pytest.raises(concurrent.futures.CancelledError):
            site.wait()
        assert gate.cancelled.is_set() == (often == 2)


def test_connections_above_the_limit_wait(serve_asgi: Serve) -> None:
    gates = Gate()
    site = serve_asgi(gates, max_connections=2)
    connections = [site.dial() for _ in range(3)]
    for connection in connections:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert gates.began.wait(SECONDS)
    connections[2].settimeout(0.3)
    with pytest.raises(TimeoutError):
        connections[2].recv(1)
    gates.go.set()
    connections[2].settimeout(SECONDS)
    for connection in connections:
        assert read_all(connection).endswith(b"hello")


def test_idle_connections_make_room(serve_asgi: Serve) -> None:
    site = serve_asgi(hello, max_connections=2)
    idle = [site.dial() for _ in range(2)]
    for connection in idle:
        connection.sendall(GET)
        read_until(connection, b"hello")
    third = site.dial()
    third.sendall(GET)
    read_until(third, b"hello")
    assert idle[0].recv(1) == b""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_header_size": 0}, "max_header_size is 0"),
        ({"max_body_size": -1}, "max_body_size is -1"),
        ({"read_timeout": 0}, "read_timeout is 0"),
        ({"write_timeout": float("nan")}, "write_timeout is nan"),
        ({"lifespan": "sometimes"}, "lifespan is 'sometimes'"),
        ({"root_path": "api"}, "root_path is 'api'"),
    ],
)
def test_options_are_checked(serve_asgi: Serve, options: dict[str, Any], message: str) -> None:
    site = serve_asgi(hello, **options)
    with pytest.raises(ValueError, match=message):
        site.wait()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"protocol": "http", "upstream_tls": True}, "speaks TLS inside the tunnel"),
        ({"protocol": "tls", "tls_mode": "passthrough"}, "the clients' TLS"),
    ],
)
def test_tunnels_that_carry_no_plain_http_are_refused(world: World, wanted: dict[str, Any], message: str) -> None:
    async def attempt() -> None:
        tunnel = await world.control.create_tunnel(**wanted)
        try:
            await asgi.serve(hello, tunnel)
        finally:
            await tunnel.close()

    with pytest.raises(ValueError, match=message):
        world.run(attempt())


def test_many_connections_leave_nothing_behind(serve_asgi: Serve, world: World) -> None:
    site = serve_asgi(hello)

    async def tasks() -> int:
        return len(asyncio.all_tasks())

    before = world.run(tasks())
    for _ in range(100):
        connection = site.dial()
        connection.sendall(GET)
        read_until(connection, b"hello")
        connection.close()

    async def settled() -> None:
        async with asyncio.timeout(SECONDS):
            while len(asyncio.all_tasks()) > before + 1:
                await asyncio.sleep(0.01)

    world.run(settled())


def test_no_query_in_the_log(serve_asgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connection = serve_asgi(hello).dial()
    connection.sendall(GET.replace(b"/ ", b"/?token=hidden "))
    read_until(connection, b"hello")
    assert "hidden" not in caplog.text


def test_the_end_of_the_engine_ends_serving() -> None:
    steps: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(STARTED)
        await receive()
        steps.append("shutdown")
        await send(STOPPED)

    async def run() -> None:
        async with librstream.Engine() as engine, engine.client() as client:
            control = await client.connect()
            tunnel = await control.create_tunnel(publish=False)
            serving = asyncio.create_task(asgi.serve(app, tunnel, lifespan="on"))
            while not tunnel._listening:
                await asyncio.sleep(0.01)
            await engine.stop()
            async with asyncio.timeout(SECONDS):
                with pytest.raises(librstream.RstreamError):
                    await serving

    asyncio.run(run())
    assert steps == ["shutdown"]
