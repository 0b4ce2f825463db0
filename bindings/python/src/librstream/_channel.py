# SPDX-License-Identifier: Apache-2.0
"""What byte streams and packet channels have in common: a handle of the C library that something takes over, once."""

from __future__ import annotations

from typing import Any, ClassVar

from librstream._context import Leaving
from librstream._native import NativeClient
from librstream.errors import RuntimeError


class Channel(Leaving):
    """A byte stream or a packet channel."""

    #: What it is called in errors.
    _kind: ClassVar[str]

    def __init__(self, native: NativeClient, handle: int, peer: str, id: str) -> None:
        self._native = native
        self._handle: int | None = handle
        self._peer = peer
        self._id = id

    @property
    def peer(self) -> str:
        """Address of the remote end as the engine reported it, "" when unknown."""
        return self._peer

    @property
    def id(self) -> str:
        """The engine's id of the stream, "" when unknown."""
        return self._id

    def _give_handle(self, attempt: str) -> int:
        handle, self._handle = self._handle, None
        if handle is None:
            raise RuntimeError(f"{attempt}: the {self._kind} is closed or in use", code="ERR_RSTREAM_STREAM_CLOSED")
        return handle

    def _extra(self) -> dict[str, Any]:
        """What a transport knows of the channel."""
        return {"peername": (self._peer, 0) if self._peer else None, "stream_id": self._id}

    def close(self) -> None:
        raise NotImplementedError

    async def wait_closed(self) -> None:
        raise NotImplementedError

    async def _leave(self) -> None:
        self.close()
        await self.wait_closed()
