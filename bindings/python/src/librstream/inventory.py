# SPDX-License-Identifier: Apache-2.0
"""What is online at an engine: filters for its lists, and what they list."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, cast

from librstream import _capi
from librstream._native import NativeClient
from librstream.errors import RuntimeError
from librstream.types import TunnelProperties

TUNNELS, CLIENTS = 0, 1


@dataclass(frozen=True)
class TunnelFilters:
    """Which tunnels are listed: those for which all holds that is not None.

    Attributes:
        labels: the values of labels; None stands for any value.
    """

    id: str | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    client_id: str | None = None
    user_id: str | None = None
    protocol: str | None = None
    hostname: str | None = None
    publish: bool | None = None
    http_version: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientFilters:
    """Which clients are listed: those for which all holds that is not None.

    Attributes:
        labels: the values of labels; None stands for any value.
    """

    id: str | None = None
    status: str | None = None
    user_id: str | None = None
    agent: str | None = None
    channel: str | None = None
    version: str | None = None
    os: str | None = None
    arch: str | None = None
    protocol_version: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TunnelInventory:
    """A live tunnel as an engine lists it.

    Attributes:
        status: "online".
        client_id: the client that owns it.
        raw: all that the engine told.
    """

    properties: TunnelProperties
    status: str | None
    client_id: str | None
    raw: Mapping[str, object]


async def list_tunnels(native: NativeClient, filters: TunnelFilters | None, limit: int | None) -> list[TunnelInventory]:
    function = native.driver.library.client_list_tunnels
    return [_tunnel(item) for item in await _list(native, "list tunnels", function, TUNNELS, filters, limit)]


async def list_clients(
    native: NativeClient, filters: ClientFilters | None, limit: int | None
) -> list[Mapping[str, object]]:
    function = native.driver.library.client_list_clients
    return await _list(native, "list clients", function, CLIENTS, filters, limit)


async def get_tunnel(native: NativeClient, tunnel_id: str) -> TunnelInventory:
    function = native.driver.library.client_get_tunnel
    answer = await native.ask("ask for a tunnel", function, tunnel_id.encode())
    return _tunnel(_mapping(json.loads(answer)))


async def _list(
    native: NativeClient,
    attempt: str,
    function: Any,
    resource: int,
    filters: TunnelFilters | ClientFilters | None,
    limit: int | None,
) -> list[Mapping[str, object]]:
    if limit is not None and limit < 1:
        raise RuntimeError(f"{attempt}: a limit of {limit} lists nothing", code="ERR_RSTREAM_INVALID_FILTER")
    with native_filters(native.driver.library, resource, filters) as handle:
        answer = await native.ask(attempt, function, handle, limit or 0)
    return [_mapping(item) for item in json.loads(answer)]


@contextlib.contextmanager
def native_filters(
    library: _capi.Library, resource: int, filters: TunnelFilters | ClientFilters | None
) -> Iterator[int]:
    """``rstream_filters`` with the same conditions."""
    handle = library.new("make filters", library.filters_new, resource)
    try:
        if filters is not None:
            _set(library, handle, filters)
        yield handle
    finally:
        library.filters_free(handle)


def _set(library: _capi.Library, handle: int, filters: TunnelFilters | ClientFilters) -> None:
    for each in fields(filters):
        value = getattr(filters, each.name)
        if value is None or each.name == "labels":
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        library.checked(f"filter by {each.name}", library.filters_set, handle, each.name.encode(), text.encode())
    for key, wanted in filters.labels.items():
        attempt = f"filter by label {key}"
        if wanted is None:
            library.checked(attempt, library.filters_require_label, handle, key.encode())
        else:
            library.checked(attempt, library.filters_set, handle, f"labels.{key}".encode(), wanted.encode())


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


_TEXTS = ("id", "name", "type", "protocol", "host", "tls_mode", "tls_min_version", "http_version", "hostname")
_LISTS = ("geo_ip", "trusted_ips", "tls_alpns", "tls_ciphers")
_FLAGS = (
    "publish",
    "mtls_auth",
    "http_use_tls",
    "token_auth",
    "rstream_auth",
    "challenge_mode",
    "upstream_tls",
    "datagram_guaranteed_delivery",
    "allow_cross_region_routing",
)


def _tunnel(item: Mapping[str, object]) -> TunnelInventory:
    values: dict[str, Any] = {name: item[name] for name in _TEXTS if isinstance(item.get(name), str)}
    values |= {name: item[name] for name in _FLAGS if isinstance(item.get(name), bool)}
    for name in _LISTS:
        listed = item.get(name)
        if isinstance(listed, list):
            values[name] = tuple(part for part in listed if isinstance(part, str))
    labels, port = item.get("labels"), item.get("port")
    if isinstance(labels, dict):
        values["labels"] = labels
    if isinstance(port, int) and not isinstance(port, bool):
        values["port"] = port
    properties = TunnelProperties(creation_date=_date(item.get("creation_date")), **values)
    status, client_id = item.get("status"), item.get("client_id")
    return TunnelInventory(
        properties=properties,
        status=status if isinstance(status, str) else None,
        client_id=client_id if isinstance(client_id, str) else None,
        raw=item,
    )


def _date(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
