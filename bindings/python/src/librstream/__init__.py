# SPDX-License-Identifier: Apache-2.0
"""Tunnels of the rstream system for asyncio, on the C library librstream.

::

    async with librstream.Client.from_env() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(protocol="http", publish=True)
        print(tunnel.forwarding_address)
        await tunnel.forward_to("127.0.0.1", 8000)
"""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType

from librstream._capi import library as _library
from librstream._capi import text as _text
from librstream._config import ClientOptions
from librstream.client import Client
from librstream.control import ControlChannel
from librstream.diagnosis import Diagnosis, Finding, doctor
from librstream.engine import Engine
from librstream.errors import (
    ConfigurationError,
    EngineError,
    LibraryError,
    ProtocolError,
    RstreamError,
    RstreamRuntimeError,
    RuntimeError,
    TLSError,
    TransportError,
    UnsupportedFeatureError,
)
from librstream.inventory import ClientFilters, TunnelFilters, TunnelInventory
from librstream.names import engine_hostname, format_forwarding_address, generate_stable_domain
from librstream.packets import PacketChannel, PacketTransport, PacketTunnel
from librstream.stream import RstreamStream
from librstream.tunnel import BytestreamTunnel
from librstream.types import (
    CreateTunnelOptions,
    ForwardedConnection,
    ServerDetails,
    TLSOptions,
    TunnelAuth,
    TunnelProperties,
)
from librstream.version import __version__
from librstream.watch import Event, EventStream, WatchTransport


def library_version() -> str:
    """The version of the C library in use, for example "1.0.0".

    Raises:
        LibraryError: it cannot be found or loaded.
    """
    return _text(_library().version_string())


def library_features() -> frozenset[str]:
    """What the C library in use can do, for example "transport.tls".

    Raises:
        LibraryError: it cannot be found or loaded.
    """
    return frozenset(_text(_library().features()).split())


def library_path() -> str:
    """The file that the C library was loaded from, or the name it was found by.

    Raises:
        LibraryError: it cannot be found or loaded.
    """
    return _library().path


def __getattr__(name: str) -> _ModuleType:
    # These need other packages, or are seldom needed.
    if name in ("asgi", "blocking", "wsgi"):
        return _import_module(f"librstream.{name}")
    raise AttributeError(f"module 'librstream' has no attribute {name!r}")


__all__ = [
    "BytestreamTunnel",
    "Client",
    "ClientFilters",
    "ClientOptions",
    "ConfigurationError",
    "ControlChannel",
    "CreateTunnelOptions",
    "Diagnosis",
    "Engine",
    "EngineError",
    "Event",
    "EventStream",
    "Finding",
    "ForwardedConnection",
    "LibraryError",
    "PacketChannel",
    "PacketTransport",
    "PacketTunnel",
    "ProtocolError",
    "RstreamError",
    "RstreamRuntimeError",
    "RstreamStream",
    "RuntimeError",
    "ServerDetails",
    "TLSError",
    "TLSOptions",
    "TransportError",
    "TunnelAuth",
    "TunnelFilters",
    "TunnelInventory",
    "TunnelProperties",
    "UnsupportedFeatureError",
    "WatchTransport",
    "__version__",
    "doctor",
    "engine_hostname",
    "format_forwarding_address",
    "generate_stable_domain",
    "library_features",
    "library_path",
    "library_version",
]
