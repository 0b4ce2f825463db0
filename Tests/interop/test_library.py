# SPDX-License-Identifier: Apache-2.0
"""The library through ctypes on a foreign loop: what happens when the caller accepts late, reads late, closes."""

import asyncio
import concurrent.futures
import hashlib
import threading
import time

import pytest

from support import wire
from support.ctl import unique
from support.library import Client, EmbeddedEngine, LibraryError, Loop, resident
from support.official import ask, official_client, serving, upper
from support.waiting import wait_until

UV_ECONNRESET, UV_ENOBUFS, UV_EPIPE = -104, -105, -32


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def library_agent(loop, fake_engine):
    """(Control and Tunnel of ours, the fake engine's control, the tunnel's id)"""
    client = Client(loop, {"engine": fake_engine.address, "transport.tls.caFile": fake_engine.ca_file})
    played = {}

    def play():
        played["control"] = fake_engine.accept_control()
        played["tunnel"] = played["control"].grant_tunnel()

    thread = threading.Thread(target=play)
    thread.start()
    control = client.connect()
    tunnel = control.create_tunnel(name="library", publish="false")
    thread.join(10)
    control.client = client
    return control, tunnel, played["control"], played["tunnel"].id.value


def test_what_the_engine_told(library_agent):
    control, tunnel, _, tunnel_id = library_agent
    assert control.detail("agent") == "interop-engine" and control.detail("plan") == "test"
    assert control.detail("region") is None
    assert tunnel.value("id") == tunnel_id and tunnel.value("type") == "bytestream"
    assert tunnel.value("name") == "library" and tunnel.value("hostname") is None
    assert tunnel.forwarding_address == "rstrm://library (unpublished)"


def test_ten_streams_wait_for_a_listener_and_the_next_five_seconds(library_agent):
    """An accept backlog of ten; the eleventh waits 5 s for a place and is refused then."""
    _, tunnel, control, tunnel_id = library_agent
    streams = [control.open_stream(tunnel_id) for _ in range(10)]
    for stream in streams:
        answer = control.expect("proxy_conn_rsp", where=lambda rsp, wanted=stream.stream_id: rsp.stream_id == wanted)
        assert not answer.HasField("error")
    started = time.monotonic()
    eleventh = control.open_stream(tunnel_id)
    answer = control.expect("proxy_conn_rsp", timeout=8)
    assert answer.stream_id == eleventh.stream_id and answer.HasField("error")
    assert 4 < time.monotonic() - started < 8
    with pytest.raises(ConnectionError):
        eleventh.read_exactly(1)
    tunnel.listen()
    for stream in streams:
        stream.write(b"now")
        ours = tunnel.accept().read_start()
        assert ours.wait_data(3) == b"now" and ours.id == stream.stream_id


def test_a_place_in_the_backlog_is_taken_when_it_gets_free(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    streams = [control.open_stream(tunnel_id) for _ in range(12)]
    time.sleep(0.5)
    tunnel.listen()
    assert [tunnel.accept().id for _ in range(12)] == [stream.stream_id for stream in streams]


def test_waiting_streams_are_delivered_to_a_late_listener(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    stream = control.open_stream(tunnel_id)
    stream.write(b"patient")
    time.sleep(0.5)
    tunnel.listen()
    ours = tunnel.accept().read_start()
    assert ours.wait_data(7) == b"patient"
    assert not control.expect("proxy_conn_rsp").HasField("error")


def test_the_peers_address(library_agent, fake_engine):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    control.open_stream(tunnel_id, source_ip=0xC000020A)
    assert tunnel.accept().peer == "192.0.2.10"
    control.open_stream(tunnel_id)
    assert tunnel.accept().peer == ""
    request = wire.proxy_conn_req(tunnel_id, "ab" * 12, "s")
    request.proxy_conn_req.source_ip.v6 = bytes.fromhex("20010db8" + "00" * 11 + "10")
    control.send(request)
    fake_engine.accept_proxy()
    assert tunnel.accept().peer == "2001:db8::10"
    request.proxy_conn_req.stream_id = "cd" * 12
    request.proxy_conn_req.source_ip.v6 = b"short"
    control.send(request)
    fake_engine.accept_proxy()
    assert tunnel.accept().peer == ""


@pytest.mark.parametrize("how", ["abort", "drop"])
def test_streams_outlive_an_unexpected_loss_of_the_control_channel(library_agent, how):
    control, tunnel, far_control, tunnel_id = library_agent
    tunnel.listen()
    far = far_control.open_stream(tunnel_id)
    near = tunnel.accept().read_start()
    getattr(far_control, how)()
    assert control.ended.wait(5) and tunnel.ended.wait(5)
    assert control.end_error is not None or how == "drop"
    for _ in range(3):
        near.write(b"still here")
        assert far.read_exactly(10) == b"still here"
        far.write(b"so am I")
        time.sleep(0.2)
    assert near.wait_data(21) == b"so am I" * 3
    near.shutdown()
    assert far.read() == b""
    far.shutdown_write()
    near.wait_end()
    assert near.error is None
    near.close()


def test_the_client_reconnects_after_a_loss(library_agent, fake_engine):
    control, _, far_control, _ = library_agent
    far_control.abort()
    assert control.ended.wait(5)
    thread = threading.Thread(target=lambda: fake_engine.accept_control(client_id="again").grant_tunnel())
    thread.start()
    again = control.client.connect()
    assert again.create_tunnel(publish="false").value("id")
    thread.join(5)


def test_an_orderly_end_has_no_error(library_agent):
    control, tunnel, far_control, _ = library_agent
    far_control.send(wire.close_control_rsp())
    assert control.ended.wait(5) and control.end_error is None
    assert tunnel.ended.wait(5)


def test_a_revoked_tunnel_ends_alone(library_agent):
    control, tunnel, far_control, tunnel_id = library_agent
    tunnel.listen()
    far = far_control.open_stream(tunnel_id)
    near = tunnel.accept().read_start()
    far_control.send(wire.close_tunnel_rsp(tunnel_id))
    assert tunnel.ended.wait(5) and tunnel.end_error is None
    assert not control.ended.is_set()
    far.write(b"goes on")
    assert near.wait_data(7) == b"goes on"
    tunnel.close()
    far_control.send(wire.server_message("nothing follows"))
    assert far_control.received("close_tunnel_req") == []


def test_closing_a_tunnel_asks_the_engine_once(library_agent):
    _, tunnel, far_control, tunnel_id = library_agent
    tunnel.listen()
    far = far_control.open_stream(tunnel_id)
    near = tunnel.accept().read_start()

    def answer():
        far_control.expect("close_tunnel_req")
        time.sleep(0.3)
        late, _ = far_control.ask_stream(tunnel_id)
        assert far_control.expect("proxy_conn_rsp", where=lambda rsp: rsp.stream_id == late).HasField("error")
        far_control.send(wire.close_tunnel_rsp(tunnel_id))

    thread = threading.Thread(target=answer)
    thread.start()
    tunnel.close()
    thread.join(5)
    far.write(b"goes on")
    assert near.wait_data(7) == b"goes on"
    assert len(far_control.received("close_tunnel_req")) == 1


def test_a_stream_that_is_not_read_slows_its_sender_only(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept()
    memory = resident()
    far.stream.settimeout(1)
    sent = 0
    block = bytes(range(256)) * 256
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            far.write(block)
            sent += len(block)
    assert sent < 32 << 20 and resident() - memory < 32 << 20
    other_far = control.open_stream(tunnel_id)
    other = tunnel.accept().read_start()
    other_far.write(b"quick")
    assert other.wait_data(5, timeout=2) == b"quick"
    near.read_start()
    near.wait_data(sent - len(block), timeout=20)
    near.read_stop()
    assert bytes(near.data[: 4 * len(block)]) == block * 4


def test_writes_beyond_the_limit_are_refused(library_agent):
    """What waits is bounded: 64 MiB, then UV_ENOBUFS; what was taken still arrives."""
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept()
    block = b"z" * (8 << 20)
    codes = [near.start_write(block) for _ in range(16)]
    assert codes[0] == 0 and codes[-1] == UV_ENOBUFS
    accepted = codes.count(0) * len(block)
    assert near.queued <= (64 << 20) + len(block)
    received = 0
    while received < accepted:
        data = far.read(1 << 20, timeout=20)
        assert data
        received += len(data)
    wait_until(lambda: near.queued == 0)
    assert near.start_write(b"again") == 0
    assert far.read_exactly(5) == b"again"


def test_writes_after_the_own_end_are_refused(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept().read_start()
    near.write(b"last")
    near.shutdown()
    assert near.start_write(b"too late") == UV_EPIPE
    assert far.read_all() == b"last"
    far.write(b"answer")
    assert near.wait_data(6) == b"answer"


def test_close_still_sends_what_was_written(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept()
    data = bytes(range(256)) * 16384
    assert near.start_write(data) == 0
    near.close()
    assert hashlib.sha256(far.read_all(timeout=20)).digest() == hashlib.sha256(data).digest()


def test_reset_is_a_reset(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept()
    near.reset()
    with pytest.raises(ConnectionResetError):
        far.read()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept().read_start()
    far.abort()
    near.wait_end()
    assert near.error.code == UV_ECONNRESET


def test_a_stream_as_a_file_descriptor(library_agent):
    _, tunnel, control, tunnel_id = library_agent
    tunnel.listen()
    far = control.open_stream(tunnel_id)
    near = tunnel.accept()
    far.write(b"before ")
    time.sleep(0.2)
    sock = near.into_socket()
    sock.settimeout(10)
    far.write(b"after")
    received = b""
    while len(received) < 12:
        received += sock.recv(100)
    assert received == b"before after"
    sock.sendall(b"answer")
    assert far.read_exactly(6) == b"answer"
    sock.shutdown(1)
    assert far.read() == b""
    far.write(b"half open")
    assert sock.recv(100) == b"half open"
    far.shutdown_write()
    assert sock.recv(100) == b""
    sock.close()


def test_closing_everything_in_the_wrong_order(library_agent, fake_engine):
    """Parents before children, from the same thread, with traffic on: every close is called back once."""
    control, tunnel, far_control, tunnel_id = library_agent
    tunnel.listen()
    streams = []
    for _ in range(5):
        far = far_control.open_stream(tunnel_id)
        far.write(b"traffic" * 1000)
        streams.append((far, tunnel.accept().read_start()))
    far_control.wire.stream.settimeout(5)
    control.client.close()
    for far, _ in streams:
        try:
            far.read_all(timeout=10)
        except ConnectionError:
            pass
    far_control.expect_end(timeout=10)


def test_timeouts(loop, fake_engine):
    settings = {
        "engine": fake_engine.address, "transport.tls.caFile": fake_engine.ca_file, "timeouts.operationMs": 500,
        "zeroRtt": "false",
    }  # fmt: skip
    client = Client(loop, settings)
    with pytest.raises(LibraryError) as failure:
        client.connect()
    assert failure.value.name == "ERR_RSTREAM_OPERATION_TIMEOUT"
    with pytest.raises(LibraryError) as failure:
        client.dial("nobody answers")
    assert failure.value.name == "ERR_RSTREAM_OPERATION_TIMEOUT"
    fake_engine.accept()
    fake_engine.accept()
    thread = threading.Thread(target=fake_engine.accept_control)
    thread.start()
    control = client.connect()
    with pytest.raises(LibraryError) as failure:
        control.create_tunnel(publish="false")
    assert failure.value.name == "ERR_RSTREAM_OPERATION_TIMEOUT"
    thread.join(5)
    assert not control.ended.is_set()


@pytest.mark.parametrize(
    "values",
    [
        {"port": 80}, {"protocol": "tcp", "publish": "false"}, {"protocol": "tcp", "hostname": "x"},
        {"protocol": "tcp", "upstream_tls": "false"}, {"type": "datagram", "publish": "true"},
        {"protocol": "dtls", "type": "bytestream"},
    ],
    ids=lambda values: "-".join(values),
)  # fmt: skip
def test_impossible_tunnels_are_refused_before_they_are_asked_for(library_agent, values):
    control, _, far_control, _ = library_agent
    with pytest.raises(LibraryError):
        control.create_tunnel(**values)
    assert far_control.received("open_tunnel_req")[1:] == []


async def test_engine_agent_and_dialer_in_one_process(tmp_path):
    """The embedded engine, an agent of ours on the same loop, and the official client from outside."""
    loop = await asyncio.to_thread(Loop)
    try:
        engine = await asyncio.to_thread(
            EmbeddedEngine,
            loop,
            {"dev.enabled": "true", "dev.state_dir": tmp_path / "state", "tls.listen_addr": "127.0.0.1:0"},
        )
        client = Client(loop, {"engine": engine.address, "transport.tls.caFile": engine.ca_file})
        control = await asyncio.to_thread(client.connect)
        name = unique("embedded")
        tunnel = await asyncio.to_thread(control.create_tunnel, name=name, publish="false")
        tunnel.listen()
        async with official_client(engine) as official:
            stream = await official.dial(name)
            stream.write(b"hello")
            await stream.drain()
            ours = (await asyncio.to_thread(tunnel.accept)).read_start()
            assert await asyncio.to_thread(ours.wait_data, 5) == b"hello"
            await asyncio.to_thread(ours.write, b"world")
            assert await asyncio.wait_for(stream.readexactly(5), 10) == b"world"
            theirs = await (await official.connect()).create_tunnel(name=f"{name}-theirs", publish=False)
            async with serving(theirs, upper):
                dialed = await asyncio.to_thread(client.dial, f"{name}-theirs")
                dialed.read_start()
                await asyncio.to_thread(dialed.write, b"ping")
                assert await asyncio.to_thread(dialed.wait_data, 4) == b"PING"
                again = await official.dial(theirs.id)
                assert await ask(again, b"ping") == b"PING"
                again.close()
                await asyncio.to_thread(dialed.close)
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(engine.close)
    finally:
        await asyncio.to_thread(loop.close)


@pytest.mark.parametrize("mode", ["tls", "quic"])
def test_connecting_again_after_silence(loop, start_quic_engine, mode):
    """The engine's machine has vanished; who connects again gets a new connection at once."""
    engine = start_quic_engine()
    settings = {
        "engine": engine.address,
        "transport.tls.caFile": engine.ca_file,
        "transport.mode": mode,
        "heartbeat.intervalMs": 1000,
    }
    client = Client(loop, settings)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        connecting = pool.submit(client.connect)
        engine.accept_control(timeout_ms=1500, auto_ack=False)
        control = connecting.result(10)
        if mode == "quic":
            engine.accept_quic().fall_silent()
        assert control.ended.wait(10)
        assert control.end_error.name == "ERR_RSTREAM_CONTROL_LIVENESS"
        connecting = pool.submit(client.connect)
        engine.accept_control(timeout=5)
        connecting.result(5).close()
    client.close()
