# SPDX-License-Identifier: Apache-2.0
"""Watching tunnels and clients come and go."""

from __future__ import annotations

import asyncio
import builtins
import collections
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from librstream._context import Leaving
from librstream._native import NativeClient
from librstream.errors import RstreamError, RuntimeError, UnsupportedFeatureError
from librstream.inventory import CLIENTS, TUNNELS, ClientFilters, TunnelFilters, native_filters

WatchTransport = Literal["sse", "websocket"]

_RECONNECT = 1
_WEBSOCKET = 2
#: What may wait to be taken: so many events, and so many bytes when it is more than one.
_MOST_EVENTS = 4096
_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Event:
    """Something that has happened at an engine.

    Attributes:
        type: "state.initial" for a snapshot, which replaces what was known before;
            "tunnel.created", "tunnel.updated", "tunnel.deleted", "client.created",
            "client.updated" or "client.deleted"; others are to be ignored.
        id: the engine's id of the event.
        created_at: when it happened, in the form of RFC 3339.
        object: what has come, changed or gone; of a snapshot the lists ``tunnels`` and
            ``clients``.
        raw: all that the engine told.
    """

    type: str
    id: str | None
    created_at: str | None
    user_id: str | None
    workspace_id: str | None
    project_id: str | None
    cluster_id: str | None
    raw: Mapping[str, builtins.object]
    object: Mapping[str, builtins.object] | None


class EventStream(Leaving):
    """The events of one watch, for ``async for`` and ``async with``.

    It begins when the first event is asked for, and ends with :meth:`aclose`, with its
    client, when nobody has it any more, and when the engine ends it. A task that is
    cancelled while it waits for an event leaves it as it is.
    """

    def __init__(self, begin: Callable[[], EventQueue]) -> None:
        self._begin = begin
        self._queue: EventQueue | None = None
        self._over = False

    def __repr__(self) -> str:
        state = "closed" if self._over else "new" if self._queue is None else "open"
        return f"<{type(self).__name__} {state}>"

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            StopAsyncIteration: the stream was closed, or the engine has ended it in an
                orderly way.
            RuntimeError: ``ERR_RSTREAM_ENGINE_API_HTTP`` when the engine refused, with its
                HTTP status as ``details["status"]``; ``ERR_RSTREAM_INVALID_FILTER``;
                ``ERR_RSTREAM_WATCH_OVERLOAD`` when too many events were not taken;
                ``ERR_RSTREAM_CLIENT_CLOSED``.
            RstreamError: what :meth:`librstream.Client.connect` raises.
        """
        if self._over:
            raise StopAsyncIteration
        if self._queue is None:
            try:
                self._queue = self._begin()
            except RstreamError:
                self._over = True
                raise
        payload = await self._queue.take()
        if payload is None:
            self._over = True
            raise StopAsyncIteration
        return _event(payload)

    async def aclose(self) -> None:
        """Ends the watch; who waits for an event is told that there is none."""
        self._over = True
        if self._queue is not None:
            await self._queue.close()

    def client_closes(self) -> None:
        """The client is being closed."""
        if self._queue is not None:
            self._queue.finish(RuntimeError("watch: the client is closed", code="ERR_RSTREAM_CLIENT_CLOSED"))

    async def _leave(self) -> None:
        await self.aclose()

    def __del__(self) -> None:
        queue = getattr(self, "_queue", None)
        if queue is not None:
            queue.abandon()


class EventQueue:
    """A ``rstream_watch`` and what it told and nobody has taken yet.

    C finds it by number as long as it watches, so it knows nothing of the stream
    that it is for: that one may go at any time.
    """

    def __init__(
        self,
        native: NativeClient,
        tunnels: TunnelFilters | None,
        clients: ClientFilters | None,
        transport: WatchTransport,
        reconnect: bool,
    ) -> None:
        self._native = native
        self._driver = native.driver
        self._tunnels = tunnels
        self._clients = clients
        self._flags = (_WEBSOCKET if transport == "websocket" else 0) | (_RECONNECT if reconnect else 0)
        self._payloads: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._handle: int | None = None
        self._numbers: tuple[int, ...] = ()
        self._over = False
        self._error: RstreamError | None = None
        self._closing: asyncio.Future[None] | None = None
        self._open()

    def _open(self) -> None:
        library, callbacks = self._driver.library, self._driver.callbacks
        event_number = callbacks.number_always(self._told)
        end_number = callbacks.number_always(self.finish)
        self._numbers = (event_number, end_number)
        try:
            with contextlib.ExitStack() as stack:
                tunnels, clients = (
                    None if filters is None else stack.enter_context(native_filters(library, resource, filters))
                    for resource, filters in ((TUNNELS, self._tunnels), (CLIENTS, self._clients))
                )
                self._handle = self._native.watch(tunnels, clients, self._flags, event_number)
            library.watch_on_end(self._handle, callbacks.event, end_number)
        except BaseException:
            self._forget()
            raise
        self._driver.touch()

    async def take(self) -> bytes | None:
        """The next event as JSON; None after the last one."""
        self._driver.check_loop()
        while not self._payloads:
            if self._over:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                return None
            if self._handle is None:
                self._open_again()
            self._news.clear()
            await self._news.wait()
        payload = self._payloads.popleft()
        self._bytes -= len(payload)
        return payload

    def _open_again(self) -> None:
        try:
            self._open()
        except RstreamError:
            self._over = True
            raise

    def _told(self, payload: bytes) -> None:
        size = self._bytes + len(payload)
        if self._payloads and (len(self._payloads) >= _MOST_EVENTS or size > _MOST_BYTES):
            self._overload()
            return
        self._payloads.append(payload)
        self._bytes = size
        self._news.set()

    def _overload(self) -> None:
        if self._flags & _RECONNECT:
            # Begins again, with a snapshot, when what is here has been taken.
            self._end()
        else:
            text = f"watch: {len(self._payloads)} events wait to be taken; take them sooner, or watch fewer"
            self.finish(RuntimeError(text, code="ERR_RSTREAM_WATCH_OVERLOAD"))

    def finish(self, error: RstreamError | None) -> None:
        """No event comes any more; those that wait can still be taken."""
        if self._over:
            return
        self._over = True
        self._error = error
        self._end()
        self._news.set()

    async def close(self) -> None:
        """Ends the watch; what waits is dropped."""
        self._payloads.clear()
        self._bytes = 0
        self.finish(None)
        self._error = None
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def abandon(self) -> None:
        """Nobody takes anything any more; may be called at any time and on any thread."""
        if self._handle is not None and self._driver.is_usable:
            with contextlib.suppress(builtins.RuntimeError):
                self._driver.loop.call_soon_threadsafe(self.finish, None)

    def _end(self) -> None:
        handle, self._handle = self._handle, None
        self._forget()
        if handle is not None:
            self._closing = self._native.end_watch(handle)

    def _forget(self) -> None:
        for number in self._numbers:
            self._driver.callbacks.forget(number)
        self._numbers = ()


def check_transport(transport: str) -> None:
    """Refuses what this package cannot watch over."""
    if transport not in get_args(WatchTransport):
        raise UnsupportedFeatureError(
            f'watch: the transport {transport!r} is not supported; "sse" and "websocket" are',
            code="ERR_RSTREAM_WATCH_TRANSPORT",
        )


def _event(payload: bytes) -> Event:
    decoded: Any = json.loads(payload)
    raw: dict[str, Any] = decoded if isinstance(decoded, dict) else {}
    kind, about = raw.get("type"), raw.get("object")

    def text(name: str) -> str | None:
        value = raw.get(name)
        return value if isinstance(value, str) else None

    return Event(
        type="" if kind is None else str(kind),
        id=text("id"),
        created_at=text("created_at"),
        user_id=text("user_id"),
        workspace_id=text("workspace_id"),
        project_id=text("project_id"),
        cluster_id=text("cluster_id"),
        raw=raw,
        object=about if isinstance(about, dict) else None,
    )
