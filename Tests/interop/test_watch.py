# SPDX-License-Identifier: Apache-2.0
"""Watching: the official client with our engine, and ours with our engine and with a fake one."""

import asyncio
import json
import time

import pytest
from rstream import ClientFilters, TunnelFilters
from rstream.errors import RuntimeError as OfficialError

from support.ctl import unique
from support.fake_api import response
from support.official import official_client
from support.ports import free_port_range
from support.tokens import CREATE, LIST, mint
from support.waiting import wait_until

SECRET = "watch-test-secret-0123456789abcdef00"
TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "websocket"])


def ended(program, code):
    program.judge(program.wait(), code)


# -- the official client with our engine ------------------------------------------------------------------------------


@TRANSPORTS
async def test_the_official_client_watches(engine, client, transport):
    label = unique("watch")
    control = client.control(agent=f"{label}-early")
    early = control.open_tunnel(name=f"{label}-early", labels={"k": label}, publish=False).id.value
    async with official_client(engine) as official:
        watch = official.watch(
            tunnels=TunnelFilters(labels={"k": label}), clients=ClientFilters(channel="test"), transport=transport
        )
        async with watch:
            first = await asyncio.wait_for(anext(watch), 10)
            assert first.type == "state.initial" and first.id and first.created_at
            assert [tunnel["id"] for tunnel in first.object["tunnels"]] == [early]
            assert control.client_id in [entry["id"] for entry in first.object["clients"]]
            assert first.object["snapshot_at"]

            late = control.open_tunnel(name=f"{label}-late", labels={"k": label}, publish=False).id.value
            control.open_tunnel(name=f"{label}-other", publish=False)
            control.close_tunnel(early)
            events = []
            while len(events) < 2:
                event = await asyncio.wait_for(anext(watch), 10)
                if event.type.startswith("tunnel."):
                    events.append((event.type, event.object["id"], event.object["status"]))
            assert events == [("tunnel.created", late, "online"), ("tunnel.deleted", early, "offline")]


@TRANSPORTS
async def test_nothing_is_lost_between_snapshot_and_events(engine, client, transport):
    """Tunnels are opened all the time while watches begin: each is told exactly once, in the snapshot or after it."""
    label = unique("atomic")
    control = client.control()
    ids = []

    async def open_tunnels():
        for number in range(60):
            ids.append(
                (
                    await asyncio.to_thread(
                        control.open_tunnel, name=f"{label}-{number}", labels={"k": label}, publish=False
                    )
                ).id.value
            )

    async def watch(official, delay):
        await asyncio.sleep(delay)
        told = []
        stream = official.watch(tunnels=TunnelFilters(labels={"k": label}), transport=transport)
        async with stream:
            async for event in stream:
                if event.type == "state.initial":
                    told += [tunnel["id"] for tunnel in reversed(event.object["tunnels"])]
                elif event.type == "tunnel.created":
                    told.append(event.object["id"])
                if len(told) == 60:
                    return told

    async with official_client(engine) as official:
        watchers = [asyncio.create_task(watch(official, number * 0.01)) for number in range(6)]
        await open_tunnels()
        for told in await asyncio.wait_for(asyncio.gather(*watchers), 20):
            assert told == ids


@TRANSPORTS
async def test_tokens_of_the_official_client(start_engine, transport):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})
    async with official_client(engine, token=mint(SECRET, [LIST])) as official:
        async with official.watch(transport=transport) as stream:
            assert (await asyncio.wait_for(anext(stream), 10)).type == "state.initial"
    for token in (None, mint(SECRET, [CREATE]), mint("x" * 40)):
        async with official_client(engine, token=token) as official:
            with pytest.raises(Exception) as refusal:
                async with official.watch(transport=transport) as stream:
                    await asyncio.wait_for(anext(stream), 10)
            assert "403" in str(refusal.value) if token == mint(SECRET, [CREATE]) else "40" in str(refusal.value)
            if transport == "sse":
                assert isinstance(refusal.value, OfficialError)


# -- what a browser does ----------------------------------------------------------------------------------------------


def test_tokens_in_the_address(start_engine):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})

    def status(path, token):
        connection = engine.http()
        try:
            connection.request("GET", f"{path}?rstream.token={token}")
            answer = connection.getresponse()
            return answer.status, answer.fp.readline() if answer.status == 200 else answer.read()
        finally:
            connection.close()

    listing = mint(SECRET, [LIST])
    assert status("/api/sse", listing)[0] == 200
    assert status("/api/tunnels", listing)[0] == 401
    assert status("/api/sse", mint(SECRET, [LIST], lifetime=7200))[0] == 401
    assert status("/api/sse", mint(SECRET))[0] == 401
    assert listing not in engine.log


# -- ours -------------------------------------------------------------------------------------------------------------


def test_ours_and_our_engine(engine, client, watch, name):
    control = client.control()
    early = control.open_tunnel(name=name, labels={"k": name}, publish=False).id.value
    program = watch(engine, "--tunnels", f"labels.k={name}", "--clients", "agent=nobody")
    first = program.wait_line(type="state.initial")
    assert [tunnel["id"] for tunnel in first["object"]["tunnels"]] == [early] and first["object"]["clients"] == []
    control.close_tunnel(early)
    assert program.wait_line(type="tunnel.deleted")["object"]["id"] == early
    anything = watch(engine, "--tunnels", "labels.k")
    assert anything.wait_line(type="state.initial")


def test_ours_connects_again_when_the_engine_is_back(start_engine, watch):
    port = free_port_range(1).split("-")[0]
    engine = start_engine(arguments=["--listen", f"127.0.0.1:{port}"])
    once, always = watch(engine), watch(engine, "--reconnect")
    for program in (once, always):
        program.wait_line(type="state.initial")
    engine.end()
    ended(once, 0)
    engine = start_engine(arguments=["--listen", f"127.0.0.1:{port}"])
    assert always.wait_line(type="state.initial", timeout=40)["object"]["clients"] == []
    client = engine.fake_client()
    control = client.control()
    assert always.wait_line(type="client.created")["object"]["id"] == control.client_id


def test_refusals(start_engine, watch):
    engine = start_engine(settings={"auth.open": "false", "auth.tokens": "right"})
    assert watch(engine, token="right").wait_line(type="state.initial")
    program = watch(engine, "--reconnect", token="wrong")
    assert program.wait_line(status="offline")["engine_code"] == 401
    ended(program, 3)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
SNAPSHOT = b'data: {"type":"state.initial","object":{"clients":[],"tunnels":[]}}\n\n'


def event(number):
    return f'event: x\nid: {number}\ndata: {{"type":"tunnel.created",\ndata: "object":{{"id":"t{number}"}}}}\n\n'.encode()


def test_what_is_asked(fake_api, watch):
    api = fake_api(lambda *_: HEAD + SNAPSHOT)
    options = ["--tunnels", "name=a b", "--tunnels", "labels.x", "--tunnels", "labels.y=1", "--clients", "os=linux"]
    program = watch(api, *options, token="secret")
    program.wait_line(type="state.initial")
    (request,) = api.requests
    assert request.path == "/api/sse" and request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.params == {
        "tunnels": {"name": "a b", "labels": {"x": None, "y": "1"}},
        "clients": {"os": "linux"},
    }


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "plain"])
def test_events_in_pieces(fake_api, watch, size, chunked):
    stream = b": hello\n\n" + SNAPSHOT + b"".join(map(event, range(20))) + b"retry: 1\r\n\r\ndata: [1]\r\n\r\n" + event(20)
    head = HEAD if not chunked else HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")

    def answer(connection, request):
        connection.sendall(head)
        for start in range(0, len(stream), size):
            piece = stream[start : start + size]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        return False

    program = watch(fake_api(answer))
    ended(program, 0)
    assert [line["object"]["id"] for line in program.lines[1:]] == [f"t{number}" for number in range(21)]


NONSENSE = [
    (HEAD + b"data: {\n\n", "ERR_RSTREAM_EVENT_JSON", 1),
    (HEAD + SNAPSHOT + b"data: \xff\n\n", "ERR_RSTREAM_EVENT_JSON", 1),
    (HEAD + b"data: " + b"x" * (17 << 20), "ERR_RSTREAM_ENGINE_API_PAYLOAD", 1),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + SNAPSHOT[:50], "ECONNRESET", 4),
    (b"\x16\x03\x01", "ERR_RSTREAM_PROTOCOL", 1),
    (response(b"not here", "404 Not Found", "text/plain"), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
    (response(b"", "302 Found", headers=("Location: /api/tunnels",)), "ERR_RSTREAM_ENGINE_API_HTTP", 3),
]


@pytest.mark.parametrize("answer, name, code", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_ends_it(fake_api, watch, answer, name, code):
    api = fake_api(lambda connection, request: connection.sendall(answer) or False)
    program = watch(api, "--reconnect")
    assert program.wait_line(status="offline")["code"] == name
    ended(program, code)
    assert len(api.requests) == 1


def test_an_engine_that_says_nothing(fake_api, watch):
    program = watch(fake_api(lambda *_: None))
    started = time.monotonic()
    assert program.wait_line(status="offline")["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT"
    assert time.monotonic() - started < 10
    ended(program, 4)


def test_gaps_show_as_snapshots(fake_api, watch):
    """Broken connections, an engine that is busy: each time it comes back there is a snapshot, and pauses grow."""

    def answer(connection, request):
        number = len(api.requests)
        if number in (2, 3):
            return response(b"busy", "503 Busy", "text/plain")
        connection.sendall(HEAD + SNAPSHOT.replace(b"{}", b'{"n":%d}' % number) + event(number))
        if number == 5:
            time.sleep(60)
        return False

    api = fake_api(answer)
    program = watch(api, "--reconnect")
    assert program.wait_line(type="tunnel.created", object={"id": "t5"}, timeout=30)
    assert [line["type"] for line in program.lines].count("state.initial") == 3
    pauses = [after.time - before.time for before, after in zip(api.requests, api.requests[1:])]
    assert 0.2 < pauses[0] < 1 and 0.4 < pauses[1] < 2 and 0.9 < pauses[2] < 4 and 0.2 < pauses[3] < 1


def test_a_lost_connection_without_reconnecting(fake_api, watch):
    def answer(connection, request):
        connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"))
        connection.sendall(b"%x\r\n%s\r\n" % (len(SNAPSHOT), SNAPSHOT))
        return False

    program = watch(fake_api(answer))
    assert program.wait_line(status="offline")["code"] == "ECONNRESET"
    ended(program, 5)


def test_an_interrupt_ends_it(fake_api, watch):
    def silent(connection, request):
        connection.sendall(HEAD + SNAPSHOT)
        time.sleep(60)

    api = fake_api(silent)
    program = watch(api)
    program.wait_line(type="state.initial")
    program.end()
    wait_until(lambda: len(api.requests) == 1)
    assert json.dumps(program.lines).count("offline") == 0
