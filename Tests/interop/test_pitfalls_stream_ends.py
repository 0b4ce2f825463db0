# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 36 to 42: many streams, ends of streams, redirected ones. See
test_pitfalls.py for the rest."""

import secrets
import socket
import threading
import time

import pytest

from support import origins, wire
from support.ctl import ClientOptions
from support.dialers import WaitingDial
from support.fake_client import echo
from support.ports import unused_port
from support.reading import read_until_end
from support.waiting import wait_until


# -- many streams ----------------------------------------------------------------------------------------------------


def flood(stream, limit=64 << 20):
    """Writes until the other side stops taking; returns how many bytes went."""
    block, sent = b"x" * 65536, 0
    stream.stream.settimeout(1.0)
    try:
        while sent < limit:
            stream.write(block)
            sent += len(block)
    except TimeoutError:
        pass
    return sent


def test_pitfall_36_a_stalled_stream_stalls_nobody_else(engine, client, name):
    """A consumer floods an owner that never reads: heartbeats, other streams and lists are as quick as before."""
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    before = engine.resident
    stalled = [client.dial(name, zero_rtt=True) for _ in range(4)]
    owners = [control.accept() for _ in range(4)]
    sent = [flood(stream) for stream in stalled]
    assert all(amount < 32 << 20 for amount in sent), sent
    assert engine.resident - before < 64 << 20
    started = time.monotonic()
    control.send(wire.heartbeat(1))
    control.expect("heartbeat", timeout=2)
    thread_far = {}
    thread = threading.Thread(target=lambda: thread_far.update(stream=control.accept()))
    thread.start()
    near = client.dial(name)
    thread.join()
    near.write(b"quick")
    assert thread_far["stream"].read_exactly(5) == b"quick"
    assert engine.tunnels(name=name)
    assert time.monotonic() - started < 2
    # The stalled ones resume where they stopped as soon as somebody reads.
    received = 0
    while received < sent[0] - 65536:
        received += len(owners[0].read())
    assert stalled[0].stream.sock.fileno() > 0


def test_pitfall_36_client_isolates_a_stalled_local_service(fake_engine, agent, tcp_server):
    """A local service that never reads slows its own stream down and no other one."""
    calls = []

    def first_stalls(sock):
        calls.append(sock)
        (origins.stall if len(calls) == 1 else origins.echo)(sock)

    process, control, tunnel = agent(tcp_server(first_stalls).address)
    stalled = control.open_stream(tunnel.id.value)
    wait_until(lambda: calls)
    before = process.resident
    assert flood(stalled) < 32 << 20
    assert process.resident - before < 32 << 20
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"quick")
        assert stream.read_exactly(5, timeout=2) == b"quick"


def test_pitfall_37_bursts_are_metered_to_the_owner(engine, client, name):
    """Clients fail their whole channel beyond 64 active and 256 waiting requests: the engine keeps below that."""
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    dialers = [engine.fake_client() for _ in range(8)]

    def dial(dialer):
        for _ in range(50):
            dialer.dial(name, zero_rtt=True, payload=b"x")

    threads = [threading.Thread(target=dial, args=(dialer,)) for dialer in dialers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    control.send(wire.heartbeat(1))
    control.expect("heartbeat", timeout=3)
    time.sleep(0.5)
    outstanding = len(control.received("proxy_conn_req"))
    assert 16 <= outstanding <= 64 + 256, outstanding
    # Every one that is answered makes room for the next: all four hundred come in the end.
    for _ in range(400):
        control.open_stream(control.next_request(timeout=10)).close()
    for dialer in dialers:
        dialer.close()


def test_pitfall_37_client_survives_a_burst(fake_engine, our_agent):
    """64 openings at once, 256 waiting, an error for each beyond: exactly one answer to every request."""
    control, tunnel_id = our_agent
    asked = set()
    stopped = threading.Event()
    most = {"active": 0}

    def take_streams():
        active = []
        while not stopped.is_set():
            try:
                active.append(fake_engine.accept_proxy(timeout=0.5)[0])
            except AssertionError:
                continue
            most["active"] = max(most["active"], len(active))

    thread = threading.Thread(target=take_streams)
    thread.start()
    for _ in range(8):
        requests = [wire.proxy_conn_req(tunnel_id, wire_id, "secret") for wire_id in new_ids(asked, 60)]
        control.send(*requests)
    answers = {}
    for _ in range(len(asked)):
        answer = control.expect("proxy_conn_rsp", timeout=30)
        assert answer.stream_id not in answers
        answers[answer.stream_id] = answer.HasField("error")
    stopped.set()
    thread.join()
    while not fake_engine.connections.empty():
        fake_engine.accept_proxy()
    assert answers.keys() == asked and control.is_open
    assert list(answers.values()).count(False) >= 64
    with control.open_stream(tunnel_id) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"


def new_ids(known, count):
    fresh = [secrets.token_hex(12) for _ in range(count)]
    known.update(fresh)
    return fresh


@pytest.mark.parametrize("how", ["abort", "close", "close-control", "close-tunnel"])
def test_pitfall_38_an_owner_that_disappears_fails_its_waiters_at_once(client, control, name, how):
    """Between ProxyConnReq and ProxyReq the owner is gone: the dialer is told now, not after 30 s."""
    waiter = WaitingDial(client, name)
    control.next_request()
    if how == "abort":
        control.abort()
    elif how == "close":
        control.drop()
    elif how == "close-control":
        control.close()
    else:
        control.close_tunnel(control.tunnel.id.value)
    waiter.wait()
    assert waiter.code in (3000, 4000, 6000) and waiter.after < 3


# -- ends of streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["consumer", "owner"])
@pytest.mark.parametrize("how", ["close_notify", "shutdown_write", "fin"])
def test_pitfall_39_and_41_half_close_over_tls(client, control, name, first, how):
    """The end of one direction, with or without close_notify, with or without FIN, is an end and leaves the other.

    A bare FIN without close_notify is treated as an end as well: it is no error for the tunnel's user.
    """
    near = client.dial(name, zero_rtt=True)
    far = control.accept()
    ending, going_on = (near, far) if first == "consumer" else (far, near)
    ending.write(b"all I have to say")
    getattr(ending.stream, how)()
    assert going_on.read_all(timeout=5) == b"all I have to say"
    if how == "fin":
        # After a bare FIN a TLS peer may not answer any more; the tunnel's user must see an end, no reset.
        going_on.shutdown_write()
        return
    for _ in range(3):
        going_on.write(b"answer" * 10000)
        assert ending.read_exactly(60000) == b"answer" * 10000
    going_on.shutdown_write()
    assert ending.read_all(timeout=5) == b""


@pytest.mark.parametrize("first", ["consumer", "owner"])
def test_pitfall_39_half_close_over_published_tcp(client, name, first):
    """FIN on the public TCP side and close_notify on the agent's side are the same thing."""
    control = client.control()
    port = control.open_tunnel(name=name, protocol="tcp").port.value
    with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
        far = control.accept()
        if first == "consumer":
            near.sendall(b"question")
            near.shutdown(socket.SHUT_WR)
            assert far.read_all() == b"question"
            far.write(b"answer")
            far.shutdown_write()
            assert near.recv(100) == b"answer" and near.recv(100) == b""
        else:
            far.write(b"answer")
            far.shutdown_write()
            assert near.recv(100) == b"answer" and near.recv(100) == b""
            near.sendall(b"question")
            near.shutdown(socket.SHUT_WR)
            assert far.read_all() == b"question"


@pytest.mark.parametrize("first", ["engine", "service"])
def test_pitfall_39_client_carries_half_close(fake_engine, agent, tcp_server, first):
    """Between the stream and the local service, in both directions."""
    received = []

    def service(sock):
        if first == "service":
            sock.sendall(b"answer")
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(1000):
                received.append(data)
        else:
            origins.reply_after_end(sock)

    _, control, tunnel = agent(tcp_server(service).address)
    stream = control.open_stream(tunnel.id.value)
    if first == "service":
        assert stream.read_all() == b"answer"
        stream.write(b"question")
        stream.shutdown_write()
        wait_until(lambda: b"".join(received) == b"question")
    else:
        stream.write(b"question")
        stream.shutdown_write()
        assert stream.read_all() == b"reply-after-eof:question"


def test_pitfall_39_dialer_carries_half_close(fake_engine, dial):
    """Between a local connection and the dialed stream, in both directions."""
    process = dial(fake_engine, "x")
    with socket.create_connection(("127.0.0.1", process.port), timeout=10) as sock:
        connection, _ = fake_engine.accept_dial()
        sock.sendall(b"question")
        sock.shutdown(socket.SHUT_WR)
        assert connection.read_all() == b"question"
        connection.write(b"answer")
        connection.shutdown_write()
        assert sock.recv(100) == b"answer" and sock.recv(100) == b""


@pytest.mark.parametrize("who", ["consumer", "owner"])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_pitfall_40_a_full_end_is_passed_on_at_once(engine, client, control, name, who, how):
    """When one side is gone for good, the other is told within a moment, and nothing is left behind."""
    near = client.dial(name, zero_rtt=True)
    far = control.accept()
    near.write(b"x")
    assert far.read_exactly(1) == b"x"
    files = engine.open_files
    leaving, staying = (near, far) if who == "consumer" else (far, near)
    started = time.monotonic()
    getattr(leaving, how)()
    if how == "abort":
        try:
            assert staying.read(timeout=3) == b""
        except ConnectionResetError:
            pass
    else:
        assert staying.read(timeout=3) == b""
        # Netcat's way: the consumer has left altogether; writing to it must end in an error, not in silence.
        with pytest.raises(OSError):
            for _ in range(100):
                staying.write(b"y" * 65536)
                time.sleep(0.02)
    assert time.monotonic() - started < 5
    staying.close()
    wait_until(lambda: engine.open_files <= files - 2, what="the end of both connections")


def test_pitfall_40_a_reset_of_a_published_connection(client, name):
    """RST from the consumer reaches the agent's stream at once, and the other way round."""
    control = client.control()
    port = control.open_tunnel(name=name, protocol="tcp").port.value
    near = socket.create_connection(("127.0.0.1", port), timeout=10)
    far = control.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    near.close()
    started = time.monotonic()
    assert read_until_end(far) == b""
    assert time.monotonic() - started < 2
    near = socket.create_connection(("127.0.0.1", port), timeout=10)
    far = control.accept(payload=b"x")
    assert near.recv(1) == b"x"
    far.abort()
    with pytest.raises(ConnectionResetError):
        near.settimeout(3)
        near.recv(1)


def test_pitfall_40_client_passes_ends_on(fake_engine, agent, tcp_server):
    """A local service that resets ends the stream, and a stream that is reset ends the local connection."""
    ended = threading.Event()

    def service(sock):
        if sock.recv(1) == b"r":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        try:
            while sock.recv(1000):
                pass
        except ConnectionError:
            pass
        ended.set()

    _, control, tunnel = agent(tcp_server(service).address)
    stream = control.open_stream(tunnel.id.value)
    stream.write(b"r")
    assert read_until_end(stream) == b""
    stream = control.open_stream(tunnel.id.value)
    stream.write(b"s")
    time.sleep(0.2)
    stream.abort()
    assert ended.wait(5)


def test_pitfall_41_a_bare_fin_is_an_end_for_the_local_service(fake_engine, agent, tcp_server):
    """An engine that ends without close_notify: the service sees an orderly end after all bytes."""
    received = []

    def service(sock):
        while data := sock.recv(1000):
            received.append(data)
        received.append("end")

    process, control, tunnel = agent(tcp_server(service).address)
    stream = control.open_stream(tunnel.id.value)
    stream.write(b"last words")
    stream.stream.fin()
    wait_until(lambda: received and received[-1] == "end")
    assert b"".join(received[:-1]) == b"last words"
    assert process.lines_with(status="offline") == []


# -- redirected streams ----------------------------------------------------------------------------------------------


@pytest.fixture
def second_engine(start_fake_engine, fake_engine):
    """Another node of the fake engine, with a certificate of the same authority."""
    second = start_fake_engine()
    second.context.load_cert_chain(*fake_engine.authority.issue("localhost"))
    return second


def test_pitfall_42_engine_never_redirects_and_always_has_a_secret(client, control, name):
    """Ours has one node: requests carry a secret and no endpoint."""
    client.dial(name, zero_rtt=True)
    request = control.next_request()
    assert request.secret.value and not request.HasField("proxy_endpoint")


def test_pitfall_42_client_follows_a_redirect(our_agent, second_engine):
    """The stream is opened at the endpoint, surrounding blanks trimmed, with the secret as its credential."""
    control, tunnel_id = our_agent
    stream_id, secret = control.ask_stream(tunnel_id, proxy_endpoint=f" {second_engine.address} ")
    connection, request = second_engine.accept_proxy()
    assert (request.stream_id, request.client_details.token.value) == (stream_id, secret)
    assert second_engine.server_names == ["localhost"]
    connection.write(b"x")
    assert connection.read_exactly(1) == b"x"
    assert not control.expect("proxy_conn_rsp").HasField("error")


@pytest.mark.parametrize(
    "secret, endpoint",
    [(None, "localhost:{port}"), ("", "localhost:{port}"), ("  ", "localhost:{port}"), ("s", ""), ("s", "  ")],
    ids=["no-secret", "empty-secret", "blank-secret", "empty-endpoint", "blank-endpoint"],
)
def test_pitfall_42_client_refuses_unsafe_redirects(our_agent, second_engine, secret, endpoint):
    """Without a secret, or to nowhere, nothing is opened; the engine is told, and the channel goes on."""
    control, tunnel_id = our_agent
    stream_id, _ = control.ask_stream(tunnel_id, secret=secret, proxy_endpoint=endpoint.format(port=second_engine.port))
    answer = control.expect("proxy_conn_rsp")
    assert answer.stream_id == stream_id and answer.HasField("error")
    second_engine.no_connection(0.3)
    with control.open_stream(tunnel_id) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"


def test_pitfall_42_client_reports_unreachable_redirects(our_agent):
    """Nobody at the endpoint, or not an endpoint at all: an error answer for that stream only."""
    control, tunnel_id = our_agent
    keep, port = unused_port()
    for endpoint in (f"localhost:{port}", "localhost:0", "localhost:99999", "host name:1", "https://x", "no such.name"):
        stream_id, _ = control.ask_stream(tunnel_id, proxy_endpoint=endpoint)
        answer = control.expect("proxy_conn_rsp", timeout=20, where=lambda rsp: rsp.stream_id == stream_id)
        assert answer.HasField("error"), endpoint
    assert control.is_open
    keep.close()


def test_pitfall_42_client_verifies_the_redirects_certificate(our_agent, start_fake_engine):
    """An endpoint whose certificate nobody trusts gets neither the secret nor a byte."""
    control, tunnel_id = our_agent
    impostor = start_fake_engine()
    control.ask_stream(tunnel_id, proxy_endpoint=impostor.address)
    assert control.expect("proxy_conn_rsp").HasField("error")
    impostor.no_connection(0.3)


def test_pitfall_42_redirects_drop_the_configured_server_name(start_fake_engine, forward, tcp_server):
    """The server name set for the engine is not asked of another node, whose own name counts."""
    fake, other = start_fake_engine(names=("engine.test",)), start_fake_engine()
    other.context.load_cert_chain(*fake.authority.issue("localhost"))
    target = ClientOptions(
        "--engine", f"localhost:{fake.port}", "--ca-file", fake.ca_file, "--server-name", "engine.test"
    )
    forward(target, tcp_server(origins.echo).address, "x", ["--no-publish"], online=False)
    control = fake.accept_control()
    tunnel_id = control.grant_tunnel().id.value
    control.open_stream(tunnel_id)
    control.ask_stream(tunnel_id, proxy_endpoint=f"localhost:{other.port}")
    other.accept_proxy()
    assert set(fake.server_names) == {"engine.test"} and other.server_names == ["localhost"]


def test_streams_end_with_their_handlers(client, name):
    """A hundred short streams through the fake client's own server: the helper keeps up."""
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    control.serve(echo)
    for number in range(100):
        with client.dial(name, zero_rtt=number % 2 == 0) as stream:
            stream.write(b"abc")
            assert stream.read_exactly(3) == b"abc"
