# SPDX-License-Identifier: Apache-2.0
"""What ``async with`` does with the objects of the package."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Leaving:
    """An object that is closed at the end of an ``async with`` block, whatever has happened there."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        raise NotImplementedError
