# SPDX-License-Identifier: Apache-2.0
"""Clients: where their settings come from, connecting, dialing, closing."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import librstream
import pytest
from librstream import (
    Client,
    ClientFilters,
    ConfigurationError,
    ControlChannel,
    Engine,
    EngineError,
    RstreamError,
    TLSOptions,
    TunnelFilters,
)
from support import serving


@pytest.fixture
def environment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RSTREAM_") and name != "RSTREAM_LIBRARY"]:
        monkeypatch.delenv(name)
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
async def test_settings_from_the_environment() -> None:
    async with Client.from_env() as client, await client.connect() as control:
        assert control.client_id and (await control.create_tunnel(publish=False)).id


@pytest.mark.usefixtures("environment")
async def test_what_is_given_wins_over_the_environment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSTREAM_ENGINE", "nowhere.invalid:1")
    async with Client.from_env(engine=engine.address) as client, await client.connect():
        pass


async def test_the_engine_tells_about_itself(control: ControlChannel) -> None:
    details = control.server_details
    assert details is not None and details.agent and details.version == librstream.library_version()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"engine": ""}, "ERR_RSTREAM_ENGINE_REQUIRED"),
        ({"engine": "host:port"}, "ERR_RSTREAM_INVALID_ENGINE"),
        ({"engine": "h", "connect_timeout": 0}, "ERR_RSTREAM_INVALID_TIMEOUT"),
        ({"engine": "h", "operation_timeout": -1.0}, "ERR_RSTREAM_INVALID_TIMEOUT"),
        ({"engine": "h", "operation_timeout": float("inf")}, "ERR_RSTREAM_INVALID_TIMEOUT"),
        ({"engine": "h", "heartbeat_interval": 0.1}, "ERR_RSTREAM_INVALID_CONFIG"),
        ({"engine": "h", "require_token": True}, "ERR_RSTREAM_AUTH_REQUIRED"),
        ({"engine": "h", "token": "t", "tls": TLSOptions(cert_file="c", key_file="k")}, "ERR_RSTREAM_AUTH_CONFLICT"),
        ({"engine": "h", "tls": TLSOptions(cert_file="c")}, "ERR_RSTREAM_MTLS_INCOMPLETE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_invalid_settings(options: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSTREAM_ENGINE", raising=False)
    async with Client(**options) as client:
        with pytest.raises(ConfigurationError) as invalid:
            await client.connect()
    assert invalid.value.code == code


async def test_a_file_that_is_not_there(engine: Engine, tmp_path: Path) -> None:
    async with engine.client(tls=TLSOptions(ca_file=str(tmp_path / "none.pem"))) as client:
        with pytest.raises(librstream.TLSError, match=r"none\.pem") as missing:
            await client.connect()
    assert missing.value.code == "ERR_RSTREAM_TLS"


async def test_an_authority_that_is_not_trusted(engine: Engine) -> None:
    async with Client(engine=engine.address) as client:
        with pytest.raises(librstream.TLSError):
            await client.connect()
    async with Client(engine=engine.address, tls=TLSOptions(insecure_skip_verify=True)) as client:
        await client.connect()


async def test_tokens() -> None:
    async with librstream.Engine({"auth.open": False, "auth.tokens": "one,two"}) as engine:
        async with engine.client(token="two") as client, await client.connect() as control:
            tunnel = await control.create_tunnel(publish=False)
            async with serving(tunnel):
                async with await client.dial(tunnel.id, zero_rtt=False):
                    pass
                with pytest.raises(EngineError) as refused:
                    await client.dial(tunnel.id, token="three", zero_rtt=False)
        assert refused.value.engine_code == 1000 and "three" not in str(refused.value)
        for without in (engine.client(), engine.client(token="one", no_token=True), client.with_options(token="four")):
            async with without:
                with pytest.raises(EngineError) as denied:
                    await without.connect()
            assert denied.value.engine_code == 1000


@pytest.mark.parametrize("zero_rtt", [False, True])
async def test_dialing_by_name_and_by_id(client: Client, control: ControlChannel, zero_rtt: bool) -> None:
    tunnel = await control.create_tunnel(name="named", publish=False)
    async with serving(tunnel):
        for target in ("named", tunnel.id):
            async with await client.dial(target, zero_rtt=zero_rtt) as stream:
                stream.write(b"?")
                assert await stream.readexactly(1) == b"?"
        async with await client.dial_bytestream("named") as stream:
            assert not stream.is_closing()


async def test_dialing_nobody(client: Client) -> None:
    with pytest.raises(EngineError) as unknown:
        await client.dial("nobody", zero_rtt=False)
    assert unknown.value.engine_code == 3000
    async with await client.dial("nobody") as stream:
        assert await stream.read() == b""
    with pytest.raises(librstream.RuntimeError) as blank:
        await client.dial("  ")
    assert blank.value.code == "ERR_RSTREAM_INVALID_TUNNEL"


async def test_a_closed_client(engine: Engine) -> None:
    client = engine.client()
    control = await client.connect()
    await client.close()
    await client.close()
    assert control.closed
    for attempt in (client.connect(), client.dial("name")):
        with pytest.raises(RstreamError) as closed:
            await attempt
        assert closed.value.code == "ERR_RSTREAM_CLIENT_CLOSED"


async def test_cancelled_connects_leave_nothing(engine: Engine) -> None:
    async with engine.client() as client:
        for turns in range(12):
            connecting = asyncio.create_task(client.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
        async with await client.connect() as control:
            assert not control.closed


async def test_an_operation_that_takes_too_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with Client(engine=f"127.0.0.1:{port}", connect_timeout=0.05) as client:
            with pytest.raises(RstreamError) as late:
                await client.connect()
    assert late.value.code in ("ETIMEDOUT", "ERR_RSTREAM_OPERATION_TIMEOUT")


def test_one_client_on_one_event_loop_after_the_other(rstream_engine: Engine) -> None:
    client = rstream_engine.client()

    async def connect() -> None:
        async with await client.connect() as control:
            assert not control.closed

    for _ in range(3):
        asyncio.run(connect())
    asyncio.run(client.close())


async def test_a_configuration_file(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSTREAM_ENGINE", raising=False)
    file = tmp_path / "config.yaml"
    file.write_text(f"defaults:\n  context: none\ncontexts:\n  - name: dev\n    engine: {engine.address}\n")
    tls = TLSOptions(ca_file=engine.ca_file)
    async with Client(config_path=str(file), context="dev", tls=tls) as client, await client.connect() as control:
        assert not control.closed
    with pytest.raises(ConfigurationError) as unknown:
        await Client(config_path=str(file), context="other").connect()
    assert unknown.value.code == "ERR_RSTREAM_CONTEXT_NOT_FOUND"
    with pytest.raises(ConfigurationError) as unread:
        await Client(config_path=str(file), read_config_file=False).connect()
    assert unread.value.code == "ERR_RSTREAM_ENGINE_REQUIRED"


async def test_lists(client: Client, control: ControlChannel) -> None:
    first = await control.create_tunnel(name="first", publish=False, labels={"team": "blue", "tier": "1"})
    second = await control.create_tunnel(name="second", protocol="http", labels={"team": "blue"})

    async def ids(limit: int | None = None, **filters: Any) -> list[str | None]:
        found = await client.list_tunnels(filters=TunnelFilters(**filters), limit=limit)
        return [entry.properties.id for entry in found]

    assert {entry.properties.id for entry in await client.list_tunnels()} == {first.id, second.id}
    assert await ids(name="first") == [first.id] and await ids(publish=True) == [second.id]
    assert await ids(labels={"team": "blue", "tier": None}) == [first.id]
    assert await ids(labels={"team": "red"}) == [] and len(await ids(limit=1)) == 1
    entry = await client.get_tunnel(second.id)
    assert entry.status == "online" and entry.client_id == control.client_id and entry.raw["id"] == second.id
    assert entry.properties == second.properties
    clients = await client.list_clients(filters=ClientFilters(id=control.client_id))
    assert [found["id"] for found in clients] == [control.client_id]
    for wrong in (client.list_tunnels(limit=0), client.list_tunnels(filters=TunnelFilters(labels={"": None}))):
        with pytest.raises(librstream.RuntimeError) as invalid:
            await wrong
        assert invalid.value.code == "ERR_RSTREAM_INVALID_FILTER"
    with pytest.raises(librstream.RuntimeError) as missing:
        await client.get_tunnel("nothing")
    assert missing.value.code == "ERR_RSTREAM_ENGINE_API_HTTP" and missing.value.details == {"status": 404}


async def test_closing_while_a_list_is_on_its_way(client: Client) -> None:
    listing = asyncio.create_task(client.list_tunnels())
    await asyncio.sleep(0)
    await client.close()
    assert await listing == []
