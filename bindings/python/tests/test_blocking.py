# SPDX-License-Identifier: Apache-2.0
"""The package without asyncio."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator

import librstream
import pytest
from librstream import blocking
from librstream.blocking import BytestreamTunnel, Client, ControlChannel, Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.client() as client:
        yield client


@pytest.fixture
def control(client: Client) -> Iterator[ControlChannel]:
    with client.connect() as control:
        yield control


def test_one_thread_at_both_ends(client: Client, control: ControlChannel) -> None:
    assert control.client_id and control.server_details is not None and not control.closed
    tunnel = control.create_tunnel(name="echo", publish=False, labels={"team": "blue"})
    assert tunnel.forwarding_address == "rstrm://echo (unpublished)" and tunnel.properties.labels == {"team": "blue"}
    with client.dial("echo") as near, tunnel.accept() as far:
        near.write(b"line\n")
        assert far.readline() == b"line\n"
        payload = os.urandom(100_000)
        near.writelines([payload, b";"])
        near.write_eof()
        assert far.readexactly(len(payload)) == payload
        assert far.readuntil(b";") == b";" and far.read(1) == b"" and far.at_eof()
        far.write(b"bye")
        far.close()
        assert near.read() == b"bye" and far.is_closing()
    tunnel.close()
    assert tunnel.closed and list(tunnel) == []


def test_errors_are_the_same(engine: Engine, client: Client, control: ControlChannel) -> None:
    with pytest.raises(librstream.EngineError) as unknown:
        client.dial("nobody", zero_rtt=False)
    assert unknown.value.engine_code == 3000
    tunnel = control.create_tunnel(publish=False)
    with pytest.raises(TimeoutError):
        tunnel.accept(timeout=0.01)
    with pytest.raises(librstream.RstreamError) as invalid:
        tunnel.forward_to("", 80)
    assert invalid.value.code == "ERR_RSTREAM_INVALID_LOCAL_ENDPOINT"
    near = client.dial(tunnel.id)
    with tunnel.accept() as far:
        near.abort()
        with pytest.raises(ConnectionResetError):
            far.read()
    with Client.from_env(engine="127.0.0.1:1") as other, pytest.raises(ConnectionRefusedError):
        other.connect()
    with client.with_options(engine=engine.address) as same, same.connect() as another:
        assert not another.closed


def test_an_engine_on_another_thread(rstream_engine: librstream.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rstream_engine.environment.items():
        monkeypatch.setenv(name, value)
    ready: "asyncio.Queue[str]" = asyncio.Queue()
    names: list[str] = []
    online = threading.Event()

    def serve() -> None:
        with Client.from_env() as client, client.connect() as control:
            tunnel = control.create_tunnel(publish=False)
            names.append(tunnel.id)
            online.set()
            for stream in tunnel:
                with stream:
                    while line := stream.readline():
                        if line == b"end\n":
                            return
                        stream.write(line.upper())

    del ready
    thread = threading.Thread(target=serve)
    thread.start()
    online.wait()
    with Client.from_env() as client:
        for _ in range(2):
            with client.dial(names[0]) as stream:
                for _ in range(50):
                    stream.write(b"line\n")
                    assert stream.readline() == b"LINE\n"
        with client.dial(names[0]) as stream:
            stream.write(b"end\n")
    thread.join()


def test_forwarding_until_the_tunnel_ends(rstream_engine: librstream.Engine) -> None:
    def dial() -> None:
        with Client(engine=rstream_engine.address, tls=tls) as client, client.dial(tunnel.id) as stream:
            answers.append(stream.read())

    def close_tunnel(event: blocking.ForwardedConnection) -> None:
        events.append(event)
        if event.event == "closed":
            asyncio.get_running_loop().create_task(tunnel._inner.close())

    answers: list[bytes] = []
    events: list[blocking.ForwardedConnection] = []
    tls = librstream.TLSOptions(ca_file=rstream_engine.ca_file)
    with socket.create_server(("127.0.0.1", 0)) as service:
        with Client(engine=rstream_engine.address, tls=tls) as client, client.connect() as control:
            tunnel = control.create_tunnel(publish=False)
            thread = threading.Thread(target=dial)
            thread.start()
            answering = threading.Thread(target=answer, args=(service,))
            answering.start()
            tunnel.forward_to(*service.getsockname(), on_connection=close_tunnel)
        thread.join()
        answering.join()
    assert answers == [b"served"] and [event.event for event in events] == ["opened", "closed"]


def answer(service: socket.socket) -> None:
    connection, _ = service.accept()
    with connection:
        connection.sendall(b"served")


def test_sockets_for_other_threads(rstream_engine: librstream.Engine) -> None:
    def work(connected: socket.socket) -> None:
        connected.setblocking(True)
        with connected, connected.makefile("rwb", buffering=0) as file:
            file.write((file.readline() or b"").upper())

    def serve(tunnel: BytestreamTunnel) -> list[threading.Thread]:
        workers = []
        for connected in tunnel.sockets():
            workers.append(threading.Thread(target=work, args=(connected,)))
            workers[-1].start()
            if len(workers) == 3:
                break
        return workers

    def dial(name: str) -> None:
        with Client(engine=rstream_engine.address, tls=tls) as client:
            for _ in range(3):
                with client.dial(name) as stream:
                    stream.write(b"hello\n")
                    answers.append(stream.readline())

    answers: list[bytes] = []
    tls = librstream.TLSOptions(ca_file=rstream_engine.ca_file)
    with Client(engine=rstream_engine.address, tls=tls) as client, client.connect() as control:
        tunnel = control.create_tunnel(publish=False)
        dialing = threading.Thread(target=dial, args=(tunnel.id,))
        dialing.start()
        workers = serve(tunnel)
        while dialing.is_alive():
            blocking.sleep(0.01)
    for thread in workers:
        thread.join()
    assert answers == [b"HELLO\n"] * 3


def test_an_object_of_another_thread(client: Client, control: ControlChannel) -> None:
    codes: list[str] = []

    def use() -> None:
        try:
            control.create_tunnel()
        except librstream.RstreamError as error:
            codes.append(error.code)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert codes == ["ERR_RSTREAM_WRONG_THREAD"]


async def test_inside_of_asyncio_it_is_refused(rstream_engine: librstream.Engine) -> None:
    client = Client(engine=rstream_engine.address)
    with pytest.raises(librstream.RstreamError, match="running event loop"):
        client.connect()


def test_the_loop_of_a_thread_ends_with_it(rstream_engine: librstream.Engine) -> None:
    def connect() -> None:
        with Client(engine=rstream_engine.address, tls=tls) as client:
            client.connect().close()
            kept.append((client, client._loop._runner.get_loop()))

    def use() -> None:
        try:
            client.list_tunnels()
        except librstream.RstreamError as error:
            codes.append(error.code)

    tls = librstream.TLSOptions(ca_file=rstream_engine.ca_file)
    kept: list[tuple[Client, asyncio.AbstractEventLoop]] = []
    codes: list[str] = []
    # The second thread may have the number of the first, which is no reason to run anything of it.
    for work in (connect, use):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        client, loop = kept[0]
        assert loop.is_closed()
    assert codes == ["ERR_RSTREAM_WRONG_THREAD"]
