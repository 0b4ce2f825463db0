# SPDX-License-Identifier: Apache-2.0
"""Exceptions: their kinds, codes and words."""

from __future__ import annotations

import socket
import ssl

import librstream
import pytest
from librstream.errors import make_error


def test_system_errors_are_those_of_python() -> None:
    error = make_error(-111, "ECONNREFUSED", "connect: connection refused")
    assert isinstance(error, ConnectionRefusedError) and isinstance(error, librstream.TransportError)
    assert error.code == "ECONNREFUSED" and error.errno == 111 and str(error) == "connect: connection refused"
    assert type(error).__name__ == "TransportError"
    assert type(make_error(-104, "ECONNRESET", "")) is type(make_error(-104, "ECONNRESET", ""))
    assert isinstance(make_error(-110, "ETIMEDOUT", ""), TimeoutError)
    assert type(make_error(-24, "EMFILE", "")) is librstream.TransportError


def test_errors_of_name_lookup() -> None:
    error = make_error(-3008, "EAI_NONAME", "look up x")
    assert isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME


def test_errors_of_tls() -> None:
    error = make_error(-10024, "ERR_RSTREAM_TLS", "handshake")
    assert isinstance(error, ssl.SSLError) and isinstance(error, librstream.TLSError)
    assert str(error) == "handshake" and error.code == "ERR_RSTREAM_TLS"


@pytest.mark.parametrize(
    "error", [make_error(-111, "ECONNREFUSED", "w"), make_error(-10001, "ERR_RSTREAM_ENGINE", "w", 1)]
)
def test_every_error_is_one_of_ours(error: librstream.RstreamError) -> None:
    assert isinstance(error, librstream.RuntimeError) and librstream.RuntimeError is librstream.RstreamRuntimeError
    assert not isinstance(error, RuntimeError)


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from librstream import _capi

    monkeypatch.setenv("RSTREAM_LIBRARY", "/nowhere/librstream.so.1")
    with pytest.raises(librstream.LibraryError, match=r"/nowhere/librstream\.so\.1.*RSTREAM_LIBRARY") as missing:
        _capi.Library(_capi.find())
    assert isinstance(missing.value, ImportError) and missing.value.code == "ERR_RSTREAM_LIBRARY"


def test_a_library_that_is_another_one() -> None:
    from librstream import _capi

    with pytest.raises(librstream.LibraryError, match="has no rstream_"):
        _capi.Library("libc.so.6")


def test_what_the_library_says_about_itself() -> None:
    assert librstream.library_version() == librstream.__version__
    assert {"transport.tls", "tunnel.bytestream", "engine"} <= librstream.library_features()
    assert librstream.library_path().endswith("librstream.so.1") or "librstream" in librstream.library_path()
