# SPDX-License-Identifier: Apache-2.0
"""The client: control channels and dialing."""

from __future__ import annotations

import asyncio
import dataclasses
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal

from librstream import _capi, diagnosis, inventory
from librstream._config import ClientOptions, native_config
from librstream._context import Leaving
from librstream._native import NativeClient
from librstream.control import ControlChannel
from librstream.errors import RuntimeError
from librstream.inventory import ClientFilters, TunnelFilters, TunnelInventory
from librstream.names import generate_stable_domain
from librstream.packets import PacketChannel
from librstream.stream import RstreamStream
from librstream.types import TLSOptions, TunnelTransport
from librstream.watch import EventQueue, EventStream, WatchTransport, check_transport


class Client(Leaving):
    """Knows an engine and how to reach it.

    What is not given comes from the environment (``RSTREAM_ENGINE``,
    ``RSTREAM_AUTHENTICATION_TOKEN`` and others) and, below it, from a context of
    ``~/.rstream/config.yaml``; the library's header config.h tells all of it. Settings
    are looked at, and their errors raised, by the first :meth:`connect` or :meth:`dial`.

    Args:
        engine: address of the engine, ``host[:port]``; port 443 when absent.
        connect_timeout: seconds for name look-up, TCP and TLS, 0.001..3600.
        heartbeat: whether heartbeats are sent on control channels.
        heartbeat_interval: seconds between them, 1..300.
        operation_timeout: seconds for one request to the engine, 0.001..3600.
        no_token: use no token, not even the environment's.
        require_token: refuse to go on without a token or a client certificate.
        token: bearer token; excludes a client certificate.
        tls: how the engine is verified, and the client certificate.
        tunnel_transport: "tls", "quic", or "auto": QUIC where it gets through, TLS where
            not.
        zero_rtt: streams start without waiting for the engine's answer.
        read_config_file: False: no configuration file is read.
        config_path: another one than ``~/.rstream/config.yaml``.
        context: the context of the file; its default one when None.
        api_url: the control plane that manages the context.
        control_plane_headers: more headers for it.
        project_endpoint: managed project, by which the engine is found.
        region: region of the managed project.
    """

    def __init__(
        self,
        *,
        api_url: str | None = None,
        config_path: str | None = None,
        context: str | None = None,
        control_plane_headers: Mapping[str, str] | None = None,
        engine: str | None = None,
        connect_timeout: float = 15.0,
        heartbeat: bool = True,
        heartbeat_interval: float = 5.0,
        operation_timeout: float = 30.0,
        no_token: bool | None = None,
        project_endpoint: str | None = None,
        read_config_file: bool = True,
        region: str | None = None,
        require_token: bool = False,
        token: str | None = None,
        tls: TLSOptions | None = None,
        tunnel_transport: TunnelTransport | None = None,
        zero_rtt: bool = True,
    ) -> None:
        self._options = ClientOptions(
            api_url=api_url,
            config_path=config_path,
            context=context,
            control_plane_headers=control_plane_headers,
            engine=engine,
            connect_timeout=connect_timeout,
            heartbeat=heartbeat,
            heartbeat_interval=heartbeat_interval,
            operation_timeout=operation_timeout,
            no_token=no_token,
            project_endpoint=project_endpoint,
            read_config_file=read_config_file,
            region=region,
            require_token=require_token,
            token=token,
            tls=tls,
            tunnel_transport=tunnel_transport,
            zero_rtt=zero_rtt,
        )
        self._native: NativeClient | None = None
        self._controls: weakref.WeakSet[ControlChannel] = weakref.WeakSet()
        self._watches: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._closed = False

    @classmethod
    def from_env(
        cls,
        *,
        api_url: str | None = None,
        config_path: str | None = None,
        context: str | None = None,
        control_plane_headers: Mapping[str, str] | None = None,
        engine: str | None = None,
        connect_timeout: float = 15.0,
        heartbeat: bool = True,
        heartbeat_interval: float = 5.0,
        operation_timeout: float = 30.0,
        no_token: bool | None = None,
        project_endpoint: str | None = None,
        read_config_file: bool = True,
        region: str | None = None,
        require_token: bool = False,
        token: str | None = None,
        tls: TLSOptions | None = None,
        tunnel_transport: TunnelTransport | None = None,
        zero_rtt: bool = True,
    ) -> Client:
        """A client whose settings come from the environment, below those given."""
        return cls(
            api_url=api_url,
            config_path=config_path,
            context=context,
            control_plane_headers=control_plane_headers,
            engine=engine,
            connect_timeout=connect_timeout,
            heartbeat=heartbeat,
            heartbeat_interval=heartbeat_interval,
            operation_timeout=operation_timeout,
            no_token=no_token,
            project_endpoint=project_endpoint,
            read_config_file=read_config_file,
            region=region,
            require_token=require_token,
            token=token,
            tls=tls,
            tunnel_transport=tunnel_transport,
            zero_rtt=zero_rtt,
        )

    def with_options(
        self,
        *,
        api_url: str | None = None,
        config_path: str | None = None,
        context: str | None = None,
        control_plane_headers: Mapping[str, str] | None = None,
        engine: str | None = None,
        connect_timeout: float | None = None,
        heartbeat: bool | None = None,
        heartbeat_interval: float | None = None,
        operation_timeout: float | None = None,
        no_token: bool | None = None,
        project_endpoint: str | None = None,
        read_config_file: bool | None = None,
        region: str | None = None,
        require_token: bool | None = None,
        token: str | None = None,
        tls: TLSOptions | None = None,
        tunnel_transport: TunnelTransport | None = None,
        zero_rtt: bool | None = None,
    ) -> Client:
        """A new client with those options changed that are not None."""
        changed: dict[str, Any] = {
            "api_url": api_url,
            "config_path": config_path,
            "context": context,
            "control_plane_headers": control_plane_headers,
            "engine": engine,
            "connect_timeout": connect_timeout,
            "heartbeat": heartbeat,
            "heartbeat_interval": heartbeat_interval,
            "operation_timeout": operation_timeout,
            "no_token": no_token,
            "project_endpoint": project_endpoint,
            "read_config_file": read_config_file,
            "region": region,
            "require_token": require_token,
            "token": token,
            "tls": tls,
            "tunnel_transport": tunnel_transport,
            "zero_rtt": zero_rtt,
        }
        given = {name: value for name, value in changed.items() if value is not None}
        client = type(self)()
        client._options = dataclasses.replace(self._options, **given)
        return client

    async def connect(self) -> ControlChannel:
        """Connects to the engine and opens a control channel. A client may have
        several.

        Raises:
            ConfigurationError: a setting is missing or invalid.
            TransportError: the engine cannot be reached, as an :class:`OSError`.
            TLSError: the engine's certificate was not accepted.
            EngineError: the engine refused, for example a token.
            RuntimeError: ``ERR_RSTREAM_OPERATION_TIMEOUT``,
                ``ERR_RSTREAM_CLIENT_CLOSED``.
        """
        native = self._usable()
        control = ControlChannel(native, await native.connect())
        self._controls.add(control)
        if self._closed:
            await control.close()
            self._ensure_open()
        return control

    async def dial(
        self,
        tunnel: str,
        *,
        token: str | None = None,
        zero_rtt: bool | None = None,
    ) -> RstreamStream:
        """Opens a stream to a private tunnel.

        With ``zero_rtt`` the stream is there as soon as the request was sent, and an
        unknown tunnel shows as a stream that the engine ends at once. Without it the
        engine's answer is awaited.

        Args:
            tunnel: its name or id.
            token: instead of the client's.
            zero_rtt: instead of the client's.

        Raises:
            RuntimeError: ``ERR_RSTREAM_INVALID_TUNNEL`` for a blank name, and what
                :meth:`connect` raises.
            EngineError: the engine refused; 3000 when there is no such tunnel.
        """
        native, leaves = self._dialing(token, zero_rtt)
        try:
            return RstreamStream(native, await native.dial(tunnel))
        finally:
            if leaves:
                native.leave()

    async def dial_packets(
        self,
        tunnel: str,
        *,
        token: str | None = None,
        zero_rtt: bool | None = None,
    ) -> PacketChannel:
        """Opens a packet channel to a private datagram tunnel; arguments and errors are
        those of :meth:`dial`."""
        native, leaves = self._dialing(token, zero_rtt)
        try:
            return PacketChannel(native, await native.dial_packets(tunnel))
        finally:
            if leaves:
                native.leave()

    def _dialing(self, token: str | None, zero_rtt: bool | None) -> tuple[NativeClient, bool]:
        """What to dial with, and whether that is to be left afterwards."""
        if token is None and zero_rtt in (None, self._options.zero_rtt):
            return self._usable(), False
        self._ensure_open()
        options = dataclasses.replace(
            self._options,
            token=self._options.token if token is None else token,
            zero_rtt=self._options.zero_rtt if zero_rtt is None else zero_rtt,
        )
        # Token and manner are settings of a client: this dial gets one of its own.
        return NativeClient(options), True

    async def dial_bytestream(
        self,
        tunnel: str,
        *,
        token: str | None = None,
        zero_rtt: bool | None = None,
    ) -> RstreamStream:
        """The same as :meth:`dial`."""
        return await self.dial(tunnel, token=token, zero_rtt=zero_rtt)

    async def list_tunnels(
        self, *, filters: TunnelFilters | None = None, limit: int | None = None
    ) -> list[TunnelInventory]:
        """The tunnels that are online at the engine, the newest first.

        Args:
            filters: which ones; all when None.
            limit: no more than so many; no limit when None.

        Raises:
            RuntimeError: ``ERR_RSTREAM_ENGINE_API_HTTP`` when the engine refused, with
                its HTTP status as ``details["status"]``; ``ERR_RSTREAM_INVALID_FILTER``.
            RstreamError: what :meth:`connect` raises.
        """
        return await inventory.list_tunnels(self._usable(), filters, limit)

    async def list_clients(
        self, *, filters: ClientFilters | None = None, limit: int | None = None
    ) -> list[Mapping[str, object]]:
        """The clients that are connected to the engine, as it describes them; arguments
        and errors as :meth:`list_tunnels`."""
        return await inventory.list_clients(self._usable(), filters, limit)

    async def get_tunnel(self, tunnel_id: str) -> TunnelInventory:
        """The tunnel with an id, when it is online.

        Raises:
            RuntimeError: ``ERR_RSTREAM_ENGINE_API_HTTP`` with the status 404 when there
                is none; otherwise as :meth:`list_tunnels`.
        """
        return await inventory.get_tunnel(self._usable(), tunnel_id)

    def watch(
        self,
        *,
        tunnels: TunnelFilters | None = None,
        clients: ClientFilters | None = None,
        transport: WatchTransport = "sse",
        reconnect: bool = False,
    ) -> EventStream:
        """Watches tunnels and clients come and go.

        ::

            async with client.watch(tunnels=TunnelFilters(labels={"team": "blue"})) as events:
                async for event in events:
                    print(event.type, event.object)

        The first event is the snapshot "state.initial"; nothing is lost or told twice
        between it and what follows. At most 4096 events, or 16 MiB of them, wait to be
        taken.

        Args:
            tunnels: which tunnels; all when None.
            clients: which clients; all when None.
            transport: "sse" for server-sent events, or "websocket": then an engine that is
                silent for 90 s is noticed.
            reconnect: begin again after the connection was lost, the engine has stopped
                or too many events were not taken, with pauses that grow up to 30 s; each
                time the first event is another snapshot, which replaces what was known.
                False: the first ends the stream with an error, the second without one,
                the third with the error ``ERR_RSTREAM_WATCH_OVERLOAD``.

        Raises:
            UnsupportedFeatureError: ``ERR_RSTREAM_WATCH_TRANSPORT``, for another transport.
            RuntimeError: ``ERR_RSTREAM_CLIENT_CLOSED``.
        """
        self._ensure_open()
        check_transport(transport)
        stream = EventStream(lambda: EventQueue(self._usable(), tunnels, clients, transport, reconnect))
        self._watches.add(stream)
        return stream

    async def check(self, what: Literal["live", "ready", "auth"] = "ready") -> None:
        """Asks the engine how it is; returns when the answer is yes.

        Args:
            what: "live": it runs; "ready": it takes new clients; "auth": it accepts this
                client's token or certificate.

        Raises:
            RuntimeError: ``ERR_RSTREAM_ENGINE_API_HTTP`` when the answer is no, with its
                HTTP status as ``details["status"]``: 503 when it is not ready, 401 when
                it does not accept the token.
            RstreamError: what :meth:`connect` raises.
        """
        if what not in ("live", "ready", "auth"):
            raise ValueError(f'{what!r} is none of "live", "ready" and "auth"')
        await self._usable().check(what)

    async def doctor(self, *, on_finding: Callable[[diagnosis.Finding], None] | None = None) -> diagnosis.Diagnosis:
        """Checks the way to this client's engine; see :func:`librstream.doctor`."""
        self._ensure_open()
        return await diagnosis.examine(self._options, on_finding)

    async def generate_stable_hostname(self) -> str | None:
        """A new host name for published tunnels that stays the same over reconnects when
        it is kept; see :func:`librstream.generate_stable_domain`.

        Raises:
            ConfigurationError: a setting is invalid.
            RuntimeError: ``ERR_RSTREAM_CLIENT_CLOSED``.
        """
        self._ensure_open()
        library = _capi.library()
        with native_config(library, self._options) as config:
            engine = _capi.text(library.config_get(config, b"engine"))
        return generate_stable_domain(engine)

    async def close(self) -> None:
        """Ends the control channels and their tunnels, and what is watched. Streams that
        were accepted or dialed go on until they are closed."""
        self._closed = True
        for watch in tuple(self._watches):
            watch.client_closes()
        native, self._native = self._native, None
        if native is None:
            return
        try:
            closing = [control.close() for control in self._controls]
            await asyncio.gather(*closing)
        finally:
            native.leave()

    def _usable(self) -> NativeClient:
        self._ensure_open()
        native = self._native
        if native is not None and native.is_usable:
            native.check_usable()
            return native
        self._native = NativeClient(self._options)
        return self._native

    def _ensure_open(self) -> None:
        if self._closed:
            raise RuntimeError("the client is closed", code="ERR_RSTREAM_CLIENT_CLOSED")

    async def _leave(self) -> None:
        await self.close()
