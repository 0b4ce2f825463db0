# SPDX-License-Identifier: Apache-2.0
"""librstream.so through ctypes, for what rstreamctl does not show: when to read, when to accept, when to close.

The loop is the library's own, driven from a Python thread by select() as any foreign loop would. All callbacks run on
that thread; the methods here may be called from another one and wait for the outcome.
"""

import ctypes
import os
import queue
import select
import socket
import threading

from .process import build_product

_P = ctypes.c_void_p
_OUT = ctypes.POINTER(_P)
_S = ctypes.c_char_p
_INT = ctypes.c_int
_SIZE = ctypes.c_size_t
_CLOSE = ctypes.CFUNCTYPE(None, _P)
_RESULT = ctypes.CFUNCTYPE(None, _P, _P, _P)
_READ = ctypes.CFUNCTYPE(None, _P, ctypes.POINTER(ctypes.c_uint8), _SIZE, _P, _P)
_STREAM = ctypes.CFUNCTYPE(None, _P, _P, _P)

_SIGNATURES = {
    "rstream_loop_new": (_INT, [_OUT]),
    "rstream_loop_run_nowait": (_INT, [_P]),
    "rstream_loop_fd": (_INT, [_P]),
    "rstream_loop_timeout": (_INT, [_P]),
    "rstream_loop_close": (_INT, [_P, _CLOSE, _P]),
    "rstream_config_new": (_INT, [_OUT]),
    "rstream_config_set": (_INT, [_P, _S, _S, _OUT]),
    "rstream_config_free": (None, [_P]),
    "rstream_client_new": (_INT, [_P, _P, _OUT, _OUT]),
    "rstream_client_connect": (_INT, [_P, _RESULT, _P]),
    "rstream_client_dial": (_INT, [_P, _S, _RESULT, _P]),
    "rstream_client_close": (_INT, [_P, _CLOSE, _P]),
    "rstream_control_on_end": (_INT, [_P, _RESULT, _P]),
    "rstream_control_server_detail": (_S, [_P, _S]),
    "rstream_control_create_tunnel": (_INT, [_P, _P, _RESULT, _P, _OUT]),
    "rstream_control_close": (_INT, [_P, _CLOSE, _P]),
    "rstream_tunnel_options_new": (_INT, [_OUT]),
    "rstream_tunnel_options_set": (_INT, [_P, _S, _S, _OUT]),
    "rstream_tunnel_options_free": (None, [_P]),
    "rstream_tunnel_property": (_S, [_P, _S]),
    "rstream_tunnel_forwarding_address": (_S, [_P]),
    "rstream_tunnel_listen": (_INT, [_P, _STREAM, _P]),
    "rstream_tunnel_on_end": (_INT, [_P, _RESULT, _P]),
    "rstream_tunnel_close": (_INT, [_P, _CLOSE, _P]),
    "rstream_stream_read_start": (_INT, [_P, _READ, _P]),
    "rstream_stream_read_stop": (_INT, [_P]),
    "rstream_stream_write": (_INT, [_P, _P, _SIZE, _RESULT, _P]),
    "rstream_stream_write_queue_size": (_SIZE, [_P]),
    "rstream_stream_shutdown": (_INT, [_P, _RESULT, _P]),
    "rstream_stream_peer": (_S, [_P]),
    "rstream_stream_id": (_S, [_P]),
    "rstream_stream_into_fd": (_INT, [_P, ctypes.POINTER(_INT)]),
    "rstream_stream_close": (_INT, [_P, _CLOSE, _P]),
    "rstream_stream_reset": (_INT, [_P, _CLOSE, _P]),
    "rstream_error_code": (_INT, [_P]),
    "rstream_error_name": (_S, [_P]),
    "rstream_error_message": (_S, [_P]),
    "rstream_error_engine_code": (_INT, [_P]),
    "rstream_error_free": (None, [_P]),
    "rstream_engine_options_new": (_INT, [_OUT]),
    "rstream_engine_options_set": (_INT, [_P, _S, _S, _OUT]),
    "rstream_engine_options_free": (None, [_P]),
    "rstream_engine_new": (_INT, [_P, _P, _OUT, _OUT]),
    "rstream_engine_start": (_INT, [_P, _OUT]),
    "rstream_engine_port": (_INT, [_P, _S]),
    "rstream_engine_info": (_S, [_P, _S]),
    "rstream_engine_close": (_INT, [_P, _CLOSE, _P]),
}


class _Buffer(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class LibraryError(Exception):
    """A code the library returned, or the error it gave to a callback."""

    def __init__(self, code, name="", message="", engine_code=0):
        self.code, self.name, self.message, self.engine_code = code, name, message, engine_code
        super().__init__(f"{name} ({code}): {message}")


class Loop:
    """A loop of the library on a thread of its own."""

    def __init__(self):
        self.c = ctypes.CDLL(str(build_product("librstream.so.1")))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments
        self._tasks = queue.Queue()
        self._wake, self._woken = socket.socketpair()
        self._running = True
        # Callbacks handed to C must live as long as C may call them: until the loop is closed.
        self._kept = []
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _run(self, started):
        handle = _P()
        code = self.c.rstream_loop_new(ctypes.byref(handle))
        assert code == 0, code
        self.handle = handle
        started.set()
        descriptor = self.c.rstream_loop_fd(handle)
        while self._running:
            timeout = self.c.rstream_loop_timeout(handle)
            select.select([descriptor, self._woken], [], [], None if timeout < 0 else timeout / 1000)
            while not self._tasks.empty():
                self._woken.recv(1)
                self._tasks.get()()
            self.c.rstream_loop_run_nowait(handle)
        self.c.rstream_loop_close(handle, _CLOSE(0), None)

    def call(self, function, timeout=20.0):
        """Runs a function on the loop's thread and returns its result."""
        answer = queue.Queue()

        def task():
            try:
                answer.put((function(), None))
            except BaseException as error:
                answer.put((None, error))

        self._tasks.put(task)
        self._wake.send(b"x")
        value, error = answer.get(timeout=timeout)
        if error is not None:
            raise error
        return value

    def wait(self, start, kind=_RESULT, timeout=20.0):
        """Starts an operation with a callback and waits for it; raises the error it was given."""
        answer = queue.Queue()
        callback = self.keep(kind(lambda result, error=None, _data=None: answer.put((result, self.error(error)))))
        self.check(self.call(lambda: start(callback)))
        result, error = answer.get(timeout=timeout)
        if error:
            raise error
        return result

    def wait_closed(self, start, timeout=20.0):
        self.wait(start, kind=_CLOSE, timeout=timeout)

    def keep(self, callback):
        self._kept.append(callback)
        return callback

    def error(self, error):
        """A borrowed rstream_error as an exception to raise, or None."""
        if not error:
            return None
        return LibraryError(
            self.c.rstream_error_code(error),
            self.c.rstream_error_name(error).decode(),
            self.c.rstream_error_message(error).decode(),
            self.c.rstream_error_engine_code(error),
        )

    def check(self, code, error=None):
        if code >= 0:
            return
        failure = self.error(error) or LibraryError(code)
        if error:
            self.c.rstream_error_free(error)
        raise failure

    def options(self, kind, values):
        """Makes "config", "tunnel_options" or "engine_options" from a dictionary."""
        handle, error = _P(), _P()
        self.check(getattr(self.c, f"rstream_{kind}_new")(ctypes.byref(handle)))
        set_one = getattr(self.c, f"rstream_{kind}_set")
        for name, value in values.items():
            self.check(set_one(handle, name.encode(), str(value).encode(), ctypes.byref(error)), error)
        return handle

    def close(self):
        """Closes everything that is left on the loop; the thread has ended afterwards."""
        self._running = False
        self._wake.send(b"x")
        self._thread.join(20)
        assert not self._thread.is_alive(), "the loop did not close"
        self._wake.close()
        self._woken.close()


def _text(value):
    return value.decode() if value is not None else None


class Client:
    """`Client(loop, {"engine": ..., "transport.tls.caFile": ...})`"""

    def __init__(self, loop, settings):
        self.loop = loop
        self.handle = loop.call(lambda: self._make(settings))

    def _make(self, settings):
        config = self.loop.options("config", settings)
        handle, error = _P(), _P()
        code = self.loop.c.rstream_client_new(self.loop.handle, config, ctypes.byref(handle), ctypes.byref(error))
        self.loop.c.rstream_config_free(config)
        self.loop.check(code, error)
        return handle

    def connect(self):
        return Control(self.loop, self.loop.wait(lambda cb: self.loop.c.rstream_client_connect(self.handle, cb, None)))

    def dial(self, name):
        start = self.loop.c.rstream_client_dial
        return Stream(self.loop, self.loop.wait(lambda cb: start(self.handle, name.encode(), cb, None)))

    def close(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_client_close(self.handle, cb, None))


class _Ending:
    """Something that may end by itself: `ended` is set then, `end_error` says why (None: in an orderly way)."""

    def _watch_end(self, on_end):
        self.ended = threading.Event()
        self.end_error = None

        def end(_handle, error, _data):
            self.end_error = self.loop.error(error)
            self.ended.set()

        callback = self.loop.keep(_RESULT(end))
        self.loop.call(lambda: on_end(self.handle, callback, None))


class Control(_Ending):
    def __init__(self, loop, handle):
        self.loop, self.handle = loop, handle
        self._watch_end(loop.c.rstream_control_on_end)

    def detail(self, name):
        return _text(self.loop.call(lambda: self.loop.c.rstream_control_server_detail(self.handle, name.encode())))

    def create_tunnel(self, **values):
        def start(callback):
            options, error = self.loop.options("tunnel_options", values), _P()
            code = self.loop.c.rstream_control_create_tunnel(self.handle, options, callback, None, ctypes.byref(error))
            self.loop.c.rstream_tunnel_options_free(options)
            self.loop.check(code, error)
            return code

        return Tunnel(self.loop, self.loop.wait(start))

    def close(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_control_close(self.handle, cb, None))


class Tunnel(_Ending):
    def __init__(self, loop, handle):
        self.loop, self.handle = loop, handle
        self.streams = queue.Queue()
        self._watch_end(loop.c.rstream_tunnel_on_end)

    def value(self, name):
        return _text(self.loop.call(lambda: self.loop.c.rstream_tunnel_property(self.handle, name.encode())))

    @property
    def forwarding_address(self):
        return _text(self.loop.call(lambda: self.loop.c.rstream_tunnel_forwarding_address(self.handle)))

    def listen(self):
        callback = self.loop.keep(_STREAM(lambda _t, stream, _d: self.streams.put(stream)))
        self.loop.check(self.loop.call(lambda: self.loop.c.rstream_tunnel_listen(self.handle, callback, None)))

    def accept(self, timeout=10.0):
        return Stream(self.loop, self.streams.get(timeout=timeout))

    def close(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_tunnel_close(self.handle, cb, None))


class Stream:
    def __init__(self, loop, handle):
        self.loop, self.handle = loop, handle
        self.data = bytearray()
        self.ended = False
        self.error = None
        self._condition = threading.Condition()

    def read_start(self):
        def on_read(_stream, data, length, error, _data):
            with self._condition:
                if error:
                    self.error = self.loop.error(error)
                elif length == 0:
                    self.ended = True
                else:
                    self.data += ctypes.string_at(data, length)
                self._condition.notify_all()

        callback = self.loop.keep(_READ(on_read))
        self.loop.check(self.loop.call(lambda: self.loop.c.rstream_stream_read_start(self.handle, callback, None)))
        return self

    def read_stop(self):
        self.loop.check(self.loop.call(lambda: self.loop.c.rstream_stream_read_stop(self.handle)))

    def wait_data(self, size, timeout=10.0):
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.data) >= size, timeout), (len(self.data), self.error)
            return bytes(self.data)

    def wait_end(self, timeout=10.0):
        """Waits for the end of the other side's direction; an error counts as well and is in `error`."""
        with self._condition:
            assert self._condition.wait_for(lambda: self.ended or self.error, timeout)
            return bytes(self.data)

    def start_write(self, data):
        """Writes without waiting; returns the code."""
        buffer = _Buffer(data, len(data))
        write = self.loop.c.rstream_stream_write
        return self.loop.call(lambda: write(self.handle, ctypes.byref(buffer), 1, _RESULT(0), None))

    def write(self, data):
        buffer = _Buffer(data, len(data))
        write = self.loop.c.rstream_stream_write
        self.loop.wait(lambda cb: write(self.handle, ctypes.byref(buffer), 1, cb, None))

    def shutdown(self):
        self.loop.wait(lambda cb: self.loop.c.rstream_stream_shutdown(self.handle, cb, None))

    @property
    def queued(self):
        return self.loop.call(lambda: self.loop.c.rstream_stream_write_queue_size(self.handle))

    @property
    def peer(self):
        return _text(self.loop.call(lambda: self.loop.c.rstream_stream_peer(self.handle)))

    @property
    def id(self):
        return _text(self.loop.call(lambda: self.loop.c.rstream_stream_id(self.handle)))

    def into_socket(self):
        """Consumes the stream; the loop's thread carries the bytes of the socket returned."""
        descriptor = _INT(-1)
        into_fd = self.loop.c.rstream_stream_into_fd
        self.loop.check(self.loop.call(lambda: into_fd(self.handle, ctypes.byref(descriptor))))
        return socket.socket(fileno=descriptor.value)

    def close(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_stream_close(self.handle, cb, None))

    def reset(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_stream_reset(self.handle, cb, None))


class EmbeddedEngine:
    """The engine inside this process, on a loop shared with whatever else the test puts there."""

    def __init__(self, loop, settings):
        self.loop = loop
        self.handle = loop.call(lambda: self._make(settings))
        self.port = loop.call(lambda: loop.c.rstream_engine_port(self.handle, b"tls"))
        self.host, self.address, self.ca_file = (self._info(name) for name in ("host", "address", "ca_file"))

    def _make(self, settings):
        options = self.loop.options("engine_options", settings)
        handle, error = _P(), _P()
        code = self.loop.c.rstream_engine_new(self.loop.handle, options, ctypes.byref(handle), ctypes.byref(error))
        self.loop.c.rstream_engine_options_free(options)
        self.loop.check(code, error)
        self.loop.check(self.loop.c.rstream_engine_start(handle, ctypes.byref(error)), error)
        return handle

    def _info(self, name):
        return _text(self.loop.call(lambda: self.loop.c.rstream_engine_info(self.handle, name.encode())))

    def close(self):
        self.loop.wait_closed(lambda cb: self.loop.c.rstream_engine_close(self.handle, cb, None))


def resident():
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
