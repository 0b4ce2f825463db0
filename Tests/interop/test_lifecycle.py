# SPDX-License-Identifier: Apache-2.0
"""Beginnings and ends: draining on SIGTERM, exit codes, ends of the control channel, resumed TLS sessions."""

import asyncio
import os
import signal
import socket
import threading
import time

import pytest

from support import origins, wire
from support.certificates import Authority
from support.ctl import ClientOptions, unique
from support.official import ask, official_client, serving, upper
from support.ports import unused_port
from support.process import clean_environment
from support.tls import client_context, tls_connect
from support.waiting import wait_until


def test_sigterm_drains(start_engine, forward, tcp_server, name):
    """Channels are told, no one new comes in, running streams go on until they end; then the engine exits."""
    engine = start_engine()
    client = engine.fake_client()
    control = client.control(liveness=60000)
    tunnel = control.open_tunnel(name=name, publish=False)
    near, far = client.pair(control, name)
    engine.send_signal(signal.SIGTERM)
    control.expect("close_control_channel_rsp", timeout=5)
    control.expect_end()
    with pytest.raises(OSError):
        client.connect(timeout=2)
    for _ in range(5):
        near.write(b"still here")
        assert far.read_exactly(10) == b"still here"
        far.write(b"yes")
        assert near.read_exactly(3) == b"yes"
        time.sleep(0.1)
    assert engine.is_running and tunnel.id.value
    near.close()
    far.close()
    engine.judge(engine.wait(timeout=5))


def test_drain_is_bounded(start_engine, name):
    engine = start_engine(settings={"timeouts.drain_seconds": 1})
    client = engine.fake_client()
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    near, far = client.pair(control, name)
    started = time.monotonic()
    engine.send_signal(signal.SIGTERM)
    engine.judge(engine.wait(timeout=8))
    assert 0.8 < time.monotonic() - started < 6
    for stream in (near, far):
        stream.expect_end()


def test_second_signal_ends_at_once(start_engine, name):
    engine = start_engine(settings={"timeouts.drain_seconds": 60})
    client = engine.fake_client()
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    near, far = client.pair(control, name)
    engine.send_signal(signal.SIGTERM)
    control.expect("close_control_channel_rsp")
    assert engine.is_running
    engine.send_signal(signal.SIGTERM)
    code = engine.wait(timeout=3)
    engine.judge(code, expect=(0, 1))
    near.expect_end()
    far.expect_end()


def test_http_exchange_in_flight_is_finished_while_draining(start_engine, name):
    engine = start_engine()
    control = engine.fake_client().control()
    host = control.open_tunnel(name=name).hostname.value
    connection = engine.http(host)
    connection.request("GET", "/slow")
    origin = control.accept()
    assert origin.read().startswith(b"GET /slow HTTP/1.1")
    engine.send_signal(signal.SIGTERM)
    control.expect_end()
    origin.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow\n")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"slow\n")
    engine.judge(engine.wait(timeout=5))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_forward_ends_cleanly(engine, forward, tcp_server, name, number):
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])
    assert len(engine.tunnels(name=name)) == 1
    ours.end(number)
    assert engine.tunnels(name=name) == []


def test_forward_reports_the_loss_of_its_engine(start_engine, forward, tcp_server, name):
    engine = start_engine()
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])
    engine.kill()
    line = ours.wait_line(status="offline")
    assert line["code"] and line["error"]
    ours.judge(ours.wait(), expect=5)


def test_forward_reports_a_stopped_engine(start_engine, forward, tcp_server, name):
    engine = start_engine()
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])
    engine.end()
    assert ours.wait_line(status="offline")
    ours.judge(ours.wait(), expect=5)


def test_exit_code_for_an_unreachable_engine(engine, forward, name):
    keep, port = unused_port()
    nowhere = ClientOptions("--engine", f"localhost:{port}", "--ca-file", engine.ca_file)
    ours = forward(nowhere, "127.0.0.1:9", name, online=False)
    line = ours.wait_line(status="offline")
    assert line["code"] == "ECONNREFUSED" and str(port) in line["error"]
    ours.judge(ours.wait(), expect=4)
    keep.close()


def test_exit_code_for_an_untrusted_certificate(engine, forward, name):
    ours = forward(ClientOptions("--engine", engine.address), "127.0.0.1:9", name, online=False)
    assert ours.wait_line(status="offline")["code"] == "ERR_RSTREAM_TLS"
    ours.judge(ours.wait(), expect=4)


def test_a_wrong_server_name_is_not_trusted(engine, forward, name):
    ours = forward(engine, "127.0.0.1:9", name, ["--server-name", "elsewhere.example.com"], online=False)
    assert ours.wait_line(status="offline")["code"] == "ERR_RSTREAM_TLS"
    ours.judge(ours.wait(), expect=4)


def test_insecure_skips_the_verification(engine, forward, tcp_server, client, name):
    insecure = ClientOptions("--engine", engine.address, "--insecure")
    forward(insecure, tcp_server(origins.echo).address, name, ["--no-publish"])
    with client.dial(name) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"


def test_exit_code_for_a_refusal(engine, forward, name):
    ours = forward(engine, "127.0.0.1:9", name, ["--hostname", "elsewhere.example.com"], online=False)
    line = ours.wait_line(status="offline")
    assert line["code"] == "ERR_RSTREAM_ENGINE" and line["engine_code"] == 2000
    ours.judge(ours.wait(), expect=3)


def test_dial_of_an_unknown_tunnel(engine, dial):
    ours = dial(engine, "nobody", listen=False, arguments=["--no-zero-rtt"])
    ours.stdin.close()
    assert ours.stdout.read() == b""
    ours.judge(ours.wait(), expect=3)


def test_configuration_from_the_environment(engine, forward, tcp_server, tmp_path, client, name):
    environment = clean_environment(HOME=tmp_path, RSTREAM_ENGINE=f" {engine.address} ")
    silent = ClientOptions("--ca-file", engine.ca_file)
    forward(silent, tcp_server(origins.echo).address, name, ["--no-publish"], environment=environment)
    client.dial(name).close()


def test_token_and_certificate_together_are_refused(engine, forward, name, tmp_path):
    ours = forward(
        engine, "127.0.0.1:9", name, ["--token", "t", "--cert", engine.ca_file, "--key", engine.ca_file], online=False
    )
    code = ours.wait()
    ours.judge(code, expect=3)
    assert "token and mTLS authentication cannot be used together" in ours.log + str(ours.lines)


def test_client_certificate_is_presented_on_every_connection(tmp_path, start_fake_engine, forward, tcp_server):
    """The certificate goes along on the control channel and on the connections of the streams."""
    directory = tmp_path / "authority"
    directory.mkdir()
    clients = Authority(directory)
    certificate, key = clients.issue("agent", client=True)
    fake = start_fake_engine(client_ca=clients.ca_file)
    target = ClientOptions("--engine", fake.address, "--ca-file", fake.ca_file, "--cert", certificate, "--key", key)
    forward(target, tcp_server(origins.echo).address, unique(), ["--no-publish"], online=False)
    control = fake.accept_control()
    assert control.wire.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)
    assert not control.request.client_details.HasField("token")
    stream = control.open_stream(control.grant_tunnel().id.value)
    assert stream.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)


def test_tls_sessions_are_resumed_between_an_agents_connections(fake_engine, agent, tcp_server):
    _, control, tunnel = agent(tcp_server(origins.echo).address)
    # A ticket comes with the first bytes after the handshake: the channel has had some when the tunnel is online.
    reused = []
    for _ in range(4):
        stream = control.open_stream(tunnel.id.value)
        reused.append(stream.stream.session_reused)
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"
        stream.close()
    assert reused == [True] * 4


def test_our_engine_resumes_sessions(engine):
    context = client_context(engine.ca_file, [wire.ALPN])
    with tls_connect(engine.port, engine.host, context) as first:
        first.write(wire.frame(wire.open_control()))
        assert first.read()
        session = first.session
    with tls_connect(engine.port, engine.host, context, session=session) as second:
        assert second.session_reused
        second.write(wire.frame(wire.open_control()))
        assert second.read()


def test_a_session_of_the_protocol_does_not_open_a_tunnel(engine, forward, site, name):
    """A ticket taken on one name is no credential on another: the handshake is judged by its own name."""
    ours = forward(engine, site(name=name).address, name)
    context = client_context(engine.ca_file)
    with tls_connect(engine.port, engine.host, context) as first:
        first.write(b"GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.read()
        session = first.session
    with tls_connect(engine.port, ours.host, context, session=session) as second:
        second.write(f"GET /name HTTP/1.1\r\nHost: {ours.host}\r\nConnection: close\r\n\r\n".encode())
        assert second.read_all().endswith(name.encode())


def test_the_certificate_is_read_anew_when_it_changes(tmp_path, start_engine):
    directory = tmp_path / "own"
    directory.mkdir()
    authority = Authority(directory)
    paths = [directory / "live.pem", directory / "live.key"]

    def install():
        for source, target in zip(authority.issue("localhost", "*.t.localhost"), paths, strict=True):
            temporary = target.with_suffix(".new")
            temporary.write_bytes(open(source, "rb").read())
            temporary.rename(target)

    install()
    engine = start_engine(
        dev=False,
        settings={
            "engine.host": "localhost", "auth.open": "true",
            "certs.static.cert_file": paths[0], "certs.static.key_file": paths[1],
        },
    )  # fmt: skip
    engine.ca_file = authority.ca_file
    with engine.tls() as stream:
        first = stream.peer_certificate()["serialNumber"]
    time.sleep(1.1)  # modification times may have a resolution of a second
    install()
    with engine.tls() as stream:
        assert stream.peer_certificate()["serialNumber"] != first


def test_development_state_is_private_and_kept(tmp_path, start_engine):
    first = start_engine()
    state = tmp_path / "engine" / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    for path in state.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o777 == 0o600, path
    ca = open(first.ca_file).read()
    first.end()
    second = start_engine()
    assert open(second.ca_file).read() == ca


def test_the_temporary_partition_is_survived_by_all(engine, pausing_proxy, forward, tcp_server, name):
    """4.2 s without any byte on the path, at a heartbeat interval of 1 s: channel and stream go on afterwards."""
    proxy = pausing_proxy(engine.port)

    ours = forward(
        ClientOptions("--engine", f"localhost:{proxy.port}", "--ca-file", engine.ca_file),
        tcp_server(origins.echo).address,
        name,
        ["--no-publish", "--config-set", "heartbeat.intervalMs=1000"],
    )
    client = engine.fake_client()
    with client.dial(name) as stream:
        stream.write(b"before")
        assert stream.read_exactly(6) == b"before"
        proxy.pause()
        stream.write(b"during")
        time.sleep(4.2)
        proxy.resume()
        assert stream.read_exactly(6, timeout=10) == b"during"
        assert ours.lines_with(status="offline") == []
        with client.dial(name) as after:
            after.write(b"after")
            assert after.read_exactly(5) == b"after"
    wait_until(lambda: len(engine.tunnels(name=name)) == 1)


async def test_the_temporary_partition_with_the_official_client(engine, pausing_proxy, name):
    proxy = pausing_proxy(engine.port)
    async with official_client(engine, port=proxy.port, heartbeat_interval=1.0) as owner:
        control = await owner.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        async with official_client(engine) as dialer, serving(tunnel, upper):
            stream = await dialer.dial(name)
            assert await ask(stream, b"before") == b"BEFORE"
            proxy.pause()
            stream.write(b"during")
            await asyncio.sleep(4.2)
            proxy.resume()
            assert await asyncio.wait_for(stream.readexactly(6), 10) == b"DURING"
            assert not control.closed
            second = await dialer.dial(name)
            assert await ask(second, b"after") == b"AFTER"
            second.close()
            stream.close()


def test_threads_and_files_do_not_pile_up(engine, forward, tcp_server, client, name):
    """After many streams have come and gone, both processes have as many descriptors as before."""
    ours = forward(engine, tcp_server(origins.echo).address, name, ["--no-publish"])

    def one():
        with client.dial(name, zero_rtt=True) as stream:
            stream.write(b"x")
            assert stream.read_exactly(1) == b"x"

    one()
    wait_until(lambda: len(ours.lines_with(event="closed")) == 1)
    before = (engine.open_files, ours.open_files)
    threads = [threading.Thread(target=lambda: [one() for _ in range(10)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(ours.lines_with(event="closed")) == 101, timeout=10)
    wait_until(lambda: engine.open_files <= before[0] + 2 and ours.open_files <= before[1] + 2, what="the files")
    for program in (engine, ours):
        assert program.status("Threads") <= 6


def test_nothing_listens_beside_what_was_asked_for(start_engine):
    """One port, for TLS on TCP and for QUIC on UDP, and nothing else."""
    engine = start_engine()
    inodes = set()
    for fd in os.listdir(f"/proc/{engine.pid}/fd"):
        try:
            link = os.readlink(f"/proc/{engine.pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    listening = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/{engine.pid}/net/{table}").readlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                listening.append((table, int(fields[1].split(":")[1], 16)))
    assert sorted(listening) == [("tcp", engine.port), ("udp", engine.port)]
    assert socket.create_connection(("127.0.0.1", engine.port), timeout=5)
