# SPDX-License-Identifier: Apache-2.0
"""The package without asyncio: the same objects with methods that block.

::

    with Client.from_env() as client, client.connect() as control:
        tunnel = control.create_tunnel(name="echo", publish=False)
        for stream in tunnel:
            with stream:
                stream.write(stream.readline())

What blocks runs the loop of its thread, and with it everything that belongs to the
thread: an engine and its clients may be used by one thread. Between calls nothing
moves, heartbeats included: who does other things for more than some seconds calls
:func:`sleep` meanwhile, or turns heartbeats off. Objects stay with their thread.

Ctrl-C ends a call that blocks with KeyboardInterrupt.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import librstream
from librstream._transport import Data
from librstream.diagnosis import Diagnosis, Finding
from librstream.types import ForwardedConnection, ServerDetails, TunnelProperties

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Wrapped = TypeVar("_Wrapped")
_Inner = TypeVar("_Inner")


class _Loop:
    """What runs everything of one thread, as long as the thread is there."""

    _local = threading.local()
    _open: weakref.WeakSet[_Loop] = weakref.WeakSet()

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._thread = threading.get_ident()
        self._open.add(self)

    @classmethod
    def current(cls) -> _Loop:
        loop: _Loop | None = getattr(cls._local, "loop", None)
        if loop is None:
            loop = cls._local.loop = cls()
        return loop

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        if self._thread != threading.get_ident():
            coroutine.close()
            raise librstream.RuntimeError("this object belongs to another thread", code="ERR_RSTREAM_WRONG_THREAD")
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            coroutine.close()
            raise librstream.RuntimeError("this would block the running event loop", code="ERR_RSTREAM_WRONG_THREAD")
        return self._runner.run(coroutine)

    def close(self) -> None:
        if self._thread == threading.get_ident():
            self._runner.close()

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.close()
        else:
            # Collected while another loop runs on this thread: nothing can be run on this one any more.
            with contextlib.suppress(RuntimeError):
                self._runner.get_loop().close()


@atexit.register
def _close_all() -> None:
    for loop in list(_Loop._open):
        loop.close()


def sleep(seconds: float) -> None:
    """Waits, while everything that belongs to this thread goes on."""
    _Loop.current().run(asyncio.sleep(seconds))


def doctor(*, on_finding: Callable[[Finding], None] | None = None, **options: Any) -> Diagnosis:
    """Checks the way to an engine; see :func:`librstream.doctor`."""
    return _Loop.current().run(librstream.doctor(on_finding=on_finding, **options))


class _Blocking(Generic[_Inner]):
    """An object of the package and what runs it."""

    def __init__(self, loop: _Loop, inner: _Inner) -> None:
        self._loop = loop
        self._inner = inner

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"


class _Waits(Generic[_Parameters, _Wrapped]):
    """A method that waits for a coroutine of the object inside.

    ``wrap`` makes what is returned of what the coroutine returns.
    """

    def __init__(
        self,
        method: Callable[Concatenate[Any, _Parameters], Coroutine[Any, Any, _Result]],
        wrap: Callable[[_Loop, _Result], _Wrapped],
    ) -> None:
        self._method: Callable[..., Coroutine[Any, Any, Any]] = method
        self._wrap: Callable[[_Loop, Any], _Wrapped] = wrap
        self.__doc__ = method.__doc__

    def __get__(self, instance: _Blocking[Any] | None, owner: type[Any]) -> Callable[_Parameters, _Wrapped]:
        @functools.wraps(self._method)
        def call(*arguments: _Parameters.args, **keywords: _Parameters.kwargs) -> _Wrapped:
            assert instance is not None
            result = instance._loop.run(self._method(instance._inner, *arguments, **keywords))
            return self._wrap(instance._loop, result)

        return call


def _same(_loop: _Loop, result: _Result) -> _Result:
    return result


class RstreamStream(_Blocking[librstream.RstreamStream]):
    """A :class:`librstream.RstreamStream` that blocks."""

    read = _Waits(librstream.RstreamStream.read, _same)
    readexactly = _Waits(librstream.RstreamStream.readexactly, _same)
    readuntil = _Waits(librstream.RstreamStream.readuntil, _same)
    readline = _Waits(librstream.RstreamStream.readline, _same)
    wait_closed = _Waits(librstream.RstreamStream.wait_closed, _same)

    @property
    def peer(self) -> str:
        """Address of the remote end as the engine reported it, "" when unknown."""
        return self._inner.peer

    @property
    def id(self) -> str:
        """The engine's id of the stream, "" when unknown."""
        return self._inner.id

    def at_eof(self) -> bool:
        """Whether the other side has ended its direction and all of it was read."""
        return self._inner.at_eof()

    def write(self, data: Data) -> None:
        """Writes bytes, and waits until the other side has taken enough of them.

        Raises:
            librstream.RstreamError: the stream has broken.
        """
        self._inner.write(data)
        self._loop.run(self._inner.drain())

    def writelines(self, data: Iterable[Data]) -> None:
        """Writes several pieces at once; see :meth:`write`."""
        self._inner.writelines(data)
        self._loop.run(self._inner.drain())

    def write_eof(self) -> None:
        """Ends the own direction after what was written; reading may go on."""
        self._inner.write_eof()
        self._loop.run(asyncio.sleep(0))

    def into_socket(self) -> socket.socket:
        """The stream as a socket for another thread, which this thread's loop has to
        carry on: in a call that blocks, like :func:`sleep`. See
        :meth:`librstream.RstreamStream.into_socket`."""
        return self._inner.into_socket()

    def is_closing(self) -> bool:
        """Whether the stream is closed or being closed."""
        return self._inner.is_closing()

    def abort(self) -> None:
        """Ends the stream at once; the other side sees a reset."""
        self._inner.abort()
        self.wait_closed()

    def close(self) -> None:
        """Ends the stream when what was written has been sent, and waits for that."""
        self._inner.close()
        self.wait_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class BytestreamTunnel(_Blocking[librstream.BytestreamTunnel]):
    """A :class:`librstream.BytestreamTunnel` that blocks."""

    close = _Waits(librstream.BytestreamTunnel.close, _same)
    forward_to = _Waits(librstream.BytestreamTunnel.forward_to, _same)

    @property
    def id(self) -> str:
        """The engine's id of the tunnel."""
        return self._inner.id

    @property
    def closed(self) -> bool:
        """Whether the tunnel has ended."""
        return self._inner.closed

    @property
    def forwarding_address(self) -> str:
        """Where others reach the tunnel."""
        return self._inner.forwarding_address

    @property
    def properties(self) -> TunnelProperties:
        """The properties as the engine confirmed them."""
        return self._inner.properties

    def accept(self, timeout: float | None = None) -> RstreamStream:
        """The next stream that comes in, within ``timeout`` seconds.

        Raises:
            TimeoutError: none came.
            librstream.RstreamError: as :meth:`librstream.BytestreamTunnel.accept`.
        """
        stream = self._loop.run(asyncio.wait_for(self._inner.accept(), timeout))
        return RstreamStream(self._loop, stream)

    def __iter__(self) -> Iterator[RstreamStream]:
        return self

    def __next__(self) -> RstreamStream:
        try:
            return RstreamStream(self._loop, self._loop.run(self._inner.__anext__()))
        except StopAsyncIteration as end:
            raise StopIteration from end

    def sockets(self) -> Iterator[socket.socket]:
        """Streams as connected, non-blocking sockets for other threads: this one carries
        their bytes while it waits for the next. The caller closes them."""
        for stream in self:
            yield stream.into_socket()


class ControlChannel(_Blocking[librstream.ControlChannel]):
    """A :class:`librstream.ControlChannel` that blocks."""

    create_tunnel = _Waits(librstream.ControlChannel.create_tunnel, BytestreamTunnel)
    close_tunnel = _Waits(librstream.ControlChannel.close_tunnel, _same)
    done = _Waits(librstream.ControlChannel.done, _same)
    close = _Waits(librstream.ControlChannel.close, _same)

    @property
    def closed(self) -> bool:
        """Whether the channel has ended."""
        return self._inner.closed

    @property
    def client_id(self) -> str:
        """The id the engine gave to this client."""
        return self._inner.client_id

    @property
    def server_details(self) -> ServerDetails | None:
        """What the engine told about itself."""
        return self._inner.server_details

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class EventStream(_Blocking[librstream.EventStream]):
    """A :class:`librstream.EventStream` that blocks."""

    close = _Waits(librstream.EventStream.aclose, _same)

    def next(self, timeout: float | None = None) -> librstream.Event | None:
        """The next event within ``timeout`` seconds; None when the watch has ended.

        Raises:
            TimeoutError: none came.
            librstream.RstreamError: as :meth:`librstream.EventStream.__anext__`.
        """
        try:
            return self._loop.run(asyncio.wait_for(self._inner.__anext__(), timeout))
        except StopAsyncIteration:
            return None

    def __iter__(self) -> Iterator[librstream.Event]:
        return self

    def __next__(self) -> librstream.Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class Client(_Blocking[librstream.Client]):
    """A :class:`librstream.Client` that blocks; options as there."""

    connect = _Waits(librstream.Client.connect, ControlChannel)
    dial = _Waits(librstream.Client.dial, RstreamStream)
    dial_bytestream = _Waits(librstream.Client.dial_bytestream, RstreamStream)
    list_tunnels = _Waits(librstream.Client.list_tunnels, _same)
    list_clients = _Waits(librstream.Client.list_clients, _same)
    get_tunnel = _Waits(librstream.Client.get_tunnel, _same)
    check = _Waits(librstream.Client.check, _same)
    doctor = _Waits(librstream.Client.doctor, _same)
    generate_stable_hostname = _Waits(librstream.Client.generate_stable_hostname, _same)
    close = _Waits(librstream.Client.close, _same)

    def __init__(self, **options: Any) -> None:
        super().__init__(_Loop.current(), librstream.Client(**options))

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A client whose settings come from the environment, below those given."""
        return cls(**options)

    def with_options(self, **options: Any) -> Client:
        """A new client with those options changed that are not None."""
        client = Client()
        client._inner = self._inner.with_options(**options)
        return client

    def watch(self, **options: Any) -> EventStream:
        """Watches tunnels and clients come and go; options as :meth:`librstream.Client.watch`."""
        return EventStream(self._loop, self._inner.watch(**options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class Engine(_Blocking[librstream.Engine]):
    """A :class:`librstream.Engine` for blocking code; options as there.

    It serves while a call of this thread blocks. For clients that block as well it is
    of use on their own thread, or on another one that calls :func:`sleep`.
    """

    start = _Waits(librstream.Engine.start, _same)
    stop = _Waits(librstream.Engine.stop, _same)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(_Loop.current(), librstream.Engine(*arguments, **options))

    @property
    def address(self) -> str:
        """``host:port``, for the ``engine`` option of clients."""
        return self._inner.address

    @property
    def host(self) -> str:
        """The engine's host name."""
        return self._inner.host

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._inner.port

    @property
    def ca_file(self) -> str | None:
        """PEM file of the development CA, while the engine runs; None without one."""
        return self._inner.ca_file

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead ``Client.from_env()`` here."""
        return self._inner.environment

    def client(self, **options: Any) -> Client:
        """A :class:`Client` of this engine; options as there."""
        client = Client()
        client._inner = self._inner.client(**options)
        return client

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()


__all__ = [
    "BytestreamTunnel",
    "Client",
    "ControlChannel",
    "Engine",
    "EventStream",
    "ForwardedConnection",
    "RstreamStream",
    "doctor",
    "sleep",
]
