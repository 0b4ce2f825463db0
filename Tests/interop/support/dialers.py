# SPDX-License-Identifier: Apache-2.0
"""Consumers of a private tunnel that dial beside the test's thread."""

import contextlib
import threading
import time

from . import wire


@contextlib.contextmanager
def hammering(client, name, threads=4):
    """Dials all the time, whether there is a tunnel or not."""
    stop = threading.Event()

    def hammer():
        while not stop.is_set():
            try:
                client.dial(name, zero_rtt=True).close()
            except OSError:
                pass

    running = [threading.Thread(target=hammer) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()


class WaitingDial:
    """Dials, and notes with which code and after how many seconds that came to nothing."""

    def __init__(self, client, name):
        self.code = self.after = None
        self._thread = threading.Thread(target=self._dial, args=(client, name))
        self._thread.start()

    def _dial(self, client, name):
        started = time.monotonic()
        try:
            client.dial(name).expect_end()
        except wire.Refused as refusal:
            self.code = refusal.code
        self.after = time.monotonic() - started

    def wait(self, timeout=5):
        self._thread.join(timeout)
        assert self.after is not None, "the dialer still waits"
        return self
