# SPDX-License-Identifier: Apache-2.0
"""An ASGI application speaks WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from librstream._web.exchange import Exchange
from librstream._web.faults import report
from librstream._web.site import Site
from librstream._web.streams import ClientDisconnected
from librstream.asgi._frames import Frames, WebSocketLimits
from librstream.asgi._http import headers_of, logger
from librstream.asgi._scope import scope_of
from librstream.asgi._types import ASGIApplication, Message

_ACCEPT = "websocket.accept"
_CLOSE = "websocket.close"
_SEND = "websocket.send"
_START = "websocket.http.response.start"
_BODY = "websocket.http.response.body"


class WebSocketSession:
    """One call of the application: its answer to the handshake, then messages."""

    def __init__(self, exchange: Exchange, limits: WebSocketLimits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._handshake = WSConnection(ConnectionType.SERVER)
        self._connect_told = False
        self._has_head = False
        self._frames: Frames | None = None

    async def run(self, app: ASGIApplication, site: Site, state: dict[str, Any] | None) -> None:
        """Calls the application unless the handshake is not one."""
        request = await self._read_handshake()
        if request is None:
            return
        scope = scope_of(self._exchange, site, state) | {
            "type": "websocket",
            "scheme": {"https": "wss", "http": "ws"}[site.scheme],
            "subprotocols": list(request.subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        code = 1000
        try:
            await asyncio.ensure_future(app(scope, self.receive, self.send))
        except asyncio.CancelledError:
            if self._frames is not None:
                self._frames.abandon()
            raise
        except Exception as error:
            report(logger, self._exchange, "the ASGI application failed", error)
            code = 1011
        else:
            if not self._exchange.is_complete:
                report(logger, self._exchange, "the ASGI application did not answer the handshake")
        if self._frames is not None:
            await self._frames.finish(code)
        await self._exchange.fail(500)

    async def _read_handshake(self) -> Request | None:
        exchange = self._exchange
        try:
            if (await exchange.read())[1]:
                await self._refuse(RejectConnection(), "a WebSocket handshake has no body")
                return None
        except ClientDisconnected:
            return None
        try:
            self._handshake.initiate_upgrade_connection(exchange.headers, exchange.request.target)
            request = next(self._handshake.events())
        except RemoteProtocolError as error:
            hint = error.event_hint
            rejected = hint if isinstance(hint, RejectConnection) else None
            await self._refuse(rejected or RejectConnection(), str(error))
        except (ValueError, LookupError):
            await self._refuse(RejectConnection(), "no WebSocket handshake")
        else:
            if isinstance(request, Request):
                return request
            await self._refuse(RejectConnection(), "no WebSocket handshake")
        return None

    async def _refuse(self, rejected: RejectConnection, reason: str) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in rejected.headers]
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
        self._exchange.start(rejected.status_code, headers)
        await self._exchange.write(reason.encode() + b"\n", last=True)

    async def receive(self) -> Message:
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        if self._frames is not None:
            return await self._frames.receive()
        if not self._exchange.is_complete:
            await self._exchange.wait_disconnect()
        return {"type": "websocket.disconnect", "code": 1006, "reason": ""}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self._frames is not None:
            await self._send_frames(self._frames, kind, message)
        elif self._has_head:
            if kind != _BODY:
                raise RuntimeError(f"the message {_BODY} is expected, not {kind!r}")
            await self._exchange.write(
                bytes(message.get("body", b"")),
                last=not message.get("more_body", False),
            )
        elif kind == _ACCEPT:
            await self._accept(message)
        elif kind == _CLOSE:
            self._exchange.start(403, [])
            await self._exchange.write(b"", last=True)
        elif kind == _START:
            self._exchange.start(message["status"], headers_of(message))
            self._has_head = True
        else:
            raise RuntimeError(f"{_ACCEPT}, {_CLOSE} or {_START} is expected, not {kind!r}")

    async def _accept(self, message: Message) -> None:
        if self._exchange.is_started:
            raise RuntimeError("the handshake is answered already")
        accepted = AcceptConnection(
            subprotocol=message.get("subprotocol"),
            extensions=[PerMessageDeflate()] if self._limits.compress else [],
            extra_headers=headers_of(message),
        )
        try:
            answer = self._handshake.send(accepted)
        except LocalProtocolError as error:
            raise RuntimeError(f"the handshake cannot be accepted so: {error}") from error
        connection = self._exchange.connection
        ahead = self._exchange.take_over()
        self._frames = Frames(connection, self._handshake, self._limits)
        await connection.write(answer)
        self._frames.begin(ahead)

    async def _send_frames(self, frames: Frames, kind: str, message: Message) -> None:
        if kind == _SEND:
            data = message.get("bytes")
            if data is None:
                data = message.get("text")
            if not isinstance(data, (str, bytes, bytearray, memoryview)):
                raise TypeError(f"{_SEND} has neither bytes nor text")
            await frames.send(data if isinstance(data, str) else bytes(data))
        elif kind == _CLOSE:
            code = message.get("code")
            await frames.close(1000 if code is None else code, message.get("reason"))
        else:
            raise RuntimeError(f"{_SEND} or {_CLOSE} is expected, not {kind!r}")
