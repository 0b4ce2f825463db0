# SPDX-License-Identifier: Apache-2.0
"""The messages of RstreamWire against Google's protobuf with the schema of the official client package.

Whatever bytes arrive, both have to accept or both to refuse them, and to read the same values. The random part is made
from a seed that every failure names; RSTREAM_WIRE_SEED repeats it.
"""

import json
import os
import pathlib
import random
import subprocess

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from rstream._proto import rstream_pb2 as schema

SEED = int(os.environ.get("RSTREAM_WIRE_SEED") or random.SystemRandom().randrange(2**32))
TOOL = pathlib.Path(
    os.environ.get("RSTREAM_WIRE_TOOL") or pathlib.Path(__file__).parents[2] / ".build" / "debug" / "wire-tool"
)

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
WIRE_TYPES = {
    FieldDescriptor.TYPE_BOOL: VARINT,
    FieldDescriptor.TYPE_ENUM: VARINT,
    FieldDescriptor.TYPE_INT32: VARINT,
    FieldDescriptor.TYPE_INT64: VARINT,
    FieldDescriptor.TYPE_UINT32: VARINT,
    FieldDescriptor.TYPE_UINT64: VARINT,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_STRING: BYTES,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_MESSAGE: BYTES,
}
STRINGS = [
    "", "a", "t1", "bytestream", "1.4.5", "00112233445566778899aabb", "\0", "a\0b", "\x01\x1f\x7f", '"\\/\n\r\t',
    "\u00e9", "e\u0301", "\u1e9b\u0323", "\ufeff", "\ufffd", "\u2028", "\uffff", "\U0001f600", "\U0010ffff", "x" * 127,
    "y" * 128, "\u00fc" * 300,
]  # fmt: skip
NUMBERS = [0, 1, 2, 127, 128, 255, 300, 5000, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
NOT_UTF8 = [b"\xff", b"\xc3", b"\xc3(", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\x80b"]


# What the two make of bytes


def ask_ours(payloads):
    """What our library makes of each payload: None, or the bytes it writes and the values it read."""
    assert TOOL.is_file(), f"{TOOL} is missing: build it with 'swift build --product wire-tool' or name it in RSTREAM_WIRE_TOOL"
    lines = "".join(payload.hex() + "\n" for payload in payloads)
    run = subprocess.run([TOOL], input=lines.encode(), stdout=subprocess.PIPE, timeout=120, check=True)
    answers = []
    for line in run.stdout.decode().split("\n")[:-1]:
        kind, rest = line.split(" ", 1)
        assert kind in ("ok", "error"), line
        if kind == "error":
            answers.append(None)
        else:
            written, values = rest.split(" ", 1)
            answers.append((bytes.fromhex(written), ours_as_values(json.loads(values))))
    assert len(answers) == len(payloads)
    return answers


def ask_google(payload):
    message = schema.Message()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        return None
    message.DiscardUnknownFields()
    return message


def ours_as_values(value):
    """The tool's JSON with the layers removed that only Swift has."""
    if isinstance(value, list):
        return [ours_as_values(element) for element in value]
    if not isinstance(value, dict):
        return value
    values = {}
    for name, member in value.items():
        if name == "labels":
            values[name] = member
        elif name == "payload":
            values.update(ours_as_values(member))
        else:
            values[name.lower()] = ours_as_values(member)
    return values


def google_as_values(message):
    values = {}
    for field in message.DESCRIPTOR.fields:
        name = {"tunnel_id_name": "tunnelidorname"}.get(field.name, field.name.replace("_", ""))
        value = getattr(message, field.name)
        if name == "labels":
            values[name] = dict(value)
        elif is_list(field):
            values[name] = list(value)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if message.HasField(field.name):
                wrapped = field.message_type.full_name.startswith("google.protobuf.") and name != "creationdate"
                values[name] = value.value if wrapped else google_as_values(value)
        elif not field.containing_oneof or message.HasField(field.name):
            values[name] = list(value) if isinstance(value, bytes) else value
    return values


def compare(payloads):
    """Every payload, read by both; returns how many both accepted."""
    accepted = 0
    for payload, ours in zip(payloads, ask_ours(payloads)):
        google = ask_google(payload)
        verdicts = ["refused" if answer is None else "accepted" for answer in (ours, google)]
        assert verdicts[0] == verdicts[1], f"seed {SEED}: {payload.hex()}: {verdicts[0]}, by Google {verdicts[1]}"
        if google is not None:
            expect_same(ours, google, payload)
            accepted += 1
    return accepted


def expect_same(ours, google, payload):
    written, values = ours
    assert values == google_as_values(google), f"seed {SEED}: {payload.hex()}: other values"
    assert schema.Message.FromString(written) == google, f"seed {SEED}: {payload.hex()}: written as {written.hex()}"
    if label_order_is_defined(google):
        expected = google.SerializeToString(deterministic=True)
        assert written == expected, f"seed {SEED}: {payload.hex()}: written as {written.hex()}"


def label_order_is_defined(message):
    """Google's upb sorts labels by name, but leaves the order open when one name begins with another."""
    properties = getattr(message, message.WhichOneof("payload") or "open_tunnel_req")
    names = sorted(getattr(properties, "tunnel_properties", schema.TunnelProperties()).labels)
    return not any(longer.startswith(shorter) for shorter, longer in zip(names, names[1:]))


# Making bytes


def is_list(field):
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED


def varint(number, padding=0):
    encoded = bytearray()
    while number >= 0x80 or padding:
        if number < 0x80:
            padding -= 1
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def tag(number, wire_type, padding=0):
    return varint(number << 3 | wire_type, padding)


def delimited(number, payload):
    return tag(number, BYTES) + varint(len(payload)) + payload


class Sloppy:
    """Writes messages as no encoder would, but every decoder has to read: fields in any order and more than once, both
    members of a oneof, varints longer than they need be, defaults, unknown fields, values in another wire type."""

    def __init__(self, rng, unknown=0.1, not_utf8=0.0):
        self.rng, self.unknown, self.not_utf8 = rng, unknown, not_utf8

    def message(self, descriptor=schema.Message.DESCRIPTOR, depth=0):
        fields = list(descriptor.fields)
        if depth == 0:
            chosen = [self.rng.choice(fields)] * self.rng.choice((1, 1, 1, 2, 3))
            if self.rng.random() < 0.1:
                chosen.append(self.rng.choice(fields))
        else:
            chosen = [field for field in fields if self.rng.random() < 0.6]
            chosen += [self.rng.choice(chosen) for _ in range(self.rng.choice((0, 0, 1, 2))) if chosen]
            if self.rng.random() < 0.5:
                self.rng.shuffle(chosen)
        encoded = bytearray()
        for field in chosen:
            encoded += self.maybe_unknown(fields)
            encoded += self.field(field, depth)
        return bytes(encoded + self.maybe_unknown(fields))

    def field(self, field, depth):
        wire_type = WIRE_TYPES[field.type]
        if self.rng.random() < self.unknown / 5:
            wire_type = self.rng.choice((VARINT, FIXED64, BYTES, FIXED32))
            return tag(field.number, wire_type) + self.value(wire_type)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            payload = self.message(field.message_type, depth + 1)
        elif field.type == FieldDescriptor.TYPE_STRING:
            payload = self.string()
        elif field.type == FieldDescriptor.TYPE_BYTES:
            payload = self.rng.randbytes(self.rng.choice((0, 4, 16, 16, 16, 17)))
        else:
            return self.tag(field.number, wire_type) + self.value(wire_type)
        return self.tag(field.number, BYTES) + varint(len(payload), self.padding(len(payload), 5)) + payload

    def tag(self, number, wire_type):
        return tag(number, wire_type, self.padding(number << 3, 5))

    def padding(self, number, most):
        return self.rng.randrange(0, most - len(varint(number)) + 1) if self.rng.random() < 0.03 else 0

    def string(self):
        if self.rng.random() < self.not_utf8:
            return self.rng.choice(NOT_UTF8)
        return self.rng.choice(STRINGS).encode()

    def number(self):
        return self.rng.choice(NUMBERS) if self.rng.random() < 0.8 else self.rng.getrandbits(self.rng.randrange(1, 65))

    def value(self, wire_type):
        if wire_type == VARINT:
            number = self.number()
            return varint(number, self.padding(number, 10))
        if wire_type == BYTES:
            payload = self.rng.choice((self.string(), self.rng.randbytes(self.rng.randrange(0, 9))))
            return varint(len(payload)) + payload
        return self.rng.randbytes(8 if wire_type == FIXED64 else 4)

    def maybe_unknown(self, fields):
        if self.rng.random() >= self.unknown:
            return b""
        known = {field.number for field in fields}
        number = self.rng.choice([n for n in (1, 2, 8, 18, 27, 99, 2047, 2048, 51000, 2**29 - 1) if n not in known])
        return self.unknown_field(number, 0)

    def unknown_field(self, number, depth):
        wire_type = self.rng.choice((VARINT, FIXED64, BYTES, GROUP, FIXED32))
        if wire_type != GROUP or depth > 4:
            wire_type = VARINT if wire_type == GROUP else wire_type
            return self.tag(number, wire_type) + self.value(wire_type)
        inner = b"".join(self.unknown_field(self.rng.randrange(1, 40), depth + 1) for _ in range(self.rng.randrange(3)))
        return self.tag(number, GROUP) + inner + self.tag(number, END_GROUP)


def clean_message(rng):
    """A message made through Google's own classes."""
    message = schema.Message()
    fill(rng, getattr(message, rng.choice(schema.Message.DESCRIPTOR.fields).name))
    return message


def fill(rng, message):
    message.SetInParent()
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4:
            continue
        if field.name == "labels":
            for _ in range(rng.randrange(6)):
                message.labels[rng.choice(STRINGS)] = rng.choice(STRINGS)
        elif is_list(field):
            getattr(message, field.name).extend(rng.choice(STRINGS) for _ in range(rng.randrange(4)))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            fill(rng, getattr(message, field.name))
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, rng.choice(STRINGS))
        elif field.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, field.name, rng.randbytes(rng.choice((0, 16))))
        elif field.type == FieldDescriptor.TYPE_BOOL:
            setattr(message, field.name, rng.random() < 0.5)
        else:
            signed = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_ENUM)
            wide = field.type in (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64)
            bits = (64 if wide else 32) - (1 if signed else 0)
            number = rng.choice(NUMBERS) & (2**bits - 1)
            setattr(message, field.name, ~number if signed and rng.random() < 0.3 else number)


@pytest.fixture
def rng(request):
    print(f"RSTREAM_WIRE_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


# Tests


def test_messages_that_google_writes(rng):
    messages = [clean_message(rng) for _ in range(3000)]
    members = {message.WhichOneof("payload") for message in messages}
    assert members == {field.name for field in schema.Message.DESCRIPTOR.fields}
    payloads = [message.SerializeToString(deterministic=True) for message in messages]
    for message, payload, ours in zip(messages, payloads, ask_ours(payloads)):
        assert ours is not None, f"seed {SEED}: refused {payload.hex()}"
        expect_same(ours, message, payload)


def test_messages_that_no_encoder_writes(rng):
    payloads = [Sloppy(rng).message() for _ in range(4000)]
    assert compare(payloads) > 3500


def test_unknown_fields_everywhere(rng):
    payloads = [Sloppy(rng, unknown=0.7).message() for _ in range(1500)]
    assert compare(payloads) > 1000


def test_strings_that_are_not_utf8(rng):
    payloads = [Sloppy(rng, not_utf8=0.1).message() for _ in range(1500)]
    assert 100 < compare(payloads) < 1400
    # Every string of the schema on its own.
    for text in NOT_UTF8:
        assert compare([delimited(7, delimited(1, text)), delimited(1, delimited(1, delimited(6, delimited(1, text))))]) == 0


def test_every_wrapper_absent_empty_and_set():
    payloads = []
    for field in schema.TunnelProperties.DESCRIPTOR.fields:
        for content in (b"", varint(1 << 3) + b"\0", varint(1 << 3) + b"\1", delimited(1, b""), delimited(1, b"x")):
            payloads.append(delimited(5, delimited(2, delimited(field.number, content))))
            # Once more after it: an empty wrapper changes nothing, one with a value does.
            payloads.append(delimited(5, delimited(2, delimited(field.number, content) + delimited(field.number, b""))))
            payloads.append(delimited(5, delimited(2, delimited(field.number, content) + delimited(field.number, b"\x08\0"))))
    assert compare(payloads) == len(payloads)


def test_cut_at_every_byte(rng):
    payloads = []
    for index in range(150):
        whole = clean_message(rng).SerializeToString() if index % 2 else Sloppy(rng, unknown=0.3).message()
        payloads += [whole[:length] for length in range(min(len(whole), 400))]
    assert compare(payloads) < len(payloads)


def test_bytes_changed(rng):
    payloads = []
    for _ in range(5000):
        payload = bytearray(Sloppy(rng).message() or b"\0")
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(payload))
            change = rng.randrange(5)
            if change == 0:
                payload[at] ^= 1 << rng.randrange(8)
            elif change == 1:
                payload[at] = rng.choice((0, 1, 0x0B, 0x0C, 0x7F, 0x80, 0xFF))
            elif change == 2:
                payload.insert(at, rng.randrange(256))
            elif change == 3 and len(payload) > 1:
                del payload[at]
            else:
                start = rng.randrange(len(payload))
                payload[at:at] = payload[start : start + rng.randrange(1, 9)]
        payloads.append(bytes(payload))
    assert 200 < compare(payloads) < len(payloads)


def test_random_bytes(rng):
    payloads = [rng.randbytes(rng.randrange(1, 12)) for _ in range(3000)]
    assert 0 < compare(payloads) < len(payloads)


@pytest.mark.parametrize("levels", [1, 50, 97, 98, 99, 100, 101, 200, 30000])
def test_nesting(levels):
    groups = tag(19, GROUP) * levels + tag(19, END_GROUP) * levels
    payloads = [groups, delimited(15, groups), delimited(5, delimited(2, delimited(5, groups))), tag(19, GROUP) * levels]
    assert compare(payloads) == sum(levels + depth <= 100 for depth in (0, 1, 3))


def test_varints_of_every_length():
    payloads = []
    for padding in range(12):
        for number in (0, 1, 127, 2**32 - 1, 2**32, 2**63, 2**64 - 1):
            payloads.append(delimited(15, tag(1, VARINT) + varint(number, padding)))
            payloads.append(delimited(5, delimited(2, delimited(23, tag(1, VARINT) + varint(number, padding)))))
            payloads.append(delimited(12, delimited(1, tag(1, VARINT) + varint(number, padding))))
        payloads.append(tag(15, BYTES, padding) + b"\x02\x08\x01")
        payloads.append(tag(15, BYTES) + varint(2, padding) + b"\x08\x01")
        payloads.append(varint(2**32 + 0x7A, padding) + b"\x02\x08\x01")
        payloads.append(tag(15, BYTES) + varint(2**32 + 2, padding) + b"\x08\x01")
    for last in range(256):
        payloads.append(delimited(15, tag(1, VARINT) + b"\xff" * 9 + bytes([last]) + b"\0"))
        payloads.append(b"\xfa\x80\x80\x80" + bytes([last]) + b"\x02\x08\x01")
        payloads.append(b"\x7a\x82\x80\x80\x80" + bytes([last]) + b"\x08\x01")
    assert 0 < compare(payloads) < len(payloads)
