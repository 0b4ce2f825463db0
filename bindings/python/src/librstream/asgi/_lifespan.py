# SPDX-License-Identifier: Apache-2.0
"""The lifespan protocol: an application is told of the server's begin and end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal, Self

from librstream._context import Leaving
from librstream.asgi._types import VERSION, ASGIApplication, Message

logger = logging.getLogger("librstream.asgi")

LifespanMode = Literal["auto", "on", "off"]


class Lifespan(Leaving):
    """Startup on entry and shutdown on exit.

    Attributes:
        state: what the application has put there for its requests; None when it does
            not take part.
    """

    def __init__(self, app: ASGIApplication, mode: LifespanMode, shutdown_timeout: float | None) -> None:
        if mode not in ("auto", "on", "off"):
            raise ValueError(f'lifespan is {mode!r}, and has to be "auto", "on" or "off"')
        self.state: dict[str, Any] | None = {}
        self._app = app
        self._mode = mode
        self._shutdown_timeout = shutdown_timeout
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._mode == "off":
            self.state = None
            return self
        self._task = asyncio.create_task(self._run())
        self._messages.put_nowait({"type": "lifespan.startup"})
        try:
            await self._started.wait()
        except BaseException:
            self._task.cancel()
            raise
        if self._failure is not None:
            await asyncio.wait([self._task])
            raise RuntimeError(f"the application did not start: {self._failure}")
        return self

    async def _leave(self) -> None:
        task = self._task
        if task is None or task.done():
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._stopped.wait()
                await asyncio.wait([task])
        except TimeoutError:
            self._failure = f"not within {self._shutdown_timeout} s"
        finally:
            task.cancel()
        if self._failure is not None:
            logger.error("the application did not shut down well: %s", self._failure)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": dict(VERSION), "state": self.state}
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception as error:
            if self._started.is_set():
                logger.error("the application's lifespan failed", exc_info=error)
            elif self._mode == "auto":
                # That is how one says that it does not know the protocol.
                logger.debug("no lifespan: %r", error)
                self.state = None
            else:
                self._failure = self._failure or f"{type(error).__name__}: {error}"
        finally:
            self._started.set()
            self._stopped.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        phase, _, result = kind.removeprefix("lifespan.").partition(".")
        events = {"startup": self._started, "shutdown": self._stopped}
        event = events.get(phase)
        if event is None or result not in ("complete", "failed") or event.is_set():
            raise RuntimeError(f"the message {kind!r} is not expected")
        if result == "failed":
            self._failure = message.get("message") or "it gave no reason"
        event.set()
