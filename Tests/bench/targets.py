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


@dataclass(frozen=True)
class Target:
    """Passed by a value at least (or, where less is better, at most) `limit`: of the best encrypted peer, or by itself."""

    limit: float
    less_is_better: bool = False
    relative: bool = True

    def is_met(self, value):
        return value <= self.limit if self.less_is_better else value >= self.limit

    def text(self):
        sign = "<=" if self.less_is_better else ">="
        return f"{sign} {self.limit:g}{'x best' if self.relative else ''}"


TARGETS = {
    "upload": Target(BULK_OF_BEST),
    "download": Target(BULK_OF_BEST),
    "keep-alive": Target(KEEP_ALIVE_OF_EACH),
    "close": Target(CLOSE_OF_BEST),
    "first byte p50": Target(FIRST_BYTE_OF_BEST, less_is_better=True),
    "idle, server": Target(IDLE_KB, less_is_better=True, relative=False),
    "idle, client": Target(IDLE_KB, less_is_better=True, relative=False),
    "library size": Target(LIBRARY_MB, less_is_better=True, relative=False),
    "library load": Target(LOAD_MS, less_is_better=True, relative=False),
    "library memory": Target(CONNECTED_MB, less_is_better=True, relative=False),
    "held at once": Target(IDLE_STREAMS, relative=False),
    "used at once": Target(IDLE_STREAMS_USED, relative=False),
}
