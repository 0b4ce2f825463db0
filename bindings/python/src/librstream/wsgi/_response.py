# SPDX-License-Identifier: Apache-2.0
"""A WSGI application answers a request, on a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType

from librstream._web.exchange import Exchange
from librstream.wsgi._bridge import Bridge
from librstream.wsgi._environ import WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
Write = Callable[[bytes], None]
StartResponse = Callable[..., Write]
WSGIApplication = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class Response:
    """What one call of an application sends."""

    def __init__(self, exchange: Exchange, bridge: Bridge) -> None:
        self._exchange = exchange
        self._bridge = bridge
        self._has_head = False

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Calls the application and sends what it returns; all but the very end.

        Raises:
            ClientDisconnected: the client has gone.
            Exception: the application's own.
        """
        pieces = app(environ, self.start)
        try:
            if isinstance(pieces, (list, tuple)) and len(pieces) == 1 and self._has_head:
                self._send(pieces[0], last=True)
                return
            for piece in pieces:
                if piece or not isinstance(piece, bytes):
                    self.write(piece)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        if not self._has_head:
            raise RuntimeError("the application has not called start_response")

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Write:
        """The application's ``start_response``."""
        try:
            if exc_info is not None and exc_info[1] is not None:
                if self._exchange.is_started:
                    raise exc_info[1].with_traceback(exc_info[2])
            elif self._has_head:
                raise RuntimeError("start_response was called already")
        finally:
            # The traceback holds this frame.
            exc_info = None
        code, _, reason = status.partition(" ")
        self._exchange.start(
            int(code),
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            reason.encode("latin-1"),
        )
        self._has_head = True
        return self.write

    def write(self, data: bytes) -> None:
        """Sends a piece of the body; waits while the client is slow."""
        self._send(data, last=False)

    def _send(self, data: bytes, *, last: bool) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"a WSGI application gives bytes, not {type(data).__name__}")
        if not self._has_head:
            raise RuntimeError("the application has not called start_response")
        self._bridge.run(self._exchange.write(data, last=last))
