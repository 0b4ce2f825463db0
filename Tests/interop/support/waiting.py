# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a deadline, for the few things that announce themselves in no other way."""

import time


def wait_until(condition, timeout=5.0, interval=0.02, what="the condition"):
    """Returns the first true value of `condition()`; fails when there was none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(interval)
