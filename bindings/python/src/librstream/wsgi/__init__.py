# SPDX-License-Identifier: Apache-2.0
"""Serves WSGI applications, such as Flask's and Django's, through a tunnel.

::

    async with librstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(protocol="http")
        print(tunnel.forwarding_address)
        await librstream.wsgi.serve(app, tunnel)

It needs the package h11: ``pip install 'librstream[wsgi]'``. As a command:
``python -m librstream.wsgi module:app``.
"""

from __future__ import annotations

import asyncio
import io
import logging
from concurrent.futures import ThreadPoolExecutor

import librstream._web  # noqa: F401
from librstream._web.exchange import Exchange
from librstream._web.faults import report
from librstream._web.limits import Limits
from librstream._web.service import Service
from librstream._web.site import Site, check_root_path, site_of
from librstream._web.streams import ClientDisconnected
from librstream.tunnel import BytestreamTunnel
from librstream.wsgi._bridge import Bridge, RequestBody
from librstream.wsgi._environ import WSGIEnvironment, environ_of
from librstream.wsgi._response import Response, StartResponse, WSGIApplication

__all__ = ["ClientDisconnected", "StartResponse", "WSGIApplication", "WSGIEnvironment", "serve"]

_logger = logging.getLogger("librstream.wsgi")
_BUFFER_SIZE = 64 * 1024


async def serve(
    app: WSGIApplication,
    tunnel: BytestreamTunnel,
    *,
    max_header_size: int = 64 * 1024,
    max_body_size: int | None = None,
    read_timeout: float | None = 30.0,
    write_timeout: float | None = 60.0,
    keep_alive_timeout: float | None = 65.0,
    shutdown_timeout: float | None = 30.0,
    max_connections: int = 1000,
    threads: int = 16,
    root_path: str = "",
) -> None:
    """Serves an application until the tunnel is closed.

    The application runs on threads of its own; requests wait while all are busy.
    Bodies are streamed both ways. When the tunnel ends, or this is cancelled, requests
    that are being served may come to their end; a second cancellation cuts that short.
    ``await tunnel.close()`` is the orderly way to end it.

    Exceptions of the application become responses with status 500 and are logged by
    the logger ``librstream.wsgi``. Reading the body and sending a response raise
    :class:`ClientDisconnected`, an :class:`OSError`, when the client has gone.

    Args:
        app: the WSGI application.
        tunnel: a bytestream tunnel that carries HTTP/1.1: protocol "http" as it is
            by default, or a private one.
        max_header_size: request line and header fields together, bytes; more get 431.
        max_body_size: a request's body, bytes; more gets 413. None: no limit.
        read_timeout: seconds for a request's header, and for each next piece of its
            body that the application waits for; 408 then.
        write_timeout: seconds for the client to take what was written to it.
        keep_alive_timeout: seconds until the next request of a connection.
        shutdown_timeout: seconds for requests to end.
        max_connections: connections served at once; further ones wait in the tunnel.
        threads: requests that the application works on at once.
        root_path: path that the application is mounted at, for example "/api".

    Raises:
        ValueError: a limit is out of range, or the tunnel carries no plain HTTP/1.1.
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
    workers = _Workers(app, site_of(tunnel, check_root_path(root_path)), threads)
    try:
        await Service(workers.handle, limits).serve(tunnel)
    finally:
        workers.end()


class _Workers:
    """The threads that an application runs on."""

    def __init__(self, app: WSGIApplication, site: Site, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"threads is {threads!r}, and has to be 1 or more")
        self._app = app
        self._site = site
        self._multithread = threads > 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="librstream.wsgi")

    async def handle(self, exchange: Exchange) -> None:
        """Has the application answer a request."""
        if await exchange.is_refused():
            return
        loop = asyncio.get_running_loop()
        bridge = Bridge(loop)
        body = io.BufferedReader(RequestBody(exchange, bridge), _BUFFER_SIZE)
        environ = environ_of(exchange, self._site, body, multithread=self._multithread)
        response = Response(exchange, bridge)
        try:
            await loop.run_in_executor(self._pool, response.run, self._app, environ)
            if not exchange.is_complete:
                await exchange.write(b"", last=True)
        except Exception as error:
            report(_logger, exchange, "the WSGI application failed", error)
        finally:
            bridge.close()
        await exchange.fail(500)

    def end(self) -> None:
        """Lets the threads go; those of requests that were cut end with their next
        read or write."""
        self._pool.shutdown(wait=False, cancel_futures=True)
