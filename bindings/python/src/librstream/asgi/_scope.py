# SPDX-License-Identifier: Apache-2.0
"""What an application is told about a request."""

from __future__ import annotations

from typing import Any

from librstream._web.exchange import Exchange
from librstream._web.site import Site
from librstream.asgi._types import VERSION, Scope


def scope_of(exchange: Exchange, site: Site, state: dict[str, Any] | None) -> Scope:
    """The members that the scopes of HTTP and of WebSocket share."""
    peer = exchange.connection.stream.peer
    root_path = site.root_path
    scope: Scope = {
        "asgi": dict(VERSION),
        "http_version": exchange.http_version,
        "scheme": site.scheme,
        "path": root_path + exchange.path.decode("utf-8", "replace"),
        "raw_path": root_path.encode() + exchange.raw_path,
        "query_string": exchange.query,
        "root_path": root_path,
        "headers": list(exchange.headers),
        "client": (peer, 0) if peer else None,
        "server": (site.host, site.port),
        "extensions": {},
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope


def http_scope(exchange: Exchange, site: Site, state: dict[str, Any] | None) -> Scope:
    """The scope of an HTTP request."""
    return scope_of(exchange, site, state) | {"type": "http", "method": exchange.method}
