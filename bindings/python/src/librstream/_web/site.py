# SPDX-License-Identifier: Apache-2.0
"""Where a tunnel's web application is reached."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from librstream.tunnel import BytestreamTunnel

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Site:
    """What requests say of the server.

    Attributes:
        scheme: what clients speak, "https" or "http".
        host: name of a published tunnel's host, or a private tunnel's name.
        port: port that clients connect to, 1..65535.
        root_path: path that the application is mounted at, "" or "/path".
    """

    scheme: str
    host: str
    port: int
    root_path: str = ""


def site_of(tunnel: BytestreamTunnel, root_path: str = "") -> Site:
    """The site that a tunnel makes.

    Raises:
        ValueError: what comes out of the tunnel is not plain HTTP/1.1.
    """
    properties = tunnel.properties
    if properties.type == "datagram":
        raise ValueError("a datagram tunnel carries no HTTP/1.1")
    if properties.http_version not in (None, "", "http/1.1"):
        raise ValueError(
            f'the engine speaks {properties.http_version} inside the tunnel; create it with http_version="http/1.1"'
        )
    if properties.upstream_tls or properties.http_use_tls:
        raise ValueError("the engine speaks TLS inside the tunnel; create it without upstream_tls")
    if properties.tls_mode == "passthrough":
        raise ValueError(
            'the clients\' TLS goes through the tunnel; create it with protocol="http", or tls_mode="terminated"'
        )
    if properties.publish is False:
        name = properties.name or properties.id or "localhost"
        return Site("http", name, _DEFAULT_PORTS["http"], root_path)
    scheme = "http" if properties.protocol == "tcp" else "https"
    address = tunnel.forwarding_address.split(" ")[0]
    parts = urlsplit(address if "//" in address else f"//{address}")
    host = properties.hostname or parts.hostname or "localhost"
    return Site(scheme, host, parts.port or _DEFAULT_PORTS[scheme], root_path)


def check_root_path(root_path: str) -> str:
    """The path without a slash at its end.

    Raises:
        ValueError: it does not begin with a slash.
    """
    if root_path and not root_path.startswith("/"):
        raise ValueError(f"root_path is {root_path!r}, and has to begin with a slash")
    return root_path.rstrip("/")
