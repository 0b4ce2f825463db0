# SPDX-License-Identifier: Apache-2.0
"""Host names and addresses."""

from __future__ import annotations

import re

import librstream
import pytest
from librstream import ControlChannel, Engine, TunnelProperties, engine_hostname, generate_stable_domain
from librstream.names import format_forwarding_address

ENGINES = {
    "project.example.com": "project.example.com",
    " Project.Example.COM.:443 ": "project.example.com",
    "https://project.example.com:8443/path": "project.example.com",
    "localhost:1": "localhost",
    "[::1]:443": "",
    "[::1]": "",
    "2001:db8::1": "",
    "": "",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_host_of_an_engine(engine: str) -> None:
    assert engine_hostname(engine) == ENGINES[engine]
    official = pytest.importorskip("rstream", reason="the official client is not installed")
    assert official.engine_hostname(engine) == ENGINES[engine]


def test_stable_names() -> None:
    names = {generate_stable_domain("project.example.com:443") for _ in range(10)}
    assert len(names) == 10
    assert all(re.fullmatch(r"r[0-9a-f]{8}-project\.t\.example\.com", str(name)) for name in names)
    for engine in ("localhost", "[::1]", "", "a_b.example.com", "p" * 60 + ".example.com"):
        assert generate_stable_domain(engine) is None


async def test_a_stable_name_of_an_engine() -> None:
    async with Engine({"engine.host": "project.localhost"}) as engine, engine.client() as client:
        hostname = await client.generate_stable_hostname()
        assert hostname is not None and hostname.endswith("-project.t.localhost")


async def test_addresses_of_tunnels(control: ControlChannel) -> None:
    for options in ({"publish": False}, {"name": "n", "publish": False}, {"protocol": "http"}, {"protocol": "tls"}):
        tunnel = await control.create_tunnel(**options)
        assert format_forwarding_address(tunnel.properties) == tunnel.forwarding_address
    assert format_forwarding_address(TunnelProperties(hostname="h", protocol="http")) == "https://h"
    assert format_forwarding_address(TunnelProperties(hostname="h", protocol="tcp")) == "h:443 (tcp)"
    assert format_forwarding_address(TunnelProperties(host="h:1")) == "h:1"
    with pytest.raises(librstream.RuntimeError) as invalid:
        format_forwarding_address(TunnelProperties())
    assert invalid.value.code == "ERR_RSTREAM_INVALID_TUNNEL"
