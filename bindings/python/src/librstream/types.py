# SPDX-License-Identifier: Apache-2.0
"""Plain values: what tunnels have as properties and what engines tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

TunnelType = Literal["bytestream", "datagram"]
TunnelProtocol = Literal["tls", "tcp", "dtls", "quic", "http"]
TunnelTransport = Literal["tls", "quic", "auto"]
HTTPVersion = Literal["http/1.1", "h2", "h2c", "h3"]
TLSMode = Literal["passthrough", "terminated"]


@dataclass(frozen=True)
class TLSOptions:
    """How the engine's certificate is verified and which one is presented to it.

    Attributes:
        ca_file: PEM file of certificates that are trusted besides the system's.
        cert_file: PEM file of the client certificate and its chain; with key_file.
        key_file: PEM file of its private key.
        certificate: the client certificate and its chain as PEM text; with key.
        key: its private key as PEM text.
        server_name: name to ask for and to verify instead of the engine's host.
        insecure_skip_verify: accept any certificate; for development only.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


@dataclass(frozen=True)
class TunnelAuth:
    """Who may use a published HTTP tunnel."""

    token: bool | None = None
    rstream: bool | None = None
    challenge: bool | None = None


@dataclass(frozen=True)
class TunnelProperties:
    """The properties of a tunnel as the engine confirmed them; None or empty: unset."""

    id: str | None = None
    creation_date: datetime | None = None
    name: str | None = None
    type: TunnelType | None = None
    publish: bool | None = None
    protocol: TunnelProtocol | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    geo_ip: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()
    host: str | None = None
    tls_mode: TLSMode | None = None
    tls_alpns: tuple[str, ...] = ()
    tls_min_version: str | None = None
    tls_ciphers: tuple[str, ...] = ()
    mtls_auth: bool | None = None
    http_version: HTTPVersion | None = None
    http_use_tls: bool | None = None
    token_auth: bool | None = None
    rstream_auth: bool | None = None
    challenge_mode: bool | None = None
    hostname: str | None = None
    port: int | None = None
    upstream_tls: bool | None = None
    datagram_guaranteed_delivery: bool | None = None
    allow_cross_region_routing: bool | None = None


@dataclass(frozen=True)
class CreateTunnelOptions:
    """What to ask for in :meth:`librstream.ControlChannel.create_tunnel`.

    Attributes:
        name: key for dialing a private tunnel.
        publish: True: reachable from outside; False: by dialing only. The engine's
            default is True.
        protocol: what outside clients speak.
        labels: words to find the tunnel by.
        geo_ip: countries that may connect, two letters each.
        trusted_ips: addresses and CIDR ranges that may connect.
        hostname: host name to ask for.
        port: published TCP port to ask for, 1..65535; with protocol "tcp" only.
        http_version: what the engine speaks inside the tunnel.
        upstream_tls: the engine speaks TLS inside the tunnel.
        auth: the same as token_auth, rstream_auth and challenge_mode, which win.
    """

    name: str | None = None
    type: TunnelType | None = None
    publish: bool | None = None
    protocol: TunnelProtocol | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    geo_ip: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()
    tls_mode: TLSMode | None = None
    tls_alpns: tuple[str, ...] = ()
    tls_min_version: str | None = None
    tls_ciphers: tuple[str, ...] = ()
    mtls_auth: bool | None = None
    http_version: HTTPVersion | None = None
    token_auth: bool | None = None
    rstream_auth: bool | None = None
    challenge_mode: bool | None = None
    hostname: str | None = None
    port: int | None = None
    upstream_tls: bool | None = None
    allow_cross_region_routing: bool | None = None
    auth: TunnelAuth | None = None


@dataclass(frozen=True)
class ServerDetails:
    """What an engine tells about itself when a control channel opens."""

    agent: str | None = None
    channel: str | None = None
    version: str | None = None
    plan: str | None = None
    provider: str | None = None
    region: str | None = None
    update: str | None = None


@dataclass(frozen=True)
class ForwardedConnection:
    """What happened to a connection that is forwarded to a local service.

    Attributes:
        event: "opened" or "closed".
        peer: address of the remote end, "" when unknown.
        bytes_in: bytes that came from the tunnel; when closed.
        bytes_out: bytes that went into the tunnel; when closed.
        error: what ended it, None for an orderly end.
    """

    event: Literal["opened", "closed"]
    peer: str
    bytes_in: int = 0
    bytes_out: int = 0
    error: Exception | None = None
