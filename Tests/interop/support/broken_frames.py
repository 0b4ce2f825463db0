# SPDX-License-Identifier: Apache-2.0
"""Frames that break the framing of the protocol, for either end."""

from support import wire

FRAMES = {
    "oversize": b"\x00\x01\x00\x00" + b"x" * 65536,
    "huge": b"\xff\xff\xff\xff" + b"x" * 1000,
    "garbage": wire.frame(b"\xde\xad\xbe\xef" * 10),
    "invalid-utf8": wire.frame(b"\x2a\x06\x0a\x04\xff\xfe\xfd\xfc"),
    "length-beyond": wire.frame(b"\x2a\xff\x01\x0a"),
    "endless-varint": wire.frame(b"\x08" + b"\xff" * 20),
    "open-group": wire.frame(b"\x2b"),
    "field-zero": wire.frame(b"\x00\x00"),
    "deep": wire.frame(b"\x0a\x02" * 5000),
}
