# SPDX-License-Identifier: Apache-2.0
"""Host names of engines and tunnels, and how the address of a tunnel is written."""

from __future__ import annotations

import re
import secrets

from librstream.errors import RuntimeError
from librstream.types import TunnelProperties

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PROJECT_HOST = re.compile(rf"({_LABEL})\.({_LABEL}(?:\.{_LABEL})*)")
_LONGEST_LABEL = 63


def engine_hostname(engine: str) -> str:
    """The host name in an engine's address, in lower case; "" when there is none, as
    with an IPv6 address."""
    address = engine.strip()
    if "://" in address:
        address = address.partition("://")[2]
        address = re.split(r"[/?#]", address, maxsplit=1)[0] or engine.strip()
    if address.startswith("["):
        host = address[1:].partition("]")[0]
    else:
        host, colon, port = address.rpartition(":")
        if not (colon and port.isdecimal()):
            host = address
    host = host.strip("[] ").rstrip(".").lower()
    return "" if ":" in host else host


def generate_stable_domain(engine: str) -> str | None:
    """A new random host name below an engine's project, ``<name>-<project>.t.<domain>``.

    Who keeps it, and asks for it as ``hostname``, has the same address after every
    connect. None when the engine's host is not that of a project, ``<project>.<domain>``.
    """
    found = _PROJECT_HOST.fullmatch(engine_hostname(engine))
    if found is None:
        return None
    project, domain = found.groups()
    name = f"r{secrets.token_hex(4)}-{project}"
    return f"{name}.t.{domain}" if len(name) <= _LONGEST_LABEL else None


def format_forwarding_address(properties: TunnelProperties) -> str:
    """What :attr:`librstream.BytestreamTunnel.forwarding_address` is for a tunnel with
    these properties, for example one of a list.

    Raises:
        RuntimeError: ``ERR_RSTREAM_INVALID_TUNNEL``, they have neither host nor name
            nor id.
    """
    host = _published_host(properties)
    if host is not None:
        match properties.protocol:
            case "http":
                return f"https://{host}"
            case None:
                return host
            case protocol:
                return f"{host} ({protocol})"
    name = properties.id if properties.name is None else properties.name
    if name is None:
        raise RuntimeError("the tunnel has neither host nor name nor id", code="ERR_RSTREAM_INVALID_TUNNEL")
    return f"rstrm://{name} (unpublished)"


def _published_host(properties: TunnelProperties) -> str | None:
    hostname = properties.hostname
    if hostname is None or not hostname.strip():
        return properties.host if properties.host and properties.host.strip() else None
    port = properties.port or 443
    if port == 443 and properties.protocol not in ("tls", "tcp"):
        return hostname
    return f"{hostname}:{port}"
