# SPDX-License-Identifier: Apache-2.0
"""Tunnels: properties, accepting, iterating, sockets, forwarding, ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import datetime, timezone

import librstream
import pytest
from librstream import Client, ControlChannel, Engine, EngineError, ForwardedConnection, RstreamError
from support import echo, http_get, pair, serving, until


async def test_properties_of_a_published_tunnel(engine: Engine, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(
        name="web", protocol="http", labels={"team": "blue"}, trusted_ips=("127.0.0.0/8", "::1"), token_auth=False
    )
    properties = tunnel.properties
    assert properties.id == tunnel.id and properties.name == "web" and properties.type == "bytestream"
    assert properties.publish is True and properties.protocol == "http" and properties.http_version == "http/1.1"
    assert properties.labels == {"team": "blue"} and properties.trusted_ips == ("127.0.0.0/8", "::1")
    assert properties.hostname is not None and properties.hostname.endswith(".t.localhost")
    assert properties.host == f"{properties.hostname}:{engine.port}"
    assert tunnel.forwarding_address == f"https://{properties.host}"
    assert isinstance(properties.creation_date, datetime)
    assert abs((datetime.now(timezone.utc) - properties.creation_date).total_seconds()) < 60


async def test_properties_of_a_private_tunnel(control: ControlChannel) -> None:
    options = librstream.CreateTunnelOptions(name="mine", publish=False)
    tunnel = await control.create_tunnel(options)
    assert tunnel.properties.publish is False and tunnel.properties.hostname is None
    assert tunnel.forwarding_address == "rstrm://mine (unpublished)"
    assert repr(tunnel) == "<BytestreamTunnel open 'rstrm://mine (unpublished)'>"
    with pytest.raises(RstreamError) as both:
        await control.create_tunnel(options, name="other")
    assert both.value.code == "ERR_RSTREAM_INVALID_TUNNEL"


async def test_refused_tunnels(control: ControlChannel) -> None:
    with pytest.raises(EngineError) as refusal:
        await control.create_tunnel(hostname="elsewhere.example.com")
    assert refusal.value.code == "ERR_RSTREAM_ENGINE" and refusal.value.engine_code == 2000
    assert refusal.value.details == {"engine_code": 2000}
    with pytest.raises(RstreamError) as impossible:
        await control.create_tunnel(port=80)
    assert impossible.value.code == "ERR_RSTREAM_INVALID_TUNNEL"
    with pytest.raises(librstream.UnsupportedFeatureError) as unsupported:
        await control.create_tunnel(type="datagram")
    assert unsupported.value.code == "ERR_RSTREAM_UNSUPPORTED_TUNNEL"


async def test_a_published_tunnel_is_reachable(engine: Engine, control: ControlChannel) -> None:
    async def answer(stream: librstream.RstreamStream) -> None:
        head = await stream.readuntil(b"\r\n\r\n")
        body = head.split()[1] + b" for " + stream.peer.encode()
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await stream.drain()

    tunnel = await control.create_tunnel(protocol="http")
    async with serving(tunnel, answer):
        for path in ("/one", "/two"):
            response = await http_get(engine, tunnel.properties.hostname or "", path)
            assert response.startswith(b"HTTP/1.1 200") and response.endswith(f"{path} for 127.0.0.1".encode())


async def test_a_cancelled_accept_loses_no_stream(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    first = asyncio.create_task(tunnel.accept())
    second = asyncio.create_task(tunnel.accept())
    await asyncio.sleep(0)
    first.cancel()
    async with await client.dial(tunnel.id), await second as stream:
        assert stream.id
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_iteration_ends_with_the_tunnel(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    seen = 0

    async def iterate() -> None:
        nonlocal seen
        async for stream in tunnel:
            stream.close()
            seen += 1

    iterating = asyncio.create_task(iterate())
    for expected in (1, 2, 3):
        async with await client.dial(tunnel.id) as stream:
            assert await stream.read() == b""
        assert seen == expected
    assert not tunnel.closed
    await tunnel.close()
    await iterating
    assert tunnel.closed
    await tunnel.close()
    with pytest.raises(RstreamError) as closed:
        await tunnel.accept()
    assert closed.value.code == "ERR_RSTREAM_TUNNEL_CLOSED"


async def test_closing_the_control_channel_ends_its_tunnels(control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    accepting = asyncio.create_task(tunnel.accept())
    await asyncio.sleep(0)
    await control.close()
    with pytest.raises(RstreamError) as closed:
        await accepting
    assert closed.value.code == "ERR_RSTREAM_CONTROL_CLOSED" and tunnel.closed and control.closed
    await control.done()
    with pytest.raises(RstreamError) as again:
        await control.create_tunnel()
    assert again.value.code == "ERR_RSTREAM_CONTROL_CLOSED"


async def test_streams_outlive_their_tunnel(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    async with await client.dial(tunnel.id) as near, await tunnel.accept() as far:
        await control.close_tunnel(tunnel.id)
        assert tunnel.closed
        await control.close_tunnel("unknown")
        near.write(b"on it goes")
        assert await far.readexactly(10) == b"on it goes"


async def test_the_engine_ends(engine: Engine, client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    accepting = asyncio.create_task(tunnel.accept())
    await engine.stop()
    await control.done()
    with pytest.raises(RstreamError):
        await accepting
    assert control.closed and tunnel.closed
    with pytest.raises(ConnectionRefusedError) as refused:
        await client.connect()
    assert isinstance(refused.value, librstream.TransportError) and refused.value.code == "ECONNREFUSED"


# Sockets


async def test_sockets_on_the_event_loop(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        async for connected in tunnel.sockets():
            with connected:
                assert connected.gettimeout() == 0
                while data := await loop.sock_recv(connected, 65536):
                    await loop.sock_sendall(connected, data.upper())
                connected.shutdown(socket.SHUT_WR)

    task = asyncio.create_task(serve())
    for _ in range(2):
        async with await client.dial(tunnel.id) as stream:
            stream.write(b"through a socket " * 10_000)
            stream.write_eof()
            assert await stream.read() == b"THROUGH A SOCKET " * 10_000
    await tunnel.close()
    await task


async def test_sockets_for_blocking_code_on_a_thread(client: Client, control: ControlChannel) -> None:
    def serve(connected: socket.socket) -> None:
        with connected, connected.makefile("rwb") as file:
            for line in file:
                file.write(line[::-1])
                file.flush()

    near, far = await pair(client, control)
    connected = far.into_socket()
    connected.setblocking(True)
    thread = threading.Thread(target=serve, args=(connected,))
    thread.start()
    async with near:
        for _ in range(100):
            near.write(b"abc\n")
            assert await near.readexactly(4) == b"\ncba"
    await asyncio.to_thread(thread.join)


# Forwarding


async def test_forwarding_to_a_local_service(client: Client, control: ControlChannel) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    events: list[ForwardedConnection] = []
    tunnel = await control.create_tunnel(publish=False)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        forwarding = asyncio.create_task(tunnel.forward_to(host, port, on_connection=events.append))
        for _ in range(3):
            async with await client.dial(tunnel.id) as stream:
                stream.write(b"hello")
                stream.write_eof()
                assert await stream.read() == b"HELLO"
        await until(lambda: len(events) == 6)
        await tunnel.close()
        await forwarding
    assert [event.event for event in events] == ["opened", "closed"] * 3
    assert all(event.error is None and event.peer == "127.0.0.1" for event in events)
    assert [(event.bytes_in, event.bytes_out) for event in events if event.event == "closed"] == [(5, 5)] * 3


async def test_forwarding_can_be_cancelled(client: Client, control: ControlChannel) -> None:
    tunnel = await control.create_tunnel(publish=False)
    forwarding = asyncio.create_task(tunnel.forward_to("127.0.0.1", 9))
    await asyncio.sleep(0)
    forwarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forwarding
    async with await client.dial(tunnel.id) as near, await tunnel.accept():
        assert not near.is_closing()


async def test_forwarding_to_nobody(client: Client, control: ControlChannel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    tunnel = await control.create_tunnel(publish=False)
    forwarding = asyncio.create_task(tunnel.forward_to("127.0.0.1", port))
    async with await client.dial(tunnel.id) as stream:
        with pytest.raises(ConnectionResetError):
            await stream.read()
    forwarding.cancel()


@pytest.mark.parametrize(
    ("host", "port"), [("", 80), (" ", 80), ("localhost", 0), ("localhost", 65536), ("localhost", None), ("unix:/x", 1)]
)
async def test_where_nothing_can_be_forwarded_to(control: ControlChannel, host: str, port: int | None) -> None:
    tunnel = await control.create_tunnel(publish=False)
    with pytest.raises(librstream.RuntimeError) as invalid:
        await tunnel.forward_to(host, port)
    assert invalid.value.code == "ERR_RSTREAM_INVALID_LOCAL_ENDPOINT"


async def test_an_exception_of_an_observer_is_reported(client: Client, control: ControlChannel) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    failure = ValueError("the observer failed")

    def observe(_event: ForwardedConnection) -> None:
        raise failure

    tunnel = await control.create_tunnel(publish=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        forwarding = asyncio.create_task(tunnel.forward_to("127.0.0.1", port, on_connection=observe))
        async with await client.dial(tunnel.id):
            await until(lambda: failure in reported)
    forwarding.cancel()


async def test_many_streams_at_once(client: Client, control: ControlChannel) -> None:
    async def one(number: int) -> None:
        async with await client.dial(tunnel.id) as stream:
            stream.write(b"%d" % number)
            stream.write_eof()
            assert await stream.read() == b"%d" % number

    tunnel = await control.create_tunnel(publish=False)
    async with serving(tunnel, echo), asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(one(number))
