# SPDX-License-Identifier: Apache-2.0
"""Datagram tunnels: packets framed on streams, between wire-level peers and our engine."""

import pytest

from support import wire

SIZES = [0, 1, 1200, 1472, 16384, 65535]


@pytest.fixture
def tls_client(engine):
    client = engine.fake_client()
    yield client
    client.close()


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
