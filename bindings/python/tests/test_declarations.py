# SPDX-License-Identifier: Apache-2.0
"""What the package declares of the C library is what the headers say."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import librstream
import pytest
from librstream import _capi, diagnosis, errors, inventory, watch

INCLUDE = Path(__file__).resolve().parents[3] / "include"
PLAIN = {
    "void": None,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
    "const char *": ctypes.c_char_p,
    "int *": ctypes.POINTER(ctypes.c_int),
}


def read_headers() -> str:
    """All headers without comments and without line ends inside macros."""
    texts = [path.read_text() for path in sorted((INCLUDE / "rstream").glob("*.h"))]
    text = re.sub(r"/\*.*?\*/", " ", "\n".join(texts), flags=re.DOTALL)
    return text.replace("\\\n", " ")


HEADERS = read_headers()
ENUMERATIONS = set(re.findall(r"typedef enum (\w+)", HEADERS))


def ctypes_of(declared: str) -> Any:
    """The ctypes type for a C type, or for an argument with its name."""
    name = re.match(r"(.*?[\s*])(\w+)$", declared.strip())
    for candidate in (declared, name.group(1) if name else ""):
        written = re.sub(r"\s*\*", " *", " ".join(candidate.split())).replace("* *", "**").strip()
        if written in PLAIN:
            return PLAIN[written]
        if written in ENUMERATIONS:
            return ctypes.c_int
        if written in CALLBACKS:
            return CALLBACKS[written]
        if re.fullmatch(r"(const )?rstream_\w+ \*\*", written):
            return ctypes.POINTER(ctypes.c_void_p)
        if re.fullmatch(r"(const )?(struct )?\w+ \*", written):
            return ctypes.c_void_p
    raise AssertionError(f"the headers have a type this test does not know: {declared!r}")


def arguments_of(declared: str) -> list[Any]:
    if declared.strip() == "void":
        return []
    return [ctypes_of(argument) for argument in declared.split(",")]


CALLBACKS: dict[str, Any] = {}
for found in re.finditer(r"typedef void \(\*(rstream_\w+)\)\(([^)]*)\)", HEADERS):
    CALLBACKS[found[1]] = ctypes.CFUNCTYPE(None, *arguments_of(found[2]))

FUNCTIONS = {
    found[2]: (ctypes_of(found[1]), *arguments_of(found[3]))
    for found in re.finditer(r"RSTREAM_API\s+([\w\s*]+?)\brstream_(\w+)\(([^)]*)\)\s*;", HEADERS)
}
CODES = {
    int(found[2]): found[3]
    for found in re.finditer(r'XX\((\w+),\s*(-\d+),\s*"(\w+)"', HEADERS)
}  # fmt: skip


def test_the_headers_were_understood() -> None:
    assert len(FUNCTIONS) == HEADERS.count("RSTREAM_API ") - HEADERS.count("define RSTREAM_API ")
    assert len(CALLBACKS) == HEADERS.count("typedef void (*")
    assert len(CODES) == HEADERS.count('"ERR_RSTREAM_') and CODES[-10001] == "ERR_RSTREAM_ENGINE"


@pytest.mark.parametrize("name", _capi.FUNCTIONS)
def test_a_function_is_declared_as_in_the_header(name: str) -> None:
    assert _capi.FUNCTIONS[name] == FUNCTIONS[name]


def test_buffers_have_the_layout_of_the_header() -> None:
    struct = re.search(r"typedef struct rstream_buf \{(.*?)\}", HEADERS, re.DOTALL)
    assert struct is not None
    fields = [field.split()[-1].lstrip("*") for field in struct[1].split(";") if field.strip()]
    for ours in (_capi.Buffer, _capi.BytesBuffer):
        assert [field[0] for field in ours._fields_] == fields
        assert ctypes.sizeof(ours) == ctypes.sizeof(ctypes.c_void_p) + ctypes.sizeof(ctypes.c_size_t)


def test_the_version_is_that_of_the_headers() -> None:
    found = re.search(r'RSTREAM_VERSION_STRING "(.*)"', HEADERS)
    assert found is not None and librstream.__version__ == found[1]
    parts = [int(part) for part in found[1].split(".")]
    assert _capi.REQUIRED_VERSION <= parts[0] << 16 | parts[1] << 8 | parts[2]


@pytest.mark.parametrize("number", CODES)
def test_a_code_has_its_exception(number: int) -> None:
    library = _capi.library()
    error = library.code_error(number, "try")
    assert error.code == CODES[number]
    assert isinstance(error, librstream.RstreamError)
    assert str(error) == f"try: {_capi.text(library.strerror(number))}"


def test_the_codes_with_an_exception_of_their_own_exist() -> None:
    assert errors._CONFIGURATION | errors._PROTOCOL | errors._UNSUPPORTED <= set(CODES.values())


@pytest.mark.parametrize(
    "members",
    [
        "RSTREAM_FORWARD_OPENED = 0, RSTREAM_FORWARD_CLOSED = 1",
        f"RSTREAM_TUNNELS = {inventory.TUNNELS}, RSTREAM_CLIENTS = {inventory.CLIENTS}",
        f"RSTREAM_WATCH_RECONNECT = {watch._RECONNECT}, RSTREAM_WATCH_WEBSOCKET = {watch._WEBSOCKET}",
        ", ".join(f"RSTREAM_DOCTOR_{name.upper()} = {value}" for value, name in enumerate(diagnosis._STATUSES)),
    ],
)
def test_the_members_of_an_enumeration(members: str) -> None:
    assert f"{{ {members} }}" in " ".join(HEADERS.split())
