# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: its settings, its development authority, its end."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import librstream
import pytest
from librstream import ConfigurationError, Engine
from support import pair


async def test_an_engine_for_development() -> None:
    engine = Engine()
    with pytest.raises(librstream.RuntimeError):
        engine.address
    async with engine:
        assert engine.host == "localhost" and engine.address == f"localhost:{engine.port}"
        assert engine.ca_file is not None
        folder = Path(engine.ca_file).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert engine.environment == {"RSTREAM_ENGINE": engine.address, "RSTREAM_CA_FILE": engine.ca_file}
        port = engine.port
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_it_starts_again() -> None:
    engine = Engine()
    for _ in range(2):
        async with engine, engine.client() as client, await client.connect() as control:
            assert not control.closed


async def test_two_engines_side_by_side() -> None:
    async with Engine() as one, Engine() as two:
        assert one.port != two.port
        async with one.client(tls=librstream.TLSOptions(ca_file=two.ca_file)) as client:
            with pytest.raises(librstream.TLSError):
                await client.connect()


async def test_a_folder_of_its_own_stays(tmp_path: Path) -> None:
    for _ in range(2):
        async with Engine({"dev.state_dir": str(tmp_path)}) as engine:
            authority = Path(engine.ca_file or "").read_bytes()
    assert (tmp_path / "ca.pem").read_bytes() == authority


async def test_a_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text("tls:\n  listen_addr: 127.0.0.1:0\ndev:\n  enabled: true\n  state_dir: %s\n" % tmp_path)
    async with Engine({"engine.host": "other.localhost"}, config_file=file) as engine:
        assert engine.host == "other.localhost" and engine.port > 0
    file.write_text("nonsense: 1\n")
    with pytest.raises(ConfigurationError, match=r"engine\.yaml.*nonsense"):
        await Engine(config_file=file).start()


async def test_invalid_settings_leave_nothing() -> None:
    for settings in ({"no.such.setting": 1}, {"tls.enabled": "perhaps"}, {"limits.clients": -1}):
        with pytest.raises(ConfigurationError) as invalid:
            await Engine(settings).start()
        assert invalid.value.code == "ERR_RSTREAM_INVALID_CONFIG"


async def test_an_address_in_use() -> None:
    async with Engine() as first:
        second = Engine({"tls.listen_addr": f"127.0.0.1:{first.port}"})
        with pytest.raises(OSError, match=str(first.port)) as used:
            await second.start()
        assert isinstance(used.value, librstream.TransportError) and used.value.code == "EADDRINUSE"


async def test_streams_may_go_on_for_a_while() -> None:
    async with Engine({"timeouts.drain_seconds": 30}) as engine, engine.client() as client:
        near, far = await pair(client, await client.connect())
        near.write(b"before")
        assert await far.readexactly(6) == b"before"
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0.05)
        near.write(b"after")
        assert await far.readexactly(5) == b"after" and not stopping.done()
        near.close()
        far.close()
        await stopping


async def test_streams_are_cut_at_the_end() -> None:
    async with Engine() as engine, engine.client() as client:
        near, far = await pair(client, await client.connect())
        near.write(b"x")
        assert await far.readexactly(1) == b"x"
        await engine.stop()
        with pytest.raises(OSError):
            await far.read()
        near.close()
        far.close()
