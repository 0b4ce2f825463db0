# SPDX-License-Identifier: Apache-2.0
"""Datagram tunnels: packets framed on streams and in QUIC datagrams, between wire-level peers and our programs, and the
private cases of the official matrix with real protocols inside: QUIC by aioquic, SCTP by usrsctp, DTLS by OpenSSL.
"""

import secrets
import socket

import pytest

from support import dtls, quic, wire
from support.certificates import Authority
from support.sctp import SCTPClient, SCTPServer

SIZES = [0, 1, 1200, 1472, 16384, 65535]


@pytest.fixture
def tls_client(client):
    return client


def owner_of(client, name, **properties):
    control = client.control(liveness=60000)
    tunnel = control.open_tunnel(name=name, type="datagram", publish=False, **properties)
    assert tunnel.type.value == "datagram"
    return control


# -- framed, on streams ----------------------------------------------------------------------------------------------


def crosses(near, far, sizes=SIZES):
    """Packets of these sizes, each way, one by one and all at once; each arrives as what it was."""
    packets = [bytes([index + 1]) * size for index, size in enumerate(sizes)]
    for sender, receiver in ((near, far), (far, near)):
        for packet in packets:
            sender.send_packets(packet)
            assert receiver.receive_packet() == packet
        sender.send_packets(*packets)
        assert [receiver.receive_packet() for _ in packets] == packets


@pytest.mark.parametrize("zero_rtt", [False, True])
def test_framed_packets(tls_client, name, zero_rtt):
    near, far = tls_client.pair(owner_of(tls_client, name), name, zero_rtt)
    crosses(near, far)
    near.close()
    far.expect_end()


def test_packets_in_single_bytes(tls_client, name):
    near, far = tls_client.pair(owner_of(tls_client, name), name)
    for byte in wire.frame(b"in pieces"):
        near.write(bytes([byte]))
    assert far.receive_packet() == b"in pieces"


def test_too_long_a_packet_ends_its_channel(tls_client, name):
    control = owner_of(tls_client, name)
    near, far = tls_client.pair(control, name)
    near.write(b"\0\1\0\0")
    far.expect_end()
    crosses(*tls_client.pair(control, name), [100])


def test_packets_by_both_ways_of_reaching_the_engine(tls_client, quic_client, name):
    """Owner over TLS, dialer over QUIC without datagrams, and the other way round."""
    control = owner_of(tls_client, name)
    near = quic_client.connect()
    near.send(wire.stream_req(name, True))
    crosses(near, control.accept())


# -- QUIC datagrams --------------------------------------------------------------------------------------------------


def bounces(near, far, sizes=(0, 1, 100, 1000)):
    for size in sizes:
        packet = bytes([size % 256]) * size
        near.send(packet)
        assert far.receive() == packet
        far.send(packet + b"!")
        assert near.receive() == packet + b"!"


def join(dialer, owner, control, name):
    """Both ends of a channel, and the dialer's stream that holds it."""
    stream = dialer.ask_for_channel(name)
    far = owner.accept_channel(control)
    return dialer.dialed_channel(stream), far, stream


class FramedEnd:
    """A framed stream with the manners of a channel."""

    def __init__(self, connection):
        self._connection = connection

    def send(self, *packets):
        self._connection.send_packets(*packets)

    def receive(self, timeout=10.0):
        return self._connection.receive_packet(timeout)


def test_datagrams_between_quic_and_quic(engine, quic_client, name):
    """Both legs are channels; the owner is told once when the dialer goes."""
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    near, far, stream = join(other, quic_client, control, name)
    bounces(near, far)
    stream.close()
    assert control.expect("datagram_channel_close").stream_id == far.stream_id
    other.connection.send_datagram(near.id + b"late")
    other.connection.ping_peer()
    assert control.is_open and len(control.received("datagram_channel_close")) == 1


def test_owner_ends_a_channel(engine, quic_client, name):
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    near, far, stream = join(other, quic_client, control, name)
    bounces(near, far)
    control.send(wire.datagram_channel_close(far.stream_id))
    end = stream.expect("datagram_channel_close")
    assert end.stream_id == near.stream_id and not end.HasField("error")
    stream.expect_end()
    assert control.is_open and control.received("datagram_channel_close") == []


def test_what_has_ended_a_channel_is_passed_on(engine, quic_client, name):
    """In both directions; an owner that was lost is told of as well, but not where it was."""
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    near, far, stream = join(other, quic_client, control, name)
    control.send(wire.datagram_channel_close(far.stream_id, error=(6000, "the service is gone")))
    end = stream.expect("datagram_channel_close")
    assert (end.error.code, end.error.message.value) == (6000, "the service is gone")
    stream.expect_end()
    near, far, stream = join(other, quic_client, control, name)
    stream.send(wire.datagram_channel_close(near.stream_id, error=(9000, "no more")))
    end = control.expect("datagram_channel_close")
    assert (end.stream_id, end.error.code, end.error.message.value) == (far.stream_id, 9000, "no more")
    stream.expect_end()
    near, far, stream = join(other, quic_client, control, name)
    quic_client.connection.end()
    end = stream.expect("datagram_channel_close")
    assert end.stream_id == near.stream_id and end.error.code == 6000 and "127.0.0.1" not in end.error.message.value
    stream.expect_end()


def test_a_refused_dialer_hears_of_no_channel(engine, quic_client, name):
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    stream = other.ask_for_channel(name)
    request = control.next_request()
    control.send(wire.proxy_conn_rsp(request.stream_id, error=(6000, "not now")))
    assert stream.expect("stream_rsp").error.code == 6000
    stream.expect_end()


def test_owner_over_quic_and_dialer_over_tls(quic_client, tls_client, name):
    """The engine carries packets from frames to datagrams and back."""
    control = owner_of(quic_client, name)
    near = tls_client.connect()
    near.send(wire.stream_req(name, True))
    far = quic_client.accept_channel(control)
    bounces(FramedEnd(near), far)
    near.close()
    assert control.expect("datagram_channel_close").stream_id == far.stream_id


def test_many_channels_do_not_mix(engine, quic_client, name):
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    channels = []
    for _ in range(20):
        near, far, _ = join(other, quic_client, control, name)
        channels.append((near, far))
    for number, (near, far) in enumerate(channels):
        near.send(f"packet {number}".encode())
        assert far.receive() == f"packet {number}".encode()


def frames_only(dialer, control, name):
    """A dialer of the tunnel is refused a channel, and gets a stream."""
    with pytest.raises(wire.Refused) as refused:
        dialer.dialed_channel(dialer.ask_for_channel(name))
    assert refused.value.code == 2000
    near = dialer.connect()
    near.send(wire.stream_req(name, True))
    crosses(near, control.accept())


def test_guaranteed_delivery_stays_on_streams(engine, quic_client, name):
    other = engine.quic_client()
    control = owner_of(quic_client, name, datagram_guaranteed_delivery=True)
    frames_only(other, control, name)


def test_channels_are_refused_where_they_cannot_be(quic_client, tls_client, name):
    """On a tunnel of byte streams, and over TLS, which has no datagrams."""
    control = quic_client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    with pytest.raises(wire.Refused) as refused:
        quic_client.dialed_channel(quic_client.ask_for_channel(name))
    assert refused.value.code == 2000
    owner_of(quic_client, f"{name}-packets")
    near = tls_client.connect()
    near.send(wire.stream_req(f"{name}-packets", False, datagram_channel=True))
    assert near.expect("stream_rsp").error.code == 2000


def test_a_channel_that_is_agreed_to_too_late_is_closed(start_engine, name):
    """The dialer has been refused by then, and the owner would wait for its packets for ever."""
    engine = start_engine(settings={"timeouts.stream_request_seconds": "1"})
    owner, other = engine.quic_client(), engine.quic_client()
    control = owner_of(owner, name)
    requests = []
    for _ in range(2):
        stream = other.ask_for_channel(name)
        requests.append(control.next_request())
        with pytest.raises(wire.Refused):
            other.dialed_channel(stream)
    # One that is refused late needs no more words.
    control.send(wire.proxy_conn_rsp(requests[0].stream_id, error=(6000, "late")))
    control.send(wire.proxy_conn_rsp(requests[1].stream_id))
    assert control.expect("datagram_channel_close").stream_id == requests[1].stream_id
    control.send(wire.proxy_conn_rsp(requests[1].stream_id))
    bounces(*join(other, owner, control, name)[:2])
    assert control.is_open and len(control.received("datagram_channel_close")) == 1


def test_a_channel_that_is_agreed_to_after_its_tunnel_is_closed(engine, quic_client, name):
    other = engine.quic_client()
    control = quic_client.control(liveness=60000)
    tunnel = control.open_tunnel(name=name, publish=False, type="datagram")
    stream = other.ask_for_channel(name)
    request = control.next_request()
    control.close_tunnel(tunnel.id.value)
    with pytest.raises(wire.Refused):
        other.dialed_channel(stream)
    control.send(wire.proxy_conn_rsp(request.stream_id))
    assert control.expect("datagram_channel_close").stream_id == request.stream_id


def test_the_end_of_another_channel_is_none_of_a_channel_s(engine, quic_client, name):
    other = engine.quic_client()
    control = owner_of(quic_client, name)
    near, far, stream = join(other, quic_client, control, name)
    stream.send(wire.datagram_channel_close("0" * 24))
    control.send(wire.datagram_channel_close("0" * 24))
    bounces(near, far)
    stream.send(wire.datagram_channel_close(near.stream_id.upper()))
    assert control.expect("datagram_channel_close").stream_id == far.stream_id


def test_an_owner_that_takes_no_datagrams_is_asked_for_a_stream(engine, quic_client, name):
    owner = engine.quic_client(max_datagram_frame_size=None)
    control = owner_of(owner, name)
    frames_only(quic_client, control, name)


def test_our_client_brings_a_stream_where_the_engine_takes_no_datagrams(start_quic_engine, forward, udp_echo):
    engine = start_quic_engine(datagrams=False)
    arguments = ["--config-set", "transport.mode=quic", "--no-publish", "--udp"]
    agent = forward(engine, udp_echo.address, "agent", arguments, online=False)
    control = engine.accept_control()
    tunnel = control.grant_tunnel(type="datagram")
    agent.wait_line(status="online")
    far = control.open_stream(tunnel.id.value)
    far.send_packets(b"packet")
    assert far.receive_packet() == b"PACKET"


@pytest.mark.parametrize("loss", ["connection", "stream"])
def test_our_dialer_tells_what_has_broken_its_channel(start_quic_engine, dial, loss):
    engine = start_quic_engine()
    dialer = dial(engine, "anything", arguments=["--udp", "--config-set", "transport.mode=quic"])
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", dialer.port))
        sender.send(b"hello")
        stream, _ = engine.accept_dial()
        channel = secrets.token_hex(12)
        stream.send(wire.stream_rsp(channel))
        connection = engine.accept_quic()
        assert connection.datagrams.get(timeout=10) == bytes.fromhex(channel) + b"hello"
        if loss == "connection":
            connection.end(51, "out of order")
        else:
            stream.stream.abort(51)
        assert "51" in dialer.wait_line(event="closed")["error"]


# -- our programs ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["tls", "quic"])
def transport(request):
    return ["--config-set", f"transport.mode={request.param}"]


@pytest.fixture
def tunnelled(engine, forward, dial, name):
    """Carries packets to a local UDP port: tunnelled(address, arguments of both) -> local UDP port."""

    def start(address, transport, *properties):
        agent = forward(engine, address, name, ["--udp", "--no-publish", *transport, *properties])
        dialer = dial(engine, name, arguments=["--udp", *transport])
        start.programs = agent, dialer
        return dialer.port

    return start


def test_packets_through_our_programs(tunnelled, udp_echo, transport):
    """Each local sender is a channel of its own, and answers find the way back."""
    port = tunnelled(udp_echo.address, transport)
    senders = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(5)]
    for sender in senders:
        sender.settimeout(10)
        sender.connect(("127.0.0.1", port))
    for size in (1, 500):
        for number, sender in enumerate(senders):
            sender.send(f"n{number}".encode() * size)
        for number, sender in enumerate(senders):
            assert sender.recv(10_000) == f"N{number}".encode() * size
    assert len(udp_echo.peers) == 5
    for sender in senders:
        sender.close()


def test_sizes_of_packets(tunnelled, udp_echo):
    """Framed packets are as long as UDP packets can be, and may be empty."""
    port = tunnelled(udp_echo.address, ["--config-set", "transport.mode=tls"])
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.connect(("127.0.0.1", port))
        for size in (0, 1, 1472, 9000, 65507):
            sender.send(b"x" * size)
            assert sender.recv(65536) == b"X" * size


def test_a_packet_that_fits_no_datagram_is_lost_alone(tunnelled, udp_echo):
    port = tunnelled(udp_echo.address, ["--config-set", "transport.mode=quic"])
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.connect(("127.0.0.1", port))
        sender.send(b"x" * 9000)
        for size in (0, 1, 1100):
            sender.send(b"x" * size)
            assert sender.recv(65536) == b"X" * size


def test_guaranteed_packets_over_quic_travel_on_streams(tunnelled, udp_echo):
    guaranteed = ["--property", "datagram_guaranteed_delivery=true"]
    port = tunnelled(udp_echo.address, ["--config-set", "transport.mode=quic"], *guaranteed)
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.connect(("127.0.0.1", port))
        sender.send(b"x" * 9000)
        assert sender.recv(65536) == b"X" * 9000


def test_quic_inside(tunnelled, transport, tmp_path):
    """A QUIC server behind a datagram tunnel: a stream and a datagram."""
    authority = Authority(tmp_path)
    streams = []

    def serve(connection, event):
        match event:
            case quic.events.StreamDataReceived():
                streams.append(event.data)
                connection.send_stream_data(event.stream_id, event.data, event.end_stream)
            case quic.events.DatagramFrameReceived():
                connection._quic.send_datagram_frame(event.data)

    server = quic.Server(authority.issue("localhost"), ["rstream-datagram-echo"], on_event=serve)
    port = tunnelled(f"127.0.0.1:{server.port}", transport)
    client = quic.Client(port, authority.ca_file, alpn=["rstream-datagram-echo"])
    connection = client.connect()
    stream = connection.open_stream()
    stream.write(b"ping-quic", end=True)
    assert stream.read_all() == b"ping-quic"
    connection.send_datagram(b"dg-quic")
    assert connection.receive_datagram(5) == b"dg-quic"
    client.close()
    server.close()


def test_sctp_inside(tunnelled, transport):
    with SCTPServer() as server:
        port = tunnelled(server.address, transport)
        with SCTPClient(port) as client:
            assert client.connect().exchange(b"ping-sctp") == b"ping-sctp"


def test_dtls_inside(tunnelled, transport, tmp_path):
    authority = Authority(tmp_path)
    alpn = "rstream-dtls-echo"
    with dtls.DTLSServer(*authority.issue("localhost"), alpn) as server:
        port = tunnelled(server.address, transport)
        with dtls.connect(port, authority.ca_file, alpn) as end:
            assert end.alpn == alpn
            end.write(b"ping-dtls")
            assert end.read() == b"ping-dtls"
