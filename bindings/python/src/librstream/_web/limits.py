# SPDX-License-Identifier: Apache-2.0
"""How much and how long a server takes part."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Limits of one served tunnel. Sizes are bytes, times seconds; None: no limit.

    Attributes:
        max_header_size: request line and header fields together.
        max_body_size: one request's body.
        max_connections: streams served at once; further ones wait in the tunnel.
        read_timeout: for a request's whole header, and for each next piece of a body
            that the application waits for.
        write_timeout: for the client to take what was written, before more is.
        keep_alive_timeout: for the next request on a connection.
        shutdown_timeout: for requests to end after the tunnel has.
    """

    max_header_size: int = 64 * 1024
    max_body_size: int | None = None
    max_connections: int = 1000
    read_timeout: float | None = 30.0
    write_timeout: float | None = 60.0
    keep_alive_timeout: float | None = 65.0
    shutdown_timeout: float | None = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            least = 0 if field.name in ("max_body_size", "shutdown_timeout") else None
            if math.isnan(value) or value < 0 or (value == 0 and least is None):
                wanted = "0 or more" if least == 0 else "greater than 0"
                raise ValueError(f"{field.name} is {value!r}, and has to be {wanted}")
