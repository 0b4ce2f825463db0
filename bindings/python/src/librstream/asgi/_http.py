# SPDX-License-Identifier: Apache-2.0
"""An ASGI application answers an HTTP request."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from librstream._web.exchange import Exchange
from librstream._web.faults import report
from librstream._web.site import Site
from librstream._web.streams import ClientDisconnected
from librstream.asgi._scope import http_scope
from librstream.asgi._types import ASGIApplication, Message

logger = logging.getLogger("librstream.asgi")

_START = "http.response.start"
_BODY = "http.response.body"


class HTTPCycle:
    """One call of the application."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._has_head = False
        self._body_read = False

    async def run(self, app: ASGIApplication, site: Site, state: dict[str, Any] | None) -> None:
        """Calls the application; whatever it does, the exchange has an end."""
        exchange = self._exchange
        scope = http_scope(exchange, site, state)
        try:
            # In a task of its own: what it sets in context variables ends with it.
            await asyncio.ensure_future(app(scope, self.receive, self.send))
        except Exception as error:
            report(logger, exchange, "the ASGI application failed", error)
        else:
            if not exchange.is_complete:
                report(logger, exchange, "the ASGI application did not complete its response")
        await exchange.fail(500)

    async def receive(self) -> Message:
        exchange = self._exchange
        if exchange.is_complete:
            return {"type": "http.disconnect"}
        if not self._body_read:
            try:
                body, more = await exchange.read()
            except ClientDisconnected:
                return {"type": "http.disconnect"}
            self._body_read = not more
            return {"type": "http.request", "body": body, "more_body": more}
        await exchange.wait_disconnect()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == _START and not self._has_head:
            self._exchange.start(message["status"], headers_of(message))
            self._has_head = True
        elif kind == _BODY and self._has_head:
            await self._exchange.write(
                bytes(message.get("body", b"")),
                last=not message.get("more_body", False),
            )
        else:
            expected = _BODY if self._has_head else _START
            raise RuntimeError(f"the message {expected} is expected, not {kind!r}")


def headers_of(message: Message) -> list[tuple[bytes, bytes]]:
    """The header fields of a message."""
    return [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]
