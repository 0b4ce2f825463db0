# SPDX-License-Identifier: Apache-2.0
"""The asyncio.StreamReader of a stream and its protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any


class ChunkReader(asyncio.StreamReader):
    """A stream reader with a place for one chunk beside its buffer.

    Who reads with ``read(n)`` as fast as bytes arrive gets them as they arrived.
    Everything else goes through the buffer of the base class, into which the chunk is
    put when it is in the way.
    """

    if TYPE_CHECKING:
        # What the base class keeps, the same from Python 3.8 to this day.
        _buffer: bytearray
        _eof: bool
        _exception: BaseException | None
        _waiter: asyncio.Future[None] | None

        def _wakeup_waiter(self) -> None: ...
        async def _wait_for_data(self, func_name: str) -> None: ...

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self._chunk: bytes | None = None
        self._takes_chunks = False

    def feed_data(self, data: Any) -> None:
        if self._chunk is not None:
            self._spill()
        elif not self._buffer and (self._takes_chunks or self._waiter is None):
            self._chunk = data
            self._wakeup_waiter()
            return
        super().feed_data(data)

    def _spill(self) -> None:
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            self._buffer.extend(chunk)

    def at_eof(self) -> bool:
        return self._chunk is None and super().at_eof()

    async def read(self, n: int = -1) -> bytes:
        if n > 0 and self._chunk is None and not (self._buffer or self._eof):
            if self._exception is not None:
                raise self._exception
            self._takes_chunks = True
            try:
                await self._wait_for_data("read")
            finally:
                self._takes_chunks = False
        chunk = self._chunk
        if chunk is not None:
            if n >= len(chunk) and self._exception is None:
                self._chunk = None
                return chunk
            self._spill()
        return await super().read(n)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        self._spill()
        return await super().readuntil(separator)

    async def readexactly(self, n: int) -> bytes:
        if self._chunk is not None and len(self._chunk) == n:
            if self._exception is None:
                chunk, self._chunk = self._chunk, None
                return chunk
        self._spill()
        return await super().readexactly(n)


class ReaderProtocol(asyncio.StreamReaderProtocol):
    """Keeps its reader, and so the task that waits there, while the stream is open.

    The base class does not: a task that nobody else refers to would be collected in
    the middle of its work.
    """

    def __init__(self, reader: ChunkReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._kept: ChunkReader | None = reader

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._kept = None
