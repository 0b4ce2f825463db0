# SPDX-License-Identifier: Apache-2.0
"""The foreign parts of the QUIC tests against each other. When these fail the fault lies in the test helpers."""

import queue
import socket

import pytest

from support import background, quic, wire
from support.certificates import Authority
from support.connect_udp_proxy import PATH, ConnectUDPProxy, proxy_settings
from support.proxies import Dante
from support.quic_client import Channel, QUICClient


@pytest.fixture
def quic_engine(start_quic_engine):
    return start_quic_engine()


@pytest.fixture
def quic_client(quic_engine):
    with QUICClient(quic_engine.port, quic_engine.ca_file) as client:
        yield client


def test_a_stream_has_two_directions_that_end_for_themselves(quic_engine, quic_client):
    near = quic_client.connect()
    near.write(b"half")
    near.shutdown_write()
    far = quic_engine.accept()
    assert far.read_all() == b"half"
    far.write(b"answered after the end")
    far.shutdown_write()
    assert near.read_all() == b"answered after the end"


def test_ends_are_what_they_say(quic_engine, quic_client):
    near = quic_client.connect()
    near.write(b"x")
    far = quic_engine.accept()
    near.close()
    assert far.read_all() == b"x" and far.stream.wait_stopped() == 0
    near = quic_client.connect()
    near.write(b"x")
    far = quic_engine.accept()
    near.stream.abort(7)
    with pytest.raises(quic.StreamReset) as reset:
        far.read_all()
    assert reset.value.code == 7 and far.stream.wait_stopped() == 7
    with pytest.raises(BrokenPipeError):
        far.write(b"y")
    quic_engine.accept_quic().end(3, "enough")
    closed = quic_client.connection.wait_closed()
    assert (closed.code, closed.reason, closed.frame_type) == (3, "enough", None)
    with pytest.raises(quic.QUICClosed):
        near.write(b"z")


def test_datagrams(quic_engine, quic_client):
    channel = Channel(quic_client.connection, "00112233445566778899AABB-rest")
    channel.send(b"hi", b"")
    far = quic_engine.accept_quic()
    assert far.receive_datagram() == bytes.fromhex("00112233445566778899aabb6869")
    far.send_datagram(far.receive_datagram() + b"back")
    assert channel.receive() == b"back"


def test_control_channel_and_streams(quic_engine, quic_client):
    near = quic_client.connect()
    near.send(wire.open_control(liveness=1000))
    control = quic_engine.accept_control()
    assert near.expect("open_control_channel_rsp").ok.liveness.heartbeat_interval_ms == 1000
    near.send(wire.open_tunnel("r", type="datagram"))
    assert control.grant_tunnel().type.value == "datagram"
    assert near.expect("open_tunnel_rsp").request_id == "r"
    near.close()
    assert "ended" in control.expect_end()


@pytest.mark.parametrize("trouble", ["alpn", "certificate", "silence"])
def test_failing_handshakes(start_quic_engine, tmp_path_factory, trouble):
    other = start_quic_engine()
    options = {"alpn": {"alpn": ["other/1"]}, "certificate": {"certificate": other.authority.issue("localhost")}}
    engine = start_quic_engine(**options.get(trouble, {}))
    client = quic.Client(engine.port, engine.ca_file)
    if trouble == "silence":
        connection = client.connect()
        engine.accept_quic().fall_silent()
        with pytest.raises(TimeoutError):
            connection.ping_peer(0.2)
    else:
        with pytest.raises(quic.QUICClosed) as closed:
            client.connect()
        assert 0x100 <= closed.value.code < 0x200
        assert (closed.value.code == quic.NO_APPLICATION_PROTOCOL) == (trouble == "alpn")
    client.close()


def test_retry_key_update_another_id_and_no_datagrams(start_quic_engine):
    engine = start_quic_engine(retry=True, datagrams=False)
    client = quic.Client(engine.port, engine.ca_file)
    connection = client.connect()
    connection.ping_peer()
    connection.update_keys()
    connection.ping_peer()
    connection.use_another_id()
    connection.ping_peer()
    assert connection._quic._remote_max_datagram_frame_size is None
    client.close()


@pytest.fixture
def through_relay(quic_engine, udp_relay):
    """An aioquic connection through a relay: (relay, near connection, far connection)."""
    relay = udp_relay(quic_engine.port)
    client = QUICClient(relay.port, quic_engine.ca_file)
    near = client.connection
    yield relay, near, quic_engine.accept_quic()
    client.close()


def test_relay_loses_spoils_repeats_and_reorders(quic_engine, through_relay):
    relay, near, far = through_relay
    relay.set(loss=0.1, corruption=0.02, duplication=0.1, reordering=0.1)
    stream = near.open_stream()
    payload = bytes(range(256)) * 1200
    stream.write(payload, end=True)
    assert quic_engine.accept().read_all(30) == payload
    for direction in (relay.to_server, relay.to_client):
        assert direction.lost and direction.overtaken
    assert relay.to_server.spoilt and relay.to_server.repeated
    assert 0 < relay.amplification <= 3


def test_relay_rebinds_and_darkens(through_relay):
    relay, near, far = through_relay
    before = far._quic._network_paths[0].addr
    near.ping_peer()
    relay.rebind()
    near.ping_peer()
    assert far._quic._network_paths[0].addr != before
    relay.darken(0.3)
    with pytest.raises(TimeoutError):
        near.ping_peer(0.1)
    near.ping_peer()
    assert relay.to_server.lost


def test_relay_over_ipv6_and_deaf_to_the_client(start_quic_engine, udp_relay):
    """A server that hears no more than one datagram may not send more than three times that."""
    engine = start_quic_engine(host="::1")
    relay = udp_relay(engine.port, host="::1")
    client = quic.Client(relay.port, engine.ca_file, host="::1")
    heard = []
    relay.to_server.keep = lambda datagram: not heard and (heard.append(datagram) or True)
    connection = client.connect(wait=False)
    relay.wait_datagrams(2)
    assert 0 < relay.amplification <= 3
    relay.to_server.keep = lambda datagram: True
    connection.wait_ready()
    client.close()


def test_connect_udp_proxy(tmp_path, udp_echo):
    authority = Authority(tmp_path)
    with ConnectUDPProxy(authority) as proxy:
        client = quic.Client(proxy.port, authority.ca_file, alpn=["h3"])
        answers = queue.Queue()

        def take(connection, event):
            if not hasattr(connection, "http"):
                connection.http = proxy_settings(connection)
            for happened in connection.http.handle_event(event):
                answers.put(happened)

        connection = client.connect(on_event=take)
        path = f"{PATH}127.0.0.1/{udp_echo.port}/"
        fields = {
            ":method": "CONNECT",
            ":protocol": "connect-udp",
            ":scheme": "https",
            ":authority": "p",
            ":path": path,
        }

        def ask():
            connection.http.send_headers(0, [(k.encode(), v.encode()) for k, v in fields.items()])
            connection.transmit()

        def send():
            connection.http.send_datagram(0, b"\0hello")
            connection.transmit()

        background.call(ask)
        assert dict(answers.get(timeout=10).headers)[b":status"] == b"200"
        background.call(send)
        assert answers.get(timeout=10).data == b"\0HELLO"
        assert proxy.carried == [1, 1] and proxy.requests == [fields]
        client.close()


def test_dante_associates_udp(tmp_path, udp_echo):
    with (
        Dante(tmp_path, commands="connect udpassociate udpreply") as dante,
        socket.create_connection(("127.0.0.1", dante.port), 10) as control,
        socket.socket(type=socket.SOCK_DGRAM) as packets,
    ):
        control.sendall(b"\5\1\0")
        assert control.recv(2) == b"\5\0"
        control.sendall(b"\5\3\0\1" + bytes(6))
        answer = control.recv(10)
        assert answer[:4] == b"\5\0\0\1"
        packets.settimeout(10)
        relay = (socket.inet_ntoa(answer[4:8]), int.from_bytes(answer[8:], "big"))
        header = b"\0\0\0\1" + socket.inet_aton("127.0.0.1") + udp_echo.port.to_bytes(2, "big")
        packets.sendto(header + b"hello", relay)
        assert packets.recv(100) == header + b"HELLO"
