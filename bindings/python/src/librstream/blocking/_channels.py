# SPDX-License-Identifier: Apache-2.0
"""Streams, packet channels and the tunnels that they come in by, with methods that block."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

import librstream
from librstream._channel import Channel
from librstream._transport import Data
from librstream.blocking._loop import Blocking, Closing, ThreadLoop, Waits, same
from librstream.tunnel import Tunnel
from librstream.types import TunnelProperties

_Arrival = TypeVar("_Arrival", librstream.RstreamStream, librstream.PacketChannel)
_Wrapped = TypeVar("_Wrapped")
_Kind = TypeVar("_Kind", bound=Channel)


class _Channel(Closing[_Kind]):
    """A stream or a packet channel that blocks."""

    @property
    def peer(self) -> str:
        """Address of the remote end as the engine reported it, "" when unknown."""
        return self._inner.peer

    @property
    def id(self) -> str:
        """The engine's id of the stream, "" when unknown."""
        return self._inner.id

    def wait_closed(self) -> None:
        """Waits until it has ended; call :meth:`close` first."""
        self._loop.run(self._inner.wait_closed())

    def close(self) -> None:
        """Ends it when what was taken to be sent has been sent, and waits for that."""
        self._inner.close()
        self.wait_closed()

    def _leave(self) -> None:
        self.close()


class RstreamStream(_Channel[librstream.RstreamStream]):
    """A :class:`librstream.RstreamStream` that blocks."""

    read = Waits(librstream.RstreamStream.read, same)
    readexactly = Waits(librstream.RstreamStream.readexactly, same)
    readuntil = Waits(librstream.RstreamStream.readuntil, same)
    readline = Waits(librstream.RstreamStream.readline, same)

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


class PacketChannel(_Channel[librstream.PacketChannel]):
    """A :class:`librstream.PacketChannel` that blocks.

    Between calls that block nothing is received: what arrives waits, and of QUIC
    datagrams 64 wait at most.
    """

    @property
    def path(self) -> str:
        """What packets travel on: ``stream`` or ``quic-datagram``."""
        return self._inner.path

    @property
    def max_size(self) -> int:
        """How long a packet may be that is sent now."""
        return self._inner.max_size

    @property
    def counts(self) -> dict[str, int]:
        """Packets ``sent``, ``received``, ``dropped_sending``, ``dropped_receiving``."""
        return self._inner.counts

    def send(self, packet: Data) -> None:
        """Sends a packet, when there is room for it; errors as
        :meth:`librstream.PacketChannel.send`."""
        self._loop.run(_send(self._inner, packet))

    def send_nowait(self, packet: Data) -> bool:
        """Sends a packet; False when too many wait and it was dropped. Errors as
        :meth:`librstream.PacketChannel.send_nowait`."""
        return self._loop.run(_send_nowait(self._inner, packet))

    def receive(self, timeout: float | None = None) -> bytes:
        """The next packet, within ``timeout`` seconds.

        Raises:
            TimeoutError: none came.
            EOFError: the other side has closed the channel.
            librstream.RstreamError: as :meth:`librstream.PacketChannel.receive`.
        """
        return self._loop.run(asyncio.wait_for(self._inner.receive(), timeout))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self.receive()
        except EOFError as end:
            raise StopIteration from end


async def _send(channel: librstream.PacketChannel, packet: Data) -> None:
    await channel.send(packet)
    # The loop has its turn to send it.
    await asyncio.sleep(0)


async def _send_nowait(channel: librstream.PacketChannel, packet: Data) -> bool:
    is_taken = channel.send_nowait(packet)
    await asyncio.sleep(0)
    return is_taken


class _Tunnel(Blocking[Tunnel[_Arrival]], Generic[_Arrival, _Wrapped]):
    """A tunnel that blocks, whatever comes in by it."""

    close = Waits(Tunnel[Any].close, same)
    forward_to = Waits(Tunnel[Any].forward_to, same)

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

    def _wrapped(self, arrival: _Arrival) -> _Wrapped:
        raise NotImplementedError

    def accept(self, timeout: float | None = None) -> _Wrapped:
        """The next stream, or packet channel, that comes in within ``timeout`` seconds.

        Raises:
            TimeoutError: none came.
            librstream.RstreamError: as :meth:`librstream.BytestreamTunnel.accept`.
        """
        return self._wrapped(self._loop.run(asyncio.wait_for(self._inner.accept(), timeout)))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Wrapped:
        try:
            return self._wrapped(self._loop.run(self._inner.__anext__()))
        except StopAsyncIteration as end:
            raise StopIteration from end


class BytestreamTunnel(_Tunnel[librstream.RstreamStream, RstreamStream]):
    """A :class:`librstream.BytestreamTunnel` that blocks."""

    def _wrapped(self, arrival: librstream.RstreamStream) -> RstreamStream:
        return RstreamStream(self._loop, arrival)

    def sockets(self) -> Iterator[socket.socket]:
        """Streams as connected, non-blocking sockets for other threads: this one carries
        their bytes while it waits for the next. The caller closes them."""
        for stream in self:
            yield stream.into_socket()


class PacketTunnel(_Tunnel[librstream.PacketChannel, PacketChannel]):
    """A :class:`librstream.PacketTunnel` that blocks."""

    def _wrapped(self, arrival: librstream.PacketChannel) -> PacketChannel:
        return PacketChannel(self._loop, arrival)
