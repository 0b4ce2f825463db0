# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 43 to 52 (datagrams), 53 to 56 (QUIC), and 68 (DTLS).

See test_pitfalls.py for the rest. Of 68 the cookie exchange, new associations from one address, fragmented handshakes on
bad paths and the idle end are in test_dtls*.py.
"""

import secrets
import socket

import pytest
from OpenSSL import SSL

from support import dtls, quic, wire
from support.certificates import Authority
from support.origins import UDPServer
from support.quic_client import Channel
from support.waiting import wait_until

QUIC = ["--config-set", "transport.mode=quic"]


@pytest.fixture
def client(quic_client):
    """An aioquic client of our engine."""
    return quic_client


@pytest.fixture
def control(client, name):
    """Its control channel, with a datagram tunnel of that name."""
    control = client.control(liveness=60000)
    control.tunnel = control.open_tunnel(name=name, type="datagram", publish=False)
    return control


@pytest.fixture
def channel(engine, client, control, name):
    """Both ends of a datagram channel of our engine's: (dialer's, owner's, the stream that holds the dialer's)."""
    other = engine.quic_client()
    stream = other.ask_for_channel(name)
    far = client.accept_channel(control)
    return other.dialed_channel(stream), far, stream


@pytest.fixture
def agent(start_quic_engine, forward, udp_echo):
    """Our client in front of an echo of packets, and the engine of aioquic's that it is on: (control, tunnel, connection)."""
    engine = start_quic_engine()
    process = forward(engine, udp_echo.address, "agent", [*QUIC, "--no-publish", "--udp"], online=False)
    control = engine.accept_control()
    tunnel = control.grant_tunnel(type="datagram")
    process.wait_line(status="online")
    return control, tunnel.id.value, engine.accept_quic()


def ask_agent(control, tunnel, connection, stream_id=None):
    """A datagram channel that our client has agreed to."""
    stream_id, _ = control.ask_stream(tunnel, stream_id=stream_id)
    assert control.expect("proxy_conn_rsp").stream_id == stream_id
    return Channel(connection, stream_id)


def crosses(near, far, packet=b"packet"):
    near.send(packet)
    assert far.receive() == packet
    far.send(packet[::-1])
    assert near.receive() == packet[::-1]


def bounces(channel, packet=b"packet"):
    channel.send(packet)
    assert channel.receive() == packet.upper()


# -- datagrams -----------------------------------------------------------------------------------------------------------


def strays(connection):
    connection.send_datagram(*(bytes(size) for size in range(12)), secrets.token_bytes(12), secrets.token_bytes(100))


def test_pitfall_43_engine_ignores_short_and_unknown_datagrams(client, channel, control):
    near, far, _ = channel
    strays(near.connection)
    strays(far.connection)
    crosses(near, far)
    assert control.is_open


def test_pitfall_43_client_ignores_short_and_unknown_datagrams(agent):
    control, tunnel, connection = agent
    channel = ask_agent(control, tunnel, connection)
    strays(connection)
    bounces(channel)


def test_pitfall_44_client_compares_whole_ids(agent):
    """Twelve bytes in hexadecimal, whatever their case and with dashes or without, not just how they begin."""
    control, tunnel, connection = agent
    ids = ["00112233-4455-6677-8899-AABB0000abcd", "00112233445566778899aabc", "00112233445566778899AABD"]
    channels = [ask_agent(control, tunnel, connection, stream_id) for stream_id in ids]
    assert len({channel.id for channel in channels}) == 3
    for number, channel in enumerate(channels):
        bounces(channel, b"to channel %d" % number)


def test_pitfall_45_an_oversize_packet_is_lost_alone(engine, client, control, name):
    """A framed packet that fits no datagram of the owner's."""
    near = engine.fake_client().connect()
    near.send(wire.stream_req(name, True))
    far = client.accept_channel(control)
    near.send_packets(b"before", bytes(20_000), b"after")
    assert [far.receive(), far.receive()] == [b"before", b"after"]


def test_pitfall_46_a_channel_that_nobody_reads_blocks_nothing(engine, client, control, name):
    """Packets for a dialer that does not read its stream are dropped in the end, and others go on."""
    stalled = engine.fake_client().connect()
    stalled.send(wire.stream_req(name, True))
    owner = client.accept_channel(control)
    near = engine.fake_client().connect()
    near.send(wire.stream_req(name, True))
    other = client.accept_channel(control)
    for _ in range(100):
        owner.send(*(bytes(1100) for _ in range(50)))
    other.send(b"still heard")
    assert near.receive_packet() == b"still heard"
    assert control.is_open


def test_pitfall_47_engine_tells_of_an_end_once(channel, control):
    near, far, stream = channel
    crosses(near, far)
    # Both ends at the same time, and one that never was.
    control.send(wire.datagram_channel_close(secrets.token_hex(12)), wire.datagram_channel_close(far.stream_id))
    stream.close()
    control.send(wire.datagram_channel_close(far.stream_id))
    near.connection.ping_peer()
    far.connection.ping_peer()
    assert control.is_open and len(control.received("datagram_channel_close")) <= 1


def test_pitfall_47_client_tells_of_an_end_once(agent):
    control, tunnel, connection = agent
    channel = ask_agent(control, tunnel, connection)
    bounces(channel)
    control.send(wire.datagram_channel_close(secrets.token_hex(12)), wire.datagram_channel_close(channel.stream_id))
    control.send(wire.datagram_channel_close(channel.stream_id))
    # What was sent to the channel before reached nobody; the connection and the tunnel are as they were.
    bounces(ask_agent(control, tunnel, connection))
    assert control.is_open and control.received("datagram_channel_close") == []


def test_pitfall_48_a_refused_channel_leaves_the_connection_usable(engine, client, control, name):
    owner = engine.fake_client().control(liveness=60000)
    owner.open_tunnel(name=f"{name}-tls", type="datagram", publish=False)
    with pytest.raises(wire.Refused) as refused:
        client.dialed_channel(client.ask_for_channel(f"{name}-tls"))
    assert refused.value.code == 2000
    # The framed retry, on the same connection.
    near = client.connect()
    near.send(wire.stream_req(f"{name}-tls", True))
    far = owner.accept()
    near.send_packets(b"framed")
    assert far.receive_packet() == b"framed"


def test_pitfall_48_client_retries_framed(start_quic_engine, dial):
    engine = start_quic_engine()
    dialer = dial(engine, "anything", arguments=["--udp", *QUIC])
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", dialer.port))
        sender.send(b"hello")
        stream, request = engine.accept_dial()
        assert request.datagram_channel.value
        stream.send(wire.stream_rsp(error=(2000, "QUIC datagrams are not available for this tunnel.")))
        again, request = engine.accept_dial()
        assert not request.datagram_channel.value and engine.seen == 1
        if not request.zero_rtt.value:
            again.send(wire.stream_rsp(secrets.token_hex(12)))
        assert again.receive_packet() == b"hello"


def test_pitfall_49_guaranteed_delivery_is_framed(engine, client, name):
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, type="datagram", publish=False, datagram_guaranteed_delivery=True)
    with pytest.raises(wire.Refused):
        client.dialed_channel(client.ask_for_channel(name))
    near = client.connect()
    near.send(wire.stream_req(name, True))
    # The owner is asked to deliver a stream, though it could have a channel.
    far = control.accept()
    near.send_packets(bytes(30_000))
    assert far.receive_packet() == bytes(30_000)


def test_pitfall_50_frames_in_any_pieces(engine, client, control, name):
    near = engine.fake_client().connect()
    near.send(wire.stream_req(name, True))
    far = client.accept_channel(control)
    packets = [b"", b"x", bytes(1000), b""]
    stream = b"".join(wire.frame(packet) for packet in packets)
    for start in range(0, len(stream), 3):
        near.write(stream[start : start + 3])
    assert [far.receive() for _ in packets] == packets
    framed = engine.fake_client().control(liveness=60000)
    framed.open_tunnel(name=f"{name}-framed", type="datagram", publish=False)
    near = engine.fake_client().connect()
    near.send(wire.stream_req(f"{name}-framed", True))
    far = framed.accept()
    near.send_packets(bytes(65_535))
    assert far.receive_packet() == bytes(65_535)


@pytest.mark.parametrize("size", [1200, 1280])
def test_pitfall_51_first_packets_of_quic_inside_of_datagrams(engine, forward, dial, name, tmp_path, size):
    """Official servers and clients begin with packets of 1200 and of 1280 bytes."""
    authority = Authority(tmp_path)
    server = quic.Server(
        authority.issue("localhost"),
        ["inner"],
        max_datagram_size=size,
        on_event=lambda connection, event: isinstance(event, quic.events.StreamDataReceived)
        and connection.send_stream_data(event.stream_id, event.data, event.end_stream),
    )
    forward(engine, f"127.0.0.1:{server.port}", name, ["--udp", "--no-publish", *QUIC])
    dialer = dial(engine, name, arguments=["--udp", *QUIC])
    inner = quic.Client(dialer.port, authority.ca_file, alpn=["inner"], max_datagram_size=size)
    stream = inner.connect().open_stream()
    stream.write(bytes(50_000), end=True)
    assert stream.read_all() == bytes(50_000)
    inner.close()
    server.close()


def test_pitfall_52_channels_outlive_the_control_channel(engine, client, control, channel):
    near, far, stream = channel
    crosses(near, far)
    control.wire.close()
    wait_until(lambda: not engine.tunnels(name=control.tunnel.name.value))
    crosses(near, far, b"without control channel")
    # The connection's end is theirs.
    far.connection.end()
    assert stream.expect("datagram_channel_close").error.code == 6000
    stream.expect_end()


# -- QUIC ----------------------------------------------------------------------------------------------------------------


def test_pitfall_53_engine_waits_for_more_than_three_signs_of_life(client):
    """A client asks for one every 10 s, and its connection has to outlive the loss of a few."""
    assert client.connection._quic._remote_max_idle_timeout > 30


def test_pitfall_53_client_dials_again(start_quic_engine, forward, dial, name):
    """A dialer whose connection was lost makes another one for the next stream."""
    engine = start_quic_engine()
    dialer = dial(engine, name, arguments=QUIC)
    with socket.create_connection(("127.0.0.1", dialer.port), 10):
        engine.accept_dial()
        engine.accept_quic().end()
        with socket.create_connection(("127.0.0.1", dialer.port), 10):
            engine.accept_dial()
    assert engine.seen == 2


def test_pitfall_54_credit_for_streams_goes_on(client, name):
    """More streams one after the other than may be open at once."""
    control = client.control(liveness=60000)
    limit = client.connection._quic._remote_max_streams_bidi
    for _ in range(limit + 100):
        stream = client.connection.open_stream()
        stream.write(b"\0\0\0\0", end=True)
    wait_until(lambda: client.connection._quic._remote_max_streams_bidi > limit + 100)
    assert control.is_open


def test_pitfall_55_a_role_in_single_bytes_and_an_end_with_the_last_one(client, name):
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    near = client.connect()
    for byte in wire.frame(wire.stream_req(name, True)):
        near.write(bytes([byte]))
        client.connection.ping_peer()
    near.stream.write(b"all there is", end=True)
    assert control.accept().read_all() == b"all there is"


@pytest.mark.parametrize(
    "server_name, alpn",
    [
        ("localhost", "h3-29"),
        ("localhost", "theirs"),
        ("nobody.t.localhost", "rstrm/1"),
        ("nobody.t.localhost", "anything"),
    ],
)
def test_pitfall_56_unknown_protocols_on_the_shared_port(engine, client, server_name, alpn):
    """One UDP port for agents and consumers, told apart by name and protocol."""
    control = client.control(liveness=60000)
    tunnel = control.open_tunnel(protocol="quic", tls_alpns=["theirs"])
    for name, protocol in ((server_name, alpn), (tunnel.hostname.value, "h3"), (tunnel.hostname.value, "rstrm/1")):
        stranger = quic.Client(engine.port, engine.ca_file, name, [protocol])
        with pytest.raises(quic.QUICClosed) as closed:
            stranger.connect()
        assert closed.value.code == quic.NO_APPLICATION_PROTOCOL
        stranger.close()
    consumer = quic.Client(engine.port, engine.ca_file, tunnel.hostname.value, ["theirs"])
    assert consumer.connect().alpn == "theirs"
    consumer.close()
    assert control.is_open


# -- DTLS ----------------------------------------------------------------------------------------------------------------


def test_pitfall_68_a_close_notify_ends_the_packet_stream(start_engine, forward, name):
    """A consumer is served by the name and the protocol that it asks for, and its close_notify is the channel's end."""
    engine = start_engine(settings={"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0"})
    with UDPServer() as service:
        agent = forward(engine, service.address, name, ["--udp", "--protocol", "dtls", "--tls-alpn", "theirs"])
        port = engine.listening["dtls_port"]
        with dtls.connect(port, engine.ca_file, "theirs", agent.host) as end:
            assert end.alpn == "theirs"
            end.write(b"packet")
            assert end.read() == b"PACKET"
            agent.opened()
            end.notify_close()
            agent.closed()
        with pytest.raises(SSL.Error):
            dtls.connect(port, engine.ca_file, "others", agent.host)
