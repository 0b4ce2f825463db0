# SPDX-License-Identifier: Apache-2.0
"""The log lines of faulty applications."""

from __future__ import annotations

import logging

from librstream._web.exchange import Exchange
from librstream._web.streams import ClientDisconnected


def report(logger: logging.Logger, exchange: Exchange, what: str, error: BaseException | None = None) -> None:
    """Writes to the log what an application did wrong. That its client went is no
    fault of its own. The query is left out: it may hold secrets."""
    request = (exchange.method, exchange.raw_path.decode("ascii"))
    if error is not None and _is_disconnect(error):
        logger.debug("%s %r: the client has gone", *request)
    else:
        logger.error("%s %r: %s", *request, what, exc_info=error)


def _is_disconnect(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientDisconnected):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
