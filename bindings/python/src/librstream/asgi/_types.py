# SPDX-License-Identifier: Apache-2.0
"""The shapes that the ASGI specification gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The newest version of the specification that is met here.
VERSION = {"version": "3.0", "spec_version": "2.5"}
