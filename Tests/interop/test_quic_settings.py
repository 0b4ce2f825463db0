# SPDX-License-Identifier: Apache-2.0
"""What is set about QUIC, and what it may cost: how it is chosen, client certificates, files for debugging, memory."""

import gc
import json
import socket
from pathlib import Path

import pytest

from support import origins
from support.certificates import Authority
from support.ctl import ClientOptions, unique
from support.process import clean_environment
from support.waiting import wait_until

QUIC = ["--config-set", "transport.mode=quic"]


@pytest.mark.parametrize(
    "variables",
    [{"RSTREAM_TUNNEL_TRANSPORT": "quic"}, {"RSTREAM_QUIC_TRANSPORT": "1"}],
    ids=lambda variables: next(iter(variables)),
)
def test_variables_choose_quic(start_quic_engine, forward, tmp_path, variables):
    engine = start_quic_engine()
    environment = clean_environment(HOME=tmp_path, **variables)
    forward(engine, "127.0.0.1:9", unique(), ["--no-publish"], environment=environment, online=False)
    engine.accept_control()
    assert (engine.seen, engine.accepted) == (1, 0)


def test_bound_to_an_address(start_quic_engine, forward):
    engine = start_quic_engine()
    bound = [*QUIC, "--config-set", "transport.bind.mode=address", "--config-set", "transport.bind.address=127.0.0.2"]
    forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *bound], online=False)
    engine.accept_control()
    assert engine.accept_quic()._quic._network_paths[0].addr[0] == "127.0.0.2"
    assert (engine.seen, engine.accepted) == (1, 0)


def test_bound_to_an_interface(start_quic_engine, forward):
    engine = start_quic_engine()
    bound = [*QUIC, "--config-set", "transport.bind.mode=interface", "--config-set", "transport.bind.interface="]
    forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *bound[:-1], bound[-1] + "lo"], online=False)
    engine.accept_control()
    assert (engine.seen, engine.accepted) == (1, 0)
    other = forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *bound[:-1], bound[-1] + "none0"], online=False)
    other.wait_line(20, status="offline")
    other.judge(other.wait(), 4)
    assert engine.seen == 1


@pytest.mark.parametrize("host, family, other", [("::1", "ipv6", "ipv4"), ("127.0.0.1", "ipv4", "ipv6")])
def test_family_of_addresses(start_quic_engine, forward, host, family, other):
    """An engine that is there under one address of its name's two."""
    engine = start_quic_engine(host=host)
    target = ClientOptions("--engine", f"localhost:{engine.port}", "--ca-file", engine.ca_file)
    chosen = ["--no-publish", *QUIC, "--config-set"]
    forward(target, "127.0.0.1:9", unique(), [*chosen, f"transport.ipFamily={family}"], online=False)
    engine.accept_control()
    assert (engine.seen, engine.accepted) == (1, 0)
    ours = forward(target, "127.0.0.1:9", unique(), [*chosen, f"transport.ipFamily={other}"], online=False)
    ours.wait_line(20, status="offline")
    ours.judge(ours.wait(), 4)
    assert engine.seen == 1


def test_an_engine_without_quic(start_engine, forward):
    engine = start_engine(settings={"quic.enabled": "false"})
    ours = forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *QUIC], online=False)
    ours.wait_line(20, status="offline")
    ours.judge(ours.wait(), 4)


def test_client_certificate(start_quic_engine, forward, tmp_path):
    clients = Authority(tmp_path)
    certificate, key = clients.issue("agent.test", client=True)
    engine = start_quic_engine(client_ca=clients.ca_file)
    forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *QUIC, "--cert", certificate, "--key", key], online=False)
    engine.accept_control()
    assert engine.accept_quic().peer_certificate == "agent.test"


@pytest.mark.parametrize("algorithm", ["cubic", "bbr"])
def test_debugging_files(start_engine, forward, dial, tcp_server, tmp_path, name, algorithm):
    """qlog and the keys of the connection, from both ends, when asked for; with each congestion control."""
    logs = {who: tmp_path / who for who in ("engine-qlog", "client-qlog")}
    for directory in logs.values():
        directory.mkdir()
    keys = {who: tmp_path / f"{who}.keys" for who in ("engine", "client")}
    engine = start_engine(
        settings={
            "quic.qlog_dir": logs["engine-qlog"],
            "quic.key_log_file": keys["engine"],
            "quic.congestion_control": algorithm,
        }
    )
    settings = {"qlogDirectory": logs["client-qlog"], "keyLogFile": keys["client"], "congestionControl": algorithm}
    arguments = [*QUIC] + [
        part for pair in settings.items() for part in ("--config-set", "transport.quic.%s=%s" % pair)
    ]
    agent = forward(engine, tcp_server(origins.sink).address, name, ["--no-publish", *arguments])
    dialer = dial(engine, name, arguments=arguments)
    with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
        sock.sendall(bytes(1 << 20))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100).startswith(b"1048576 ")
    dialer.end()
    agent.end()
    engine.end()
    for file in keys.values():
        assert "CLIENT_TRAFFIC_SECRET_0 " in file.read_text() and file.stat().st_mode & 0o077 == 0
    secrets = [{line.split()[2] for line in file.read_text().splitlines() if line[:1] != "#"} for file in keys.values()]
    assert secrets[0] == secrets[1]
    for directory in logs.values():
        files = list(directory.iterdir())
        assert len(files) == 2
        for file in files:
            # A sequence of JSON texts (RFC 7464).
            events = [json.loads(part) for part in file.read_text().split("\x1e") if part]
            assert len(events) > 20


def test_socket_buffers_are_told(start_engine):
    """Small ones lose packets of fast transfers. Who must not force their size gets what the system allows."""
    engine = start_engine(prefix=["unshare", "--user", "--map-root-user"])
    wanted = 4 << 20
    # The kernel counts twice what it is asked for.
    allowed = [2 * min(wanted, int(Path(f"/proc/sys/net/core/{name}").read_text())) for name in ("rmem_max", "wmem_max")]
    assert "socket buffers of %d and %d bytes" % tuple(allowed) in engine.log


def test_a_consumer_that_does_not_read_costs_bounded_memory(start_engine, forward, tcp_server, name):
    """Its stream is held up, back to the service behind the tunnel, and no other stream is."""
    engine = start_engine()
    size = 128 << 20
    agent = forward(engine, tcp_server(origins.source(size)).address, name, ["--no-publish", *QUIC])
    before = engine.resident, agent.resident
    with engine.fake_client() as client:
        stalled = [client.dial(name, zero_rtt=True) for _ in range(3)]
        for stream in stalled:
            stream.read_exactly(1)
        with client.dial(name, zero_rtt=True) as other:
            received = 1
            other.read_exactly(1)
            while received < size:
                received += len(other.read(timeout=20))
        assert engine.resident - before[0] < 100 << 20
        assert agent.resident - before[1] < 100 << 20


def test_a_thousand_connections_leave_nothing(start_engine):
    engine = start_engine()
    client = engine.quic_client().quic

    def connections(count):
        for _ in range(count // 50):
            opened = [client.connect(wait=False) for _ in range(50)]
            for connection in opened:
                connection.wait_ready(30)
            client.close()
        gc.collect()

    connections(200)
    memory, files = engine.resident, engine.open_files
    connections(1000)
    # A closed connection stays for a moment, to answer late packets.
    wait_until(lambda: engine.open_files <= files, 10, what="the files of connections to be closed")
    wait_until(lambda: engine.resident < memory + (10 << 20), 10, what="the memory of connections to be given back")
