# SPDX-License-Identifier: Apache-2.0
"""Byte streams, accepted from a tunnel or dialed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from librstream._capi import text
from librstream._channel import Channel
from librstream._native import NativeClient
from librstream._reader import ChunkReader, ReaderProtocol
from librstream._transport import Data, StreamTransport
from librstream.errors import RstreamError

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)

#: Half of what a reader holds before the sender has to wait, and the longest line.
_READER_LIMIT = 256 * 1024


class RstreamStream(Channel):
    """A byte stream each way, with half close.

    It reads and writes like the :class:`asyncio.StreamReader` and
    :class:`asyncio.StreamWriter` that it is made of, ``reader`` and ``writer``.
    Instead of these, one may take its socket (:meth:`into_socket`) or join it to a
    protocol (:meth:`use_protocol`), as long as nothing was read or written.

    Methods that read or write raise :class:`librstream.RstreamError` when the stream
    has broken: a :class:`ConnectionResetError` when the other side did not end it in
    an orderly way.
    """

    _kind = "stream"

    def __init__(self, native: NativeClient, handle: int) -> None:
        library = native.driver.library
        super().__init__(native, handle, text(library.stream_peer(handle)), text(library.stream_id(handle)))
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._transport: StreamTransport | None = None
        self._ended: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} peer={self._peer!r} id={self._id!r}>"

    @property
    def reader(self) -> asyncio.StreamReader:
        """What the other side sends."""
        if self._reader is None:
            self._open()
            assert self._reader is not None
        return self._reader

    @property
    def writer(self) -> asyncio.StreamWriter:
        """What the other side gets."""
        self._open()
        assert self._writer is not None
        return self._writer

    def _open(self) -> None:
        if self._writer is not None:
            return
        loop = self._native.driver.loop
        reader = ChunkReader(_READER_LIMIT, loop)
        protocol = ReaderProtocol(reader, loop)
        transport = self._take(protocol)
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    def _take(self, protocol: asyncio.BaseProtocol) -> StreamTransport:
        self._native.driver.check_usable()
        handle = self._give_handle("use the stream")
        self._transport = StreamTransport(self._native, handle, protocol, self._extra())
        return self._transport

    def use_protocol(self, factory: Callable[[], _Protocol]) -> tuple[StreamTransport, _Protocol]:
        """Joins the stream to a protocol of the caller's, as
        :meth:`asyncio.loop.create_connection` does with a socket.

        Raises:
            RuntimeError: the stream is closed or was used already.
        """
        protocol = factory()
        return self._take(protocol), protocol

    def into_socket(self) -> socket.socket:
        """The stream as a connected, non-blocking socket, for code that knows sockets
        only. The asyncio loop carries its bytes: it has to go on running, and code
        that blocks has to use the socket from another thread. It ends with the client.

        Raises:
            RuntimeError: the stream is closed or was used already.
            OSError: there are too many open files.
        """
        driver = self._native.driver
        driver.check_usable()
        handle = self._give_handle("turn the stream into a socket")
        descriptor = ctypes.c_int(-1)
        code = driver.library.stream_into_fd(handle, ctypes.byref(descriptor))
        if code < 0:
            self._handle = handle
            raise driver.library.code_error(code, "turn the stream into a socket")
        self._native.stream_left()
        driver.touch()
        connected = socket.socket(fileno=descriptor.value)
        connected.setblocking(False)
        return connected

    async def read(self, n: int = -1) -> bytes:
        """Up to ``n`` bytes, as soon as there are any; b"" at the end of the stream.
        With -1 everything up to the end."""
        return await self.reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        """Exactly ``n`` bytes.

        Raises:
            asyncio.IncompleteReadError: the stream has ended before.
        """
        return await self.reader.readexactly(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Everything up to and including ``separator``, of at most 256 KiB.

        Raises:
            asyncio.IncompleteReadError: the stream has ended before.
            asyncio.LimitOverrunError: the separator does not come.
        """
        return await self.reader.readuntil(separator)

    async def readline(self) -> bytes:
        """A line with its end; without one at the end of the stream."""
        return await self.reader.readline()

    def at_eof(self) -> bool:
        """Whether the other side has ended its direction and all of it was read."""
        return self.reader.at_eof()

    def write(self, data: Data) -> None:
        """Writes bytes; await :meth:`drain` before writing much more."""
        # The writer does no more than this.
        (self._transport or self.writer.transport).write(data)

    def writelines(self, data: Iterable[Data]) -> None:
        """Writes several pieces at once."""
        self.writer.writelines(data)

    async def drain(self) -> None:
        """Waits until the other side has taken enough of what was written."""
        transport = self._transport
        if transport is None or not transport.takes_more:
            await self.writer.drain()
        elif transport.owes_turn():
            await asyncio.sleep(0)

    def can_write_eof(self) -> bool:
        """True: the own direction can end while the other one goes on."""
        return True

    def write_eof(self) -> None:
        """Ends the own direction after what was written; reading may go on."""
        self.writer.write_eof()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername``, a pair of :attr:`peer` and 0, or ``stream_id``."""
        return self.writer.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the stream is closed or being closed."""
        if self._transport is not None:
            return self._transport.is_closing()
        return self._handle is None

    def close(self) -> None:
        """Ends the stream when what was written has been sent; what still arrives is
        dropped."""
        if self._transport is not None:
            self._transport.close()
        elif self._handle is not None:
            self._end(self._native.driver.library.stream_close)

    def abort(self) -> None:
        """Ends the stream at once; the other side sees a reset."""
        if self._transport is not None:
            self._transport.abort()
        elif self._handle is not None:
            self._end(self._native.driver.library.stream_reset)

    def _end(self, how: Callable[..., int]) -> None:
        handle = self._give_handle("close the stream")
        self._ended = self._native.end_stream(how, handle)

    async def wait_closed(self) -> None:
        """Waits until the stream has ended; call :meth:`close` first."""
        if self._writer is not None:
            with contextlib.suppress(ConnectionError, RstreamError):
                await self._writer.wait_closed()
        elif self._ended is not None:
            await asyncio.shield(self._ended)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            if self._native.driver.is_usable:
                self.close()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
