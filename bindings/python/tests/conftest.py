# SPDX-License-Identifier: Apache-2.0
"""Fixtures: an engine on the test's event loop, a client of it, and a control channel."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import librstream
import pytest
import pytest_asyncio

if "RSTREAM_BUILD_DIR" in os.environ:
    os.environ["RSTREAM_LIBRARY"] = str(Path(os.environ["RSTREAM_BUILD_DIR"], "librstream.so.1").resolve())


@pytest.fixture(scope="module", autouse=True)
def what_is_left() -> Iterator[None]:
    """Collects what a file of tests leaves, so that its warnings are not told in another file."""
    yield
    gc.collect()


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[librstream.Engine]:
    async with librstream.Engine() as engine:
        yield engine


@pytest_asyncio.fixture
async def client(engine: librstream.Engine) -> AsyncIterator[librstream.Client]:
    async with engine.client() as client:
        yield client


@pytest_asyncio.fixture
async def control(client: librstream.Client) -> AsyncIterator[librstream.ControlChannel]:
    async with await client.connect() as control:
        yield control
