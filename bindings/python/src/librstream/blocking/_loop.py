# SPDX-License-Identifier: Apache-2.0
"""The event loop of each thread that blocks, and what objects on it have in common."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from librstream import errors

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Wrapped = TypeVar("_Wrapped")
_Inner = TypeVar("_Inner")


class ThreadLoop:
    """What runs everything of one thread, as long as the thread is there."""

    _local = threading.local()
    _open: weakref.WeakSet[ThreadLoop] = weakref.WeakSet()

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._thread: int | None = threading.get_ident()
        self._open.add(self)

    @classmethod
    def current(cls) -> ThreadLoop:
        life: _ThreadLife | None = getattr(cls._local, "life", None)
        if life is None:
            life = cls._local.life = _ThreadLife(cls())
        return life.loop

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        if self._thread != threading.get_ident():
            coroutine.close()
            raise errors.RuntimeError("this object belongs to another thread", code="ERR_RSTREAM_WRONG_THREAD")
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            coroutine.close()
            raise errors.RuntimeError("this would block the running event loop", code="ERR_RSTREAM_WRONG_THREAD")
        return self._runner.run(coroutine)

    def close(self) -> None:
        if self._thread == threading.get_ident():
            # What comes after may have the same number.
            self._thread = None
            self._runner.close()


class _ThreadLife:
    """Ends with its thread, on it, and the loop with it.

    Nothing but the thread refers to it. Objects on the loop refer to the loop itself, and what a
    caught exception or a cycle keeps of them is collected whenever and wherever Python likes.
    """

    def __init__(self, loop: ThreadLoop) -> None:
        self.loop = loop

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.loop.close()


@atexit.register
def _close_all() -> None:
    for loop in list(ThreadLoop._open):
        loop.close()


class Blocking(Generic[_Inner]):
    """An object of the package and what runs it."""

    def __init__(self, loop: ThreadLoop, inner: _Inner) -> None:
        self._loop = loop
        self._inner = inner

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"


class Closing(Blocking[_Inner]):
    """One that ``with`` closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        raise NotImplementedError


class Waits(Generic[_Parameters, _Wrapped]):
    """A method that waits for a coroutine of the object inside.

    ``wrap`` makes what is returned of what the coroutine returns.
    """

    def __init__(
        self,
        method: Callable[Concatenate[Any, _Parameters], Coroutine[Any, Any, _Result]],
        wrap: Callable[[ThreadLoop, _Result], _Wrapped],
    ) -> None:
        self._method: Callable[..., Coroutine[Any, Any, Any]] = method
        self._wrap: Callable[[ThreadLoop, Any], _Wrapped] = wrap
        self.__doc__ = method.__doc__

    def __get__(self, instance: Blocking[Any] | None, owner: type[Any]) -> Callable[_Parameters, _Wrapped]:
        @functools.wraps(self._method)
        def call(*arguments: _Parameters.args, **keywords: _Parameters.kwargs) -> _Wrapped:
            assert instance is not None
            result = instance._loop.run(self._method(instance._inner, *arguments, **keywords))
            return self._wrap(instance._loop, result)

        return call


def same(_loop: ThreadLoop, result: _Result) -> _Result:
    return result
