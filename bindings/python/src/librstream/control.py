# SPDX-License-Identifier: Apache-2.0
"""Control channels: where tunnels are created."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

from librstream._capi import Library, optional_text, text
from librstream._context import Leaving
from librstream._native import NativeClient
from librstream.errors import RstreamError, RuntimeError, UnsupportedFeatureError
from librstream.packets import PacketTunnel
from librstream.tunnel import BytestreamTunnel, Tunnel
from librstream.types import (
    CreateTunnelOptions,
    HTTPVersion,
    ServerDetails,
    TLSMode,
    TunnelAuth,
    TunnelProtocol,
    TunnelType,
)


class ControlChannel(Leaving):
    """An open control channel.

    It ends with :meth:`close`, and by itself when the engine closes it or is lost;
    its tunnels end with it. Streams that were accepted go on.
    """

    def __init__(self, native: NativeClient, handle: int) -> None:
        self._native = native
        self._driver = native.driver
        library = native.driver.library
        self._library = library
        self._handle: int | None = handle
        self._client_id = text(library.control_client_id(handle))
        self._details = _details(library, handle)
        self._tunnels: set[Tunnel[Any]] = set()
        self._closed = False
        self._closing: asyncio.Future[None] | None = None
        self._end: asyncio.Future[RstreamError | None] = self._driver.loop.create_future()
        self._end_number = self._driver.callbacks.number_always(self._ended_by_itself)
        library.control_on_end(handle, self._driver.callbacks.event, self._end_number)
        self._driver.touch()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {state} client_id={self._client_id!r}>"

    @property
    def closed(self) -> bool:
        """Whether the channel has ended."""
        return self._closed

    @property
    def client_id(self) -> str:
        """The id the engine gave to this client."""
        return self._client_id

    @property
    def server_details(self) -> ServerDetails | None:
        """What the engine told about itself."""
        return self._details

    async def done(self) -> None:
        """Waits until the channel has ended.

        Raises:
            RstreamError: what broke it; nothing when it ended in an orderly way.
        """
        error = await asyncio.shield(self._end)
        if error is not None:
            raise error.with_traceback(None)

    async def create_tunnel(
        self,
        options: CreateTunnelOptions | None = None,
        *,
        name: str | None = None,
        type: TunnelType | None = None,
        publish: bool | None = None,
        protocol: TunnelProtocol | None = None,
        labels: Mapping[str, str] | None = None,
        geo_ip: tuple[str, ...] = (),
        trusted_ips: tuple[str, ...] = (),
        tls_mode: TLSMode | None = None,
        tls_alpns: tuple[str, ...] = (),
        tls_min_version: str | None = None,
        tls_ciphers: tuple[str, ...] = (),
        mtls_auth: bool | None = None,
        http_version: HTTPVersion | None = None,
        token_auth: bool | None = None,
        rstream_auth: bool | None = None,
        challenge_mode: bool | None = None,
        hostname: str | None = None,
        port: int | None = None,
        upstream_tls: bool | None = None,
        allow_cross_region_routing: bool | None = None,
        auth: TunnelAuth | None = None,
    ) -> BytestreamTunnel:
        """Asks the engine for a tunnel, either by an options object or by keywords;
        :class:`librstream.CreateTunnelOptions` explains them.

        Raises:
            RuntimeError: ``ERR_RSTREAM_INVALID_TUNNEL`` for what can never work,
                ``ERR_RSTREAM_CONTROL_CLOSED``, ``ERR_RSTREAM_OPERATION_TIMEOUT``.
            UnsupportedFeatureError: the tunnel would carry datagrams.
            EngineError: the engine refused.
        """
        keywords = CreateTunnelOptions(
            name=name,
            type=type,
            publish=publish,
            protocol=protocol,
            labels=labels or {},
            geo_ip=geo_ip,
            trusted_ips=trusted_ips,
            tls_mode=tls_mode,
            tls_alpns=tls_alpns,
            tls_min_version=tls_min_version,
            tls_ciphers=tls_ciphers,
            mtls_auth=mtls_auth,
            http_version=http_version,
            token_auth=token_auth,
            rstream_auth=rstream_auth,
            challenge_mode=challenge_mode,
            hostname=hostname,
            port=port,
            upstream_tls=upstream_tls,
            allow_cross_region_routing=allow_cross_region_routing,
            auth=auth,
        )
        if options is not None and keywords != CreateTunnelOptions():
            raise RuntimeError(
                "give an options object or keywords, not both",
                code="ERR_RSTREAM_INVALID_TUNNEL",
            )
        if _carries_packets(options or keywords):
            raise UnsupportedFeatureError(
                "the tunnel would carry datagrams, and not byte streams: use create_packet_tunnel()",
                code="ERR_RSTREAM_UNSUPPORTED_TUNNEL",
            )
        tunnel = BytestreamTunnel(self, await self._create(_settings(options or keywords)))
        self._tunnels.add(tunnel)
        return tunnel

    async def create_packet_tunnel(
        self,
        *,
        name: str | None = None,
        publish: bool = False,
        protocol: TunnelProtocol | None = None,
        labels: Mapping[str, str] | None = None,
        trusted_ips: tuple[str, ...] = (),
        tls_alpns: tuple[str, ...] = (),
        hostname: str | None = None,
        upstream_tls: bool | None = None,
        guaranteed_delivery: bool | None = None,
    ) -> PacketTunnel:
        """Asks the engine for a tunnel that carries packets: a private one, or one that
        is published with a protocol for packets.

        Args:
            guaranteed_delivery: packets travel on reliable streams wherever they go.

        Raises:
            RstreamError: what :meth:`create_tunnel` raises.
        """
        options = CreateTunnelOptions(
            name=name,
            type="datagram",
            publish=publish,
            protocol=protocol,
            labels=labels or {},
            trusted_ips=trusted_ips,
            tls_alpns=tls_alpns,
            hostname=hostname,
            upstream_tls=upstream_tls,
        )
        settings = _settings(options)
        if guaranteed_delivery is not None:
            settings["datagram_guaranteed_delivery"] = "true" if guaranteed_delivery else "false"
        tunnel = PacketTunnel(self, await self._create(settings))
        self._tunnels.add(tunnel)
        return tunnel

    async def _create(self, settings: dict[str, str]) -> int:
        """A new ``rstream_tunnel``."""
        self._driver.check_loop()
        if self._handle is None:
            raise _closed_error()
        library = self._library
        native = library.new("make tunnel options", library.tunnel_options_new)
        try:
            for property_name, value in settings.items():
                library.checked(
                    f"set {property_name}",
                    library.tunnel_options_set,
                    native,
                    property_name.encode(),
                    value.encode(),
                )
            creation = self._driver.result(
                "create a tunnel",
                library.control_create_tunnel,
                self._handle,
                native,
                discard=library.tunnel_close,
                has_error=True,
            )
            return await creation
        finally:
            library.tunnel_options_free(native)

    async def close_tunnel(self, tunnel_id: str) -> None:
        """Closes the tunnel with an id; nothing when there is none."""
        for tunnel in self._tunnels:
            if tunnel.id == tunnel_id:
                await tunnel.close()
                return

    def forget_tunnel(self, tunnel: Tunnel[Any]) -> None:
        """A tunnel has ended."""
        self._tunnels.discard(tunnel)

    async def close(self) -> None:
        """Ends the channel in an orderly way, and its tunnels; waits for the engine's
        answer for at most 5 s."""
        if self._closing is None:
            self._begin_closing(_closed_error())
            if not self._end.done():
                self._end.set_result(None)
        assert self._closing is not None
        await asyncio.shield(self._closing)

    def _begin_closing(self, error: RstreamError) -> None:
        self._closed = True
        self._driver.callbacks.forget(self._end_number)
        for tunnel in tuple(self._tunnels):
            tunnel.control_closes(error)
        handle, self._handle = self._handle, None
        assert handle is not None
        self._closing = self._native.end_control(handle)

    def _ended_by_itself(self, error: RstreamError | None) -> None:
        if self._closing is not None:
            return
        why = error or _closed_error("the engine has closed the control channel")
        self._begin_closing(why)
        if not self._end.done():
            self._end.set_result(error)

    async def _leave(self) -> None:
        await self.close()


def _closed_error(message: str = "the control channel is closed") -> RuntimeError:
    return RuntimeError(message, code="ERR_RSTREAM_CONTROL_CLOSED")


def _carries_packets(options: CreateTunnelOptions) -> bool:
    return options.type == "datagram" or options.http_version == "h3" or options.protocol in ("dtls", "quic")


def _details(library: Library, handle: int) -> ServerDetails:
    names = [field.name for field in dataclasses.fields(ServerDetails)]
    told = {name: optional_text(library.control_server_detail(handle, name.encode())) for name in names}
    return ServerDetails(**told)


def _settings(options: CreateTunnelOptions) -> dict[str, str]:
    """The properties under the names, and in the form, of the C library."""
    auth = options.auth or TunnelAuth()
    settings: dict[str, str] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        match field.name:
            case "auth":
                continue
            case "labels":
                settings |= {f"labels.{key}": text for key, text in value.items()}
                continue
            case "geo_ip":
                name = "geoip"
            case "token_auth":
                name, value = field.name, auth.token if value is None else value
            case "rstream_auth":
                name, value = field.name, auth.rstream if value is None else value
            case "challenge_mode":
                name, value = field.name, auth.challenge if value is None else value
            case other:
                name = other
        if value is None or value == ():
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, tuple | list):
            value = ",".join(value)
        settings[name] = str(value)
    return settings
