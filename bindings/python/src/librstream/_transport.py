# SPDX-License-Identifier: Apache-2.0
"""A stream of the C library as an asyncio transport."""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from librstream import _capi
from librstream.errors import RstreamError

if TYPE_CHECKING:
    from librstream._native import NativeClient

#: So much is given to C at most; the rest waits here, without a limit, as asyncio's
#: own transports have it: writers are to heed pause_writing.
_NATIVE_LIMIT = 1 << 20
#: Writes below this size are held back and joined, up to this size.
_SMALL = 16 * 1024
_DEFAULT_HIGH_WATER = 64 * 1024
#: Who has written so much without waiting waits for a turn of asyncio's loop all the same.
#: Otherwise a writer that goes on and on would never learn that the stream has ended.
_TURN = 256 * 1024
#: A closed transport whose last bytes do not move for so long is given up, seconds.
_STALL_SECONDS = 30.0

Data = bytes | bytearray | memoryview

_NO_RESULT = _capi.ResultCallback()


class StreamTransport(asyncio.Transport):
    """Bytes between a protocol and a stream of the C library.

    Half close is carried both ways. A protocol that pauses reading makes the
    sender wait and nobody else.
    """

    def __init__(
        self,
        native: NativeClient,
        handle: int,
        protocol: asyncio.BaseProtocol,
        extra: dict[str, Any],
    ) -> None:
        super().__init__(extra)
        self._native = native
        self._driver = native.driver
        self._library = native.driver.library
        self._handle = handle
        self._protocol: asyncio.BaseProtocol | None = None
        self._buffered: asyncio.BufferedProtocol | None = None
        self._receive: Callable[[bytes], None] = _nowhere
        self._reading = False
        self._pausing = False
        self._end_received = False
        self._end_requested = False
        self._closing = False
        self._lost = False
        self._error: BaseException | None = None
        self._high_water = _DEFAULT_HIGH_WATER
        self._low_water = _DEFAULT_HIGH_WATER // 4
        self._writer_paused = False
        self._draining = False
        #: While it is closing: looks whether its last bytes move.
        self._watch: asyncio.TimerHandle | None = None
        #: What was not given to C yet: the bytes and where the rest of them begins.
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._waiting_size = 0
        #: Small writes held back until asyncio looks for events again.
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._tick = -1
        #: Bytes written since C was asked how many wait.
        self._unchecked = 0
        #: Bytes written since the writer last let others run.
        self._unturned = 0
        self._number = self._driver.callbacks.number_reader(self)
        self.set_protocol(protocol)
        protocol.connection_made(self)
        self._start_reading()

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state} peer={self.get_extra_info('peername')}>"

    # The protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._buffered = protocol
            self._receive = self._fill
        else:
            self._buffered = None
            self._receive = cast(asyncio.Protocol, protocol).data_received

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    # Reading

    def is_reading(self) -> bool:
        return not (self._pausing or self._closing)

    def pause_reading(self) -> None:
        if self._pausing or self._closing:
            return
        self._pausing = True
        if self._reading:
            self._reading = False
            self._library.stream_read_stop(self._handle)

    def resume_reading(self) -> None:
        if not self._pausing or self._closing:
            return
        self._pausing = False
        self._start_reading()

    def _start_reading(self) -> None:
        if self._reading or self._end_received or self._closing or self._pausing:
            return
        code = self._library.stream_read_start(self._handle, self._driver.callbacks.read, self._number)
        if code < 0:
            self._fail_with(code, "read")
        else:
            self._reading = True
            self._driver.touch()

    def deliver(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._closing:
            return
        try:
            self._receive(data)
        except Exception as error:
            self._fatal(error, "a protocol failed to take what was received")

    def _fill(self, data: bytes) -> None:
        """Gives bytes to a protocol that has buffers of its own."""
        rest = memoryview(data)
        while rest and not self._closing:
            protocol = self._buffered
            if protocol is None:
                self._receive(bytes(rest))
                return
            buffer = memoryview(protocol.get_buffer(len(rest))).cast("B")
            if not len(buffer):
                raise ValueError("get_buffer() returned an empty buffer")
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            buffer.release()
            protocol.buffer_updated(count)
            rest = rest[count:]

    def deliver_end(self) -> None:
        """The other side has ended its direction."""
        self._reading = False
        self._end_received = True
        if self._closing:
            return
        protocol = cast(asyncio.Protocol, self._protocol)
        try:
            keep_open = protocol.eof_received()
        except Exception as error:
            self._fatal(error, "a protocol failed to take the end of a stream")
            return
        if not keep_open:
            self.close()

    def fail(self, error: RstreamError) -> None:
        """The stream has broken."""
        self._reading = False
        self._abort(error)

    # Writing

    def write(self, data: Data) -> None:
        if self._end_requested:
            raise RuntimeError("write() after write_eof()")
        if self._closing:
            return
        size = len(data) if type(data) is bytes else memoryview(data).nbytes
        driver = self._driver
        if size < _SMALL and not self._waiting:
            if self._tick == driver.tick:
                # Not the first one since asyncio looked for events: it goes out with
                # others, in one TLS record and one system call.
                if not self._pieces:
                    driver.corked.append(self)
                self._pieces.append(data if type(data) is bytes else bytes(data))
                self._pieces_size += size
                if self._pieces_size >= _SMALL:
                    self.uncork()
                return
            self._tick = driver.tick
            driver.begin_tick()
        if size:
            self._write_on(data, size)

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        self.write(b"".join(list_of_data))

    def uncork(self) -> None:
        """Hands on what was held back."""
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces_size = 0
            if data and not self._lost:
                self._write_on(data, len(data))

    def _write_on(self, data: Data, size: int) -> None:
        """Writes in order: before it what was held back, or behind what waits."""
        if self._pieces:
            self.uncork()
            if self._lost:
                return
        if self._waiting or size > _NATIVE_LIMIT:
            self._waiting.append((data if type(data) is bytes else bytes(data), 0))
            self._waiting_size += size
            self._write_waiting()
            return
        driver = self._driver
        if type(data) is bytes:
            buffer = driver.bytes_buffer
            buffer.base = data
            buffer.len = size
            code = self._library.stream_write(self._handle, driver.bytes_buffer_address, 1, _NO_RESULT, None)
            buffer.base = None
        else:
            code = self._write_memory(memoryview(data))
        if code < 0:
            self._fail_with(code, "write")
            return
        driver.begin_tick()
        self._unchecked += size
        if self._unchecked >= _SMALL:
            self._unturned += self._unchecked
            self._unchecked = 0
            if self._library.stream_write_queue_size(self._handle):
                self._maybe_pause_writer()

    def _write_memory(self, data: memoryview) -> int:
        """Writes from memory that is not a bytes object, without a copy if it may."""
        if data.readonly or not data.c_contiguous:
            data = memoryview(bytearray(data))
        first = ctypes.c_char.from_buffer(data)
        return self._write_at(ctypes.addressof(first), data.nbytes)

    def _write_at(self, address: int, size: int) -> int:
        buffer = self._driver.buffer
        buffer.base = address
        buffer.len = size
        code: int = self._library.stream_write(self._handle, self._driver.buffer_address, 1, _NO_RESULT, None)
        return code

    def _write_waiting(self) -> None:
        while self._waiting:
            room = _NATIVE_LIMIT - self._library.stream_write_queue_size(self._handle)
            if room <= 0:
                break
            data, begin = self._waiting[0]
            size = min(room, len(data) - begin)
            if begin + size == len(data):
                self._waiting.popleft()
            else:
                self._waiting[0] = (data, begin + size)
            self._waiting_size -= size
            address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
            code = self._write_at(address + begin, size)
            if code < 0:
                self._fail_with(code, "write")
                return
        if self._waiting:
            self._ask_when_drained()
        elif self._end_requested:
            self._shut_down()
        self._maybe_pause_writer()
        self._driver.begin_tick()

    @property
    def takes_more(self) -> bool:
        """Whether draining has nothing to wait for and nothing to tell."""
        return not (self._writer_paused or self._closing)

    def owes_turn(self) -> bool:
        """Whether the writer is to let others run; asked once for each time."""
        if self._unturned < _TURN:
            return False
        self._unturned = 0
        return True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._end_requested or self._closing:
            return
        self.uncork()
        if self._closing:
            return
        self._end_requested = True
        if not self._waiting:
            self._shut_down()

    def _shut_down(self) -> None:
        number = self._driver.callbacks.number_once(self._drained)
        code = self._library.stream_shutdown(self._handle, self._driver.callbacks.result, number)
        if code < 0:
            self._driver.callbacks.forget(number)
            self._fail_with(code, "end writing")
        else:
            self._draining = True
            self._driver.touch()

    # Flow control

    def get_write_buffer_size(self) -> int:
        if self._closing and not self._draining:
            return 0
        queued: int = self._library.stream_write_queue_size(self._handle)
        return queued + self._waiting_size + self._pieces_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high_water = high
        self._low_water = low
        self._maybe_pause_writer()

    def _maybe_pause_writer(self) -> None:
        if self._closing or self.get_write_buffer_size() <= self._high_water:
            return
        self._ask_when_drained()
        if not self._writer_paused:
            self._writer_paused = True
            self._tell("pause_writing")

    def _maybe_resume_writer(self) -> None:
        if self._writer_paused and not self._waiting:
            self._writer_paused = False
            self._tell("resume_writing")

    def _ask_when_drained(self) -> None:
        """Has _drained called when nothing waits in C; a write of no bytes asks."""
        if self._draining or self._lost:
            return
        number = self._driver.callbacks.number_once(self._drained)
        code = self._library.stream_write(self._handle, None, 0, self._driver.callbacks.result, number)
        if code < 0:
            self._driver.callbacks.forget(number)
            self._fail_with(code, "write")
        else:
            self._draining = True
            self._driver.touch()

    def _drained(self, _stream: int | None, error: RstreamError | None) -> None:
        self._draining = False
        if error is not None:
            # Readers are told as well; but perhaps nobody reads.
            self._abort(error)
            return
        if self._waiting:
            self._write_waiting()
        if self._waiting or self._draining:
            return
        if self._closing:
            self._end(self._library.stream_close)
        else:
            self._maybe_resume_writer()

    def _tell(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except Exception as error:
            self._driver.loop.call_exception_handler(
                {
                    "message": f"protocol.{what}() failed",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )

    # The end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Ends the stream when what was written has been sent."""
        if self._closing:
            return
        if self._reading:
            self._reading = False
            self._library.stream_read_stop(self._handle)
        self.uncork()
        if self._closing:
            return
        if self._driver.is_usable and self.get_write_buffer_size():
            self._ask_when_drained()
            if self._closing:
                return
            self._closing = True
            self._watch_for_stall(self.get_write_buffer_size())
        else:
            self._closing = True
            self._end(self._library.stream_close)

    def abort(self) -> None:
        """Ends the stream at once; the other side sees a reset."""
        self._abort(None)

    def _watch_for_stall(self, size: int) -> None:
        def look() -> None:
            if self._lost or not self._draining:
                return
            left = self.get_write_buffer_size()
            if left < size:
                self._watch_for_stall(left)
            else:
                self._abort(None)

        self._watch = self._driver.loop.call_later(_STALL_SECONDS, look)

    def _stop_watching(self) -> None:
        """So that nothing of a transport that has ended is kept until then."""
        if self._watch:
            self._watch.cancel()
            self._watch = None

    def abandon(self) -> None:
        """The C loop has gone with the stream, and nobody runs what waits for it."""
        self._closing = True
        self._lost = True
        self._draining = False
        self._stop_watching()
        self._pieces.clear()
        self._waiting.clear()

    def _fatal(self, error: Exception, message: str) -> None:
        self._driver.loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._abort(error)

    def _fail_with(self, code: int, attempt: str) -> None:
        self._abort(self._library.code_error(code, attempt))

    def _abort(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._closing = True
        self._draining = False
        self._pieces.clear()
        self._pieces_size = 0
        self._waiting.clear()
        self._waiting_size = 0
        self._error = error
        self._end(self._library.stream_reset)

    def _end(self, how: Any) -> None:
        if self._lost:
            return
        self._lost = True
        self._stop_watching()
        self._driver.callbacks.forget(self._number)
        self._native.end_stream(how, self._handle, self._connection_lost)

    def _connection_lost(self) -> None:
        protocol, self._protocol = self._protocol, None
        self._buffered = None
        self._receive = _nowhere
        if protocol is not None:
            protocol.connection_lost(cast(Exception | None, self._error))


def _nowhere(_data: bytes) -> None:
    """Where bytes go when there is no protocol any more."""
