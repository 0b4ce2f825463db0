# SPDX-License-Identifier: Apache-2.0
"""The fixture ``rstream_engine`` that the package ships."""

import asyncio
import ssl

import pytest
from librstream import Engine


def test_an_engine_for_a_plain_function(rstream_engine: Engine) -> None:
    assert rstream_engine.host == "localhost"
    assert rstream_engine.address == f"localhost:{rstream_engine.port}"
    assert ssl.create_default_context(cafile=rstream_engine.ca_file).get_ca_certs()


def test_it_serves_any_event_loop(rstream_engine: Engine) -> None:
    async def create() -> str:
        async with rstream_engine.client() as client, await client.connect() as control:
            return (await control.create_tunnel(publish=False)).id

    assert asyncio.run(create()) != asyncio.run(create())


class TestSettings:
    @pytest.fixture
    def rstream_engine_settings(self) -> dict[str, str | int | bool]:
        return {"engine.host": "engine.localhost"}

    def test_a_class_may_have_its_own(self, rstream_engine: Engine) -> None:
        assert rstream_engine.host == "engine.localhost"
