# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that raise while the library calls back: neither gets lost."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest
from librstream._driver import Driver

CALLS = 20_000


class Interrupt(BaseException):
    """What the handler raises."""


class Alarm:
    """Raises an interrupt somewhere in the main thread, once each time that it is set."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []
        self.is_set = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ring)
        self._before = signal.signal(signal.SIGUSR1, self._handle)
        self._thread.start()

    def _ring(self) -> None:
        while not self._ended.wait(0.003):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_set:
            self.is_set = False
            self.raised.append(Interrupt())
            raise self.raised[-1]

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        signal.signal(signal.SIGUSR1, self._before)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    alarm = Alarm()
    yield alarm
    alarm.close()


async def test_signals_during_callbacks(alarm: Alarm, capfd: pytest.CaptureFixture[str]) -> None:
    driver = Driver.current()
    driver.acquire()
    seen: list[BaseException] = []
    while len(seen) < 20:
        calls = 0

        def count() -> None:
            nonlocal calls
            calls += 1

        ended = asyncio.Event()
        for call in [*[count] * CALLS, ended.set]:
            driver.library.loop_post(driver.handle, driver.callbacks.plain, driver.callbacks.number_once(call))
        try:
            alarm.is_set = True
            driver._turn()
            alarm.is_set = False
        except Interrupt as interrupt:
            seen.append(interrupt)
        await ended.wait()
        # One that was interrupted in the middle is over, as anywhere in Python.
        assert calls >= CALLS - 1
    assert seen == alarm.raised
    driver.release()
    assert capfd.readouterr().err == ""
