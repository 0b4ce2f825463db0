# SPDX-License-Identifier: Apache-2.0
"""The foreign parts against each other: the official client on the fake engine, the fake client on the fake engine.

When these fail the fault lies in the test helpers, not in the library.
"""

import asyncio
import threading

import pytest
import rstream
from rstream.config import TLSOptions

from support import wire
from support.fake_client import FakeClient
from support.tls import tls_connect
from support.waiting import wait_until


def official(fake_engine, **options):
    return rstream.Client(
        engine=fake_engine.address,
        no_token=True,
        read_config_file=False,
        tls=TLSOptions(ca_file=fake_engine.ca_file),
        **options,
    )


async def test_official_client_on_the_fake_engine(fake_engine):
    def play():
        control = fake_engine.accept_control()
        tunnel = control.grant_tunnel()
        stream = control.open_stream(tunnel.id.value, b"ping")
        assert stream.read_exactly(4) == b"PING"
        control.expect("proxy_conn_rsp")
        control.send(wire.close_tunnel_rsp(control.expect("close_tunnel_req").tunnel_id))
        control.expect("close_control_channel_req")

    engine_side = asyncio.create_task(asyncio.to_thread(play))
    async with official(fake_engine) as client:
        control = await client.connect()
        assert control.server_details.agent == "interop-engine"
        tunnel = await control.create_tunnel(name="foreign", publish=False)
        stream = await tunnel.accept()
        stream.write((await stream.readexactly(4)).upper())
        await stream.drain()
        await tunnel.close()
        await control.close()
    await engine_side


@pytest.mark.parametrize("zero_rtt", [False, True])
async def test_official_dialer_on_the_fake_engine(fake_engine, zero_rtt):
    def play():
        connection, request = fake_engine.accept_dial()
        assert request.tunnel_id_name == "foreign"
        assert request.zero_rtt.value == zero_rtt
        if not zero_rtt:
            connection.send(wire.stream_rsp("0" * 24), payload=b"early ")
        connection.write(connection.read_exactly(4)[::-1])

    engine_side = asyncio.create_task(asyncio.to_thread(play))
    async with official(fake_engine) as client:
        stream = await client.dial("foreign", zero_rtt=zero_rtt)
        stream.write(b"abcd")
        await stream.drain()
        assert await stream.readexactly(4 if zero_rtt else 10) == (b"dcba" if zero_rtt else b"early dcba")
        stream.close()
    await engine_side


def test_fake_client_on_the_fake_engine(fake_engine):
    result = {}

    def play():
        control = fake_engine.accept_control()
        tunnel = control.grant_tunnel(hostname="x.t.localhost", port=fake_engine.port)
        stream = control.open_stream(tunnel.id.value)
        stream.write(b"half")
        stream.shutdown_write()
        result["answer"] = stream.read_all()
        control.send(wire.close_tunnel_rsp(control.expect("close_tunnel_req").tunnel_id))
        control.expect("close_control_channel_req")
        control.wire.close()

    engine_side = threading.Thread(target=play)
    engine_side.start()
    with FakeClient(fake_engine.port, fake_engine.ca_file) as client:
        control = client.control(liveness=1000)
        assert control.ok.liveness.heartbeat_interval_ms == 1000
        control.send(wire.heartbeat(1))
        assert control.expect("heartbeat").acknowledgement == 1
        tunnel = control.open_tunnel(name="t", labels={"a": "b"}, tls_alpns=["x"], publish=True)
        assert tunnel.hostname.value == "x.t.localhost" and tunnel.labels["a"] == "b"
        stream = control.accept()
        assert stream.read_all() == b"half"
        stream.write(b"answered after the end")
        stream.shutdown_write()
        control.close_tunnel(tunnel.id.value)
        control.close()
    engine_side.join(10)
    assert result["answer"] == b"answered after the end"


def test_half_close_abort_and_bare_fin_are_what_they_say(fake_engine):
    with FakeClient(fake_engine.port, fake_engine.ca_file) as client:
        near, far = client.connect(), fake_engine.accept()
        near.shutdown_write()
        assert far.read() == b""
        far.write(b"still open")
        assert near.read() == b"still open"
        near, far = client.connect(), fake_engine.accept()
        near.stream.fin()
        assert far.read() == b""
        near, far = client.connect(), fake_engine.accept()
        near.abort()
        with pytest.raises(ConnectionResetError):
            far.read()


def test_pausing_proxy_holds_bytes_back(fake_engine, pausing_proxy):
    proxy = pausing_proxy(fake_engine.port)
    with FakeClient(proxy.port, fake_engine.ca_file) as client:
        near, far = client.connect(), fake_engine.accept()
        proxy.pause()
        near.write(b"held back")
        with pytest.raises(TimeoutError):
            far.read(timeout=0.3)
        proxy.resume()
        assert far.read() == b"held back"


def test_sessions_are_resumed_between_the_foreign_parts(fake_engine):
    with FakeClient(fake_engine.port, fake_engine.ca_file) as client:
        first, far = client.connect(), fake_engine.accept()
        far.write(b"x")
        assert first.read() == b"x"
        again = tls_connect(fake_engine.port, "localhost", client.context, session=first.stream.session)
        assert again.session_reused and fake_engine.accept().stream.session_reused
        again.close()


def test_wait_until_fails_in_time():
    with pytest.raises(AssertionError, match="something never"):
        wait_until(lambda: False, timeout=0.05, what="something never")
