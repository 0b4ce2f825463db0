# SPDX-License-Identifier: Apache-2.0
"""The end of what the tests open."""

import contextlib
import socket


class Closing:
    """Is closed at the end of a `with` block."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def close_listener(listener):
    """Closes a socket that a thread accepts from: the thread notices."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def close_all(things):
    """Closes what may be broken already."""
    for thing in things:
        with contextlib.suppress(OSError):
            thing.close()
