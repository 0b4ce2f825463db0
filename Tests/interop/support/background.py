# SPDX-License-Identifier: Apache-2.0
"""One event loop in a thread of its own, for the foreign parts that are written with asyncio."""

import asyncio
import functools
import threading


@functools.cache
def loop():
    """The loop. It runs as long as the tests do."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="background loop", daemon=True).start()
    return made


def run(coroutine, timeout=10.0):
    """Runs a coroutine there and returns what it returns. TimeoutError when it takes longer."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop())
    try:
        return future.result(timeout)
    except TimeoutError:
        future.cancel()
        raise


def call(function, *arguments, timeout=10.0):
    """Calls a function there, where everything of the loop may be touched."""

    async def once():
        return function(*arguments)

    return run(once(), timeout)
