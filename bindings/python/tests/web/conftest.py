# SPDX-License-Identifier: Apache-2.0
"""What the tests of the web helpers share."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from served import Site, World

from librstream import asgi, wsgi


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    world = World()
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture
def serve_asgi(world: World) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(
            world.serving(asgi.serve, app, **({"lifespan": "off"} | options))
        )


@pytest.fixture
def serve_wsgi(world: World) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(world.serving(wsgi.serve, app, **options))


@pytest.fixture(autouse=True)
def localhost_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below localhost are this machine, as browsers and curl have it."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith(".localhost"):
            host = "127.0.0.1"
        return original(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def context(world: World) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=world.ca_file)


@pytest.fixture
def websocket_context(context: ssl.SSLContext) -> ssl.SSLContext:
    """For the blocking client of the package websockets, which reads on one thread while it writes on another. OpenSSL
    wants one at a time: with TLS 1.3, where session tickets come after the handshake, a request is lost now and then."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
