# SPDX-License-Identifier: Apache-2.0
"""A client of the C library and what is open below it."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from librstream._config import ClientOptions, native_config
from librstream._driver import Driver
from librstream.errors import RuntimeError


class NativeClient:
    """A ``rstream_client``.

    C takes a client's streams away when the client closes. Streams are to outlive
    a :class:`librstream.Client`, so this one closes after the last of them.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.driver = Driver.current()
        library = self.driver.library
        out = ctypes.c_void_p()
        with native_config(library, options) as config:
            library.checked(
                "make a client",
                library.client_new,
                self.driver.handle,
                config,
                ctypes.byref(out),
            )
        self._handle = out.value or 0
        self.driver.acquire()
        self._streams = 0
        self._controls = 0
        self._questions = 0
        self._watches = 0
        self._leaving = False
        self._ended = False

    @property
    def is_usable(self) -> bool:
        return not self._leaving and self.driver.is_usable

    async def connect(self) -> int:
        """A new ``rstream_control``."""
        library = self.driver.library
        self._controls += 1
        try:
            return await self.driver.result(
                "connect",
                library.client_connect,
                self._handle,
                discard=library.control_close,
            )
        except BaseException:
            self._controls -= 1
            self._end_when_unused()
            raise

    def end_control(self, handle: int) -> asyncio.Future[None]:
        """Closes a control channel in an orderly way."""

        def ended() -> None:
            self._controls -= 1
            self._end_when_unused()

        return self.driver.end(self.driver.library.control_close, handle, ended)

    async def dial(self, tunnel: str) -> int:
        """A new ``rstream_stream``, to be ended with end_stream."""
        library = self.driver.library
        return await self._dial(library.client_dial, library.stream_reset, tunnel)

    async def dial_packets(self, tunnel: str) -> int:
        """A new ``rstream_packets``, to be ended with end_stream."""
        library = self.driver.library
        return await self._dial(library.client_dial_packets, library.packets_close, tunnel)

    async def _dial(self, function: Callable[..., int], discard: Callable[..., int], tunnel: str) -> int:
        self._streams += 1
        try:
            return await self.driver.result("dial", function, self._handle, tunnel.encode(), discard=discard)
        except BaseException:
            self._stream_gone()
            raise

    async def ask(self, attempt: str, function: Callable[..., int], *arguments: object) -> bytes:
        """What an engine lists, as JSON."""
        library = self.driver.library
        self._questions += 1
        try:
            inventory = await self.driver.result(
                attempt,
                function,
                self._handle,
                *arguments,
                discard=lambda handle, *_: library.inventory_free(handle),
            )
            try:
                return library.inventory_json(inventory) or b"null"
            finally:
                library.inventory_free(inventory)
        finally:
            self._questions -= 1
            self._end_when_unused()

    async def check(self, what: str) -> None:
        """How the engine is; raises when it is not."""
        library = self.driver.library
        self._questions += 1
        try:
            await self.driver.result(f"check {what}", library.client_check, self._handle, what.encode(), discard=None)
        finally:
            self._questions -= 1
            self._end_when_unused()

    def watch(self, tunnels: int | None, clients: int | None, flags: int, number: int) -> int:
        """A new ``rstream_watch``, to be ended with end_watch."""
        library = self.driver.library
        out = ctypes.c_void_p()
        started = (self._handle, tunnels, clients, flags, ctypes.byref(out), self.driver.callbacks.happened, number)
        library.check(library.client_watch(*started), "watch")
        self._watches += 1
        return out.value or 0

    def end_watch(self, handle: int) -> asyncio.Future[None]:
        def ended() -> None:
            self._watches -= 1
            self._end_when_unused()

        return self.driver.end(self.driver.library.watch_close, handle, ended)

    def stream_came(self) -> None:
        """A stream was accepted, to be ended with end_stream or stream_left."""
        self._streams += 1

    def stream_left(self) -> None:
        """A stream's handle was given away."""
        self._stream_gone()

    def end_stream(
        self,
        how: Callable[..., int],
        handle: int,
        done: Callable[[], None] | None = None,
    ) -> asyncio.Future[None]:
        """Ends a stream by ``rstream_stream_close`` or ``rstream_stream_reset``."""

        def ended() -> None:
            self._stream_gone()
            if done is not None:
                done()

        return self.driver.end(how, handle, ended)

    def _stream_gone(self) -> None:
        self._streams -= 1
        self._end_when_unused()

    def leave(self) -> None:
        """Nothing new is started; ends when nothing is open any more."""
        self._leaving = True
        self._end_when_unused()

    def _end_when_unused(self) -> None:
        in_use = self._streams or self._controls or self._questions or self._watches
        if self._leaving and not self._ended and not in_use:
            self._ended = True
            self.driver.end(self.driver.library.client_close, self._handle, self.driver.release)

    def check_usable(self) -> None:
        if self._leaving:
            raise RuntimeError("the client is closed", code="ERR_RSTREAM_CLIENT_CLOSED")
        self.driver.check_loop()
