# SPDX-License-Identifier: Apache-2.0
"""Scarce resources and slow peers: the engine's memory stays bounded, and other tunnels keep working."""

import contextlib
import resource
import threading
import time
from pathlib import Path

import pytest

from support import wire
from support.bystander import bystander
from support.fake_client import echo
from support.ports import free_port_range
from support.waiting import wait_until

MEGABYTE = 1 << 20


def test_engine_with_a_thousand_silent_connections(start_engine, name):
    """They cost little, nobody else notices, and they are gone after the handshake time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    engine = start_engine(settings={"timeouts.handshake_seconds": 4})
    client = engine.fake_client()
    with bystander(engine, name) as check:
        files, memory = engine.open_files, engine.resident
        sockets = [client.connect_tcp() for _ in range(1000)]
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        wait_until(lambda: engine.open_files <= files + 3, timeout=15, what="the end of the silent connections")
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        for sock in sockets:
            sock.close()


def test_engine_with_silent_tls_connections(start_engine, name):
    engine = start_engine(settings={"timeouts.handshake_seconds": 3})
    client = engine.fake_client()
    with bystander(engine, name) as check:
        files = engine.open_files
        connections = [client.connect() for _ in range(200)]
        check()
        wait_until(lambda: engine.open_files <= files + 3, timeout=15, what="the end of the silent connections")
        connections[0].expect_end()


def test_engine_limits_connections(start_engine, name):
    """Beyond the limit new connections are refused or wait; after some have gone there is room again."""
    engine = start_engine(settings={"limits.connections": 50, "timeouts.handshake_seconds": 60})
    client = engine.fake_client()
    sockets = []
    for _ in range(80):
        with contextlib.suppress(ConnectionError):
            sockets.append(client.connect_tcp())
    time.sleep(0.3)
    assert engine.open_files < 50 + 40
    for sock in sockets:
        sock.close()

    def served():
        with contextlib.suppress(OSError, wire.Closed):
            client.control().close()
            return True

    wait_until(served, timeout=10, what="a connection after the others have gone")


def test_engine_limits_clients_and_tunnels(start_engine):
    engine = start_engine(settings={"limits.clients": 3, "limits.tunnels_per_client": 5})
    client = engine.fake_client()
    controls = [client.control() for _ in range(3)]
    with pytest.raises(wire.Refused) as refusal:
        client.control()
    assert refusal.value.code == 7000
    ids = [controls[0].open_tunnel(publish=False).id.value for _ in range(5)]
    with pytest.raises(wire.Refused) as refusal:
        controls[0].open_tunnel(publish=False)
    assert refusal.value.code == 7000
    controls[0].close_tunnel(ids[0])
    assert controls[0].open_tunnel(publish=False).id.value
    controls[1].close()
    assert client.control().client_id


def test_engine_out_of_tcp_ports(start_engine):
    engine = start_engine(arguments=["--tcp-ports", free_port_range(2)])
    control = engine.fake_client().control()
    first = control.open_tunnel(protocol="tcp")
    second = control.open_tunnel(protocol="tcp")
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp")
    assert refusal.value.code == 7000
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp", port=first.port.value)
    assert refusal.value.code == 8000
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="tcp", port=1)
    assert refusal.value.code in (2000, 5000)
    control.close_tunnel(second.id.value)
    assert control.open_tunnel(protocol="tcp").port.value == second.port.value


def test_engine_without_a_tcp_range_says_so(start_engine):
    with pytest.raises(wire.Refused) as refusal:
        start_engine().fake_client().control().open_tunnel(protocol="tcp")
    assert refusal.value.code == 5000


def test_engine_out_of_file_descriptors_recovers(start_engine, name):
    """Every descriptor is taken: the engine neither spins nor dies, and accepts again when some are free."""
    engine = start_engine(prefix=["prlimit", "--nofile=96:96"], settings={"timeouts.handshake_seconds": 60})
    client = engine.fake_client()
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    control.serve(echo)
    sockets = [client.connect_tcp() for _ in range(150)]
    wait_until(lambda: engine.open_files >= 90, what="exhausted descriptors")
    cpu, started = engine.cpu_seconds, time.monotonic()
    control.send(wire.heartbeat(1))
    control.expect("heartbeat", timeout=3)
    time.sleep(2)
    assert engine.cpu_seconds - cpu < 0.5 * (time.monotonic() - started), "the engine spins without descriptors"
    for sock in sockets:
        sock.close()

    def served():
        with contextlib.suppress(OSError, wire.Closed, wire.Refused):
            with client.dial(name) as stream:
                stream.write(b"recovered")
                return stream.read_exactly(9) == b"recovered"

    wait_until(served, timeout=10, what="a stream after descriptors were released")
    assert control.is_open


def test_engine_with_peers_that_never_read(engine, client, name):
    """Consumers and owners that only write: what the engine holds for them is bounded."""
    with bystander(engine, name) as check:
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        memory = engine.resident
        pairs = []
        for _ in range(10):
            near = client.dial(name, zero_rtt=True)
            pairs.append((near, control.accept()))
        ends = [end for pair in pairs for end in pair]
        sent = []
        # The kernel's buffers on the way, as large as they may grow; the engine's own share is small.
        limits = [Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split() for way in "rw"]
        room = sum(2 * int(largest) for _, _, largest in limits) + 8 * MEGABYTE

        def fill(end):
            end.stream.settimeout(1.0)
            amount = 0
            with contextlib.suppress(TimeoutError):
                while amount < 2 * room:
                    end.write(b"x" * 65536)
                    amount += 65536
            sent.append(amount)

        threads = [threading.Thread(target=fill, args=(end,)) for end in ends]
        for thread in threads:
            thread.start()
        check(timeout=15)
        for thread in threads:
            thread.join()
        assert max(sent) < room, sent
        assert engine.resident - memory < 96 * MEGABYTE
        for end in ends:
            end.abort()


def test_engine_with_a_control_channel_that_never_reads(engine, name):
    """Requests whose answers nobody takes: the answers are bounded, by an end of the channel if need be."""
    with bystander(engine, name) as check, engine.fake_client() as client:
        connection = client.connect()
        connection.send(wire.open_control(liveness=60000))
        memory = engine.resident
        request = b"".join(wire.frame(wire.open_tunnel("r" * 200, name="y" * 200, port=1)) for _ in range(100))
        connection.stream.settimeout(1.0)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100 * MEGABYTE:
                connection.write(request)
                sent += len(request)
        check()
        assert engine.resident - memory < 48 * MEGABYTE
        connection.abort()


def test_engine_with_consumers_that_never_read_an_answer(engine, forward, site, name):
    ours = forward(engine, site().address, name)
    with bystander(engine, name) as check:
        memory = engine.resident
        streams = []
        for _ in range(10):
            stream = engine.tls(ours.host)
            stream.write((f"GET /large HTTP/1.1\r\nHost: {ours.host}\r\n\r\n" * 20).encode())
            streams.append(stream)
        time.sleep(1)
        check()
        assert engine.resident - memory < 64 * MEGABYTE
        for stream in streams:
            stream.abort()


def test_engine_with_slow_http_heads(start_engine, forward, site, name):
    """A request head that comes a byte at a time is given up, whatever the pace."""
    engine = start_engine(settings={"timeouts.handshake_seconds": 2})
    ours = forward(engine, site().address, name)
    with bystander(engine, name):
        stream = engine.tls(ours.host)
        started = time.monotonic()
        head = f"GET /ping HTTP/1.1\r\nHost: {ours.host}\r\nX-Slow: ".encode() + b"x" * 1000
        ended = False
        with contextlib.suppress(OSError):
            for index in range(len(head)):
                stream.write(head[index : index + 1])
                try:
                    if stream.read(timeout=0.1) == b"":
                        ended = True
                        break
                except TimeoutError:
                    pass
                if time.monotonic() - started > 10:
                    break
        assert ended or time.monotonic() - started < 8


def test_engine_memory_after_many_tunnels_and_streams(engine, client, name):
    """Tunnels and streams that came and went leave nothing behind that grows."""
    control = client.control()

    def round_of_work():
        for _ in range(100):
            tunnel_id = control.open_tunnel(name=name, publish=False, labels={"k": "v" * 100}).id.value
            near = client.dial(name, zero_rtt=True, payload=b"x" * 1000)
            far = control.accept()
            assert far.read_exactly(1000)
            near.abort()
            far.abort()
            control.close_tunnel(tunnel_id)

    round_of_work()
    memory, files = engine.resident, engine.open_files
    for _ in range(3):
        round_of_work()
    wait_until(lambda: engine.open_files <= files + 2)
    assert engine.resident - memory < 12 * MEGABYTE
