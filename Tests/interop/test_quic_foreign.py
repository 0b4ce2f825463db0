# SPDX-License-Identifier: Apache-2.0
"""QUIC with foreign implementations: our engine with aioquic and with ngtcp2's gtlsclient, our client with an engine of
aioquic's.
"""

import socket
import threading

import pytest

from support import origins, quic, wire
from support.ctl import ClientOptions, unique
from support.gtlsclient import GTLSClient
from support.waiting import wait_until

QUIC = ["--config-set", "transport.mode=quic"]
PRIVATE = ["--no-publish"]


# -- our engine ------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(quic_client):
    """An aioquic client of the shared engine."""
    return quic_client


@pytest.fixture
def control(client, name):
    """Its control channel, with a private tunnel of that name."""
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    return control


def carries(near, far, payload=b"ping"):
    near.write(payload)
    assert far.read_exactly(len(payload)) == payload
    far.write(payload[::-1])
    assert near.read_exactly(len(payload)) == payload[::-1]


@pytest.mark.parametrize("zero_rtt", [False, True, None])
def test_streams_of_one_connection(client, control, name, zero_rtt):
    """Control channel, dialed and accepted streams on one connection, each ending as its ends want."""
    near, far = client.pair(control, name, zero_rtt)
    carries(near, far)
    near.write(b"half")
    near.shutdown_write()
    assert far.read_all() == b"half"
    far.write(b"answered after the end")
    far.shutdown_write()
    assert near.read_all() == b"answered after the end"


def test_tls_and_quic_meet(engine, client, control, name):
    """A dialer over TLS and an owner over QUIC, and the other way round."""
    with engine.fake_client() as other:
        near = other.connect()
        near.send(wire.stream_req(name, True))
        carries(near, control.accept())
        second = other.control(liveness=60000)
        second.open_tunnel(name=f"{name}-tls", publish=False)
        near = client.connect()
        near.send(wire.stream_req(f"{name}-tls", True))
        carries(near, second.accept())


@pytest.mark.parametrize("offered", [["rstrm/2"], ["http/1.1"], None])
def test_other_protocols_are_refused(engine, offered):
    with pytest.raises(quic.QUICClosed) as closed:
        engine.quic_client().quic.connect(alpn=offered)
    assert closed.value.code == quic.NO_APPLICATION_PROTOCOL


def test_first_frame_in_single_bytes(client, control, name):
    near = client.connect()
    for byte in wire.frame(wire.stream_req(name, False)):
        near.write(bytes([byte]))
    far = control.accept()
    assert near.expect("stream_rsp").stream_id
    carries(near, far)


def test_end_with_the_last_byte(client, control, name):
    """Request, payload and the end of the direction in one STREAM frame."""
    near = client.connect()
    near.stream.write(wire.frame(wire.stream_req(name, True)) + b"all there is", end=True)
    far = control.accept()
    assert far.read_all() == b"all there is"
    far.stream.write(b"and the answer", end=True)
    assert near.read_all() == b"and the answer"


def test_unidirectional_streams_are_stopped(client, control, name):
    """Three may be opened: some libraries want that of any server. Nobody reads them, and no others may follow."""
    for _ in range(3):
        stream = client.connection.open_stream(unidirectional=True)
        stream.write(b"not for you")
        assert stream.wait_stopped() == 0
        stream.reset(0)
        client.connection.ping_peer()
    client.connection.open_stream(unidirectional=True).write(b"nor this")
    client.connection.ping_peer()
    assert len(client.connection._quic._streams_blocked_uni) == 1
    carries(*client.pair(control, name))


def test_empty_streams_do_no_harm(client, control, name):
    """Clients that chose the other transport, or gave up, leave streams without a byte."""
    for number in range(50):
        stream = client.connection.open_stream()
        (stream.shutdown_write, stream.abort, stream.close)[number % 3]()
    carries(*client.pair(control, name))


@pytest.mark.parametrize("nonsense", [b"\0\1\0\0" + bytes(100), b"\0\0\0\5hello", b"GET / HTTP/1.1\r\n\r\n", bytes(4)])
def test_nonsense_ends_its_stream_alone(client, control, name, nonsense):
    stream = client.connect()
    stream.write(nonsense)
    stream.expect_end(timeout=10)
    carries(*client.pair(control, name))


def test_unknown_tunnel(client, control):
    with pytest.raises(wire.Refused) as refused:
        client.dial("nowhere-at-all")
    assert refused.value.code == 3000
    assert control.is_open


def test_stray_datagrams_are_ignored(client, control, name):
    client.connection.send_datagram(b"", b"short", bytes(12), b"x" * 12 + b"unknown channel", bytes(1100))
    client.connection.ping_peer()
    carries(*client.pair(control, name))


@pytest.mark.parametrize("end", ["abort", "close"])
def test_an_abrupt_end_reaches_the_other_side(client, control, name, end):
    near, far = client.pair(control, name)
    carries(near, far)
    near.stream.abort() if end == "abort" else near.close()
    try:
        assert far.read_all() == b""
    except ConnectionError:
        pass  # a reset tells it as well
    assert control.is_open


def test_stop_sending_stops_the_other_side(client, control, name):
    """Who reads no more is sent no more: the sender is told."""
    near, far = client.pair(control, name)
    carries(near, far)
    near.close()
    with pytest.raises(OSError):
        for _ in range(200):
            far.write(bytes(65536))
            far.stream.connection.ping_peer()


def test_lost_connection_takes_its_tunnels(engine, name):
    client = engine.quic_client()
    client.control(liveness=60000).open_tunnel(name=name, publish=False)
    assert len(engine.tunnels(name=name)) == 1
    client.connection.end()
    wait_until(lambda: engine.tunnels(name=name) == [], what="the tunnel to go with its connection")


def test_flow_control_follows_the_reader(engine, client, control, name):
    """What nobody reads is not taken from the sender either: the engine's memory stays bounded."""
    size = 64 << 20
    with engine.fake_client() as other:
        dialer = other.connect()
        dialer.send(wire.stream_req(name, True))
        owner = control.accept()
        # Nobody reads at the dialer, whose TCP connection fills up.
        owner.write(bytes(size))
        sender = owner.stream.connection._quic._streams[owner.stream.number].sender
        offsets = []

        def is_held_up():
            client.connection.ping_peer()
            offsets.append(sender.highest_offset)
            return len(offsets) > 20 and len(set(offsets[-20:])) == 1

        wait_until(is_held_up, 20, what="the sender to be held up")
        assert offsets[-1] < size / 2
        received = 0
        while received < size:
            received += len(dialer.read(timeout=20))


def test_key_updates(client, control, name):
    near, far = client.pair(control, name)
    for _ in range(3):
        client.connection.update_keys()
        carries(near, far)
        client.connection.ping_peer()


def test_another_connection_id(client, control, name):
    near, far = client.pair(control, name)
    for _ in range(3):
        client.connection.use_another_id()
        carries(near, far)
        client.connection.ping_peer()


def test_rebinding(engine, udp_relay, name):
    """A NAT gives the client another port; the connection goes on."""
    relay = udp_relay(engine.port)
    client = engine.quic_client(port=relay.port)
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near, far = client.pair(control, name)
    for _ in range(3):
        relay.rebind()
        carries(near, far, bytes(range(256)) * 100)
    client.close()


def test_version_negotiation(engine):
    """A client of a version that the engine does not know is told which it knows."""
    client = engine.quic_client()
    connection = client.quic.connect(original_version=0x7A8A9AAA, supported_versions=[1, 0x7A8A9AAA])
    connection.ping_peer()
    assert connection._quic._version == 1 and connection._quic._version_negotiated_incompatible


INITIAL, ZERO_RTT, RETRY = 0, 1, 3


def long_packet(kind, size, source):
    """A packet of version 1 with a long header (RFC 9000, section 17.2), an Initial packet without a token."""
    header = bytes([0xC0 | kind << 4]) + (1).to_bytes(4, "big") + bytes([8]) + bytes(8) + bytes([len(source)]) + source
    header += b"\0" if kind == INITIAL else b""
    length = size - len(header) - 2
    return header + (length | 0x4000).to_bytes(2, "big") + bytes(length)


def test_small_packets_get_no_retry(start_engine):
    """A Retry is larger than many packets: only such get one that are larger themselves. 0-RTT packets need not get one."""
    engine = start_engine(settings={"quic.retry": "always"})
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", engine.port))
        for size, words in ((60, b"small"), (1199, b"short"), (1200, b"whole")):
            sock.send(long_packet(ZERO_RTT, size, words + b"0"))
            sock.send(long_packet(INITIAL, size, words))
        while b"whole" not in answers:
            answer = sock.recv(2000)
            assert answer[0] >> 4 & 3 == RETRY, answer
            answers.append(answer[6 : 6 + answer[5]])
    assert answers in ([b"whole"], [b"whole0", b"whole"])


def test_five_hundred_streams(client, control, name):
    """More than may be open at first: the limit moves with what has ended."""
    ended = []

    def dial(share):
        for number in share:
            with client.dial(name) as stream:
                stream.write(f"stream {number}".encode())
                stream.shutdown_write()
                ended.append(stream.read_all(30) == f"STREAM {number}".encode())

    def serve(connection, request):
        connection.write(connection.read_all(30).upper())
        connection.shutdown_write()

    control.serve(serve)
    threads = [threading.Thread(target=dial, args=(range(first, 500, 20),)) for first in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ended) == 500 and all(ended)


# -- our engine and gtlsclient ---------------------------------------------------------------------------------------


def test_gtlsclient_shakes_hands(engine):
    with GTLSClient(engine.port) as client:
        client.wait_line("Negotiated ALPN is rstrm/1")
        client.wait_line("handshake has been confirmed")


def test_gtlsclient_with_another_protocol(engine):
    with GTLSClient(engine.port, alpn="rstrm/9") as client:
        client.wait_line("CONNECTION_CLOSE", f"{quic.NO_APPLICATION_PROTOCOL:#x}")


def test_gtlsclient_proves_its_address(start_engine):
    engine = start_engine(settings={"quic.retry": "always"})
    with GTLSClient(engine.port) as client:
        retried = client.wait_line("pkt rx", "type=Retry")
        client.wait_line("handshake has been confirmed", after=retried)


def test_gtlsclient_updates_keys(engine):
    with GTLSClient(engine.port, "--key-update=50ms", "--delay-stream=100ms", target=["https://localhost/"]) as client:
        updated = client.wait_line("Initiate key update")
        client.wait_line("pkt tx", "type=1RTT k=1", after=updated)
        client.wait_line("pkt rx", "type=1RTT k=1", after=updated)


@pytest.mark.parametrize("rebinding", [False, True])
def test_gtlsclient_changes_its_address(engine, rebinding):
    """On purpose, with the new path validated by both; or by a NAT, when the engine finds out by itself."""
    options = ["--change-local-addr=50ms", "--delay-stream=100ms"] + ["--nat-rebinding"] * rebinding
    with GTLSClient(engine.port, *options, target=["https://localhost/"]) as client:
        changed = client.wait_line("Local address is now")
        if not rebinding:
            client.wait_line("Path validation", "succeeded", after=changed)
        client.wait_line("frm rx", "PATH_CHALLENGE", after=changed)
        client.wait_line("frm tx", "PATH_RESPONSE", after=changed)
        client.wait_line("pkt rx", "type=1RTT", after=client.wait_line("frm tx", "PATH_RESPONSE", after=changed))


# -- our client ------------------------------------------------------------------------------------------------------


@pytest.fixture
def quic_engine(start_quic_engine):
    return start_quic_engine()


@pytest.fixture
def start_agent(forward):
    def start(engine, target="127.0.0.1:9", *arguments, **options):
        return forward(engine, target, unique("agent"), [*QUIC, *PRIVATE, *arguments], online=False, **options)

    return start


@pytest.fixture
def agent(quic_engine, start_agent, tcp_server):
    """Our client as an agent of the aioquic engine, in front of an echo service: (process, control, tunnel id)."""
    process = start_agent(quic_engine, tcp_server(origins.echo).address)
    control = quic_engine.accept_control()
    tunnel = control.grant_tunnel()
    process.wait_line(status="online")
    return process, control, tunnel.id.value


def gives_up(process, *codes, expect=(1, 3, 4, 5)):
    line = process.wait_line(20, status="offline")
    assert line["code"] in codes, line
    process.judge(process.wait(), expect)
    return line


def echoes(stream):
    stream.write(b"ping")
    assert stream.read_exactly(4) == b"ping"


def test_agent_uses_one_connection(quic_engine, agent):
    process, control, tunnel = agent
    streams = [control.open_stream(tunnel) for _ in range(20)]
    for stream in streams:
        echoes(stream)
    for stream in streams:
        stream.shutdown_write()
        assert stream.read_all() == b""
    assert (quic_engine.seen, quic_engine.accepted) == (1, 0)
    connection = quic_engine.accept_quic()
    assert connection.alpn == wire.ALPN
    assert connection._quic._remote_max_datagram_frame_size
    process.end()
    closed = connection.wait_closed()
    # Of the application, with code 0.
    assert (closed.code, closed.frame_type) == (0, None)


def test_agent_proves_its_address(start_quic_engine, start_agent):
    engine = start_quic_engine(retry=True)
    start_agent(engine)
    engine.accept_control()


def test_agent_of_another_protocol(start_quic_engine, start_agent):
    line = gives_up(start_agent(start_quic_engine(alpn=["other/1"])), "ERR_RSTREAM_TLS", expect=4)
    assert "protocol" in line["error"]


def test_agent_trusts_no_other_certificate(start_quic_engine, start_agent):
    other = start_quic_engine()
    engine = start_quic_engine(certificate=other.authority.issue("localhost"))
    gives_up(start_agent(engine), "ERR_RSTREAM_TLS", expect=4)
    named = start_quic_engine()
    elsewhere = ClientOptions("--engine", f"127.0.0.1:{named.port}", "--ca-file", named.ca_file)
    gives_up(start_agent(elsewhere), "ERR_RSTREAM_TLS", expect=4)
    start_agent(ClientOptions(*elsewhere.client_options(), "--server-name", "localhost"))
    named.accept_control()


def test_agent_of_an_engine_that_never_answers(udp_relay, quic_engine, start_agent):
    relay = udp_relay(quic_engine.port)
    relay.darken()
    silent = ClientOptions("--engine", f"localhost:{relay.port}", "--ca-file", quic_engine.ca_file)
    process = start_agent(silent, "127.0.0.1:9", "--config-set", "timeouts.connectMs=1000")
    gives_up(process, "ERR_RSTREAM_OPERATION_TIMEOUT", expect=4)


def test_agent_of_a_port_without_quic(start_fake_engine, start_agent):
    """Nothing there: the host says so, and nobody tries TLS instead."""
    fake = start_fake_engine()
    process = start_agent(fake)
    process.wait_line(20, status="offline")
    process.judge(process.wait(), 4)
    assert fake.accepted == 0


def test_agent_notices_a_closed_connection(quic_engine, agent):
    process, _, _ = agent
    quic_engine.accept_quic().end(7, "enough of you")
    line = process.wait_line(20, status="offline")
    assert "enough of you" in line["error"] or "7" in line["error"], line
    process.judge(process.wait(), 5)


def test_agent_notices_silence(quic_engine, start_agent):
    process = start_agent(quic_engine, "127.0.0.1:9", "--config-set", "heartbeat.intervalMs=1000")
    quic_engine.accept_control(timeout_ms=1500).grant_tunnel()
    process.wait_line(status="online")
    quic_engine.accept_quic().fall_silent()
    gives_up(process, "ERR_RSTREAM_CONTROL_LIVENESS", expect=5)


def test_agent_bears_refused_streams(quic_engine, agent):
    _, control, tunnel = agent
    stream_id, _ = control.ask_stream(tunnel)
    connection, _ = quic_engine.accept_proxy()
    connection.stream.abort(3)
    echoes(control.open_stream(tunnel))
    assert control.is_open


def test_agent_follows_a_redirect_over_quic(quic_engine, agent, start_quic_engine):
    """One connection to the other node, however many streams; the secret is its credential."""
    _, control, tunnel = agent
    second = start_quic_engine(certificate=quic_engine.authority.issue("localhost"))
    for _ in range(3):
        stream_id, secret = control.ask_stream(tunnel, proxy_endpoint=second.address)
        connection, request = second.accept_proxy()
        assert (request.stream_id, request.client_details.token.value) == (stream_id, secret)
        if not request.zero_rtt.value:
            connection.send(wire.proxy_rsp())
        echoes(connection)
        assert not control.expect("proxy_conn_rsp").HasField("error")
    assert (second.seen, second.accepted) == (1, 0)


def test_redirects_over_quic_drop_the_configured_server_name(start_quic_engine, forward, tcp_server):
    """The server name set for the engine is not asked of another node, whose own name counts."""
    first = start_quic_engine(names=("engine.test",))
    second = start_quic_engine(certificate=first.authority.issue("localhost"))
    target = ClientOptions(
        "--engine", f"localhost:{first.port}", "--ca-file", first.ca_file, "--server-name", "engine.test"
    )
    forward(target, tcp_server(origins.echo).address, unique("agent"), [*QUIC, *PRIVATE], online=False)
    control = first.accept_control()
    control.ask_stream(control.grant_tunnel().id.value, proxy_endpoint=f"localhost:{second.port}")
    # Its certificate is for no other name.
    second.accept_proxy()
    assert (first.seen, second.seen) == (1, 1)


def test_dialer_ends_its_streams(quic_engine, dial, name):
    """Each local connection is one stream; its end is a FIN, its close STOP_SENDING with code 0 and a FIN."""
    ours = dial(quic_engine, name, arguments=QUIC)
    with socket.create_connection(("127.0.0.1", ours.port), 10) as local:
        stream, request = quic_engine.accept_dial()
        assert request.tunnel_id_name == name
        if not request.zero_rtt.value:
            stream.send(wire.stream_rsp("0" * 24))
        local.sendall(b"half")
        local.shutdown(socket.SHUT_WR)
        assert stream.read_all() == b"half"
        stream.write(b"answer")
        assert local.recv(100) == b"answer"

    def is_stopped():
        # The local kernel says that nobody reads when something comes.
        try:
            stream.write(b"too late")
        except BrokenPipeError:
            return True

    wait_until(is_stopped, what="STOP_SENDING")
    assert stream.stream.stopped == 0
