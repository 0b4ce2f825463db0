# SPDX-License-Identifier: Apache-2.0
"""Ports that are free, for the few settings where 0 cannot be written."""

import random
import socket


def free_port_range(count):
    """A range of ports that were all free a moment ago, below those that the kernel gives out by itself."""
    for _ in range(200):
        first = random.randrange(15000, 32000 - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return f"{first}-{first + count - 1}"
        except OSError:
            continue
    raise AssertionError(f"found no {count} free ports in a row")


def unused_port():
    """A port nobody listens on. It stays bound here so that nobody else gets it; keep the returned socket."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]
