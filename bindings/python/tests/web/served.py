# SPDX-License-Identifier: Apache-2.0
"""Web applications served through tunnels of an engine on a thread of its own, and raw clients."""

import asyncio
import contextlib
import http.client
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

import librstream

SECONDS = 20

T = TypeVar("T")


@dataclass
class Site:
    """A served application and how clients reach it."""

    world: "World"
    tunnel: librstream.BytestreamTunnel
    serving: "asyncio.Task[None]"
    sockets: list[socket.socket] = field(default_factory=list)
    waited: bool = False

    @property
    def url(self) -> str:
        return self.tunnel.forwarding_address

    @property
    def host(self) -> str:
        assert self.tunnel.properties.hostname
        return self.tunnel.properties.hostname

    @property
    def ca_file(self) -> str:
        return self.world.ca_file

    def dial(self) -> socket.socket:
        """A raw connection to a private tunnel's application."""

        async def connect() -> socket.socket:
            return (await self.world.client.dial(self.tunnel.id)).into_socket()

        connected = self.world.run(connect())
        connected.settimeout(SECONDS)
        self.sockets.append(connected)
        return connected

    def broken_off(self, data: bytes) -> bytes:
        """What a private tunnel's application answers before it breaks off; sockets
        do not tell that from an end."""

        async def talk() -> bytes:
            received = b""
            async with await self.world.client.dial(self.tunnel.id) as stream:
                stream.write(data)
                with pytest.raises(ConnectionResetError):
                    while piece := await stream.read(65536):
                        received += piece
            return received

        return self.world.run(asyncio.wait_for(talk(), SECONDS))

    def http(self) -> http.client.HTTPConnection:
        """A client on a raw connection."""
        connection = http.client.HTTPConnection("private.test")
        connection.sock = self.dial()
        return connection

    def close(self) -> "asyncio.Task[None]":
        """Ends the tunnel, and with it, in time, the serving task."""
        self.world.run(self.tunnel.close())
        return self.serving

    def wait(self) -> None:
        """Waits for the end of serving, and raises what it raised."""
        self.waited = True
        self.world.run(asyncio.wait_for(asyncio.shield(self.serving), SECONDS))


class World:
    """An engine and a client of it, on one loop that runs on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="world")
        self.thread.start()
        try:
            self.run(self._start())
        except BaseException:
            self._stop_loop()
            raise

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS * 2)

    async def _start(self) -> None:
        self.engine = librstream.Engine()
        await self.engine.start()
        assert self.engine.ca_file
        self.ca_file = self.engine.ca_file
        self.client = self.engine.client()
        self.control = await self.client.connect()

    def stop(self) -> None:
        async def stop() -> None:
            await self.control.close()
            await self.client.close()
            await self.engine.stop()

        self.run(stop())
        self._stop_loop()

    def _stop_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(SECONDS)
        self.loop.close()

    @contextlib.contextmanager
    def serving(self, serve: Callable[..., Any], app: Any, *, publish: bool = False, **options: Any) -> Iterator[Site]:
        async def begin() -> Site:
            wanted: dict[str, Any] = {"publish": publish, "name": uuid.uuid4().hex}
            if publish:
                wanted["protocol"] = "http"
            tunnel = await self.control.create_tunnel(**wanted)
            return Site(self, tunnel, asyncio.create_task(serve(app, tunnel, **options)))

        async def end(site: Site) -> None:
            await site.tunnel.close()
            if not site.serving.done():
                site.serving.cancel()
            await asyncio.wait([site.serving], timeout=SECONDS)
            if not site.waited and not site.serving.cancelled():
                site.serving.result()

        site = self.run(begin())
        try:
            yield site
        finally:
            for connected in site.sockets:
                connected.close()
            self.run(end(site))


def read_all(connected: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    pieces = []
    while piece := connected.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_until(connected: socket.socket, mark: bytes) -> bytes:
    """Everything up to a mark, and what came with it."""
    data = b""
    while mark not in data:
        piece = connected.recv(65536)
        assert piece, f"the connection ended after {data!r}"
        data += piece
    return data
