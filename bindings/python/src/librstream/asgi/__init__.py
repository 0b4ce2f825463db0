# SPDX-License-Identifier: Apache-2.0
"""Serves ASGI applications, such as Starlette's and FastAPI's, through a tunnel.

::

    async with librstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(protocol="http")
        print(tunnel.forwarding_address)
        await librstream.asgi.serve(app, tunnel)

It needs the packages h11 and wsproto: ``pip install 'librstream[asgi]'``. As a
command: ``python -m librstream.asgi module:app``.
"""

from __future__ import annotations

from typing import Any

import librstream._web  # noqa: F401
from librstream._web.exchange import Exchange
from librstream._web.limits import Limits
from librstream._web.service import Service
from librstream._web.site import check_root_path, site_of
from librstream._web.streams import ClientDisconnected

try:
    import wsproto as _wsproto  # noqa: F401
except ImportError as error:
    raise ImportError("librstream.asgi needs the package wsproto: pip install 'librstream[asgi]'") from error

from librstream.asgi._frames import WebSocketLimits
from librstream.asgi._http import HTTPCycle
from librstream.asgi._lifespan import Lifespan, LifespanMode
from librstream.asgi._types import ASGIApplication, Message, Receive, Scope, Send
from librstream.asgi._websocket import WebSocketSession
from librstream.tunnel import BytestreamTunnel

__all__ = [
    "ASGIApplication",
    "ClientDisconnected",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "serve",
]


async def serve(
    app: ASGIApplication,
    tunnel: BytestreamTunnel,
    *,
    max_header_size: int = 64 * 1024,
    max_body_size: int | None = None,
    read_timeout: float | None = 30.0,
    write_timeout: float | None = 60.0,
    keep_alive_timeout: float | None = 65.0,
    shutdown_timeout: float | None = 30.0,
    max_connections: int = 1000,
    lifespan: LifespanMode = "auto",
    root_path: str = "",
    websocket_max_size: int = 16 * 1024 * 1024,
    websocket_ping_interval: float | None = 20.0,
    websocket_ping_timeout: float | None = 20.0,
    websocket_compression: bool = True,
) -> None:
    """Serves an application until the tunnel is closed.

    When the tunnel ends, or this is cancelled, requests that are being served may
    come to their end, WebSockets are closed with code 1012, and the application is
    told to shut down; a second cancellation cuts that short. ``await tunnel.close()``
    is the orderly way to end it.

    Exceptions of the application become responses with status 500 and are logged by
    the logger ``librstream.asgi``. A message sent to a client that has gone raises
    :class:`ClientDisconnected`, an :class:`OSError`.

    Args:
        app: the ASGI 3 application.
        tunnel: a bytestream tunnel that carries HTTP/1.1: protocol "http" as it is
            by default, or a private one.
        max_header_size: request line and header fields together, bytes; more get 431.
        max_body_size: a request's body, bytes; more gets 413. None: no limit.
        read_timeout: seconds for a request's header, and for each next piece of its
            body that the application waits for; 408 then.
        write_timeout: seconds for the client to take what was written to it.
        keep_alive_timeout: seconds until the next request of a connection.
        shutdown_timeout: seconds for requests, and then for the application, to end.
        max_connections: connections served at once; further ones wait in the tunnel.
        lifespan: "auto": an application that does not know the lifespan protocol goes
            without; "on": that is an error; "off": it is not asked.
        root_path: path that the application is mounted at, for example "/api".
        websocket_max_size: a WebSocket message, bytes; more closes with code 1009.
        websocket_ping_interval: seconds of silence before a WebSocket's client is
            pinged; None: never.
        websocket_ping_timeout: seconds for its answer, then code 1011.
        websocket_compression: agree to permessage-deflate.

    Raises:
        ValueError: a limit is out of range, or the tunnel carries no plain HTTP/1.1.
        RuntimeError: the application failed to start.
        librstream.RstreamError: what broke the tunnel's control channel.
    """
    limits = Limits(
        max_header_size=max_header_size,
        max_body_size=max_body_size,
        max_connections=max_connections,
        read_timeout=read_timeout,
        write_timeout=write_timeout,
        keep_alive_timeout=keep_alive_timeout,
        shutdown_timeout=shutdown_timeout,
    )
    websocket = WebSocketLimits(
        websocket_max_size,
        websocket_ping_interval,
        websocket_ping_timeout,
        websocket_compression,
    )
    site = site_of(tunnel, check_root_path(root_path))
    async with Lifespan(app, lifespan, shutdown_timeout) as started:

        async def handle(exchange: Exchange) -> None:
            if await exchange.is_refused():
                return
            state: dict[str, Any] | None = started.state
            if exchange.upgrade == b"websocket":
                await WebSocketSession(exchange, websocket).run(app, site, state)
            else:
                await HTTPCycle(exchange).run(app, site, state)

        await Service(handle, limits).serve(tunnel)
