# SPDX-License-Identifier: Apache-2.0
"""Tunnels and the streams that come in through them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from socket import socket
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar, cast

from librstream._capi import Library, StreamCallback, optional_text, text
from librstream.errors import RstreamError, RuntimeError
from librstream.stream import RstreamStream
from librstream.types import ForwardedConnection, TunnelProperties

if TYPE_CHECKING:
    from librstream.control import ControlChannel

#: Accepted streams that wait in Python; the next ones wait in the library, which
#: refuses those that wait there for 5 s.
_BACKLOG = 128

_NO_STREAM = StreamCallback()


class _Incoming(Protocol):
    def abort(self) -> None: ...


_Arrival = TypeVar("_Arrival", bound=_Incoming)


class Tunnel(Generic[_Arrival]):
    """An open tunnel, and what comes in through it: byte streams or packet channels."""

    def __init__(self, control: ControlChannel, handle: int, listen: Callable[..., int], incoming: Any) -> None:
        self._control = control
        self._listen_function = listen
        self._incoming_callback = incoming
        self._native = control._native
        self._driver = control._native.driver
        library = self._driver.library
        self._library = library
        self._handle: int | None = handle
        self._properties = _properties(library, handle)
        self._address = text(library.tunnel_forwarding_address(handle))
        self._streams: deque[_Arrival] = deque()
        self._waiters: deque[asyncio.Future[_Arrival]] = deque()
        self._listening = False
        self._forwarding = False
        self._error: RstreamError | None = None
        self._end: asyncio.Future[None] = self._driver.loop.create_future()
        self._closing: asyncio.Future[None] | None = None
        callbacks = self._driver.callbacks
        self._stream_number = callbacks.number_always(self._incoming)
        self._end_number = callbacks.number_always(self._ended_by_itself)
        library.tunnel_on_end(handle, callbacks.event, self._end_number)
        self._driver.touch()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{type(self).__name__} {state} {self._address!r}>"

    @property
    def id(self) -> str:
        """The engine's id of the tunnel."""
        return self._properties.id or ""

    @property
    def closed(self) -> bool:
        """Whether the tunnel has ended."""
        return self._error is not None

    @property
    def forwarding_address(self) -> str:
        """Where others reach the tunnel: ``https://host``, ``host:port (tls)``,
        ``rstrm://name (unpublished)``."""
        return self._address

    @property
    def properties(self) -> TunnelProperties:
        """The properties as the engine confirmed them."""
        return self._properties

    # Receiving streams

    def _wrap(self, handle: int) -> _Arrival:
        raise NotImplementedError

    async def accept(self) -> _Arrival:
        """The next stream, or packet channel, that comes in.

        Raises:
            RuntimeError: the tunnel has ended: ``ERR_RSTREAM_TUNNEL_CLOSED`` when it
                was closed, ``ERR_RSTREAM_CONTROL_CLOSED`` when its control channel
                was.
            RstreamError: what broke the control channel.
        """
        self._driver.check_loop()
        if self._streams:
            stream = self._streams.popleft()
            self._listen()
            return stream
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._listen()
        waiter: asyncio.Future[_Arrival] = self._driver.loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                # It came and nobody has seen it: it is the next one's.
                self._streams.appendleft(waiter.result())
                self._serve_waiters()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Arrival:
        try:
            return await self.accept()
        except RstreamError as error:
            if error.code == "ERR_RSTREAM_TUNNEL_CLOSED":
                raise StopAsyncIteration from error
            raise

    async def forward_to(
        self,
        host: str,
        port: int | None = None,
        *,
        on_connection: Callable[[ForwardedConnection], None] | None = None,
    ) -> None:
        """Connects what comes in to a local service until the tunnel ends; the bytes
        never pass through Python. When it is cancelled, new streams wait again.

        Args:
            host: host name or address; or ``unix:/path``, without a port.
            port: 1..65535.
            on_connection: told when a connection begins and when it ends.

        Raises:
            RuntimeError: ``ERR_RSTREAM_INVALID_LOCAL_ENDPOINT``.
            RstreamError: what broke the control channel.
        """
        self._driver.check_loop()
        target = _target(host, port)
        if self._error is not None:
            raise self._error.with_traceback(None)
        callbacks = self._driver.callbacks
        number = callbacks.number_always(_observer(on_connection))
        try:
            self._library.checked(
                "forward",
                self._library.tunnel_forward,
                self._handle,
                target.encode(),
                callbacks.forward,
                number,
            )
        except BaseException:
            callbacks.forget(number)
            raise
        self._forwarding = True
        self._listening = False
        self._driver.touch()
        try:
            await asyncio.shield(self._end)
        finally:
            self._forwarding = False
            self._stop_listening()
        error = self._error
        if error is not None and error.code != "ERR_RSTREAM_TUNNEL_CLOSED":
            raise error.with_traceback(None)

    def _listen(self) -> None:
        if self._listening or self._forwarding or self._handle is None:
            return
        if len(self._streams) >= _BACKLOG // 2:
            return
        self._listening = True
        self._listen_function(self._handle, self._incoming_callback, self._stream_number)
        self._driver.touch()

    def _stop_listening(self) -> None:
        self._listening = False
        if self._handle is not None and self._driver.is_usable:
            self._listen_function(self._handle, _NO_STREAM, None)

    def _incoming(self, handle: int) -> None:
        self._native.stream_came()
        self._streams.append(self._wrap(handle))
        self._serve_waiters()
        if len(self._streams) >= _BACKLOG:
            self._stop_listening()

    def _serve_waiters(self) -> None:
        while self._streams and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(self._streams.popleft())

    # The end

    async def close(self) -> None:
        """Ends the tunnel. Streams that were accepted go on, those that wait are
        refused, forwarded connections go on until their ends close."""
        if self._closing is None:
            handle = self._detach()
            self._ended(_closed_error())
            if handle is None:
                return
            self._closing = self._driver.end(self._library.tunnel_close, handle)
        await asyncio.shield(self._closing)

    def _ended_by_itself(self, error: RstreamError | None) -> None:
        """The engine has revoked the tunnel, or the control channel has ended."""
        self._ended(error or _closed_error("the engine has closed the tunnel"))
        handle = self._detach()
        if handle is not None:
            self._closing = self._driver.end(self._library.tunnel_close, handle)

    def control_closes(self, error: RstreamError) -> None:
        """The control channel takes the handle with it."""
        self._detach()
        self._ended(error)

    def _detach(self) -> int | None:
        handle, self._handle = self._handle, None
        self._listening = False
        callbacks = self._driver.callbacks
        callbacks.forget(self._stream_number)
        callbacks.forget(self._end_number)
        self._control.forget_tunnel(self)
        return handle

    def _ended(self, error: RstreamError) -> None:
        if self._error is not None:
            return
        self._error = error
        while self._streams:
            self._streams.popleft().abort()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)
        if not self._end.done():
            self._end.set_result(None)


class BytestreamTunnel(Tunnel[RstreamStream]):
    """An open tunnel that carries byte streams.

    Streams come in through :meth:`accept`, ``async for``, :meth:`sockets` or
    :meth:`forward_to`. Before the first of these they wait in the library: 10 of
    them, and further ones for 5 s.
    """

    def __init__(self, control: ControlChannel, handle: int) -> None:
        driver = control._native.driver
        super().__init__(control, handle, driver.library.tunnel_listen, driver.callbacks.stream)

    def _wrap(self, handle: int) -> RstreamStream:
        return RstreamStream(self._native, handle)

    async def sockets(self) -> AsyncIterator[socket]:
        """Streams as connected, non-blocking sockets; see
        :meth:`librstream.RstreamStream.into_socket`. The caller closes them.

        Raises:
            RstreamError: as :meth:`accept`.
        """
        async for stream in self:
            try:
                connected = stream.into_socket()
            except BaseException:
                stream.close()
                raise
            yield connected


def _closed_error(message: str = "the tunnel is closed") -> RuntimeError:
    return RuntimeError(message, code="ERR_RSTREAM_TUNNEL_CLOSED")


def _target(host: str, port: int | None) -> str:
    host = host.strip()
    if not host:
        why = "the host is blank"
    elif host.startswith("unix:"):
        if port is None:
            return host
        why = "a Unix socket has no port"
    elif port is None or not 1 <= port <= 65_535:
        why = f"port {port} is not one from 1 to 65535"
    else:
        bare = host.strip("[]")
        return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
    raise RuntimeError(f"forward to {host!r}: {why}", code="ERR_RSTREAM_INVALID_LOCAL_ENDPOINT")


def _observer(
    on_connection: Callable[[ForwardedConnection], None] | None,
) -> Callable[..., None]:
    def observe(
        event: int,
        peer: str,
        bytes_in: int,
        bytes_out: int,
        error: RstreamError | None,
    ) -> None:
        if on_connection is not None:
            name: Literal["opened", "closed"] = "closed" if event else "opened"
            on_connection(ForwardedConnection(name, peer, bytes_in, bytes_out, error))

    return observe


_LISTS = {"geoip", "trusted_ips", "tls_alpns", "tls_ciphers"}
_FLAGS = {
    "publish",
    "mtls_auth",
    "http_use_tls",
    "upstream_tls",
    "datagram_guaranteed_delivery",
    "allow_cross_region_routing",
    "token_auth",
    "rstream_auth",
    "challenge_mode",
}
_LABEL = "labels."


def _properties(library: Library, handle: int) -> TunnelProperties:
    known = TunnelProperties.__dataclass_fields__
    values: dict[str, Any] = {}
    labels: dict[str, str] = {}
    index = 0
    while name := text(library.tunnel_property_name(handle, index)):
        index += 1
        value = optional_text(library.tunnel_property(handle, name.encode())) or ""
        if name.startswith(_LABEL):
            labels[name[len(_LABEL) :]] = value
            continue
        field = "geo_ip" if name == "geoip" else name
        if field in known:
            values[field] = _value(name, value)
    return TunnelProperties(labels=labels, **values)


def _value(name: str, value: str) -> object:
    if name in _LISTS:
        return tuple(value.split(","))
    if name in _FLAGS:
        return value == "true"
    if name == "port":
        return int(value)
    if name == "creation_date":
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return cast(object, value)
