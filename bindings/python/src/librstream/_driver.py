# SPDX-License-Identifier: Apache-2.0
"""A librstream loop that is driven by an asyncio loop.

The C library waits for nothing by itself: its loop has a descriptor that becomes
readable when there is something to do and a time after which there is something
to do anyhow. asyncio watches the one and keeps the other, and every turn of the C
loop runs on the asyncio loop's own thread.

What C calls back are a few functions that each driver makes once and keeps; the
``data`` of a call is a number that finds the Python side of it. A number that is
not known any more is ignored, so nothing that C still has to say can reach an
object that has gone.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from librstream import _capi
from librstream._callbacks import Callbacks
from librstream.errors import RstreamError, RuntimeError

if TYPE_CHECKING:
    from librstream._transport import StreamTransport

#: Turns without waiting before other work of the asyncio loop has its chance.
_TURNS = 8
#: How long the end of the interpreter, or of a forgotten loop, may take, in seconds.
_FINISH_SECONDS = 2.0

_NO_PLAIN = _capi.PlainCallback()


class Driver:
    """One C loop on one asyncio loop, shared by everything there.

    It lives as long as someone holds it (:meth:`acquire`, :meth:`release`); the C
    loop then closes in the background.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        library = _capi.library()
        self.library = library
        self.loop = loop
        self.callbacks = Callbacks(library, _Reporter(weakref.ref(self)))
        self.handle = library.new("make a loop", library.loop_new)
        self._run = library.loop_run_nowait
        self._timeout = library.loop_timeout
        # asyncio gets a descriptor of its own: it must not watch a number that
        # means something else once the C loop is gone.
        self._descriptor = os.dup(library.check(library.loop_fd(self.handle), "loop"))
        self._thread = threading.get_ident()
        # Only there do exceptions of signal handlers come up.
        self._is_main = threading.current_thread() is threading.main_thread()
        self._users = 0
        self._turning = False
        self._closing = False
        self._closed = False
        self._close_number = 0
        self._halted = False
        #: Counts the times that asyncio has looked for events after a write.
        self.tick = 0
        self._ticking = False
        self.corked: list[StreamTransport] = []
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._interrupt: BaseException | None = None
        # Shared by all writes: a stream does not hold on to what it wrote last.
        self.buffer = _capi.Buffer()
        self.buffer_address = ctypes.addressof(self.buffer)
        self.bytes_buffer = _capi.BytesBuffer()
        self.bytes_buffer_address = ctypes.addressof(self.bytes_buffer)
        loop.add_reader(self._descriptor, self._turn)
        _alive.add(self)

    @classmethod
    def current(cls) -> Driver:
        """The driver of the running asyncio loop."""
        loop = asyncio.get_running_loop()
        known = _by_loop.get(loop)
        driver = known() if known is not None else None
        if driver is None or driver._closing:
            driver = cls(loop)
            _by_loop[loop] = weakref.ref(driver)
        return driver

    def acquire(self) -> None:
        self._users += 1

    def release(self) -> None:
        self._users -= 1
        if self._users == 0 and not self.loop.is_closed():
            self.loop.call_soon(self._close_unused)

    @property
    def is_usable(self) -> bool:
        """Whether the C loop still runs."""
        return not (self._closing or self._halted or self.loop.is_closed())

    def check_loop(self) -> None:
        """Refuses calls from another asyncio loop than the one it runs on, or after it."""
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                "this object belongs to another event loop",
                code="ERR_RSTREAM_WRONG_THREAD",
            )
        self.check_usable()

    def check_usable(self) -> None:
        """Refuses calls when the C loop has gone, and with it everything on it."""
        if not self.is_usable:
            raise RuntimeError("the event loop is closed", code="ERR_RSTREAM_LOOP_CLOSED")

    # Turns

    def touch(self) -> None:
        """To be called after everything that starts something in C."""
        if not self._turning and self._soon is None and not self.loop.is_closed():
            self._soon = self.loop.call_soon(self._turn)

    def begin_tick(self) -> None:
        """Something was written: what else is written before the asyncio loop looks
        for events again goes out together."""
        if not self._ticking:
            self._ticking = True
            self.loop.call_soon(self._end_tick)

    def _end_tick(self) -> None:
        self._ticking = False
        self.tick += 1
        if self.corked:
            corked, self.corked = self.corked, []
            for transport in corked:
                transport.uncork()
        # Writes seldom leave the C loop anything to do.
        if not (self._closed or self._halted) and self._timeout(self.handle) == 0:
            self._turn()

    def _turn(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        wait = 0
        # First this, then the question: finish() does the two in the other order.
        self._turning = True
        if self._is_main:
            hook, sys.unraisablehook = sys.unraisablehook, self._catch
        try:
            if self._halted or self._closed:
                return
            for _ in range(_TURNS):
                self._run(self.handle)
                if self._closed or self._interrupt is not None:
                    break
                wait = self._timeout(self.handle)
                if wait != 0:
                    break
        finally:
            self._turning = False
            if self._is_main:
                sys.unraisablehook = hook
        if self._interrupt is not None:
            interrupt, self._interrupt = self._interrupt, None
            self.touch()
            raise interrupt
        if self._closed:
            self._unwatch()
        elif wait == 0:
            self._soon = self.loop.call_soon(self._turn)
        elif wait > 0:
            self._wake_after(wait / 1000)

    def _catch(self, raised: sys.UnraisableHookArgs) -> None:
        if not self.callbacks.catch(raised):
            sys.__unraisablehook__(raised)

    def _wake_after(self, seconds: float) -> None:
        when = self.loop.time() + seconds
        if self._timer is not None:
            # Too early does no harm; a timer for every turn would.
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._turn()

    def report(self, error: BaseException) -> None:
        """An exception in a callback, which must not reach C."""
        if isinstance(error, Exception):
            self.loop.call_exception_handler({"message": "exception in a callback of librstream", "exception": error})
        else:
            # KeyboardInterrupt and the like go on once C has returned.
            self._interrupt = error

    # Operations

    async def result(
        self,
        attempt: str,
        function: Callable[..., int],
        *arguments: Any,
        discard: Callable[..., int] | None,
        has_error: bool = False,
    ) -> int:
        """Starts an operation whose callback gets a handle or an error.

        ``discard`` ends a handle that nobody waits for any more; None when the callback
        gets no handle. ``has_error``: the function's last argument is a
        ``rstream_error **``.
        """
        future: asyncio.Future[int] = self.loop.create_future()

        def done(handle: int | None, error: RstreamError | None) -> None:
            if future.done():
                if handle and discard is not None:
                    discard(handle, _NO_PLAIN, None)
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(handle or 0)

        number = self.callbacks.number_once(done)
        try:
            callback = self.callbacks.answered if discard is None else self.callbacks.result
            started = (*arguments, callback, number)
            if has_error:
                self.library.checked(attempt, function, *started)
            else:
                self.library.check(function(*started), attempt)
        except BaseException:
            self.callbacks.forget(number)
            raise
        self.touch()
        return await future

    def end(
        self,
        function: Callable[..., int],
        handle: int,
        done: Callable[[], None] | None = None,
    ) -> asyncio.Future[None]:
        """Closes an object of the C library; ``done`` is called when it is gone."""
        future: asyncio.Future[None] = self.loop.create_future()
        if self._halted or self.loop.is_closed():
            # What drives C has gone, and everything has ended with it.
            future.set_result(None)
            return future

        def ended() -> None:
            if done is not None:
                done()
            if not future.done():
                future.set_result(None)

        number = self.callbacks.number_once(ended)
        if function(handle, self.callbacks.plain, number) < 0:
            # It is gone already, with what it belonged to.
            self.callbacks.forget(number)
            self.loop.call_soon(ended)
        self.touch()
        return future

    # The end

    def _close_unused(self) -> None:
        if self._users == 0 and not self._closing and not self._halted:
            self._closing = True
            self._post_close()
            self.touch()

    def _post_close(self) -> None:
        """Closes the C loop from inside it: from outside the call would wait."""
        number = self.callbacks.number_once(self._close_inside)
        self.library.loop_post(self.handle, self.callbacks.plain, number)

    def _close_inside(self) -> None:
        self._close_number = self.callbacks.number_once(self._loop_closed)
        self.library.loop_close(self.handle, self.callbacks.plain, self._close_number)

    def _loop_closed(self) -> None:
        self._closed = True

    def _unwatch(self) -> None:
        if not self.loop.is_closed():
            self.loop.remove_reader(self._descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        os.close(self._descriptor)

    def finish(self) -> None:
        """Ends a C loop that asyncio drives no more: its asyncio loop was closed,
        or the interpreter is about to end."""
        if self._closed or self._halted:
            return
        self._halted = True
        deadline = time.monotonic() + _FINISH_SECONDS
        if self._thread != threading.get_ident():
            # Not ours to end; but from here on it enters C no more.
            while self._turning and time.monotonic() < deadline:
                time.sleep(0.001)
            return
        if self._turning:
            return
        self.callbacks.forget_all()
        if self._close_number:
            self.callbacks.once[self._close_number] = self._loop_closed
        else:
            self._post_close()
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        while not self._closed and (left := deadline - time.monotonic()) > 0:
            wait = self._timeout(self.handle)
            limit = left * 1000
            poller.poll(limit if wait < 0 else min(wait, limit))
            self._run(self.handle)
        os.close(self._descriptor)
        if not self._closed:
            # The C functions stay: the library knows their addresses.
            _abandoned.append(self.callbacks)

    def abandon(self) -> None:
        """Leaves the C loop as it is and never calls it again."""
        self._halted = True
        self.callbacks.forget_all()
        _abandoned.append(self.callbacks)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.finish()


class _Reporter:
    """Where exceptions of callbacks go, without keeping the driver alive."""

    def __init__(self, driver: weakref.ref[Driver]) -> None:
        self._driver = driver

    def __call__(self, error: BaseException) -> None:
        driver = self._driver()
        if driver is not None and not driver.loop.is_closed():
            with contextlib.suppress(Exception):
                driver.report(error)


_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Driver]] = weakref.WeakKeyDictionary()
_alive: weakref.WeakSet[Driver] = weakref.WeakSet()
_abandoned: list[Callbacks] = []


@atexit.register
def _finish_all() -> None:
    for driver in list(_alive):
        driver.finish()


def _leave_to_parent() -> None:
    for driver in list(_alive):
        driver.abandon()


# What is open stays the parent's alone.
os.register_at_fork(after_in_child=_leave_to_parent)
