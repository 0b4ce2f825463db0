# SPDX-License-Identifier: Apache-2.0
"""The asyncio.StreamReader of a stream and its protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

#: Bytes that were not read yet are joined with newly received ones up to this size.
_JOINED = 64 * 1024


class ChunkReader(asyncio.StreamReader):
    """A stream reader that hands out what it received, or slices of it.

    What was received last is kept as it came, and lines are cut from it without
    waiting; the base class moves all bytes of its buffer for each line. What does not
    come out of the chunk at once goes the way of the base class, through its buffer.
    """

    if TYPE_CHECKING:
        # What the base class keeps, the same from Python 3.8 to this day.
        _buffer: bytearray
        _eof: bool
        _exception: BaseException | None
        _limit: int
        _waiter: asyncio.Future[None] | None

        def _wakeup_waiter(self) -> None: ...
        def _maybe_resume_transport(self) -> None: ...
        async def _wait_for_data(self, func_name: str) -> None: ...

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self._chunk = b""
        #: How much of the chunk was read.
        self._begin = 0
        self._takes_chunks = False

    def feed_data(self, data: Any) -> None:
        if not self._buffer and (self._takes_chunks or self._waiter is None):
            left = len(self._chunk) - self._begin
            if left + len(data) <= _JOINED or not left:
                self._chunk = self._chunk[self._begin :] + data if left else data
                self._begin = 0
                self._wakeup_waiter()
                return
        self._spill()
        super().feed_data(data)

    def _spill(self) -> None:
        """Puts the chunk where the base class looks."""
        if self._chunk:
            # It is older than what the buffer has: that is filled when there is no chunk.
            self._buffer[:0] = self._chunk[self._begin :] if self._begin else self._chunk
            self._chunk = b""
            self._begin = 0

    def _load(self) -> None:
        """Takes the buffer as the chunk, when there is none."""
        if self._buffer and not self._chunk:
            self._chunk = bytes(self._buffer)
            self._buffer.clear()
            self._maybe_resume_transport()

    def _cut(self, end: int) -> bytes:
        begin, chunk = self._begin, self._chunk
        if end == len(chunk):
            self._chunk = b""
            self._begin = 0
            return chunk[begin:] if begin else chunk
        self._begin = end
        return chunk[begin:end]

    def at_eof(self) -> bool:
        return not self._chunk and super().at_eof()

    async def read(self, n: int = -1) -> bytes:
        if n <= 0 or self._exception is not None:
            self._spill()
            return await super().read(n)
        if not self._chunk:
            if not (self._buffer or self._eof):
                self._takes_chunks = True
                try:
                    await self._wait_for_data("read")
                finally:
                    self._takes_chunks = False
            self._load()
            if not self._chunk:
                return await super().read(n)
        return self._cut(min(self._begin + n, len(self._chunk)))

    async def readline(self) -> bytes:
        if not self._chunk:
            self._load()
        begin, chunk = self._begin, self._chunk
        end = chunk.find(b"\n", begin) + 1
        if 0 < end <= begin + self._limit and self._exception is None:
            # As _cut() does it; here a call would be seen in the time.
            if end == len(chunk):
                self._chunk = b""
                self._begin = 0
            else:
                self._begin = end
            return chunk[begin:end]
        self._spill()
        return await super().readline()

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        self._spill()
        return await super().readuntil(separator)

    async def readexactly(self, n: int) -> bytes:
        self._load()
        end = self._begin + n
        if 0 < n and end <= len(self._chunk) and self._exception is None:
            return self._cut(end)
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
