# SPDX-License-Identifier: Apache-2.0
"""Serves all streams of a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from librstream._web.connection import Connection, Handler
from librstream._web.limits import Limits
from librstream._web.streams import Stream


class Service:
    """The connections of one served tunnel."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def serve(self, streams: AsyncIterator[Stream]) -> None:
        """Serves until the streams end, or until it is cancelled; both let the
        requests that are being served come to their end."""
        try:
            while True:
                await self._make_room()
                stream = await anext(streams, None)
                if stream is None:
                    break
                self._begin(stream)
        finally:
            await self._drain()

    def _begin(self, stream: Stream) -> None:
        connection = Connection(stream, self._limits, self._handler)
        task = asyncio.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        if task.cancelled():
            return
        if error := task.exception():
            connection.stream.abort()
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a connection failed", "exception": error, "task": task}
            )

    async def _make_room(self) -> None:
        """Waits until there are less connections than there may be. The one that
        waits longest for another request makes room."""
        while len(self._connections) >= self._limits.max_connections:
            for connection in self._connections.values():
                if connection.is_idle:
                    connection.drain()
                    break
            await asyncio.wait(
                self._connections,
                timeout=_IDLE_CHECK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )

    async def _drain(self) -> None:
        for connection in list(self._connections.values()):
            connection.drain()
        tasks = set(self._connections)
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=self._limits.shutdown_timeout)
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


#: How often a full service looks for a connection that has become idle, seconds.
_IDLE_CHECK_SECONDS = 0.5
