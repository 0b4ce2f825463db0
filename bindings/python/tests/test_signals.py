# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that raise while the library calls back: neither gets lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from librstream._driver import Driver

CALLS = 20_000


class Interrupt(BaseException):
    """What a handler raises."""


@pytest.fixture
def interrupts() -> Iterator[list[Interrupt]]:
    """Those that a handler has raised."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        raised.append(Interrupt())
        raise raised[-1]

    raised: list[Interrupt] = []
    before = signal.signal(signal.SIGVTALRM, handler)
    yield raised
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


async def test_signals_during_callbacks(interrupts: list[Interrupt], capfd: pytest.CaptureFixture[str]) -> None:
    driver = Driver.current()
    driver.acquire()
    seen: list[BaseException] = []
    for attempt in range(30):
        calls = 0

        def count() -> None:
            nonlocal calls
            calls += 1

        ended = asyncio.Event()
        for call in [*[count] * CALLS, ended.set]:
            driver.library.loop_post(driver.handle, driver.callbacks.plain, driver.callbacks.number_once(call))
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.001 + attempt * 0.0005)
            driver._turn()
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except Interrupt as interrupt:
            seen.append(interrupt)
        await ended.wait()
        # One that was interrupted in the middle is over, as anywhere in Python.
        assert calls >= CALLS - 1
    assert seen == interrupts and len(seen) > 2
    driver.release()
    assert capfd.readouterr().err == ""
