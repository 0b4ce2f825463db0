# SPDX-License-Identifier: Apache-2.0
"""Watching what comes and goes, and asking how an engine is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import librstream
import pytest
from librstream import (
    Client,
    ClientFilters,
    ControlChannel,
    Engine,
    Event,
    EventStream,
    RstreamError,
    TLSOptions,
    TunnelFilters,
    blocking,
    watch,
)
from librstream._driver import Driver
from support import until

NOBODY = ClientFilters(id="nobody")
TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "websocket"])


def names(event: Event, resource: str = "tunnels") -> list[object]:
    """Of the tunnels or clients of a snapshot."""
    assert event.type == "state.initial" and event.object is not None
    listed = event.object[resource]
    assert isinstance(listed, list)
    return [item["name" if resource == "tunnels" else "id"] for item in listed]


def about(event: Event) -> tuple[str, object]:
    assert event.object is not None
    return event.type, event.object["id"]


async def ending(events: EventStream) -> RstreamError:
    """The error that a stream ends with, and that it ends then."""
    with pytest.raises(RstreamError) as ended:
        async for _ in events:
            pass
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    return ended.value


@contextlib.asynccontextmanager
async def waiting(events: EventStream, count: int) -> AsyncIterator[list[asyncio.Task[Event]]]:
    """Tasks that wait for an event."""
    tasks = [asyncio.ensure_future(anext(events)) for _ in range(count)]
    await asyncio.sleep(0)
    yield tasks
    await asyncio.wait(tasks)


@TRANSPORTS
async def test_what_comes_and_goes(
    engine: Engine, client: Client, control: ControlChannel, transport: watch.WatchTransport
) -> None:
    first = await control.create_tunnel(name="first", publish=False)
    async with client.watch(transport=transport) as events:
        snapshot = await anext(events)
        assert names(snapshot) == ["first"] and names(snapshot, "clients") == [control.client_id]
        second = await control.create_tunnel(name="second", protocol="http")
        created = await anext(events)
        assert about(created) == ("tunnel.created", second.id)
        assert created.object is not None and created.object["name"] == "second" and created.raw["id"] == created.id
        await first.close()
        assert about(await anext(events)) == ("tunnel.deleted", first.id)
        async with engine.client() as other, await other.connect() as came:
            assert about(await anext(events)) == ("client.created", came.client_id)
        assert about(await anext(events)) == ("client.deleted", came.client_id)
    assert [event async for event in events] == []


async def test_filters(client: Client, control: ControlChannel) -> None:
    await control.create_tunnel(name="red", publish=False, labels={"team": "red"})
    blue = TunnelFilters(labels={"team": "blue", "tier": None}, publish=False)
    async with client.watch(tunnels=blue, clients=NOBODY) as events:
        snapshot = await anext(events)
        assert names(snapshot) == names(snapshot, "clients") == []
        await control.create_tunnel(name="untiered", publish=False, labels={"team": "blue"})
        wanted = await control.create_tunnel(name="blue", publish=False, labels={"team": "blue", "tier": "1"})
        assert about(await anext(events)) == ("tunnel.created", wanted.id)
    error = await ending(client.watch(tunnels=TunnelFilters(labels={"": None})))
    assert error.code == "ERR_RSTREAM_INVALID_FILTER"


async def test_closing_while_somebody_waits(client: Client) -> None:
    events = client.watch(clients=NOBODY)
    await anext(events)
    async with waiting(events, 2) as tasks:
        await events.aclose()
    assert [type(task.exception()) for task in tasks] == [StopAsyncIteration] * 2
    await events.aclose()
    assert not Driver.current().callbacks.always


async def test_who_gives_up_waiting_loses_nothing(client: Client, control: ControlChannel) -> None:
    async with client.watch(clients=NOBODY) as events:
        await anext(events)
        async with waiting(events, 1) as tasks:
            tasks[0].cancel()
        tunnel = await control.create_tunnel(publish=False)
        assert about(await anext(events)) == ("tunnel.created", tunnel.id)


@pytest.mark.parametrize("reconnect", [False, True])
async def test_closing_the_client(engine: Engine, reconnect: bool) -> None:
    client = engine.client()
    events, late = client.watch(reconnect=reconnect), client.watch()
    await anext(events)
    async with waiting(events, 1) as tasks:
        await client.close()
    error = tasks[0].exception()
    assert isinstance(error, RstreamError) and error.code == "ERR_RSTREAM_CLIENT_CLOSED"
    assert [event async for event in events] == []
    assert (await ending(late)).code == "ERR_RSTREAM_CLIENT_CLOSED"
    with pytest.raises(RstreamError) as closed:
        client.watch()
    assert closed.value.code == "ERR_RSTREAM_CLIENT_CLOSED"


async def test_one_that_nobody_has_ends(client: Client) -> None:
    callbacks = Driver.current().callbacks
    async for event in client.watch():
        assert event.type == "state.initial" and len(callbacks.always) == 2
        break
    gc.collect()
    await until(lambda: not callbacks.always)


@TRANSPORTS
async def test_an_engine_that_stops(transport: watch.WatchTransport) -> None:
    async with Engine() as engine, engine.client() as client:
        events = client.watch(transport=transport)
        await anext(events)
        async with waiting(events, 1) as tasks:
            await engine.stop()
        assert isinstance(tasks[0].exception(), StopAsyncIteration)
        assert isinstance(await ending(client.watch(reconnect=True)), ConnectionRefusedError)


async def test_an_engine_that_comes_back(tmp_path: Path) -> None:
    settings = {"dev.state_dir": str(tmp_path)}
    async with Engine(settings) as engine, engine.client() as client:
        async with client.watch(reconnect=True) as events:
            assert names(await anext(events)) == []
            await engine.stop()
            async with Engine(settings | {"tls.listen_addr": f"127.0.0.1:{engine.port}"}):
                snapshot = await anext(events)
                assert names(snapshot) == names(snapshot, "clients") == []
                async with await client.connect() as control:
                    assert about(await anext(events)) == ("client.created", control.client_id)


class Cable:
    """Relays connections to an engine until it is cut."""

    def __init__(self, engine: Engine) -> None:
        self._port = engine.port
        self._writers: list[asyncio.StreamWriter] = []
        self._relays: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._relay(source, sink))
            self._relays.add(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        while self._writers:
            self._writers.pop().transport.abort()


@TRANSPORTS
async def test_a_connection_that_is_lost(
    engine: Engine, control: ControlChannel, transport: watch.WatchTransport
) -> None:
    await control.create_tunnel(name="there", publish=False)
    tls = TLSOptions(ca_file=engine.ca_file, server_name=engine.host)
    async with Cable(engine) as cable, engine.client().with_options(engine=cable.address, tls=tls) as client:
        once = client.watch(clients=NOBODY, transport=transport)
        again = client.watch(clients=NOBODY, transport=transport, reconnect=True)
        for events in (once, again):
            assert names(await anext(events)) == ["there"]
        cable.cut()
        assert isinstance(await ending(once), OSError)
        await control.create_tunnel(name="meanwhile", publish=False)
        assert names(await anext(again)) == ["meanwhile", "there"]
        await again.aclose()


@TRANSPORTS
async def test_refusals(transport: watch.WatchTransport) -> None:
    async with Engine({"auth.open": False, "auth.tokens": "right"}) as engine:
        async with engine.client(token="right") as client, client.watch(transport=transport) as events:
            assert (await anext(events)).type == "state.initial"
        async with engine.client(token="wrong") as client:
            error = await ending(client.watch(transport=transport, reconnect=True))
    assert error.code == "ERR_RSTREAM_ENGINE_API_HTTP" and error.details == {"status": 401}
    assert "wrong" not in str(error)


async def test_settings_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSTREAM_ENGINE", raising=False)
    error = await ending(Client(read_config_file=False).watch())
    assert isinstance(error, librstream.ConfigurationError) and error.code == "ERR_RSTREAM_ENGINE_REQUIRED"


async def test_other_transports(client: Client) -> None:
    pigeon: Any = "carrier pigeon"
    with pytest.raises(librstream.UnsupportedFeatureError, match=pigeon) as unsupported:
        client.watch(transport=pigeon)
    assert unsupported.value.code == "ERR_RSTREAM_WATCH_TRANSPORT"


@pytest.mark.parametrize("limit", ["_MOST_EVENTS", "_MOST_BYTES"])
@pytest.mark.parametrize("reconnect", [False, True])
async def test_events_that_are_not_taken(
    client: Client, control: ControlChannel, monkeypatch: pytest.MonkeyPatch, limit: str, reconnect: bool
) -> None:
    monkeypatch.setattr(watch, limit, 3 if limit == "_MOST_EVENTS" else 2000)
    events = client.watch(clients=NOBODY, reconnect=reconnect)
    await anext(events)
    queue = events._queue
    ids: list[object] = []
    while queue is not None and queue._handle is not None:
        ids.append((await control.create_tunnel(name=f"{len(ids)}", publish=False)).id)
    told = []
    if reconnect:
        while (event := await anext(events)).type != "state.initial":
            told.append(about(event)[1])
        assert names(event) == [f"{number}" for number in reversed(range(len(ids)))]
        await events.aclose()
    else:
        with pytest.raises(RstreamError) as overload:
            while True:
                told.append(about(await anext(events))[1])
        assert overload.value.code == "ERR_RSTREAM_WATCH_OVERLOAD"
        assert [event async for event in events] == []
    assert told and told == ids[: len(told)]
    assert len(told) == 3 or limit == "_MOST_BYTES"


def test_without_asyncio() -> None:
    with blocking.Engine() as engine, engine.client() as client, client.connect() as control:
        with client.watch(clients=NOBODY) as events:
            first = events.next(timeout=30)
            assert first is not None and names(first) == []
            with pytest.raises(TimeoutError):
                events.next(timeout=0.01)
            tunnel = control.create_tunnel(publish=False)
            assert about(next(events)) == ("tunnel.created", tunnel.id)
            tunnel.close()
            for event in events:
                assert about(event) == ("tunnel.deleted", tunnel.id)
                break
        assert list(events) == [] and events.next() is None
        client.check("live")
        assert client.doctor().worst == "pass"
        assert client.watch(clients=NOBODY).next() is not None


async def test_how_an_engine_is() -> None:
    async with Engine({"auth.open": False, "auth.tokens": "right"}) as engine:
        async with engine.client(token="right") as client:
            await client.check()
            await client.check("live")
            await client.check("auth")
            with pytest.raises(ValueError, match="well"):
                await client.check("well")  # type: ignore[arg-type]
        async with engine.client(token="wrong") as client:
            await client.check("live")
            with pytest.raises(librstream.RuntimeError) as refused:
                await client.check("auth")
    assert refused.value.code == "ERR_RSTREAM_ENGINE_API_HTTP" and refused.value.details == {"status": 401}
    async with engine_that_is_gone() as client:
        with pytest.raises(ConnectionRefusedError):
            await client.check()


async def test_the_doctor(engine: Engine, client: Client) -> None:
    seen: list[librstream.Finding] = []
    diagnosis = await client.doctor(on_finding=seen.append)
    assert diagnosis.worst == "pass" and list(diagnosis.findings) == seen
    assert {finding.name for finding in seen if finding.status == "pass"} >= {"configuration", "tcp", "tls", "engine"}
    assert all(finding.detail and 0 <= finding.seconds < 30 for finding in seen)
    untrusted = await librstream.doctor(engine=engine.address, read_config_file=False)
    (failed,) = [finding for finding in untrusted.findings if finding.status == "fail"]
    assert untrusted.worst == "fail" and failed.name == "tls" and failed.advice
    with pytest.raises(TypeError):
        await librstream.doctor(motor="unknown")
    with pytest.raises(librstream.ConfigurationError):
        await librstream.doctor(engine="h", heartbeat_interval=0.1)


async def test_a_diagnosis_that_nobody_waits_for(client: Client) -> None:
    asking = asyncio.create_task(client.doctor())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: not Driver.current().callbacks.always)


@contextlib.asynccontextmanager
async def engine_that_is_gone() -> AsyncIterator[Client]:
    """A client of a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Client(engine=f"127.0.0.1:{port}", read_config_file=False) as client:
        yield client
