# SPDX-License-Identifier: Apache-2.0
"""Published dtls tunnels, with OpenSSL's own programs as consumers and as the service behind the tunnel."""

import os
import queue
import socket
import subprocess
import time

import pytest

from support import dtls, wire
from support.certificates import Authority
from support.origins import UDPServer
from support.preload import preload
from support.process import build_directory, build_product, clean_environment
from support.talker import OpenSSL

ALPN = "rstream-dtls-echo"


@pytest.fixture
def dtls_engine(start_engine):
    engine = start_engine(
        settings={"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0", "timeouts.drain_seconds": 1}
    )
    assert engine.listening["dtls_port"] > 0
    return engine


def consumer(engine, host, *arguments):
    return OpenSSL(
        *("s_client", "-dtls1_2", "-connect", f"127.0.0.1:{engine.listening['dtls_port']}"),
        *("-servername", host, "-CAfile", engine.ca_file, "-verify_return_error", "-verify_hostname", host),
        *arguments,
    )


@pytest.fixture
def published(dtls_engine, forward, name):
    """Publishes a UDP service: (engine, host)."""

    def publish(target, *arguments, alpn=ALPN):
        options = ["--udp", "--protocol", "dtls", *arguments]
        agent = forward(dtls_engine, target, name, options + (["--tls-alpn", alpn] if alpn else []))
        host = agent.tunnel["hostname"]
        port = dtls_engine.listening["dtls_port"]
        assert agent.tunnel["port"] == port and agent.tunnel["host"] == f"{host}:{port}"
        assert agent.tunnel["forwarding"] == f"{host}:{port} (dtls)"
        assert [tunnel["type"] for tunnel in dtls_engine.tunnels(name=name)] == ["datagram"]
        return dtls_engine, host, agent

    return publish


@pytest.fixture
def echo():
    with UDPServer() as server:
        yield server


def test_records_are_packets(published, echo):
    engine, host, agent = published(echo.address)
    with consumer(engine, host, "-alpn", ALPN) as client:
        client.wait_for(rb"ALPN protocol: " + ALPN.encode())
        client.wait_for(rb"Verify return code: 0")
        client.say(b"ping\n")
        client.wait_for(rb"PING\n")
        client.say(b"pong\n")
        client.wait_for(rb"PONG\n")
        assert agent.opened()["peer"] == "127.0.0.1"
        assert len(echo.peers) == 1
        # Q at the beginning of a line: s_client sends close_notify.
        client.say(b"Q\n")
        ended = agent.closed()
        assert (ended["bytes_in"], ended["bytes_out"], ended["error"]) == (10, 10, None)


def test_each_association_is_a_channel_of_its_own(published, echo):
    engine, host, _ = published(echo.address)
    clients = [consumer(engine, host, "-alpn", ALPN) for _ in range(4)]
    for number, client in enumerate(clients):
        client.wait_for(rb"Verify return code: 0")
        client.say(b"client %d\n" % number)
    for number, client in enumerate(clients):
        client.wait_for(rb"CLIENT %d\n" % number)
    assert len(echo.peers) == 4
    for client in clients:
        client.end()


@pytest.mark.parametrize("offer", [["-alpn", "rstream-dtls-wrong"], []], ids=["wrong", "none"])
def test_another_protocol_is_refused(published, echo, offer):
    engine, host, _ = published(echo.address)
    with consumer(engine, host, *offer) as client:
        client.wait_for(rb"SSL alert number 120")
        assert client.process.wait(10) != 0
    assert not echo.peers


@pytest.mark.parametrize("other", ["nobody.t.localhost", "localhost", "elsewhere.example.com"])
def test_other_names_are_refused(published, echo, other):
    engine, host, _ = published(echo.address, alpn=None)
    with consumer(engine, other) as client:
        client.wait_for(rb"SSL alert number 112")
        assert client.process.wait(10) != 0
    # The tunnel itself is not to be reached by TLS.
    with pytest.raises(OSError):
        engine.tls(host)
    with consumer(engine, host) as client:
        client.wait_for(rb"Verify return code: 0")
        client.say(b"still here\n")
        client.wait_for(rb"STILL HERE\n")


def test_other_addresses_are_refused(dtls_engine):
    control = dtls_engine.fake_client().control(liveness=60000)
    tunnel = control.open_tunnel(protocol="dtls", trusted_ips=["192.0.2.0/24"])
    with consumer(dtls_engine, tunnel.hostname.value) as client:
        client.wait_for(rb"SSL alert number 49")
        assert client.process.wait(10) != 0


def test_older_versions_are_refused(published, echo):
    engine, host, _ = published(echo.address, alpn=None)
    with OpenSSL(
        *("s_client", "-dtls1", "-cipher", "ALL:@SECLEVEL=0", "-servername", host),
        *("-connect", f"127.0.0.1:{engine.listening['dtls_port']}"),
    ) as client:
        client.wait_for(rb"alert|error")


def test_nothing_but_a_cookie_before_the_cookie(published, echo):
    """An address that does not answer costs the engine nothing, and gets less than it sent."""
    engine, host, _ = published(echo.address, alpn=None)
    address = ("127.0.0.1", engine.listening["dtls_port"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spy:
        spy.bind(("127.0.0.1", 0))
        spy.settimeout(10)
        with OpenSSL(
            "s_client", "-dtls1_2", "-servername", host, "-connect", "127.0.0.1:%d" % spy.getsockname()[1]
        ):
            hello, _ = spy.recvfrom(65_536)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for junk in (b"", b"\x16", os.urandom(100), bytes(1000), b"\x16\xfe\xff" + bytes(20), hello[:40]):
            client.sendto(junk, address)
        for _ in range(50):
            client.sendto(hello, address)
            answer = client.recv(65_536)
            # A handshake record with a HelloVerifyRequest, each time.
            assert answer[0] == 22 and answer[13] == 3 and len(answer) <= len(hello)
    with consumer(engine, host) as client:
        client.wait_for(rb"Verify return code: 0")
        client.say(b"fine\n")
        client.wait_for(rb"FINE\n")


@pytest.mark.parametrize("cipher", ["ALL", pytest.param("ECDHE-ECDSA-AES128-CCM8", marks=dtls.short_tags)])
def test_a_service_that_speaks_dtls_itself(published, tmp_path, cipher):
    certificate, key = Authority(tmp_path).issue("service")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with OpenSSL(
        *("s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-alpn", ALPN),
        *("-cert", certificate, "-key", key, "-cipher", f"{cipher}:@SECLEVEL=0"),
    ) as service:
        service.wait_for(rb"ACCEPT")
        engine, host, _ = published(f"127.0.0.1:{port}", "--upstream-tls")
        with consumer(engine, host, "-alpn", ALPN) as client:
            client.wait_for(rb"Verify return code: 0")
            service.wait_for(b"ALPN protocols selected: " + ALPN.encode())
            client.say(b"question\n")
            service.wait_for(rb"question\n")
            service.say(b"answer\n")
            client.wait_for(rb"answer\n")
            client.say(b"?")
            service.wait_for(rb"\?")
            service.say(b"!")
            client.wait_for(rb"!")


def test_a_consumer_that_leaves_while_the_service_says_nothing(dtls_engine):
    """It ends its channel to the tunnel's owner as well, on a stream and in QUIC datagrams, told once."""
    port, ca_file = dtls_engine.listening["dtls_port"], dtls_engine.ca_file
    client = dtls_engine.fake_client()
    control = client.control(liveness=60000)
    tunnel = control.open_tunnel(protocol="dtls", upstream_tls=True)
    with dtls.connect(port, ca_file, ALPN, tunnel.hostname.value) as consumer:
        stream = control.accept()
        # A ClientHello.
        assert stream.receive_packet()[0] == 22
        consumer.notify_close()
        stream.expect_end()

    client = dtls_engine.quic_client()
    control = client.control(liveness=60000)
    tunnel = control.open_tunnel(protocol="dtls", upstream_tls=True)
    with dtls.connect(port, ca_file, ALPN, tunnel.hostname.value) as consumer:
        channel = client.accept_channel(control)
        assert channel.receive()[0] == 22
        consumer.notify_close()
        assert control.expect("datagram_channel_close").stream_id == channel.stream_id
    client.connection.ping_peer()
    assert control.is_open and len(control.received("datagram_channel_close")) == 1


@pytest.mark.parametrize("transport", ["tls", "quic"])
def test_a_consumer_that_leaves_at_once(published, echo, transport):
    """What it has said before its channel was there arrives all the same."""
    engine, host, agent = published(echo.address, "--config-set", f"transport.mode={transport}", alpn=None)
    heard = queue.SimpleQueue()
    echo.handler = heard.put
    for number in range(5):
        with dtls.connect(engine.listening["dtls_port"], engine.ca_file, ALPN, host) as consumer:
            consumer.write(b"first %d" % number)
            consumer.write(b"second %d" % number)
            consumer.notify_close()
        assert sorted(heard.get(timeout=10) for _ in range(2)) == [b"first %d" % number, b"second %d" % number]
        assert agent.closed()["bytes_in"] == 15


def test_without_a_listener_there_are_no_dtls_tunnels(client):
    control = client.control()
    with pytest.raises(wire.Refused) as refusal:
        control.open_tunnel(protocol="dtls")
    assert refusal.value.code == 5000


def test_rules_of_dtls_tunnels(dtls_engine):
    control = dtls_engine.fake_client().control()
    for values in (
        dict(protocol="dtls", type="bytestream"),
        dict(protocol="dtls", tls_mode="passthrough"),
        dict(protocol="dtls", http_version="http/1.1"),
        dict(protocol="dtls", port=5000),
        dict(protocol="dtls", publish=False),
    ):
        with pytest.raises(wire.Refused) as refusal:
            control.open_tunnel(**values)
        assert refusal.value.code == 2000
    tunnel = control.open_tunnel(protocol="dtls", tls_alpns=[ALPN], upstream_tls=True)
    assert tunnel.type.value == "datagram" and tunnel.port.value == dtls_engine.listening["dtls_port"]


# -- paths and addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.02, 0.1])
def test_handshakes_on_a_path_that_loses(start_engine, udp_relay, forward, echo, name, loss):
    engine = start_engine(
        settings={
            "dtls.enabled": "true",
            "dtls.listen_addr": "127.0.0.1:0",
            "timeouts.handshake_seconds": 60,
            "timeouts.drain_seconds": 1,
        }
    )
    agent = forward(engine, echo.address, name, ["--udp", "--protocol", "dtls"])
    relay = udp_relay(engine.listening["dtls_port"]).set(loss=loss)
    clients = [
        OpenSSL(
            *("s_client", "-dtls1_2", "-mtu", "1200", "-connect", f"127.0.0.1:{relay.port}"),
            *("-servername", agent.tunnel["hostname"], "-CAfile", engine.ca_file, "-verify_return_error"),
        )
        for _ in range(12)
    ]
    for client in clients:
        client.wait_for(rb"Verify return code: 0", timeout=60)
    assert relay.to_server.lost + relay.to_client.lost > 0
    relay.set(loss=0)
    for number, client in enumerate(clients):
        client.say(b"client %d\n" % number)
        client.wait_for(b"CLIENT %d\n" % number)
        client.end()


def test_a_client_that_starts_over_from_its_port(published, echo):
    """As after a crash: the new association replaces the old one, of which the agent hears that it has ended."""
    engine, host, agent = published(echo.address, alpn=None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for word in (b"one", b"two", b"three"):
        with consumer(engine, host, "-bind", f"127.0.0.1:{port}") as client:
            client.wait_for(rb"Verify return code: 0")
            client.say(word + b"\n")
            client.wait_for(word.upper() + b"\n")
    for word in (b"one", b"two"):
        ended = agent.closed()
        assert (ended["bytes_in"], ended["error"]) == (len(word) + 1, None)
    assert len(echo.peers) == 3


def impatient(start_engine):
    """An engine that lets associations idle for a second."""
    settings = {"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0"}
    return start_engine(settings=settings | {"timeouts.dtls_idle_seconds": 1, "timeouts.drain_seconds": 1})


def test_an_idle_association_ends(start_engine, forward, echo, name):
    engine = impatient(start_engine)
    agent = forward(engine, echo.address, name, ["--udp", "--protocol", "dtls"])
    with consumer(engine, agent.tunnel["hostname"]) as client:
        client.wait_for(rb"Verify return code: 0")
        client.say(b"hello\n")
        client.wait_for(rb"HELLO\n")
        assert agent.closed()["bytes_in"] == 6
        # close_notify tells the client.
        assert client.process.wait(10) == 0


def test_the_association_of_a_vanished_consumer_ends(start_engine, forward, name):
    """Though its service goes on sending."""
    engine = impatient(start_engine)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        agent = forward(engine, "127.0.0.1:%d" % service.getsockname()[1], name, ["--udp", "--protocol", "dtls"])
        with consumer(engine, agent.tunnel["hostname"]) as client:
            client.wait_for(rb"Verify return code: 0")
            client.say(b"hello\n")
            service.settimeout(10)
            _, agent_end = service.recvfrom(100)
            service.settimeout(0.2)
            client.process.kill()
            began = time.monotonic()
            while not agent.lines_with(event="closed"):
                assert time.monotonic() - began < 15
                try:
                    service.sendto(b"are you there?", agent_end)
                    service.recv(100)
                except (TimeoutError, ConnectionRefusedError):
                    pass
            assert time.monotonic() - began > 2
        assert agent.closed()["bytes_in"] == 6


@pytest.mark.parametrize("small_network", [1500], indirect=True)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_packets_longer_than_the_link_carries(small_network, start_engine, forward, echo, name, host):
    """IP divides them, on both ways."""
    listen = f"[{host}]:0" if ":" in host else f"{host}:0"
    engine = start_engine(
        settings={"dtls.enabled": "true", "dtls.listen_addr": listen, "timeouts.drain_seconds": 1}
    )
    agent = forward(engine, echo.address, name, ["--udp", "--protocol", "dtls"])
    port, server_name = engine.listening["dtls_port"], agent.tunnel["hostname"]
    with dtls.connect(port, engine.ca_file, ALPN, server_name, host) as consumer:
        for size in (1200, 1472, 1473, 4000, 16_384):
            packet = b"%d" % size + b"x" * (size - len(str(size)))
            consumer.write(packet)
            assert consumer.read() == packet.upper()


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        command = ["engine", "--dev", "--state-dir", tmp_path / "state", "--listen", "127.0.0.1:0"]
        ended = subprocess.run(
            [build_product("rstreamctl"), *command, "--set", "dtls.enabled=true", "--set", f"dtls.listen_addr={address}"],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert ended.returncode != 0
    assert f"listen on {address} for DTLS: address already in use" in ended.stderr


@pytest.mark.skipif("asan" in str(build_directory()), reason="nothing can be preloaded in front of the sanitizer")
def test_a_system_without_memory_for_packets(start_engine, forward, echo, name, tmp_path):
    """They are lost, and the engine does not try in a circle: its socket is writable all the time."""
    scarce = tmp_path / "scarce"
    engine = start_engine(
        settings={"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0", "timeouts.drain_seconds": 1},
        environment=clean_environment(HOME=tmp_path, LD_PRELOAD=preload("nobufs"), RSTREAM_NOBUFS=scarce),
    )
    agent = forward(engine, echo.address, name, ["--udp", "--protocol", "dtls"])
    with consumer(engine, agent.tunnel["hostname"]) as client:
        client.wait_for(rb"Verify return code: 0")
        client.say(b"before\n")
        client.wait_for(rb"BEFORE\n")
        scarce.touch()
        client.say(b"lost\n")
        time.sleep(0.2)
        before = engine.cpu_seconds
        time.sleep(0.5)
        assert engine.cpu_seconds - before < 0.2
        scarce.unlink()
        client.say(b"after\n")
        client.wait_for(rb"AFTER\n")
