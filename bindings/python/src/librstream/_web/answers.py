# SPDX-License-Identifier: Apache-2.0
"""Answers that no application gave, and what is added to those that one did."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

import h11

Headers = list[tuple[bytes, bytes]]

_date = (0, b"")


def phrase(status: int) -> bytes:
    """The reason phrase of a status, b"" for one without."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def date() -> bytes:
    """The Date field's value."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]


def error_answer(
    status: int, detail: str = "", *, is_head: bool = False
) -> tuple[h11.Response, h11.Data, h11.EndOfMessage]:
    """A response in plain text that ends the connection."""
    reason = phrase(status)
    text = reason + (b": " + detail.encode() if detail else b"") + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"connection", b"close"),
        (b"date", date()),
    ]
    return (
        h11.Response(status_code=status, headers=headers, reason=reason),
        h11.Data(data=b"" if is_head else text),
        h11.EndOfMessage(),
    )
