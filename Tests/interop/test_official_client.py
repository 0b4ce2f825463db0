# SPDX-License-Identifier: Apache-2.0
"""The official Python client with our engine and our client: tunnels, private streams, heartbeats, lists."""

import asyncio
import hashlib
import os
import socket
import time

import pytest
from rstream import ClientFilters, TunnelFilters
from rstream.errors import EngineError
from rstream.stable_domains import generate_stable_domain

from support import origins
from support.ctl import unique
from support.official import ask, official_client, serving, upper

ZERO_RTT = pytest.mark.parametrize("zero_rtt", [False, True], ids=["rtt", "zero-rtt"])
BY = pytest.mark.parametrize("by", ["name", "id"])


async def test_create_and_close_tunnels(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        private = await control.create_tunnel(name=name, publish=False)
        assert private.id and private.properties.type == "bytestream"
        assert private.properties.publish is False
        assert private.properties.hostname is None and private.properties.port is None
        assert private.properties.host is None
        assert private.forwarding_address == f"rstrm://{name} (unpublished)"
        assert private.properties.creation_date is not None
        published = await control.create_tunnel(name=unique(), labels={"team": "blue"})
        assert published.properties.protocol == "http" and published.properties.http_version == "http/1.1"
        assert published.properties.labels == {"team": "blue"}
        assert published.forwarding_address == f"https://{published.properties.hostname}:{engine.port}"
        assert published.properties.host == f"{published.properties.hostname}:{engine.port}"
        for tunnel in (private, published):
            await tunnel.close()
            assert tunnel.closed
        assert engine.tunnels(id=private.id) == []
        again = await control.create_tunnel(name=name, publish=False)
        assert again.id != private.id
        await control.close()
        await control.done()


async def test_server_details_are_present(engine):
    async with official_client(engine) as client:
        control = await client.connect()
        assert control.server_details is not None
        assert control.server_details.agent and control.server_details.version


@pytest.mark.parametrize(
    "options",
    [
        {"hostname": "elsewhere.example.com"},
        {"protocol": "http", "tls_mode": "passthrough", "upstream_tls": True},
        {"protocol": "tls", "tls_mode": "passthrough", "upstream_tls": True},
        {"trusted_ips": ("not an address",)},
        {"protocol": "http", "http_version": "http/1.1", "upstream_tls": True},
        {"protocol": "tls", "token_auth": True},
    ],
    ids=lambda options: "-".join(options),
)
async def test_impossible_tunnels_are_refused_with_2000(engine, options):
    async with official_client(engine) as client:
        control = await client.connect()
        with pytest.raises(EngineError) as refusal:
            await control.create_tunnel(name=unique(), **options)
        assert refusal.value.engine_code == 2000 and str(refusal.value)
        assert (await control.create_tunnel(name=unique(), publish=False)).id


@ZERO_RTT
@BY
async def test_our_owner_their_dialer(engine, forward, tcp_server, name, by, zero_rtt):
    server = tcp_server(origins.upper)
    ours = forward(engine, server.address, name, ["--no-publish"])
    assert ours.tunnel["forwarding"] == f"rstrm://{name} (unpublished)"
    async with official_client(engine) as client:
        stream = await client.dial(name if by == "name" else ours.tunnel["id"], zero_rtt=zero_rtt)
        assert await ask(stream, b"ping") == b"PING"
        stream.close()
        await stream.wait_closed()
    assert await asyncio.to_thread(ours.opened)
    assert (await asyncio.to_thread(ours.closed))["bytes_in"] == 4


@ZERO_RTT
@BY
async def test_their_owner_our_dialer(engine, dial, name, by, zero_rtt):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        async with serving(tunnel, upper):
            target = name if by == "name" else tunnel.id
            ours = await asyncio.to_thread(dial, engine, target, arguments=[] if zero_rtt else ["--no-zero-rtt"])
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
                writer.write(b"ping")
                assert await asyncio.wait_for(reader.readexactly(4), 10) == b"PING"
                writer.close()


@ZERO_RTT
@BY
async def test_their_owner_their_dialer(engine, name, by, zero_rtt):
    async with official_client(engine, zero_rtt=zero_rtt) as owner, official_client(engine) as dialer:
        control = await owner.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        async with serving(tunnel, upper):
            stream = await dialer.dial(name if by == "name" else tunnel.id, zero_rtt=zero_rtt)
            assert await ask(stream, b"ping") == b"PING"
            stream.close()


@pytest.mark.parametrize("owner", ["ours", "theirs"])
async def test_sixteen_concurrent_dials(engine, forward, tcp_server, name, owner):
    async def one(client, number):
        message = b"msg%d" % number
        stream = await client.dial(name, zero_rtt=number % 2 == 0)
        answer = await ask(stream, message)
        stream.close()
        return answer

    async with official_client(engine) as client:
        if owner == "ours":
            forward(engine, tcp_server(origins.upper).address, name, ["--no-publish"])
            answers = await asyncio.gather(*(one(client, number) for number in range(16)))
        else:
            tunnel = await (await client.connect()).create_tunnel(name=name, publish=False)
            async with serving(tunnel, upper):
                answers = await asyncio.gather(*(one(client, number) for number in range(16)))
    assert answers == [b"MSG%d" % number for number in range(16)]


async def test_a_burst_of_dials_does_not_overrun_their_channel(engine, name):
    async with official_client(engine) as owner, official_client(engine) as dialer:
        control = await owner.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)

        async def one(number):
            stream = await dialer.dial(name, zero_rtt=False)
            answer = await ask(stream, b"n%d" % number)
            stream.close()
            return answer

        async with serving(tunnel, upper):
            answers = await asyncio.gather(*(one(number) for number in range(150)))
        assert answers == [b"N%d" % number for number in range(150)]
        assert not control.closed


@pytest.mark.parametrize("owner", ["ours", "theirs"])
async def test_large_transfers_arrive_whole(engine, forward, tcp_server, name, owner):
    payload = os.urandom(4 << 20)

    async def digest(stream):
        data = await stream.readexactly(len(payload))
        stream.write(hashlib.sha256(data).digest() + data)
        await stream.drain()

    def digest_server(sock):
        data = b""
        while len(data) < len(payload):
            data += sock.recv(1 << 20)
        sock.sendall(hashlib.sha256(data).digest() + data)

    async def check(client):
        stream = await client.dial(name)

        async def send():
            stream.write(payload)
            await stream.drain()

        _, answer = await asyncio.gather(send(), stream.readexactly(32 + len(payload)))
        assert answer[:32] == hashlib.sha256(payload).digest() and answer[32:] == payload
        stream.close()

    async with official_client(engine) as client:
        if owner == "ours":
            forward(engine, tcp_server(digest_server).address, name, ["--no-publish"])
            await check(client)
        else:
            tunnel = await (await client.connect()).create_tunnel(name=name, publish=False)
            async with serving(tunnel, digest):
                await check(client)


async def test_unknown_tunnels_are_reported_and_zero_rtt_ends(engine):
    async with official_client(engine) as client:
        with pytest.raises(EngineError) as refusal:
            await client.dial("no such tunnel", zero_rtt=False)
        assert refusal.value.engine_code == 3000
        stream = await client.dial("no such tunnel", zero_rtt=True)
        assert await asyncio.wait_for(stream.read(), 5) == b""


async def test_heartbeats_over_an_idle_time(engine, name):
    """Two seconds at an interval of one: at least two acknowledgements, and the channel works afterwards."""
    async with official_client(engine, heartbeat_interval=1.0) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        async with serving(tunnel, upper):
            await asyncio.sleep(2.2)
            assert not control.closed
            assert control._heartbeat_timeout >= 4.2
            assert control._heartbeat_acknowledgement >= 2
            stream = await client.dial(tunnel.id)
            assert await ask(stream, b"again") == b"AGAIN"
            stream.close()


async def test_heartbeats_off(engine):
    async with official_client(engine, heartbeat=False) as client:
        control = await client.connect()
        await asyncio.sleep(1.5)
        assert not control.closed
        assert (await control.create_tunnel(name=unique(), publish=False)).id


async def test_published_http(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, protocol="http", http_version="http/1.1")
        assert tunnel.properties.publish is True and tunnel.forwarding_address.startswith("https://")

        async def respond(stream):
            await stream.read(65536)
            body = b"rstream-python-e2e"
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            await stream.drain()

        def get():
            connection = engine.http(tunnel.properties.hostname)
            connection.request("GET", "/")
            response = connection.getresponse()
            return response.status, response.read()

        async with serving(tunnel, respond):
            for _ in range(3):
                assert await asyncio.to_thread(get) == (200, b"rstream-python-e2e")


async def test_published_tcp(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, protocol="tcp")
        assert tunnel.properties.hostname is not None and tunnel.properties.port is not None
        assert tunnel.properties.type == "bytestream" and tunnel.properties.publish is True
        address = f"{tunnel.properties.hostname}:{tunnel.properties.port}"
        assert tunnel.properties.host == address and tunnel.forwarding_address == f"{address} (tcp)"
        async with serving(tunnel, upper):
            reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.properties.port)
            writer.write(b"ping")
            assert await asyncio.wait_for(reader.readexactly(4), 10) == b"PING"
            writer.close()
        port = tunnel.properties.port
        await tunnel.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


async def test_hostname_can_be_asked_for(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        bare = await control.create_tunnel(hostname=f"Chosen-{name}")
        assert bare.properties.hostname == f"chosen-{name}.t.{engine.host}"
        full = await control.create_tunnel(hostname=f"full-{name}.t.{engine.host}.")
        assert full.properties.hostname == f"full-{name}.t.{engine.host}"
        with pytest.raises(EngineError) as refusal:
            await control.create_tunnel(hostname=f"chosen-{name}.t.{engine.host}")
        assert refusal.value.engine_code == 8000
        await bare.close()
        assert (await control.create_tunnel(hostname=f"chosen-{name}")).properties.hostname


async def test_stable_hostnames_of_the_managed_scheme(start_engine):
    """On an engine host with a project label the client asks for <slug>-<project>.t.<domain>."""
    engine = await asyncio.to_thread(start_engine, settings={"engine.host": "project.localhost"})
    async with official_client(engine) as client:
        hostname = generate_stable_domain(engine.address)
        assert hostname.endswith("-project.t.localhost")
        tunnel = await (await client.connect()).create_tunnel(name="stable", hostname=hostname)
        assert tunnel.properties.hostname == hostname

        async def respond(stream):
            await stream.read(65536)
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await stream.drain()

        def get():
            connection = engine.http(hostname)
            connection.request("GET", "/")
            return connection.getresponse().read()

        async with serving(tunnel, respond):
            assert await asyncio.to_thread(get) == b"ok"


async def test_lists_of_tunnels_with_filters(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        first = await control.create_tunnel(name=name, publish=False, labels={"team": name, "tier": "one"})
        second = await control.create_tunnel(name=unique(), labels={"team": name})

        async def ids(limit=None, **filters):
            found = await client.list_tunnels(filters=TunnelFilters(**filters), limit=limit)
            return {entry.properties.id for entry in found}

        assert await ids(labels={"team": name}) == {first.id, second.id}
        assert await ids(labels={"team": name, "tier": None}) == {first.id}
        assert await ids(labels={"team": name}, publish=True) == {second.id}
        assert await ids(labels={"team": name}, publish=False) == {first.id}
        assert await ids(name=name) == {first.id}
        assert await ids(id=second.id) == {second.id}
        assert await ids(hostname=second.properties.hostname) == {second.id}
        assert await ids(labels={"team": name}, protocol="http") == {second.id}
        assert await ids(labels={"team": name}, status="offline") == set()
        assert await ids(labels={"team": "nobody"}) == set()
        assert len(await ids(limit=1, labels={"team": name})) == 1
        entry = (await client.list_tunnels(filters=TunnelFilters(id=second.id)))[0]
        assert entry.status == "online" and entry.client_id
        assert entry.properties.creation_date == second.properties.creation_date.replace(
            microsecond=entry.properties.creation_date.microsecond
        )
        assert entry.properties.host == second.properties.host
        assert entry.raw["labels"] == {"team": name}
        assert await ids(client_id=entry.client_id) >= {first.id, second.id}
        assert {first.id, second.id} <= {entry.properties.id for entry in await client.list_tunnels()}


async def test_lists_of_clients_with_filters(engine):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(publish=False)
        own = (await client.list_tunnels(filters=TunnelFilters(id=tunnel.id)))[0].client_id
        entry = (await client.list_clients(filters=ClientFilters(id=own)))[0]
        assert entry["status"] == "online" and entry["agent"] == "rstream-python-runtime"
        assert entry["channel"] == "sdk" and entry["protocol_version"] == "1.4.5"
        assert entry["os"] == "linux" and entry["arch"] and entry["version"]
        mine = await client.list_clients(filters=ClientFilters(agent="rstream-python-runtime", channel="sdk"))
        assert own in {found["id"] for found in mine}
        assert await client.list_clients(filters=ClientFilters(id=own, os="plan9")) == []
        await control.close()
        assert await client.list_clients(filters=ClientFilters(id=own)) == []


async def test_closing_the_control_channel_frees_its_tunnels(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        await control.create_tunnel(name=name, hostname=name)
        await control.close()
        again = await client.connect()
        assert (await again.create_tunnel(name=name, hostname=name)).properties.hostname


async def test_streams_outlive_their_tunnel(engine, name):
    async with official_client(engine) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        near = await client.dial(name)
        near.write(b"one")
        far = await tunnel.accept()
        assert await far.readexactly(3) == b"one"
        await tunnel.close()
        far.write(b"two")
        await far.drain()
        assert await asyncio.wait_for(near.readexactly(3), 5) == b"two"
        near.close()
        assert await asyncio.wait_for(far.read(), 5) == b""
        far.close()


async def test_the_control_channel_reports_a_stop_of_the_engine(start_engine):
    engine = await asyncio.to_thread(start_engine)
    async with official_client(engine) as client:
        control = await client.connect()
        started = time.monotonic()
        await asyncio.to_thread(engine.end)
        await asyncio.wait_for(control.done(), 5)
        assert time.monotonic() - started < 15
