# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture ``rstream_engine``: an engine of the test's own.

::

    async def test_greeting(rstream_engine: librstream.Engine) -> None:
        async with rstream_engine.client() as client, await client.connect() as control:
            ...

It runs on a thread of its own, so that tests may be plain functions or run on any
event loop. Its settings come from the fixture ``rstream_engine_settings``, which a
module or a class may define anew.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future

import pytest

from librstream.engine import Engine


@pytest.fixture
def rstream_engine_settings() -> Mapping[str, str | int | bool]:
    """Settings of the engine, by the names of :class:`librstream.Engine`; none."""
    return {}


@pytest.fixture
def rstream_engine(rstream_engine_settings: Mapping[str, str | int | bool]) -> Iterator[Engine]:
    """A started :class:`librstream.Engine` for development, stopped after the test.

    Raises:
        librstream.RstreamError: the settings are invalid, or it cannot be started.
    """
    started: Future[tuple[Engine, Callable[[], object]]] = Future()

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with Engine(rstream_engine_settings) as engine:
            started.set_result((engine, functools.partial(loop.call_soon_threadsafe, stop.set)))
            await stop.wait()

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=main, name="rstream_engine", daemon=True)
    thread.start()
    engine, stop = started.result()
    try:
        yield engine
    finally:
        stop()
        thread.join()
