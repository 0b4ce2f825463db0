# SPDX-License-Identifier: Apache-2.0
"""The C functions of librstream.so.1, found, loaded and declared.

The declarations say what include/rstream/*.h says; a test compares the two.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_size_t,
    c_uint,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any

from librstream.errors import LibraryError, RstreamError, make_error

SONAME = "librstream.so.1"
ENVIRONMENT_VARIABLE = "RSTREAM_LIBRARY"
#: The oldest library that has every function declared here: 0xMMmmpp.
REQUIRED_VERSION = 0x010000


class Buffer(Structure):
    """``rstream_buf`` with an address."""

    _fields_ = [("base", c_void_p), ("len", c_size_t)]


class BytesBuffer(Structure):
    """``rstream_buf`` with a bytes object, whose memory is used as it is."""

    _fields_ = [("base", c_char_p), ("len", c_size_t)]


#: (void *data): an object has ended, or a post is run.
PlainCallback = CFUNCTYPE(None, c_void_p)
#: (handle or NULL, const rstream_error *, void *data)
ResultCallback = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
#: (rstream_stream * or rstream_packets *, const uint8_t *, size_t, const rstream_error *, void *data)
ReadCallback = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p)
#: (rstream_tunnel *, rstream_stream * or rstream_packets *, void *data)
StreamCallback = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
#: (rstream_tunnel *, event, peer, bytes in, out, const rstream_error *, void *data)
ForwardCallback = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_uint64, c_uint64, c_void_p, c_void_p)
#: (rstream_engine * or rstream_packets *, void *data)
StopCallback = CFUNCTYPE(None, c_void_p, c_void_p)
#: (rstream_watch *, const rstream_event *, void *data)
EventCallback = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
#: (const rstream_error *, void *data)
CheckCallback = CFUNCTYPE(None, c_void_p, c_void_p)
#: (name, status, microseconds, detail, advice, void *data)
DoctorCheckCallback = CFUNCTYPE(None, c_char_p, c_int, c_uint64, c_char_p, c_char_p, c_void_p)
#: (worst status, void *data)
DoctorEndCallback = CFUNCTYPE(None, c_int, c_void_p)

_OUT = POINTER(c_void_p)

#: Name without "rstream_": type of the result, types of the arguments.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    # version.h
    "version_string": (c_char_p,),
    "version_number": (c_uint,),
    "protocol_version": (c_char_p,),
    "features": (c_char_p,),
    "has_feature": (c_int, c_char_p),
    # error.h
    "error_code": (c_int, c_void_p),
    "error_name": (c_char_p, c_void_p),
    "error_message": (c_char_p, c_void_p),
    "error_engine_code": (c_int, c_void_p),
    "error_free": (None, c_void_p),
    "strerror": (c_char_p, c_int),
    "err_name": (c_char_p, c_int),
    # loop.h
    "loop_new": (c_int, _OUT),
    "loop_run_nowait": (c_int, c_void_p),
    "loop_fd": (c_int, c_void_p),
    "loop_timeout": (c_int, c_void_p),
    "loop_post": (c_int, c_void_p, PlainCallback, c_void_p),
    "loop_close": (c_int, c_void_p, PlainCallback, c_void_p),
    # config.h
    "config_new": (c_int, _OUT),
    "config_set": (c_int, c_void_p, c_char_p, c_char_p, _OUT),
    "config_get": (c_char_p, c_void_p, c_char_p),
    "config_load": (c_int, c_void_p, _OUT),
    "config_free": (None, c_void_p),
    # client.h
    "client_new": (c_int, c_void_p, c_void_p, _OUT, _OUT),
    "client_close": (c_int, c_void_p, PlainCallback, c_void_p),
    "client_connect": (c_int, c_void_p, ResultCallback, c_void_p),
    "client_dial": (c_int, c_void_p, c_char_p, ResultCallback, c_void_p),
    "control_on_end": (c_int, c_void_p, ResultCallback, c_void_p),
    "control_client_id": (c_char_p, c_void_p),
    "control_server_detail": (c_char_p, c_void_p, c_char_p),
    "control_close": (c_int, c_void_p, PlainCallback, c_void_p),
    # inventory.h
    "filters_new": (c_int, c_int, _OUT),
    "filters_set": (c_int, c_void_p, c_char_p, c_char_p, _OUT),
    "filters_require_label": (c_int, c_void_p, c_char_p, _OUT),
    "filters_free": (None, c_void_p),
    "client_list_tunnels": (c_int, c_void_p, c_void_p, c_size_t, ResultCallback, c_void_p),
    "client_list_clients": (c_int, c_void_p, c_void_p, c_size_t, ResultCallback, c_void_p),
    "client_get_tunnel": (c_int, c_void_p, c_char_p, ResultCallback, c_void_p),
    "client_check": (c_int, c_void_p, c_char_p, CheckCallback, c_void_p),
    "inventory_json": (c_char_p, c_void_p),
    "inventory_free": (None, c_void_p),
    "client_watch": (
        c_int,
        c_void_p,
        c_void_p,
        c_void_p,
        c_int,
        _OUT,
        EventCallback,
        c_void_p,
    ),
    "watch_on_end": (c_int, c_void_p, ResultCallback, c_void_p),
    "watch_close": (c_int, c_void_p, PlainCallback, c_void_p),
    "event_json": (c_char_p, c_void_p),
    # doctor.h
    "doctor": (
        c_int,
        c_void_p,
        c_void_p,
        DoctorCheckCallback,
        DoctorEndCallback,
        c_void_p,
        _OUT,
    ),
    # tunnel.h
    "tunnel_options_new": (c_int, _OUT),
    "tunnel_options_set": (c_int, c_void_p, c_char_p, c_char_p, _OUT),
    "tunnel_options_free": (None, c_void_p),
    "control_create_tunnel": (
        c_int,
        c_void_p,
        c_void_p,
        ResultCallback,
        c_void_p,
        _OUT,
    ),
    "tunnel_property": (c_char_p, c_void_p, c_char_p),
    "tunnel_property_name": (c_char_p, c_void_p, c_size_t),
    "tunnel_forwarding_address": (c_char_p, c_void_p),
    "tunnel_listen": (c_int, c_void_p, StreamCallback, c_void_p),
    "tunnel_forward": (c_int, c_void_p, c_char_p, ForwardCallback, c_void_p, _OUT),
    "tunnel_on_end": (c_int, c_void_p, ResultCallback, c_void_p),
    "tunnel_close": (c_int, c_void_p, PlainCallback, c_void_p),
    # stream.h
    "stream_read_start": (c_int, c_void_p, ReadCallback, c_void_p),
    "stream_read_stop": (c_int, c_void_p),
    "stream_write": (c_int, c_void_p, c_void_p, c_size_t, ResultCallback, c_void_p),
    "stream_write_queue_size": (c_size_t, c_void_p),
    "stream_shutdown": (c_int, c_void_p, ResultCallback, c_void_p),
    "stream_peer": (c_char_p, c_void_p),
    "stream_id": (c_char_p, c_void_p),
    "stream_into_fd": (c_int, c_void_p, POINTER(c_int)),
    "stream_close": (c_int, c_void_p, PlainCallback, c_void_p),
    "stream_reset": (c_int, c_void_p, PlainCallback, c_void_p),
    # packets.h
    "client_dial_packets": (c_int, c_void_p, c_char_p, ResultCallback, c_void_p),
    "tunnel_listen_packets": (c_int, c_void_p, StreamCallback, c_void_p),
    "packets_read_start": (c_int, c_void_p, ReadCallback, c_void_p),
    "packets_read_stop": (c_int, c_void_p),
    "packets_send": (c_int, c_void_p, c_void_p, c_size_t, _OUT),
    "packets_on_drain": (c_int, c_void_p, StopCallback, c_void_p),
    "packets_max_size": (c_size_t, c_void_p),
    "packets_queue_size": (c_size_t, c_void_p),
    "packets_count": (c_uint64, c_void_p, c_char_p),
    "packets_path": (c_char_p, c_void_p),
    "packets_peer": (c_char_p, c_void_p),
    "packets_stream_id": (c_char_p, c_void_p),
    "packets_close": (c_int, c_void_p, PlainCallback, c_void_p),
    # engine.h
    "engine_options_new": (c_int, _OUT),
    "engine_options_set": (c_int, c_void_p, c_char_p, c_char_p, _OUT),
    "engine_options_load_file": (c_int, c_void_p, c_char_p, _OUT),
    "engine_options_free": (None, c_void_p),
    "engine_new": (c_int, c_void_p, c_void_p, _OUT, _OUT),
    "engine_start": (c_int, c_void_p, _OUT),
    "engine_port": (c_int, c_void_p, c_char_p),
    "engine_info": (c_char_p, c_void_p, c_char_p),
    "engine_stop": (c_int, c_void_p, StopCallback, c_void_p),
    "engine_close": (c_int, c_void_p, PlainCallback, c_void_p),
}


class Library:
    """The loaded library; every function of FUNCTIONS is an attribute."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            dll = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryError(
                f"cannot load {path}: {error}; install librstream, or name the file in {ENVIRONMENT_VARIABLE}"
            ) from error
        for name, (result, *arguments) in FUNCTIONS.items():
            try:
                function = getattr(dll, f"rstream_{name}")
            except AttributeError:
                raise LibraryError(
                    f"{path} has no rstream_{name}: it is no librstream, or too old for this package"
                ) from None
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
        version = self.version_number()
        if version < REQUIRED_VERSION or version >> 16 != REQUIRED_VERSION >> 16:
            raise LibraryError(
                f"{path} is version {text(self.version_string())}, of another major version than this package"
            )

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...

    def code_error(self, number: int, attempt: str) -> RstreamError:
        """The exception for a code that came without words."""
        name = text(self.err_name(number))
        return make_error(number, name, f"{attempt}: {text(self.strerror(number))}")

    def borrowed_error(self, error: int) -> RstreamError:
        """The exception for an error that a callback was lent."""
        return make_error(
            self.error_code(error),
            text(self.error_name(error)),
            text(self.error_message(error)),
            self.error_engine_code(error),
        )

    def check(self, number: int, attempt: str) -> int:
        """Raises when ``number`` is an error code; else returns it."""
        if number < 0:
            raise self.code_error(number, attempt)
        return number

    def checked(self, attempt: str, function: Callable[..., int], *arguments: object) -> None:
        """Calls a function whose last argument is a ``rstream_error **``."""
        error = c_void_p()
        number = function(*arguments, ctypes.byref(error))
        if number >= 0:
            return
        if not error.value:
            raise self.code_error(number, attempt)
        try:
            raise self.borrowed_error(error.value)
        finally:
            self.error_free(error)

    def new(self, attempt: str, function: Callable[..., int], *arguments: object) -> int:
        """Calls a function whose last argument receives a new object."""
        out = c_void_p()
        self.check(function(*arguments, ctypes.byref(out)), attempt)
        return out.value or 0


def text(value: bytes | None) -> str:
    """A borrowed string, "" for NULL."""
    return value.decode("utf-8", "replace") if value else ""


def optional_text(value: bytes | None) -> str | None:
    """A borrowed string, None for NULL."""
    return None if value is None else value.decode("utf-8", "replace")


def find() -> str:
    """What is loaded: the file that RSTREAM_LIBRARY names, else the one inside
    this package, else the system's librstream.so.1."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if named:
        return named
    bundled = Path(__file__).with_name("_lib") / SONAME
    return str(bundled) if bundled.exists() else SONAME


@functools.cache
def library() -> Library:
    """The library, loaded by the first call.

    Raises:
        LibraryError: it cannot be found, loaded or used.
    """
    return Library(find())
