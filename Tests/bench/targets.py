# SPDX-License-Identifier: Apache-2.0
"""What each number of ours is held against. Ratios are taken within one run, never across machines."""

from dataclasses import dataclass

BULK_OF_BEST = 1.0
"""Bulk throughput, each way, as a share of the best encrypted peer's."""

KEEP_ALIVE_OF_EACH = 2.2
"""Requests a second on 48 kept-alive connections, as a multiple of every encrypted peer's, so of the best one's."""

CLOSE_OF_BEST = 1.2
"""Requests a second with a connection each (16 at once), as a multiple of the best encrypted peer's."""

FIRST_BYTE_OF_BEST = 1.0
"""Median time from connect to the first echoed byte, as a share of the best encrypted peer's: to stay below it."""

IDLE_KB = 30
"""Resident memory of one idle connection in KB, in the engine and in the agent each."""

LIBRARY_MB = 9
"""Size of the stripped library."""

LOAD_MS = 10
"""Time of dlopen()."""

CONNECTED_MB = 8
"""Resident memory of the library in a process that has loaded it and opened its first control channel."""

IDLE_STREAMS = 10_000
"""Idle streams held at once through one engine and one agent, nothing lost."""

IDLE_STREAMS_USED = 1_000
"""How many of these are used at once afterwards."""


QUIC_BULK_OF_OURS = 0.6
"""Bulk throughput over QUIC, each way, as a share of ours over TLS."""

QUIC_KEEP_ALIVE_OF_EACH = 1.5
"""Requests a second on kept-alive connections over QUIC, as a multiple of the best encrypted peer's."""

QUIC_CLOSE_OF_OURS = 3.0
"""Requests a second with a connection each over QUIC, as a multiple of ours over TLS."""

QUIC_FIRST_BYTE_OF_BEST = 0.25
"""Median time to the first echoed byte over QUIC, as a share of the best encrypted peer's."""

QUIC_IDLE_KB = 6
"""Resident memory of one idle connection over QUIC in KB, in the engine and in the agent each."""


@dataclass(frozen=True)
class Target:
    """Passed by a value at least (or, where less is better, at most) `limit`: of the best encrypted peer, of another
    column of the table, or by itself."""

    limit: float
    less_is_better: bool = False
    of: str | None = "best"

    def is_met(self, value):
        return value <= self.limit if self.less_is_better else value >= self.limit

    def text(self):
        sign = "<=" if self.less_is_better else ">="
        return f"{sign} {self.limit:g}{f'x {self.of}' if self.of else ''}"


OURS = {
    "upload": Target(BULK_OF_BEST),
    "download": Target(BULK_OF_BEST),
    "keep-alive": Target(KEEP_ALIVE_OF_EACH),
    "close": Target(CLOSE_OF_BEST),
    "first byte p50": Target(FIRST_BYTE_OF_BEST, less_is_better=True),
    "idle, server": Target(IDLE_KB, less_is_better=True, of=None),
    "idle, client": Target(IDLE_KB, less_is_better=True, of=None),
    "library size": Target(LIBRARY_MB, less_is_better=True, of=None),
    "library load": Target(LOAD_MS, less_is_better=True, of=None),
    "library memory": Target(CONNECTED_MB, less_is_better=True, of=None),
    "held at once": Target(IDLE_STREAMS, of=None),
    "used at once": Target(IDLE_STREAMS_USED, of=None),
}

QUIC = {
    "upload": Target(QUIC_BULK_OF_OURS, of="ours"),
    "download": Target(QUIC_BULK_OF_OURS, of="ours"),
    "keep-alive": Target(QUIC_KEEP_ALIVE_OF_EACH),
    "close": Target(QUIC_CLOSE_OF_OURS, of="ours"),
    "first byte p50": Target(QUIC_FIRST_BYTE_OF_BEST, less_is_better=True),
    "idle, server": Target(QUIC_IDLE_KB, less_is_better=True, of=None),
    "idle, client": Target(QUIC_IDLE_KB, less_is_better=True, of=None),
    "held at once": Target(IDLE_STREAMS, of=None),
    "used at once": Target(IDLE_STREAMS_USED, of=None),
}

TARGETS = {"ours": OURS, "quic": QUIC}
"""By the name of the peer."""
