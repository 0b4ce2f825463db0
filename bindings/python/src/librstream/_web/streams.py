# SPDX-License-Identifier: Apache-2.0
"""What the web helpers need of tunnels and streams."""

from __future__ import annotations

from typing import Protocol

from librstream.errors import RstreamError

#: What reading from and writing to a stream raises when it has broken.
BROKEN = (OSError, EOFError, RstreamError)


class ClientDisconnected(ConnectionError):
    """The client of a request has gone; raised by what an application sends."""


class Stream(Protocol):
    """The part of :class:`librstream.RstreamStream` that carries HTTP."""

    @property
    def peer(self) -> str: ...

    async def read(self, n: int = -1) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def write_eof(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    async def wait_closed(self) -> None: ...
