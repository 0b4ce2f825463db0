# SPDX-License-Identifier: Apache-2.0
"""Peers that shake hands properly and then send frames that no honest implementation sends."""

import random

import pytest
from support import quic, wire

# RFC 9000, section 20.1.
FRAME_ENCODING_ERROR = 0x07
PROTOCOL_VIOLATION = 0x0A


def number(value):
    """A variable-length integer (RFC 9000, section 16)."""
    for size, limit in ((1, 1 << 6), (2, 1 << 14), (4, 1 << 30), (8, 1 << 62)):
        if value < limit:
            return (value | (size.bit_length() - 1) << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


class Frames:
    """Frames of RFC 9000, section 19, and RFC 9221, with fields from where mistakes are made."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self):
        return number(
            self.random.choice(
                [0, 1, 2, 3, 4, 7, 63, 64, 16383, 1 << 30, (1 << 60) + 1, (1 << 62) - 1, self.random.getrandbits(20)]
            )
        )

    def data(self, limit=40):
        return self.random.randbytes(self.random.randrange(limit))

    def sized(self, data):
        """With its length in front, or a wrong one."""
        return (number(len(data)) if self.random.random() < 0.8 else self.some()) + data

    def frame(self):
        some = self.some
        kind = self.random.randrange(26)
        match kind:
            case 0:
                return bytes(self.random.randrange(1, 30))
            case 1 | 7:
                return number(kind) + self.sized(self.data())
            case 2 | 3:
                return number(kind) + b"".join(some() for _ in range(self.random.randrange(2, 12)))
            case 4:
                return number(4) + some() + some() + some()
            case 5:
                return number(5) + some() + some()
            case 6:
                return number(6) + some() + self.sized(self.data())
            case 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15:
                return (
                    number(kind)
                    + some()
                    + (some() if kind & 4 else b"")
                    + (self.sized(self.data()) if kind & 2 else self.data())
                )
            case 16 | 18 | 19 | 20 | 22 | 23 | 25:
                return number(kind) + some()
            case 17 | 21:
                return number(kind) + some() + some()
            case 24:
                return number(24) + some() + some() + self.sized(self.data(24)) + self.random.randbytes(16)
        return self.random.choice(
            [
                number(0x1A) + self.random.randbytes(8),
                number(0x1B) + self.random.randbytes(8),
                number(0x1E),
                number(0x31) + self.sized(self.data(200)),
                number(0x30) + self.data(200),
                some() + self.data(),
            ]
        )

    def packet(self):
        return b"".join(self.frame() for _ in range(self.random.randrange(1, 6)))[:1300]


def torment(connection, frames, packets=20):
    """Sends packet after packet until the peer has had enough."""
    try:
        for _ in range(packets):
            connection.send_frames(frames.packet())
    except quic.QUICClosed:
        pass


def end_of(connection, seconds=2):
    """The code that the peer has closed the connection with; None when it bears everything, or when its packets do not
    arrive: it has been told to use connection ids that aioquic has never heard of.
    """
    try:
        connection.ping_peer(seconds)
        return None
    except TimeoutError:
        return None
    except ConnectionError:
        return connection.wait_closed().code


def test_engine_bears_hostile_frames(engine, name):
    """They take their own connection down at most."""
    client = engine.quic_client()
    try:
        control = client.control()
        control.open_tunnel(name=name, publish=False)
        codes = set()
        for seed in range(60):
            hostile = client.quic.connect()
            hostile.open_stream().write(wire.frame(wire.stream_req(name, True))[: seed % 12])
            torment(hostile, Frames(seed))
            codes.add(end_of(hostile))
        assert {FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION} <= codes, codes
        near, far = client.pair(control, name, None)
        near.write(b"still here")
        assert far.read_exactly(10) == b"still here"
    finally:
        client.close()


@pytest.mark.parametrize("seed", range(12))
def test_agent_bears_hostile_frames(start_quic_engine, forward, name, seed):
    """It loses its connection at most, and says so."""
    engine = start_quic_engine()
    agent = forward(engine, "127.0.0.1:9", name, ["--config-set", "transport.mode=quic", "--no-publish"], online=False)
    control = engine.accept_control()
    control.grant_tunnel()
    agent.wait_line(status="online")
    hostile = engine.accept_quic()
    torment(hostile, Frames(1000 + seed))
    if end_of(hostile, seconds=20) is None:
        code = agent.end(expect=(0, 5))
    else:
        code = agent.wait(20)
        agent.judge(code, 5)
    if code == 5:
        line = agent.wait_line(status="offline")
        assert line["code"] == "ERR_RSTREAM_PROTOCOL", line
