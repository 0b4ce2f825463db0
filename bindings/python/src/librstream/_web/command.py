# SPDX-License-Identifier: Apache-2.0
"""The commands ``python -m librstream.asgi`` and ``python -m librstream.wsgi``."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from librstream.client import Client
from librstream.errors import RstreamError
from librstream.tunnel import BytestreamTunnel
from librstream.types import TLSOptions

Serve = Callable[[Any, BytestreamTunnel, argparse.Namespace], Awaitable[None]]


def run(kind: str, serve: Serve, arguments: list[str] | None = None) -> int:
    """Serves the application that the command line names until SIGINT or SIGTERM.

    Returns:
        The exit status: 0 after a signal, 1 when something failed; usage errors
        exit with 2.
    """
    options = _parser(kind).parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        app = load(options.app, factory=options.factory)
        asyncio.run(_serve(app, serve, options))
    except (ImportError, AttributeError, RstreamError, RuntimeError, ValueError) as error:
        print(f"librstream.{kind}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(kind: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m librstream.{kind}",
        description=f"Serves the {kind.upper()} application MODULE:NAME through a tunnel until SIGINT or SIGTERM. "
        "The engine and the token come from RSTREAM_ENGINE and RSTREAM_AUTHENTICATION_TOKEN.",
    )
    parser.add_argument("app", metavar="MODULE:NAME", help="the application, for example main:app")
    parser.add_argument("--factory", action="store_true", help="NAME is a function that returns the application")
    parser.add_argument("--engine", metavar="HOST[:PORT]", help="the engine, instead of the environment's")
    parser.add_argument("--ca-file", metavar="FILE", help="trust these certificates too, PEM")
    parser.add_argument("--name", help="the tunnel's name")
    parser.add_argument("--hostname", help="the host name to ask for")
    parser.add_argument("--no-publish", action="store_true", help="reachable by dialing only")
    parser.add_argument("--root-path", default="", metavar="/PATH", help="path that the application is mounted at")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def load(name: str, *, factory: bool = False) -> Any:
    """The application that ``module:attribute`` names; the folder that the program
    was started in counts as well.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such attribute.
        ValueError: the name has another form.
    """
    module, colon, attributes = name.partition(":")
    if not (module and colon and attributes):
        raise ValueError(f"{name!r} is not of the form module:name")
    if "" not in sys.path:
        sys.path.insert(0, "")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found() if factory else found


async def _serve(app: Any, serve: Serve, options: argparse.Namespace) -> None:
    tls = TLSOptions(ca_file=options.ca_file) if options.ca_file else None
    async with Client.from_env(engine=options.engine, tls=tls) as client, await client.connect() as control:
        publish = not options.no_publish
        tunnel = await control.create_tunnel(
            name=options.name,
            hostname=options.hostname,
            publish=publish,
            protocol="http" if publish else None,
        )
        serving = asyncio.ensure_future(serve(app, tunnel, options))
        loop = asyncio.get_running_loop()
        ending: list[asyncio.Task[None]] = []

        def end() -> None:
            # The first signal lets requests end, the second one does not.
            if ending:
                serving.cancel()
            else:
                ending.append(loop.create_task(tunnel.close()))

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        print(tunnel.forwarding_address, flush=True)
        try:
            await serving
        except asyncio.CancelledError:
            if not ending:
                raise
