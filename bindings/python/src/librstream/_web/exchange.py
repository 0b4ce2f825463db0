# SPDX-License-Identifier: Apache-2.0
"""One request and its response."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import h11

from librstream._web.answers import Headers, date, error_answer, phrase
from librstream._web.streams import BROKEN, ClientDisconnected

if TYPE_CHECKING:
    from librstream._web.connection import Connection

#: Body bytes that one read hands on at most, joined from smaller pieces.
_PIECE_SIZE = 64 * 1024
#: Requests of a pipelining client that wait, bytes; more are not read meanwhile.
_AHEAD_SIZE = 64 * 1024
_NO_BODY = (204, 304)


class _TooLarge(Exception):
    """A body of more than max_body_size."""


class Exchange:
    """A request as it came and the way to answer it.

    Attributes:
        method: as sent, for example "GET".
        raw_path: the target's path as sent, percent-encoded; b"*" for the server.
        query: what follows the first question mark, b"" when there is none.
        headers: names in lower case, in the order in which they came.
        http_version: "1.0" or "1.1".
    """

    def __init__(self, connection: Connection, request: h11.Request) -> None:
        self.connection = connection
        self._http = connection.http
        self.request = request
        self.method = request.method.decode("ascii")
        self.raw_path, self.query = _split_target(request.target)
        self.headers: Headers = list(request.headers)
        self.http_version = "1.0" if request.http_version == b"1.0" else "1.1"
        self._received = 0
        self._body_ended = False
        self._gone = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._head: h11.Response | None = None
        self._started = False
        self._completed = False

    @property
    def path(self) -> bytes:
        """The path without its percent-encoding."""
        return unquote_to_bytes(self.raw_path)

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header field, by its name in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def upgrade(self) -> bytes | None:
        """What the client wants to speak from here on, in lower case."""
        tokens = (
            token.strip().lower() for key, value in self.headers if key == b"connection" for token in value.split(b",")
        )
        if self.http_version == "1.0" or b"upgrade" not in tokens:
            return None
        value = self.header(b"upgrade")
        return None if value is None else value.strip().lower()

    async def is_refused(self) -> bool:
        """Answers a request that no application is to see."""
        limit = self.connection.limits.max_body_size
        length = self.header(b"content-length")
        if not self.request.http_version.startswith(b"1."):
            await self.fail(505)
        elif self.method == "CONNECT":
            await self.fail(501, "CONNECT is not for this server")
        elif limit is not None and length is not None and int(length) > limit:
            await self.fail(413, f"the body has more than {limit} bytes")
        else:
            return False
        return True

    # The request's body

    async def read(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether more follows.

        Raises:
            ClientDisconnected: the body does not come to its end.
        """
        async with self._reading:
            answer: tuple[int, str]
            try:
                async with asyncio.timeout(self.connection.limits.read_timeout):
                    return await self._read_piece()
            except _TooLarge as error:
                answer = (413, str(error))
            except TimeoutError:
                answer = (408, "the body did not come in time")
            except h11.RemoteProtocolError as error:
                answer = (error.error_status_hint, str(error))
            except BROKEN as error:
                self._gone.set()
                raise ClientDisconnected("the client has gone") from error
            self._gone.set()
            await self.fail(*answer)
            raise ClientDisconnected(f"the request was answered with {answer[0]}: {answer[1]}")

    async def _read_piece(self) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        size = 0
        while not self._body_ended and size < _PIECE_SIZE:
            if self._gone.is_set():
                raise ClientDisconnected("the request is over")
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                size += len(event.data)
                self._count(len(event.data))
            elif event is h11.NEED_DATA:
                if pieces:
                    break
                if self._http.they_are_waiting_for_100_continue:
                    await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
                await self.connection.fill()
            else:
                self._body_ended = True
        return b"".join(pieces), not self._body_ended

    def _count(self, size: int) -> None:
        limit = self.connection.limits.max_body_size
        self._received += size
        if limit is not None and self._received > limit:
            raise _TooLarge(f"the body has more than {limit} bytes")

    # Its client

    async def wait_disconnect(self) -> None:
        """Waits until the client has gone or the exchange is over; once the body
        was read."""
        if self._watcher is None and not self._gone.is_set():
            self._watcher = asyncio.create_task(self._watch())
        await self._gone.wait()

    async def _watch(self) -> None:
        with contextlib.suppress(*BROKEN):
            while True:
                ahead, closed = self._http.trailing_data
                if closed:
                    break
                if len(ahead) > _AHEAD_SIZE:
                    return
                await self.connection.fill()
        self._gone.set()

    # The response

    @property
    def is_started(self) -> bool:
        """Whether the client may have seen some of the response."""
        return self._started

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing more to send."""
        return self._completed

    def start(self, status: int, headers: Headers, reason: bytes | None = None) -> None:
        """Says what the response's head is to be; it goes out with what follows.

        Raises:
            ClientDisconnected: the client has gone.
            RuntimeError: there is one already that has gone out, or no such head can.
        """
        if self._started:
            self._check_client()
            raise RuntimeError("the response has begun already")
        added = list(headers)
        if not any(name.lower() == b"date" for name, _ in headers):
            added.append((b"date", date()))
        try:
            self._head = h11.Response(
                status_code=status,
                headers=added,
                reason=phrase(status) if reason is None else reason,
            )
        except h11.LocalProtocolError as error:
            raise RuntimeError(f"no such response can be sent: {error}") from error

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Sends a piece of the response's body; waits while the client is slow.

        Raises:
            ClientDisconnected: it has gone.
            RuntimeError: the response is not begun, complete, or not as announced.
        """
        if self._completed:
            self._check_client()
            raise RuntimeError("the response is complete already")
        events: list[h11.Event] = []
        if not self._started:
            events.append(self._final_head(data if last else None))
        if data and not self._has_no_body():
            events.append(h11.Data(data=data))
        if last:
            events.append(h11.EndOfMessage())
        self._started = True
        self._completed = last
        try:
            await self._send(*events)
        except BaseException:
            self._completed = False
            raise

    def _check_client(self) -> None:
        if self._gone.is_set():
            raise ClientDisconnected("the client has gone")

    def _has_no_body(self) -> bool:
        head = self._head
        return self.method == "HEAD" or (head is not None and head.status_code in _NO_BODY)

    def _final_head(self, whole: bytes | None) -> h11.Response:
        head = self._head
        if head is None:
            raise RuntimeError("the response has no head yet")
        added: Headers = []
        framing = (b"content-length", b"transfer-encoding")
        if whole is not None and not self._has_no_body() and not any(name in framing for name, _ in head.headers):
            added.append((b"content-length", b"%d" % len(whole)))
        # Whether a body follows that was not asked for is the client's choice.
        if self.connection.draining or self._http.they_are_waiting_for_100_continue:
            added.append((b"connection", b"close"))
        if not added:
            return head
        return h11.Response(
            status_code=head.status_code,
            headers=head.headers.raw_items() + added,
            reason=head.reason,
        )

    async def fail(self, status: int, detail: str = "") -> None:
        """Answers in the application's place if nothing was answered yet, and ends
        the connection with that."""
        if self._started:
            return
        self._started = self._completed = True
        self.connection.linger()
        is_head = self.method == "HEAD"
        with contextlib.suppress(ClientDisconnected):
            await self._send(*error_answer(status, detail, is_head=is_head))

    async def _send(self, *events: h11.Event) -> None:
        try:
            await self.connection.send(*events)
        except h11.LocalProtocolError as error:
            raise RuntimeError(f"no such response can be sent: {error}") from error
        except ClientDisconnected:
            self._gone.set()
            raise

    # The end

    def take_over(self) -> bytes:
        """Leaves the stream to the caller; what was read from it already."""
        if self._watcher is not None:
            self._watcher.cancel()
        self._started = self._completed = True
        return self._http.trailing_data[0]

    def finish(self) -> None:
        """The application has ended."""
        self._gone.set()
        if self._watcher is not None:
            self._watcher.cancel()


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target in origin or absolute form."""
    scheme, colon, rest = target.partition(b"://")
    if colon and scheme.isalpha():
        slash = rest.find(b"/")
        mark = rest.find(b"?")
        if slash < 0 or 0 <= mark < slash:
            target = b"/" + (rest[mark:] if mark >= 0 else b"")
        else:
            target = rest[slash:]
    path, _, query = target.partition(b"?")
    return path, query
