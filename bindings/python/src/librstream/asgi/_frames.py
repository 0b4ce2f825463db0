# SPDX-License-Identifier: Apache-2.0
"""The messages of an accepted WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError

from librstream._web.streams import BROKEN, ClientDisconnected
from librstream.asgi._types import Message

if TYPE_CHECKING:
    from librstream._web.connection import Connection

_READ_SIZE = 64 * 1024
#: Messages that wait for the application, and their size in bytes together; more are
#: not read meanwhile.
_QUEUE_LENGTH = 32
_QUEUE_SIZE = 1 << 20
#: For the client's answer to a close frame.
_CLOSE_SECONDS = 10.0

_ABNORMAL = 1006
_TOO_BIG = 1009
_FAILED = 1011
_RESTART = 1012


@dataclass(frozen=True)
class WebSocketLimits:
    """Limits of WebSocket connections.

    Attributes:
        max_size: one message, bytes as they are after decompression.
        ping_interval: of silence after which the client is asked for a sign of life,
            seconds; None: it is not.
        ping_timeout: for that sign, seconds.
        compress: whether permessage-deflate is agreed to.
    """

    max_size: int = 16 * 1024 * 1024
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    compress: bool = True


class Frames:
    """Reads frames into messages, and writes messages."""

    def __init__(self, connection: Connection, protocol: WSConnection, limits: WebSocketLimits) -> None:
        self._connection = connection
        self._protocol = protocol
        self._limits = limits
        self._messages: deque[tuple[Message, int]] = deque()
        self._queued = 0
        self._changed = asyncio.Condition()
        self._parts: list[str | bytes] = []
        self._parts_size = 0
        #: What ends the messages that wait.
        self._disconnect: Message | None = None
        self._reader: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def begin(self, ahead: bytes) -> None:
        """Starts reading; ``ahead`` was read already."""
        self._reader = asyncio.create_task(self._read(ahead))
        self._connection.on_drain = self._drain
        if self._connection.draining:
            self._drain()

    # For the application

    async def receive(self) -> Message:
        """The next message; in the end, and from then on, websocket.disconnect."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._messages or self._disconnect)
            if not self._messages:
                assert self._disconnect is not None
                return dict(self._disconnect)
            message, size = self._messages.popleft()
            self._queued -= size
            self._changed.notify_all()
            return message

    async def send(self, data: str | bytes) -> None:
        """Sends a message."""
        event = TextMessage(data) if isinstance(data, str) else BytesMessage(data)
        await self._send(event)

    async def close(self, code: int, reason: str | None) -> None:
        """Sends a close frame."""
        await self._send(CloseConnection(code, reason or None))
        await self._set_disconnect(code, reason)

    async def _send(self, event: Event) -> None:
        if self._disconnect is not None:
            raise ClientDisconnected("the WebSocket is closed")
        try:
            data = self._protocol.send(event)
        except LocalProtocolError as error:
            raise RuntimeError(f"this cannot be sent: {error}") from error
        try:
            await self._connection.write(data)
        except ClientDisconnected:
            await self._set_disconnect(_ABNORMAL)
            raise

    async def finish(self, code: int) -> None:
        """Ends in an orderly way; the application has returned."""
        self._connection.on_drain = None
        reader = self._reader
        try:
            with contextlib.suppress(ClientDisconnected):
                if self._disconnect is None:
                    await self.close(code, None)
            # There is room again for what comes before the client's close frame.
            async with self._changed:
                self._messages.clear()
                self._queued = 0
                self._changed.notify_all()
            if reader is not None:
                await asyncio.wait([reader], timeout=_CLOSE_SECONDS)
        finally:
            self.abandon()
        if reader is not None:
            await asyncio.wait([reader])

    def abandon(self) -> None:
        """Stops reading; the stream is ended by others."""
        if self._reader is not None:
            self._reader.cancel()

    def _drain(self) -> None:
        """The server is about to end."""
        self._leaving = asyncio.create_task(self._leave(_RESTART))

    async def _leave(self, code: int, reason: str | None = None) -> None:
        """Closes for a reason that is not the application's."""
        with contextlib.suppress(ClientDisconnected, RuntimeError):
            await self.close(code, reason)

    # Reading

    async def _read(self, data: bytes) -> None:
        try:
            while True:
                if data:
                    self._protocol.receive_data(data)
                for event in self._protocol.events():
                    if not await self._handle(event):
                        return
                data = await self._next()
                if not data:
                    return
        except BROKEN:
            pass
        finally:
            await self._set_disconnect(_ABNORMAL)

    async def _next(self) -> bytes:
        """What comes next; b"" when the client is gone or seems to be."""
        limits = self._limits
        pinged = False
        while True:
            limit = limits.ping_timeout if pinged else limits.ping_interval
            try:
                async with asyncio.timeout(limit):
                    return await self._connection.stream.read(_READ_SIZE)
            except TimeoutError:
                if pinged:
                    await self._leave(_FAILED, "no answer to a ping")
                    return b""
            pinged = True
            with contextlib.suppress(LocalProtocolError):
                await self._connection.write(self._protocol.send(Ping()))

    async def _handle(self, event: Event) -> bool:
        """Whether more is to be read."""
        if isinstance(event, (TextMessage, BytesMessage)):
            await self._collect(event)
        elif isinstance(event, Ping):
            with contextlib.suppress(LocalProtocolError):
                await self._connection.write(self._protocol.send(event.response()))
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.OPEN:
                # wsproto found frames that are not allowed.
                await self._leave(event.code, event.reason)
                return False
            await self._set_disconnect(event.code, event.reason)
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                await self._connection.write(self._protocol.send(event.response()))
            return False
        return True

    async def _collect(self, event: TextMessage | BytesMessage) -> None:
        if self._disconnect is not None:
            return
        piece = event.data
        self._parts.append(piece if isinstance(piece, str) else bytes(piece))
        self._parts_size += len(piece)
        if self._parts_size > self._limits.max_size:
            self._parts.clear()
            reason = f"the message has more than {self._limits.max_size} bytes"
            await self._leave(_TOO_BIG, reason)
            return
        if not event.message_finished:
            return
        message: Message = {"type": "websocket.receive"}
        if isinstance(event, TextMessage):
            message["text"] = "".join(part for part in self._parts if isinstance(part, str))
        else:
            message["bytes"] = b"".join(part for part in self._parts if isinstance(part, bytes))
        size, self._parts_size = self._parts_size, 0
        self._parts.clear()
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    self._disconnect is not None
                    or (len(self._messages) < _QUEUE_LENGTH and self._queued <= _QUEUE_SIZE)
                )
            )
            self._messages.append((message, size))
            self._queued += size
            self._changed.notify_all()

    async def _set_disconnect(self, code: int, reason: str | None = None) -> None:
        if self._disconnect is not None:
            return
        self._disconnect = {
            "type": "websocket.disconnect",
            "code": int(code),
            "reason": reason or "",
        }
        async with self._changed:
            self._changed.notify_all()
