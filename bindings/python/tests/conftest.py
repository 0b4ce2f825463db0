# SPDX-License-Identifier: Apache-2.0
"""Fixtures: an engine on the test's event loop, a client of it, and a control channel."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import librstream
import pytest_asyncio

if "RSTREAM_BUILD_DIR" in os.environ:
    os.environ["RSTREAM_LIBRARY"] = str(Path(os.environ["RSTREAM_BUILD_DIR"], "librstream.so.1").resolve())


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
