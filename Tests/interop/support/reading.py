# SPDX-License-Identifier: Apache-2.0
"""What every blocking stream of the tests offers on top of its read()."""

import time

from .closing import Closing


class Reading(Closing):
    """Needs read(size, timeout), and _timeout for callers that give none."""

    _timeout = 10.0

    def settimeout(self, seconds):
        self._timeout = seconds
        return self

    def read_exactly(self, size, timeout=None):
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        data = bytearray()
        while len(data) < size:
            chunk = self.read(size - len(data), timeout=max(0.001, deadline - time.monotonic()))
            if not chunk:
                raise ConnectionError(f"the stream ended after {len(data)} of {size} bytes: {bytes(data)!r}")
            data += chunk
        return bytes(data)

    def read_all(self, timeout=None):
        """Everything up to the end of the peer's direction."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        data = bytearray()
        while True:
            chunk = self.read(timeout=max(0.001, deadline - time.monotonic()))
            if not chunk:
                return bytes(data)
            data += chunk


def read_until_end(stream, timeout=5):
    """What still comes, when it does not matter how the stream ends."""
    try:
        return stream.read_all(timeout=timeout)
    except ConnectionError:
        return b""
