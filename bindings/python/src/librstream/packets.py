# SPDX-License-Identifier: Apache-2.0
"""Packet channels, accepted from a datagram tunnel or dialed."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from librstream._capi import text
from librstream._channel import Channel
from librstream._native import NativeClient
from librstream.errors import RstreamError, RuntimeError
from librstream.tunnel import Tunnel

if TYPE_CHECKING:
    from librstream.control import ControlChannel

_Protocol = TypeVar("_Protocol", bound=asyncio.DatagramProtocol)

#: Packets that wait in Python until somebody receives them.
_BACKLOG = 64
_COUNTS = ("sent", "received", "dropped_sending", "dropped_receiving")


def _octets(data: Any) -> bytes:
    """What is no bytes-like object, a number for example, is refused with TypeError."""
    return data if type(data) is bytes else memoryview(data).tobytes()


class PacketTransport(asyncio.DatagramTransport):
    """Packets between a protocol and a packet channel of the C library.

    A packet that finds 64, or 256 KiB of them, waiting to be sent is dropped and counted;
    the protocol is told to pause then, and to resume when they have left. What is longer
    than :attr:`max_size` is refused with :meth:`asyncio.DatagramProtocol.error_received`.
    """

    def __init__(
        self, native: NativeClient, handle: int, protocol: asyncio.DatagramProtocol, extra: dict[str, Any]
    ) -> None:
        super().__init__(extra)
        self._native = native
        self._driver = native.driver
        self._library = native.driver.library
        self._handle = handle
        self._protocol: asyncio.DatagramProtocol | None = protocol
        self._peer = cast("tuple[str | Any, int]", extra.get("peername") or ("", 0))
        self._closing = False
        self._reading = False
        self._paused = False
        self._error: RstreamError | None = None
        self._counts = dict.fromkeys(_COUNTS, 0)
        callbacks = self._driver.callbacks
        self._number = callbacks.number_receiver(self)
        self._drain_number = callbacks.number_always(self._drained)
        self._library.packets_on_drain(handle, callbacks.drained, self._drain_number)
        protocol.connection_made(self)
        self.resume_reading()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._closing else 'open'} peer={self._peer[0]!r}>"

    @property
    def max_size(self) -> int:
        """How long a packet may be that is sent now."""
        return 0 if self._closing else int(self._library.packets_max_size(self._handle))

    @property
    def counts(self) -> dict[str, int]:
        """Packets ``sent``, ``received``, ``dropped_sending``, ``dropped_receiving``."""
        if not self._closing:
            for name in _COUNTS:
                self._counts[name] = self._library.packets_count(self._handle, name.encode())
        return dict(self._counts)

    # Receiving

    def pause_reading(self) -> None:
        """Leaves packets where they are: the other side has to wait, or they are lost."""
        if self._reading and not self._closing:
            self._reading = False
            self._library.packets_read_stop(self._handle)

    def resume_reading(self) -> None:
        if self._reading or self._closing:
            return
        code = self._library.packets_read_start(self._handle, self._driver.callbacks.packet, self._number)
        if code < 0:
            self._end(self._library.code_error(code, "receive packets"))
        else:
            self._reading = True
            self._driver.touch()

    def deliver(self, packet: bytes) -> None:
        """A packet has arrived."""
        if self._protocol is not None and not self._closing:
            self._protocol.datagram_received(packet, self._peer)

    def ended(self, error: RstreamError | None) -> None:
        """The other side has closed the channel, or it has broken."""
        self._reading = False
        self._end(error)

    # Sending

    def transmit(self, data: Any) -> int:
        """Sends a packet, or not: what the C library says to it."""
        if self._closing:
            return -errno.EPIPE
        packet = _octets(data)
        code = int(self._library.packets_send(self._handle, packet, len(packet), None))
        self._driver.begin_tick()
        return code

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Sends a packet; ``addr`` is not looked at: a channel has one other end."""
        code = self.transmit(data)
        if code >= 0:
            return
        if code == -errno.EAGAIN:
            self._pause()
        elif code == -errno.EMSGSIZE:
            if self._protocol is not None:
                self._protocol.error_received(OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE)))
        elif code != -errno.EPIPE:
            self.broken(code)

    def broken(self, code: int) -> None:
        """Sending has failed, and nothing comes any more."""
        self._end(self._library.code_error(code, "send a packet"))

    @property
    def is_full(self) -> bool:
        """Whether the next packet would be dropped."""
        return not self._closing and self._library.packets_queue_size(self._handle) >= _BACKLOG

    def ask_for_drain(self) -> None:
        """Has the protocol told when there is room, as if a packet had been dropped."""
        self._pause()

    def _pause(self) -> None:
        if not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_writing()

    def _drained(self) -> None:
        if self._paused and self._protocol is not None:
            self._paused = False
            self._protocol.resume_writing()

    # The end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Ends the channel when what was taken has been sent."""
        self._end(None)

    def abort(self) -> None:
        """The same as :meth:`close`."""
        self._end(None)

    def abandon(self) -> None:
        """The C loop has gone with the channel, and nobody runs what waits for it."""
        self._closing = True

    def _end(self, error: RstreamError | None) -> None:
        if self._closing:
            return
        _ = self.counts
        self._closing = True
        self._error = error
        self._driver.callbacks.forget(self._number)
        self._driver.callbacks.forget(self._drain_number)
        self._native.end_stream(self._library.packets_close, self._handle, self._connection_lost)

    def _connection_lost(self) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(cast("Exception | None", self._error))


class _Receiver(asyncio.DatagramProtocol):
    """Keeps packets for who awaits them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.packets: deque[bytes] = deque()
        self.error: BaseException | None = None
        self.is_lost = False
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: PacketTransport | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(PacketTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.append(data)
        if len(self.packets) >= _BACKLOG and self._transport is not None:
            self._transport.pause_reading()
        self._wake(self._waiters)

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.is_lost = True
        if not self.lost.done():
            self.lost.set_result(None)
        self._wake(self._waiters)
        self._wake(self._senders)

    def resume_writing(self) -> None:
        self._wake(self._senders)

    @staticmethod
    def _wake(waiters: deque[asyncio.Future[None]]) -> None:
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for_packet(self) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def wait_for_room(self) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._senders.append(waiter)
        await waiter


class PacketChannel(Channel):
    """Packets each way, each as it was sent.

    Instead of :meth:`send` and :meth:`receive` one may join it to a protocol
    (:meth:`use_protocol`), as long as nothing was sent or received.
    """

    _kind = "packet channel"

    def __init__(self, native: NativeClient, handle: int) -> None:
        library = native.driver.library
        super().__init__(native, handle, text(library.packets_peer(handle)), text(library.packets_stream_id(handle)))
        self._path = text(library.packets_path(handle))
        self._transport: PacketTransport | None = None
        self._receiver: _Receiver | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} peer={self._peer!r} id={self._id!r} path={self._path!r}>"

    @property
    def path(self) -> str:
        """What packets travel on: ``stream`` or ``quic-datagram``."""
        return self._path

    @property
    def max_size(self) -> int:
        """How long a packet may be that is sent now."""
        return self._open()[0].max_size

    @property
    def counts(self) -> dict[str, int]:
        """Packets ``sent``, ``received``, ``dropped_sending``, ``dropped_receiving``."""
        return self._open()[0].counts

    def use_protocol(self, factory: Callable[[], _Protocol]) -> tuple[PacketTransport, _Protocol]:
        """Joins the channel to a protocol of the caller's, as
        :meth:`asyncio.loop.create_datagram_endpoint` does with a socket.

        Raises:
            RuntimeError: the channel is closed or was used already.
        """
        protocol = factory()
        return self._take(protocol), protocol

    def _take(self, protocol: asyncio.DatagramProtocol) -> PacketTransport:
        self._native.driver.check_usable()
        handle = self._give_handle("use the packet channel")
        extra = {**self._extra(), "path": self._path}
        self._transport = PacketTransport(self._native, handle, protocol, extra)
        return self._transport

    def _open(self) -> tuple[PacketTransport, _Receiver]:
        if self._receiver is None:
            receiver = _Receiver(self._native.driver.loop)
            self._take(receiver)
            self._receiver = receiver
        assert self._transport is not None
        return self._transport, self._receiver

    def send_nowait(self, packet: bytes | bytearray | memoryview) -> bool:
        """Sends a packet; False when too many wait and it was dropped.

        Raises:
            OSError: ``EMSGSIZE``, it is longer than :attr:`max_size`.
            RstreamError: what has broken the channel.
        """
        transport, receiver = self._open()
        if transport.is_closing():
            raise self._end_of(receiver)
        data = _octets(packet)
        if len(data) > transport.max_size:
            raise OSError(errno.EMSGSIZE, f"a packet of {len(data)} bytes: at most {transport.max_size} can be sent")
        code = transport.transmit(data)
        if code == -errno.EPIPE:
            raise self._end_of(receiver)
        if code < 0 and code != -errno.EAGAIN:
            transport.broken(code)
            raise self._native.driver.library.code_error(code, "send a packet")
        return code >= 0

    async def send(self, packet: bytes | bytearray | memoryview) -> None:
        """Sends a packet, when there is room for it.

        Raises:
            OSError: ``EMSGSIZE``, it is longer than :attr:`max_size`.
            RstreamError: what has broken the channel.
        """
        transport, receiver = self._open()
        while not transport.is_closing() and transport.is_full:
            transport.ask_for_drain()
            await receiver.wait_for_room()
        self.send_nowait(packet)

    async def receive(self) -> bytes:
        """The next packet.

        Raises:
            EOFError: the other side has closed the channel.
            RstreamError: what has broken it; ``ERR_RSTREAM_STREAM_CLOSED`` after
                :meth:`close`.
        """
        transport, receiver = self._open()
        while not receiver.packets:
            if receiver.is_lost:
                raise self._end_of(receiver)
            await receiver.wait_for_packet()
        packet = receiver.packets.popleft()
        if len(receiver.packets) <= _BACKLOG // 2:
            transport.resume_reading()
        return packet

    def _end_of(self, receiver: _Receiver) -> BaseException:
        if receiver.error is not None:
            return receiver.error.with_traceback(None)
        if self._handle is None and self._transport is not None and self._is_closed:
            return RuntimeError("the packet channel is closed", code="ERR_RSTREAM_STREAM_CLOSED")
        return EOFError("the other side has closed the packet channel")

    def __aiter__(self) -> PacketChannel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except EOFError as end:
            raise StopAsyncIteration from end

    # The end

    _is_closed = False

    def close(self) -> None:
        """Ends the channel when what was taken has been sent."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.close()
        elif self._handle is not None:
            handle = self._give_handle("close the packet channel")
            if self._native.driver.is_usable:
                self._native.end_stream(self._native.driver.library.packets_close, handle)

    def abort(self) -> None:
        """The same as :meth:`close`."""
        self.close()

    async def wait_closed(self) -> None:
        """Waits until a channel that was closed is gone."""
        if self._receiver is not None:
            await asyncio.shield(self._receiver.lost)


class PacketTunnel(Tunnel[PacketChannel]):
    """An open tunnel that carries packets.

    Packet channels come in through :meth:`accept`, ``async for`` or
    :meth:`forward_to`, which takes the address of a UDP service.
    """

    def __init__(self, control: ControlChannel, handle: int) -> None:
        library = control._native.driver.library
        super().__init__(control, handle, library.tunnel_listen_packets, control._native.driver.callbacks.packets)

    def _wrap(self, handle: int) -> PacketChannel:
        return PacketChannel(self._native, handle)
