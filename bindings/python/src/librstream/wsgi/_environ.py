# SPDX-License-Identifier: Apache-2.0
"""What a WSGI application is told about a request."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO
from wsgiref.util import FileWrapper

from librstream._web.exchange import Exchange
from librstream._web.site import Site

WSGIEnvironment = dict[str, Any]

_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")


def environ_of(exchange: Exchange, site: Site, body: BinaryIO, *, multithread: bool) -> WSGIEnvironment:
    """The environ dictionary; strings hold bytes as PEP 3333 has it."""
    path = exchange.path
    target = exchange.raw_path + (b"?" + exchange.query if exchange.query else b"")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": exchange.method,
        "SCRIPT_NAME": site.root_path.encode().decode("latin-1"),
        "PATH_INFO": "" if path == b"*" else path.decode("latin-1"),
        "QUERY_STRING": exchange.query.decode("latin-1"),
        "REQUEST_URI": target.decode("latin-1"),
        "SERVER_NAME": site.host,
        "SERVER_PORT": str(site.port),
        "SERVER_PROTOCOL": f"HTTP/{exchange.http_version}",
        "REMOTE_ADDR": exchange.connection.stream.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": site.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    for name, value in exchange.headers:
        _add(environ, name.decode("ascii"), value.decode("latin-1"))
    return environ


def _add(environ: WSGIEnvironment, name: str, value: str) -> None:
    if "_" in name:
        # An application could not tell X_Y from X-Y, which proxies may vouch for.
        return
    key = name.upper().replace("-", "_")
    if key not in _BARE:
        key = f"HTTP_{key}"
    if key in environ:
        value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
    environ[key] = value
