# SPDX-License-Identifier: Apache-2.0
"""The options of a client and the C library's config made from them."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from librstream._capi import Library
from librstream.errors import ConfigurationError
from librstream.types import TLSOptions


@dataclass(frozen=True)
class ClientOptions:
    """The options of :class:`librstream.Client`, which explains them."""

    api_url: str | None = None
    config_path: str | None = None
    context: str | None = None
    control_plane_headers: Mapping[str, str] | None = None
    engine: str | None = None
    connect_timeout: float = 15.0
    heartbeat: bool = True
    heartbeat_interval: float = 5.0
    operation_timeout: float = 30.0
    no_token: bool | None = None
    project_endpoint: str | None = None
    read_config_file: bool = True
    region: str | None = None
    require_token: bool = False
    tls: TLSOptions | None = None
    tunnel_transport: str | None = None
    token: str | None = None
    zero_rtt: bool = True


def _milliseconds(name: str, seconds: float) -> str:
    if not math.isfinite(seconds):
        code = "ERR_RSTREAM_INVALID_TIMEOUT" if name.endswith("timeout") else "ERR_RSTREAM_INVALID_CONFIG"
        raise ConfigurationError(f"{name}: {seconds!r} is not a time in seconds", code=code)
    return str(math.ceil(seconds * 1000 - 1e-6))


def settings_of(options: ClientOptions) -> dict[str, str | None]:
    """The settings of the C library that the options stand for."""
    tls = options.tls or TLSOptions()
    settings: dict[str, str | None] = {
        "apiUrl": options.api_url,
        # A file that has nothing in it; the library always reads one.
        "configFile": options.config_path if options.read_config_file else os.devnull,
        "context": options.context,
        "engine": _not_blank(options.engine),
        "projectEndpoint": options.project_endpoint,
        "region": options.region,
        "auth.token": _not_blank(options.token),
        "auth.noToken": _flag(True) if options.no_token else None,
        "auth.required": _flag(True) if options.require_token else None,
        "auth.mtls.certificateFile": tls.cert_file,
        "auth.mtls.keyFile": tls.key_file,
        "auth.mtls.certificate": tls.certificate,
        "auth.mtls.key": tls.key,
        "transport.tls.caFile": tls.ca_file,
        "transport.tls.serverName": tls.server_name,
        "transport.mode": options.tunnel_transport,
        "zeroRtt": _flag(options.zero_rtt),
        "heartbeat.enabled": _flag(options.heartbeat),
        "timeouts.connectMs": _milliseconds("connect_timeout", options.connect_timeout),
        "timeouts.operationMs": _milliseconds("operation_timeout", options.operation_timeout),
    }
    if options.heartbeat:
        settings["heartbeat.intervalMs"] = _milliseconds("heartbeat_interval", options.heartbeat_interval)
    if options.control_plane_headers is not None:
        settings["headers"] = json.dumps(dict(options.control_plane_headers))
    if tls.insecure_skip_verify:
        settings["transport.tls.insecureSkipVerify"] = _flag(True)
    return settings


def _not_blank(value: str | None) -> str | None:
    return value if value and not value.isspace() else None


def _flag(value: bool) -> str:
    return "true" if value else "false"


@contextlib.contextmanager
def native_config(library: Library, options: ClientOptions) -> Iterator[int]:
    """A ``rstream_config`` made from the options and, below them, the environment and the
    configuration file."""
    config = library.new("make a config", library.config_new)

    def put(name: str, value: str | None) -> None:
        encoded = None if value is None else value.encode()
        library.checked(f"set {name}", library.config_set, config, name.encode(), encoded)

    try:
        for name, value in settings_of(options).items():
            if value is not None:
                put(name, value)
        library.checked("read the environment", library.config_load, config)
        yield config
    finally:
        library.config_free(config)
