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
from collections.abc import Callable, Iterator
from typing import Any, Self

import librstream
from librstream.blocking._channels import BytestreamTunnel, PacketChannel, PacketTunnel, RstreamStream
from librstream.blocking._loop import Closing, ThreadLoop, Waits, same
from librstream.diagnosis import Diagnosis, Finding
from librstream.types import ForwardedConnection, ServerDetails


def sleep(seconds: float) -> None:
    """Waits, while everything that belongs to this thread goes on."""
    ThreadLoop.current().run(asyncio.sleep(seconds))


def doctor(*, on_finding: Callable[[Finding], None] | None = None, **options: Any) -> Diagnosis:
    """Checks the way to an engine; see :func:`librstream.doctor`."""
    return ThreadLoop.current().run(librstream.doctor(on_finding=on_finding, **options))


class ControlChannel(Closing[librstream.ControlChannel]):
    """A :class:`librstream.ControlChannel` that blocks."""

    create_tunnel = Waits(librstream.ControlChannel.create_tunnel, BytestreamTunnel)
    create_packet_tunnel = Waits(librstream.ControlChannel.create_packet_tunnel, PacketTunnel)
    close_tunnel = Waits(librstream.ControlChannel.close_tunnel, same)
    done = Waits(librstream.ControlChannel.done, same)
    close = Waits(librstream.ControlChannel.close, same)

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

    def _leave(self) -> None:
        self.close()


class EventStream(Closing[librstream.EventStream]):
    """A :class:`librstream.EventStream` that blocks."""

    close = Waits(librstream.EventStream.aclose, same)

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

    def _leave(self) -> None:
        self.close()


class Client(Closing[librstream.Client]):
    """A :class:`librstream.Client` that blocks; options as there."""

    connect = Waits(librstream.Client.connect, ControlChannel)
    dial = Waits(librstream.Client.dial, RstreamStream)
    dial_bytestream = Waits(librstream.Client.dial_bytestream, RstreamStream)
    dial_packets = Waits(librstream.Client.dial_packets, PacketChannel)
    list_tunnels = Waits(librstream.Client.list_tunnels, same)
    list_clients = Waits(librstream.Client.list_clients, same)
    get_tunnel = Waits(librstream.Client.get_tunnel, same)
    check = Waits(librstream.Client.check, same)
    doctor = Waits(librstream.Client.doctor, same)
    generate_stable_hostname = Waits(librstream.Client.generate_stable_hostname, same)
    close = Waits(librstream.Client.close, same)

    def __init__(self, **options: Any) -> None:
        super().__init__(ThreadLoop.current(), librstream.Client(**options))

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

    def _leave(self) -> None:
        self.close()


class Engine(Closing[librstream.Engine]):
    """A :class:`librstream.Engine` for blocking code; options as there.

    It serves while a call of this thread blocks. For clients that block as well it is
    of use on their own thread, or on another one that calls :func:`sleep`.
    """

    start = Waits(librstream.Engine.start, same)
    stop = Waits(librstream.Engine.stop, same)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(ThreadLoop.current(), librstream.Engine(*arguments, **options))

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

    def _leave(self) -> None:
        self.stop()


__all__ = [
    "BytestreamTunnel",
    "Client",
    "ControlChannel",
    "Engine",
    "EventStream",
    "ForwardedConnection",
    "PacketChannel",
    "PacketTunnel",
    "RstreamStream",
    "doctor",
    "sleep",
]
