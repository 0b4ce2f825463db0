# SPDX-License-Identifier: Apache-2.0
"""From a worker thread to the loop that the stream belongs to, and back."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, TypeVar

from librstream._web.exchange import Exchange
from librstream._web.streams import ClientDisconnected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_T = TypeVar("_T")


class Bridge:
    """Runs coroutines on the loop for a thread that waits for their results."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._closed = False

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """The coroutine's result; called by threads other than the loop's.

        Raises:
            ClientDisconnected: the server has given the request up.
        """
        with self._lock:
            if self._closed:
                coroutine.close()
                raise ClientDisconnected("the server has ended the request")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise ClientDisconnected("the server has ended the request") from None
        finally:
            with self._lock:
                self._waiting.discard(future)

    def close(self) -> None:
        """Gives up: no thread waits any more, and none will."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()


class RequestBody(io.RawIOBase):
    """A request's body as a file, read from the client as the application reads."""

    def __init__(self, exchange: Exchange, bridge: Bridge) -> None:
        super().__init__()
        self._exchange = exchange
        self._bridge = bridge
        self._piece = memoryview(b"")
        self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._piece and self._more:
            piece, self._more = self._bridge.run(self._exchange.read())
            self._piece = memoryview(piece)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._piece))
        target[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size
