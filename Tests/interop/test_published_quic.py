# SPDX-License-Identifier: Apache-2.0
"""Published quic tunnels, with aioquic and ngtcp2's programs as consumers and as services behind them."""

import concurrent.futures
import os
import shutil
import socket
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support import gtlsclient, quic, wire
from support.background import call
from support.certificates import self_signed
from support.quic_service import ALPN, QUICService
from support.waiting import wait_until

CONNECTION_REFUSED, INTERNAL_ERROR = 2, 1
ACCESS_DENIED = 0x100 + 49
UNRECOGNIZED_NAME = 0x100 + 112


@pytest.fixture
def service(tmp_path):
    made = []

    def start(**options):
        made.append(QUICService(tmp_path, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture(params=["tls", "quic"])
def transport(request):
    return ["--config-set", f"transport.mode={request.param}"]


@pytest.fixture
def published(engine, forward, name):
    """Publishes a UDP service: published(address, arguments) -> agent, whose `clients` makes connections."""
    clients = []

    def publish(address, *arguments, on=None, alpns=(ALPN,), online=True):
        options = ["--udp", "--protocol", "quic", *arguments]
        for alpn in alpns:
            options += ["--tls-alpn", alpn]
        edge = on or engine
        agent = forward(edge, address, name, options)

        def client(host=None, alpn=(ALPN,), **settings):
            made = quic.Client(edge.port, edge.ca_file, host or agent.host, alpn, **settings)
            clients.append(made)
            return made

        agent.client = client
        agent.connect = lambda **settings: client(**settings).connect()
        return agent

    yield publish
    for client in clients:
        client.close()


def refusal(client, **options):
    with pytest.raises(quic.QUICClosed) as closed:
        client.connect(**options)
    return closed.value


def echoes(connection, payload=b"ping-quic"):
    stream = connection.open_stream()
    stream.write(payload, end=True)
    assert stream.read_all() == payload


# -- the official case ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guaranteed", [False, True], ids=["", "guaranteed"])
def test_a_stream_and_a_datagram(engine, published, service, transport, guaranteed, name):
    at = service()
    arguments = [*transport, *(["--property", "datagram_guaranteed_delivery=true"] if guaranteed else [])]
    agent = published(at.address, *arguments)
    assert agent.tunnel["port"] == engine.port and agent.tunnel["host"] == f"{agent.host}:{engine.port}"
    assert agent.tunnel["forwarding"] == f"{agent.host}:{engine.port} (quic)"
    (listed,) = engine.tunnels(name=name)
    assert (listed["type"], listed["protocol"], listed["tls_alpns"]) == ("datagram", "quic", [ALPN])
    connection = agent.connect()
    assert connection.alpn == ALPN
    echoes(connection)
    connection.send_datagram(b"dg-quic")
    assert connection.receive_datagram(5) == b"dg-quic"
    assert at.connection.alpn == ALPN
    assert agent.opened()["peer"] == "127.0.0.1"
    connection.end(0)
    at.connection.wait_closed()
    agent.closed()


@pytest.mark.parametrize("offered", [["rstream-quic-wrong"], None], ids=["wrong", "none"])
def test_another_protocol_is_refused(published, service, offered):
    at = service()
    agent = published(at.address)
    assert refusal(agent.client(), alpn=offered).code == quic.NO_APPLICATION_PROTOCOL
    assert not at.connections


def test_the_first_protocol_of_the_tunnel_that_is_offered(published, service):
    at = service(alpn=["one", "two", "three"])
    agent = published(at.address, alpns=["three", "two"])
    assert agent.connect(alpn=["one", "two", "three"]).alpn == "three"
    connection = agent.connect(alpn=["one", "two"])
    echoes(connection)
    assert connection.alpn == at.connection.alpn == "two"


def test_a_tunnel_without_protocols_leaves_them_to_its_ends(published, service):
    at = service(alpn=["theirs"])
    agent = published(at.address, alpns=[])
    connection = agent.connect(alpn=["theirs", "other"])
    echoes(connection)
    assert at.connection.alpn == "theirs"
    # The service has the last word.
    other = agent.connect(alpn=["other"])
    assert other.wait_closed().code == CONNECTION_REFUSED


@pytest.mark.parametrize(
    "other, code",
    [
        ("nobody.t.localhost", quic.NO_APPLICATION_PROTOCOL),
        ("localhost", quic.NO_APPLICATION_PROTOCOL),
        ("elsewhere.example.com", UNRECOGNIZED_NAME),
    ],
)
def test_other_names_are_refused(engine, published, service, other, code):
    at = service()
    agent = published(at.address)
    with pytest.raises(quic.QUICClosed) as closed:
        agent.client(host=other).connect()
    assert closed.value.code == code
    assert not at.connections
    # The tunnel itself is not to be reached by TLS, nor the engine by the tunnel's name.
    with pytest.raises(OSError):
        engine.tls(agent.host)
    assert refusal(agent.client(), alpn=["rstrm/1"]).code == quic.NO_APPLICATION_PROTOCOL


def test_only_trusted_addresses(published, service):
    at = service()
    agent = published(at.address, "--property", "trusted_ips=192.0.2.0/24")
    assert refusal(agent.client()).code == ACCESS_DENIED
    assert not at.connections


@pytest.mark.parametrize("retry", ["always", "never"])
def test_addresses_are_validated_as_the_engine_is_set(start_engine, published, service, retry):
    engine = start_engine(settings={"quic.retry": retry})
    at = service()
    connection = published(at.address, on=engine).connect()
    echoes(connection)
    assert (connection._quic._retry_source_connection_id is not None) == (retry == "always")


def test_any_certificate_of_the_service_will_do(published, service):
    at = service(key=rsa.generate_private_key(65537, 1024))
    echoes(published(at.address).connect())


# -- streams -------------------------------------------------------------------------------------------------------------


def test_a_hundred_streams_at_once(published, service, transport):
    at = service()
    connection = published(at.address, *transport).connect()
    streams = [connection.open_stream() for _ in range(100)]
    for number, stream in enumerate(streams):
        stream.write(b"%d " % number * 500)
    for number, stream in enumerate(streams):
        stream.write(b"end", end=True)
    for number, stream in enumerate(streams):
        assert stream.read_all() == b"%d " % number * 500 + b"end"


def test_more_streams_than_may_be_open_at_once(published, service):
    """Credit goes on as streams end, of both kinds."""
    at = service()
    connection = published(at.address).connect()
    for _ in range(3):
        streams = [connection.open_stream() for _ in range(120)]
        for stream in streams:
            stream.write(b"x", end=True)
        for stream in streams:
            assert stream.read_all() == b"x"
    at.echoes = False
    for number in range(300):
        connection.open_stream(unidirectional=True).write(b"%d" % number, end=True)
    assert sorted(int(at.accept().read_all()) for _ in range(300)) == list(range(300))


def test_streams_of_the_service(published, service):
    """What the service opens reaches the consumer, of both kinds; so do its answers."""
    at = service()
    consumed = []
    connection = published(at.address).connect()
    connection._on_stream = consumed.append
    echoes(connection)
    near = at.connection.open_stream()
    near.write(b"a question", end=True)
    one_way = at.connection.open_stream(unidirectional=True)
    one_way.write(b"an announcement " * 5000, end=True)
    wait_until(lambda: len(consumed) == 2)
    question = next(stream for stream in consumed if stream.number & 2 == 0)
    announcement = next(stream for stream in consumed if stream.number & 2)
    assert question.read_all() == b"a question"
    question.write(b"an answer", end=True)
    assert near.read_all() == b"an answer"
    assert announcement.read_all() == b"an announcement " * 5000
    mine = connection.open_stream(unidirectional=True)
    at.echoes = False
    mine.write(b"one way", end=True)
    assert at.accept().read_all() == b"one way"


@pytest.mark.parametrize("guaranteed", [False, True], ids=["", "guaranteed"])
def test_bulk_both_ways(published, service, transport, guaranteed):
    at = service()
    arguments = [*transport, *(["--property", "datagram_guaranteed_delivery=true"] if guaranteed else [])]
    connection = published(at.address, *arguments).connect()
    payload = os.urandom(1 << 20) * 10
    stream = connection.open_stream()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        received = pool.submit(stream.read_all, timeout=60)
        stream.write(payload, end=True)
        assert received.result() == payload


def test_codes_of_reset_and_stop(published, service, transport):
    at = service()
    at.echoes = False
    connection = published(at.address, *transport).connect()
    near = connection.open_stream()
    near.write(b"x")
    far = at.accept()
    assert far.read_exactly(1) == b"x"
    near.reset(0x1234)
    assert far.wait_reset() == 0x1234
    far.write(b"the other direction goes on")
    assert near.read_exactly(27) == b"the other direction goes on"
    near.stop(0x2345)
    assert far.wait_stopped() == 0x2345

    near = connection.open_stream()
    near.write(b"y")
    far = at.accept()
    assert far.read_exactly(1) == b"y"
    far.stop(1 << 40)
    assert near.wait_stopped() == 1 << 40
    far.write(b"still")
    assert near.read_exactly(5) == b"still"
    far.reset(1 << 41)
    assert near.wait_reset() == 1 << 41

    one_way = connection.open_stream(unidirectional=True)
    one_way.write(b"z")
    far = at.accept()
    far.stop(77)
    assert one_way.wait_stopped() == 77
    one_way = connection.open_stream(unidirectional=True)
    one_way.write(b"z")
    far = at.accept()
    one_way.reset(78)
    assert far.wait_reset() == 78
    at.echoes = True
    echoes(connection)


def test_a_stream_that_the_service_allows_too_late(start_engine, published, service):
    """A consumer's stream waits for the service's credit, and no longer than streams may."""
    engine = start_engine(settings={"timeouts.stream_request_seconds": "1"})
    at = service()
    connection = published(at.address, on=engine).connect()
    echoes(connection)
    at.echoes = False
    limit = at.connection._quic._local_max_streams_bidi.value
    open_streams = []
    for _ in range(limit - 1):
        open_streams.append(connection.open_stream())
        open_streams[-1].write(b"x")
    for _ in range(limit - 1):
        at.accept()
    late = [connection.open_stream() for _ in range(8)]
    for stream in late:
        stream.write(b"x")
    codes = [stream.wait_reset() for stream in late[-2:]]
    assert codes == [0, 0] and not connection.closed.is_set()


# -- datagrams -----------------------------------------------------------------------------------------------------------


def test_datagrams_of_all_sizes(published, service, transport):
    at = service()
    connection = published(at.address, *transport).connect()
    for size in (0, 1, 100, 1000, 1100):
        payload = os.urandom(size)
        connection.send_datagram(payload)
        assert connection.receive_datagram() == payload


def test_a_datagram_that_does_not_fit_is_lost_alone(published, service, transport):
    """Between the consumer and the engine larger packets pass than the service's path is known to carry."""
    at = service(max_datagram_size=1200)
    connection = published(at.address, *transport).client().connect(max_datagram_size=1440)
    echoes(connection)
    connection.send_datagram(bytes(1400), b"small")
    received = connection.receive_datagram()
    assert received == b"small" or connection.receive_datagram() == b"small"
    assert not connection.closed.is_set()


def test_datagrams_right_after_the_handshake_wait_for_the_service(published, service):
    at = service()
    connection = published(at.address).connect()
    connection.send_datagram(*(b"%d" % number for number in range(20)))
    assert [connection.receive_datagram() for _ in range(20)] == [b"%d" % number for number in range(20)]


# -- ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, reason", [(0, ""), (0x1234_5678_9ABC, "that is all, folks \N{RABBIT}"), (7, "x" * 900)])
def test_close_codes_and_reasons(published, service, transport, code, reason):
    at = service()
    agent = published(at.address, *transport)
    connection = agent.connect()
    echoes(connection)
    connection.end(code, reason)
    closed = at.connection.wait_closed()
    assert (closed.code, closed.reason, closed.frame_type) == (code, reason, None)
    connection = agent.connect()
    echoes(connection)
    at.connection.end(code, reason)
    closed = connection.wait_closed()
    assert (closed.code, closed.reason, closed.frame_type) == (code, reason, None)


def test_what_was_said_before_the_end_arrives_before_it(published, service):
    at = service()
    at.echoes = False
    connection = published(at.address).connect()
    stream = connection.open_stream()
    stream.write(b"hello")
    far = at.accept()
    assert far.read_exactly(5) == b"hello"

    def farewell():
        connection._quic.send_stream_data(stream.number, b"and farewell", end_stream=True)
        connection.transmit()
        connection.close(9, "done")

    call(farewell)
    assert far.read_all() == b"and farewell"
    assert at.connection.wait_closed().code == 9


def test_a_service_that_is_down(published):
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    connection = published(f"127.0.0.1:{port}").connect()
    closed = connection.wait_closed()
    assert closed.code in (CONNECTION_REFUSED, INTERNAL_ERROR) and closed.frame_type is not None


def test_a_service_that_never_answers(start_engine, published):
    engine = start_engine(settings={"timeouts.handshake_seconds": "2"})
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        connection = published(f"127.0.0.1:{silent.getsockname()[1]}", on=engine).connect()
        assert connection.wait_closed().code == CONNECTION_REFUSED


def test_the_owner_goes_in_the_middle(published, service, transport):
    at = service()
    agent = published(at.address, *transport)
    connection = agent.connect()
    echoes(connection)
    agent.end()
    assert connection.wait_closed(20).code == INTERNAL_ERROR
    assert refusal(agent.client()).code == quic.NO_APPLICATION_PROTOCOL


def test_the_engine_stops(start_engine, published, service):
    engine = start_engine(settings={"timeouts.drain_seconds": "1"})
    at = service()
    agent = published(at.address, on=engine)
    connection = agent.connect()
    echoes(connection)
    engine.end()
    # The engine's last word, or that of the agent, which goes as soon as its control channel does.
    assert connection.wait_closed().code in (0, INTERNAL_ERROR)
    agent.judge(agent.wait(20), 5)


def test_a_consumer_that_falls_silent_is_given_up(start_engine, published, service):
    at = service()
    connection = published(at.address).client().connect(idle_timeout=2.0)
    echoes(connection)
    connection.fall_silent()
    assert at.connection.wait_closed(20).code == 0


def test_two_hundred_connections_leave_nothing(start_engine, published, service):
    engine = start_engine()
    at = service()
    agent = published(at.address, on=engine)

    def connect(count):
        for _ in range(count):
            client = agent.client()
            connection = client.connect()
            echoes(connection, bytes(20_000))
            connection.send_datagram(b"x")
            connection.receive_datagram()
            client.close()

    connect(20)
    memory, files = engine.resident, engine.open_files
    connect(200)
    # The engine keeps what is left of a connection for a second, to answer late packets.
    wait_until(lambda: engine.open_files <= files, 20, what="the files of connections to be closed")
    wait_until(lambda: engine.resident < memory + (10 << 20), 10, what="the memory of connections to be given back")


# -- what may be asked for -----------------------------------------------------------------------------------------------


def test_rules_of_quic_tunnels(client, start_engine):
    control = client.control()
    for values in (
        dict(protocol="quic", type="bytestream"),
        dict(protocol="quic", tls_mode="terminated"),
        dict(protocol="quic", tls_min_version="tls1.3"),
        dict(protocol="quic", http_version="h3"),
        dict(protocol="quic", token_auth=True),
        dict(protocol="quic", upstream_tls=False),
        dict(protocol="quic", port=5000),
        dict(protocol="quic", publish=False),
    ):
        with pytest.raises(wire.Refused) as refused:
            control.open_tunnel(**values)
        assert refused.value.code == 2000, values
    tunnel = control.open_tunnel(protocol="quic", tls_alpns=[ALPN], upstream_tls=True)
    assert tunnel.type.value == "datagram" and tunnel.port.value == client.port
    other = start_engine(settings={"quic.enabled": "false"}).fake_client().control()
    with pytest.raises(wire.Refused) as refused:
        other.open_tunnel(protocol="quic")
    assert refused.value.code == 5000


# -- ngtcp2's programs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gtlsserver(tmp_path):
    """ngtcp2's HTTP/3 server in front of a folder: (port, folder)."""
    program = shutil.which("gtlsserver")
    if not program:
        pytest.skip("gtlsserver (Debian's ngtcp2-server) is not here")
    certificate, key = self_signed(tmp_path)
    folder = tmp_path / "htdocs"
    folder.mkdir()
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "-q", "-d", folder, "127.0.0.1", str(port), key, certificate]
    with open(tmp_path / "gtlsserver.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    yield port, folder
    process.kill()
    process.wait(10)


def test_gtlsclient_and_gtlsserver_speak_http3(engine, published, gtlsserver, transport, tmp_path):
    port, folder = gtlsserver
    (folder / "big").write_bytes(os.urandom(1 << 20) * 4)
    (folder / "small").write_bytes(b"small")
    agent = published(f"127.0.0.1:{port}", *transport, alpns=["h3"])
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    said = gtlsclient.download(engine.port, agent.host, ["small", "big"], downloads)
    assert (downloads / "big").exists(), said[-4000:]
    assert (downloads / "big").read_bytes() == (folder / "big").read_bytes()
    assert (downloads / "small").read_bytes() == b"small"


def test_gtlsclient_with_another_protocol(engine, published, gtlsserver):
    agent = published(f"127.0.0.1:{gtlsserver[0]}", alpns=["h3"])
    with gtlsclient.GTLSClient(engine.port, alpn="h4", server_name=agent.host) as client:
        client.wait_line("CONNECTION_CLOSE", f"{quic.NO_APPLICATION_PROTOCOL:#x}")
