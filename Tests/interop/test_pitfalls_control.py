# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 9 to 17: control channels. See test_pitfalls.py for the rest."""

import threading
import time

import pytest

from support import origins, wire
from support.waiting import wait_until


def test_pitfall_09_connections_without_a_byte_are_quiet(start_engine):
    """Port scans and losers of a transport race connect and leave: no complaint in the log, nothing left behind."""
    engine = start_engine()
    client = engine.fake_client()
    client.control().close()
    files, lines = engine.open_files, len(engine.log.splitlines())
    for _ in range(25):
        client.connect_tcp().close()
        client.connect().close()
        client.connect().stream.sock.close()
    wait_until(lambda: engine.open_files <= files)
    noise = engine.log.splitlines()[lines:]
    assert len(noise) <= 5, noise
    client.control().close()


WRONG_FIRST_FRAMES = {
    "heartbeat": wire.frame(wire.heartbeat(1)),
    "open-tunnel": wire.frame(wire.open_tunnel("r", publish=False)),
    "close-control": wire.frame(wire.close_control()),
    "engine-message": wire.frame(wire.close_control_rsp()),
    "empty-message": wire.frame(b""),
    "unknown-field": wire.frame(b"\xfa\x07\x02hi"),
    "garbage-payload": wire.frame(b"\xff" * 40),
    "oversize": b"\x00\x01\x00\x00" + b"x" * 100,
    "huge": b"\xff\xff\xff\xff",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "random": bytes(range(255, 0, -1)),
}


@pytest.mark.parametrize("kind", WRONG_FIRST_FRAMES)
def test_pitfall_10_wrong_first_frames_are_closed_without_an_answer(client, kind):
    """The first frame decides who the peer is. When it does not, there is nobody to answer to."""
    connection = client.connect()
    connection.write(WRONG_FIRST_FRAMES[kind])
    connection.expect_end(timeout=5)


def test_pitfall_10_a_protocol_version_is_required(client):
    """Missing, unreadable and foreign versions have codes of their own, on channels as on dials."""
    for version, code in ((None, 2010), ("", 2010), ("one", 2020), ("1.x", 2020), ("2.0.0", 2030), ("0.9", 2030)):
        with pytest.raises(wire.Refused) as refusal:
            client.control(version=version)
        assert refusal.value.code == code or (version == "" and refusal.value.code == 2020)
        connection = client.connect()
        connection.send(wire.stream_req("x", version=version))
        assert connection.expect("stream_rsp").error.code in (code, 2020 if version == "" else code)
    for version in ("1.2", "1.3.0", "1.4", "1.4.0", "1.4.99"):
        client.control(version=version).close()


def test_pitfall_11_slow_handshakes_are_bounded(start_engine):
    """A peer has a bounded time for TLS and for its first frame, however it spends it."""
    engine = start_engine(settings={"timeouts.handshake_seconds": 2})
    client = engine.fake_client()
    silent = client.connect_tcp()
    half_hello = client.connect_tcp()
    half_hello.sendall(client.begin_tls(client.connect_tcp()).client_hello()[:100])
    no_frame = client.connect()
    dripping = client.connect()
    first = wire.frame(wire.open_control())
    ended = {}

    def drip():
        try:
            for index in range(min(30, len(first) - 1)):
                dripping.write(first[index : index + 1])
                time.sleep(0.2)
        except OSError:
            pass
        ended["dripping"] = time.monotonic()

    started = time.monotonic()
    threading.Thread(target=drip, daemon=True).start()
    for sock in (silent, half_hello):
        sock.settimeout(6)
        try:
            while sock.recv(1000):
                pass
        except ConnectionError:
            pass
    no_frame.expect_end(timeout=6)
    dripping.expect_end(timeout=6)
    assert 1.5 < time.monotonic() - started < 5
    client.control().close()


def test_pitfall_11_client_bounds_its_connect(forward, fake_engine):
    """An engine that accepts TCP and says nothing more: the client gives up after its connect timeout."""
    fake_engine.before_handshake = lambda sock: False
    started = time.monotonic()
    process = forward(
        fake_engine, "127.0.0.1:9", "x", ["--no-publish", "--config-set", "timeouts.connectMs=1000"], online=False
    )
    process.wait_line(status="offline")
    process.judge(process.wait(), expect=4)
    assert time.monotonic() - started < 6


def test_pitfall_11_client_bounds_the_answer(forward, fake_engine):
    """TLS is done, the answer to the request never comes: bounded by the operation timeout."""
    process = forward(
        fake_engine, "127.0.0.1:9", "x", ["--no-publish", "--config-set", "timeouts.operationMs=1000"], online=False
    )
    fake_engine.accept_request()
    assert process.wait_line(status="offline")["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT"
    process.judge(process.wait(), expect=4)


def test_pitfall_12_engine_confirms_the_close_and_then_ends(engine, client, name):
    """CloseControlChannelRsp comes first and the end of the connection after it; the tunnels are gone by then."""
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    control.close()
    assert control.kinds()[-1] == "close_control_channel_rsp"
    assert engine.tunnels(name=name) == [] and engine.clients(id=control.client_id) == []


def test_pitfall_12_client_waits_for_the_confirmation(fake_engine, agent, tcp_server):
    """The client asks for the close and does not hang up before the answer."""
    process, control, _ = agent(tcp_server(origins.echo).address)
    control.auto_close = False
    process.send_signal(2)
    control.expect("close_control_channel_req")
    time.sleep(1)
    assert control.is_open and process.is_running
    control.send(wire.close_control_rsp())
    control.expect_end()
    process.judge(process.wait())


def test_pitfall_12_client_does_not_wait_forever(fake_engine, agent, tcp_server):
    """At most 5 s for the answer to a close."""
    process, control, _ = agent(tcp_server(origins.echo).address)
    control.auto_close = False
    started = time.monotonic()
    process.send_signal(2)
    control.expect("close_control_channel_req")
    process.judge(process.wait(timeout=10), expect=(0, 1))
    assert 3 < time.monotonic() - started < 8


def test_pitfall_13_repeated_closes_get_one_answer(client):
    """Two close requests in one segment, and a third behind: one answer, then the end."""
    control = client.control()
    control.send(wire.close_control(), wire.close_control())
    try:
        control.send(wire.close_control())
    except OSError:
        pass
    control.expect("close_control_channel_rsp")
    control.expect_end()
    assert len(control.received("close_control_channel_rsp")) == 1


def test_pitfall_14_frames_behind_a_close_are_ignored(engine, client, name):
    """What is queued behind the close request has no effect and no answer."""
    control = client.control(liveness=60000)
    control.send(
        wire.close_control(), wire.open_tunnel("late", name=name, publish=False), wire.heartbeat(1), payload=b"\xff" * 9
    )
    control.expect("close_control_channel_rsp")
    control.expect_end()
    assert control.kinds()[-1] == "close_control_channel_rsp"
    assert not control.received("open_tunnel_rsp") and engine.tunnels(name=name) == []


@pytest.mark.parametrize("how", ["reset", "bare-fin", "close"])
def test_pitfall_15_lost_channels_release_everything_at_once(engine, client, name, how):
    """A client that reconnects gets all its host names, ports and names back as soon as it gets the first."""
    control = client.control()
    hosts = [f"{name}-{number}" for number in range(20)]
    for host in hosts:
        control.open_tunnel(name=host, hostname=host)
    port = control.open_tunnel(name=f"{name}-tcp", protocol="tcp").port.value
    if how == "reset":
        control.abort()
    elif how == "bare-fin":
        control.wire.stream.fin()
    else:
        control.wire.close()
    again = client.control()

    def first_is_free():
        try:
            return again.open_tunnel(name=hosts[0], hostname=hosts[0])
        except wire.Refused as refusal:
            assert refusal.code == 8000
            return None

    wait_until(first_is_free, timeout=3, what="the release of the host names")
    for host in hosts[1:]:
        assert again.open_tunnel(name=host, hostname=host).hostname.value.startswith(host)
    assert again.open_tunnel(protocol="tcp", port=port).port.value == port
    assert len([entry for entry in engine.tunnels() if entry.get("name") in hosts]) == len(hosts)


def test_pitfall_16_storms_of_reconnects_are_taken(engine):
    """Two hundred agents come back within the same moment: everyone is served."""
    clients = [engine.fake_client() for _ in range(200)]
    results, failures = [], []

    def connect(client):
        try:
            control = client.control(liveness=5000)
            control.open_tunnel(publish=False)
            results.append(control.client_id)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=connect, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures[:3]
    assert len(set(results)) == 200
    for client in clients:
        client.close()


def test_pitfall_17_overlapping_channels_of_one_process(client, name):
    """While the old channel still holds a host name the new one is told 8000 (it retries) or takes it over."""
    old, new = client.control(), client.control()
    old.open_tunnel(hostname=name)
    try:
        new.open_tunnel(hostname=name)
        old.expect("close_tunnel_rsp", timeout=2)
        return
    except wire.Refused as refusal:
        assert refusal.code == 8000
    old.close()
    assert new.open_tunnel(hostname=name).hostname.value.startswith(name)
