# SPDX-License-Identifier: Apache-2.0
"""One stream as an HTTP/1.1 connection: requests one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import h11

from librstream._web.answers import error_answer
from librstream._web.exchange import Exchange
from librstream._web.limits import Limits
from librstream._web.streams import BROKEN, ClientDisconnected, Stream

Handler = Callable[[Exchange], Awaitable[None]]

_READ_SIZE = 64 * 1024
#: A body that nobody wanted is read up to here to keep the connection, bytes.
_DISCARD_SIZE = 256 * 1024
_DISCARD_SECONDS = 5.0
#: How long a client may go on sending before a response that it may not have seen
#: yet is at risk of being lost with the connection.
_LINGER_SECONDS = 2.0
#: For the first request of a connection that was accepted just before the end.
_GRACE_SECONDS = 1.0


class Connection:
    """Serves the requests of one stream in their order."""

    def __init__(self, stream: Stream, limits: Limits, handler: Handler) -> None:
        self.stream = stream
        self.limits = limits
        self.http = h11.Connection(h11.SERVER, limits.max_header_size)
        #: Whether the server is about to end.
        self.draining = False
        #: Told when the server is about to end, while a request is served.
        self.on_drain: Callable[[], None] | None = None
        self._handler = handler
        self._served = False
        self._linger = False
        self._idle: asyncio.Timeout | None = None
        self._reading = asyncio.Lock()
        self._fills = 0

    @property
    def is_idle(self) -> bool:
        """Whether it waits for another request."""
        return self._served and self._idle is not None

    def drain(self) -> None:
        """Ends after the request that is served, at once when there is none."""
        self.draining = True
        if self._idle is not None:
            wait = 0.0 if self._served else _GRACE_SECONDS
            with contextlib.suppress(RuntimeError):
                # It may just have run out by itself.
                self._idle.reschedule(asyncio.get_running_loop().time() + wait)
        elif self.on_drain is not None:
            self.on_drain()

    async def run(self) -> None:
        """Serves until the connection ends."""
        orderly = False
        try:
            try:
                await self._serve()
            except h11.RemoteProtocolError as error:
                await self.refuse(error.error_status_hint, str(error))
            orderly = True
        except BROKEN:
            pass
        finally:
            if orderly:
                await self._close()
            else:
                self.stream.abort()

    async def _serve(self) -> None:
        while True:
            request = await self._next_request()
            if request is None:
                return
            exchange = Exchange(self, request)
            try:
                await self._handler(exchange)
            finally:
                self.on_drain = None
                exchange.finish()
            self._served = True
            if not exchange.is_complete:
                raise ClientDisconnected("the response was not completed")
            if not await self._finish_request():
                return
            if self.draining and not self.http.trailing_data[0]:
                return
            self.http.start_next_cycle()

    # Requests

    async def _next_request(self) -> h11.Request | None:
        """The next request's head, None when there is none."""
        event = self.http.next_event()
        if event is h11.NEED_DATA and not self.http.trailing_data[0]:
            if not await self._wait_idle():
                return None
            event = self.http.next_event()
        if event is h11.NEED_DATA:
            try:
                async with asyncio.timeout(self.limits.read_timeout):
                    while event is h11.NEED_DATA:
                        # Not more than one byte too many, or what is too much went unseen.
                        await self.fill(self.limits.max_header_size + 1 - len(self.http.trailing_data[0]))
                        event = self.http.next_event()
            except TimeoutError:
                await self.refuse(408, "the request's header did not come in time")
                return None
        return event if isinstance(event, h11.Request) else None

    async def _wait_idle(self) -> bool:
        """Waits for the first bytes of a request; False: they did not come."""
        limits = self.limits
        limit = limits.keep_alive_timeout if self._served else limits.read_timeout
        try:
            async with asyncio.timeout(limit) as self._idle:
                if self.draining:
                    self.drain()
                await self.fill(self.limits.max_header_size + 1)
        except TimeoutError:
            return False
        finally:
            self._idle = None
        return True

    async def fill(self, limit: int = _READ_SIZE) -> None:
        """Reads once, for everybody who waits for the next event."""
        seen = self._fills
        async with self._reading:
            if self._fills == seen:
                self.http.receive_data(await self._read(min(limit, _READ_SIZE)))

    async def _read(self, limit: int = _READ_SIZE) -> bytes:
        data = await self.stream.read(limit)
        self._fills += 1
        return data

    async def _finish_request(self) -> bool:
        """Drops what is left of a body; whether another request may follow."""
        is_kept = self.http.our_state is h11.DONE
        left = _DISCARD_SIZE
        deadline = asyncio.get_running_loop().time() + _DISCARD_SECONDS
        while self.http.their_state is h11.SEND_BODY and left >= 0:
            event = self.http.next_event()
            if isinstance(event, h11.Data):
                left -= len(event.data)
            elif event is h11.NEED_DATA:
                if not is_kept:
                    break
                try:
                    async with asyncio.timeout_at(deadline):
                        await self.fill()
                except TimeoutError:
                    break
        self._linger = self.http.their_state is h11.SEND_BODY
        return self.http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}

    # Answers

    async def refuse(self, status: int, reason: str) -> None:
        """Answers what is no request, and ends the connection."""
        self.linger()
        if self.http.our_state is h11.IDLE:
            await self.send(*error_answer(status, reason))

    def linger(self) -> None:
        """The client may be sending still when the connection ends."""
        self._linger = True

    async def send(self, *events: h11.Event) -> None:
        """Sends, and waits while the client has too much before it.

        Raises:
            ClientDisconnected: it has gone, or does not take what is sent.
            h11.LocalProtocolError: the events do not belong here.
        """
        data = b"".join(self.http.send(event) or b"" for event in events)
        await self.write(data)

    async def write(self, data: bytes) -> None:
        """Writes bytes; as :meth:`send`."""
        try:
            self.stream.write(data)
            async with asyncio.timeout(self.limits.write_timeout):
                await self.stream.drain()
        except TimeoutError as error:
            self.stream.abort()
            raise ClientDisconnected("the client does not read its response") from error
        except BROKEN as error:
            raise ClientDisconnected("the client has gone") from error

    async def _close(self) -> None:
        try:
            if self._linger:
                # A reset because of bytes that nobody reads could overtake the answer.
                self.stream.write_eof()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER_SECONDS), self._reading:
                        while await self._read():
                            pass
            self.stream.close()
            async with asyncio.timeout(self.limits.write_timeout):
                await self.stream.wait_closed()
        except BROKEN:
            self.stream.abort()
