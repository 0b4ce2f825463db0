# SPDX-License-Identifier: Apache-2.0
"""What the C library calls back: a few C functions that find the Python side by number."""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from librstream import _capi

if TYPE_CHECKING:
    from librstream._transport import StreamTransport
    from librstream.packets import PacketTransport

_NO_PLAIN = _capi.PlainCallback()


class Callbacks:
    """The C functions of one driver and what they call, by number.

    The exceptions of what they call end here: none may pass through C.
    """

    def __init__(self, library: _capi.Library, report: Callable[[BaseException], None]):
        self.once: dict[int, Callable[..., None]] = {}
        self.always: dict[int, Callable[..., None]] = {}
        self.readers: dict[int, StreamTransport] = {}
        self.receivers: dict[int, PacketTransport] = {}
        self._numbers = itertools.count(1)
        once, always, readers, receivers = self.once, self.always, self.readers, self.receivers
        borrowed_error = library.borrowed_error
        event_json = library.event_json
        string_at = ctypes.string_at

        def plain(number: int | None) -> None:
            try:
                call = once.pop(number or 0, None)
                if call is not None:
                    call()
            except BaseException as error:
                report(error)

        def result(handle: int | None, error: int | None, number: int | None) -> None:
            try:
                call = once.pop(number or 0, None)
                if call is not None:
                    call(handle, borrowed_error(error) if error else None)
            except BaseException as failure:
                report(failure)

        def event(_handle: int | None, error: int | None, number: int | None) -> None:
            try:
                call = always.get(number or 0)
                if call is not None:
                    call(borrowed_error(error) if error else None)
            except BaseException as failure:
                report(failure)

        def stream(_tunnel: int | None, handle: int, number: int | None) -> None:
            try:
                call = always.get(number or 0)
                if call is None:
                    library.stream_reset(handle, _NO_PLAIN, None)
                else:
                    call(handle)
            except BaseException as failure:
                report(failure)

        def read(
            _stream: int | None,
            address: int | None,
            length: int,
            error: int | None,
            number: int | None,
        ) -> None:
            try:
                reader = readers.get(number or 0)
                if reader is None:
                    return
                if length:
                    reader.deliver(string_at(address or 0, length))
                elif error:
                    reader.fail(borrowed_error(error))
                else:
                    reader.deliver_end()
            except BaseException as failure:
                report(failure)

        def packets(_tunnel: int | None, handle: int, number: int | None) -> None:
            try:
                call = always.get(number or 0)
                if call is None:
                    library.packets_close(handle, _NO_PLAIN, None)
                else:
                    call(handle)
            except BaseException as failure:
                report(failure)

        def packet(
            _packets: int | None,
            address: int | None,
            length: int,
            error: int | None,
            number: int | None,
        ) -> None:
            try:
                receiver = receivers.get(number or 0)
                if receiver is None:
                    return
                if address:
                    receiver.deliver(string_at(address, length))
                else:
                    receiver.ended(borrowed_error(error) if error else None)
            except BaseException as failure:
                report(failure)

        def drained(_packets: int | None, number: int | None) -> None:
            try:
                call = always.get(number or 0)
                if call is not None:
                    call()
            except BaseException as failure:
                report(failure)

        def forward(
            _tunnel: int | None,
            event: int,
            peer: bytes | None,
            bytes_in: int,
            bytes_out: int,
            error: int | None,
            number: int | None,
        ) -> None:
            try:
                call = always.get(number or 0)
                if call is not None:
                    failure = borrowed_error(error) if error else None
                    call(event, _capi.text(peer), bytes_in, bytes_out, failure)
            except BaseException as failed:
                report(failed)

        def stop(_engine: int | None, number: int | None) -> None:
            try:
                call = once.pop(number or 0, None)
                if call is not None:
                    call()
            except BaseException as error:
                report(error)

        def happened(_watch: int | None, event: int, number: int | None) -> None:
            try:
                call = always.get(number or 0)
                if call is not None:
                    call(event_json(event) or b"{}")
            except BaseException as failure:
                report(failure)

        def answered(error: int | None, number: int | None) -> None:
            try:
                call = once.pop(number or 0, None)
                if call is not None:
                    call(None, borrowed_error(error) if error else None)
            except BaseException as failure:
                report(failure)

        def doctor_check(
            name: bytes | None,
            status: int,
            microseconds: int,
            detail: bytes | None,
            advice: bytes | None,
            number: int | None,
        ) -> None:
            try:
                call = always.get(number or 0)
                if call is not None:
                    call(_capi.text(name), status, microseconds, _capi.text(detail), _capi.optional_text(advice))
            except BaseException as failure:
                report(failure)

        def doctor_end(worst: int, number: int | None) -> None:
            try:
                call = once.pop(number or 0, None)
                if call is not None:
                    call(worst)
            except BaseException as error:
                report(error)

        self._report = report
        functions: tuple[Callable[..., None], ...] = (
            *(plain, result, event, stream, read, forward, stop),
            *(happened, answered, doctor_check, doctor_end),
            *(packets, packet, drained),
        )
        self._by_code = {function.__code__: function for function in functions}
        self.plain = _capi.PlainCallback(plain)
        self.result = _capi.ResultCallback(result)
        self.event = _capi.ResultCallback(event)
        self.stream = _capi.StreamCallback(stream)
        self.read = _capi.ReadCallback(read)
        self.forward = _capi.ForwardCallback(forward)
        self.stop = _capi.StopCallback(stop)
        self.happened = _capi.EventCallback(happened)
        self.answered = _capi.CheckCallback(answered)
        self.doctor_check = _capi.DoctorCheckCallback(doctor_check)
        self.doctor_end = _capi.DoctorEndCallback(doctor_end)
        self.packets = _capi.StreamCallback(packets)
        self.packet = _capi.ReadCallback(packet)
        self.drained = _capi.StopCallback(drained)

    def catch(self, raised: sys.UnraisableHookArgs) -> bool:
        """Takes an exception that came before a function was inside its ``try``.

        That is where Python runs the handlers of signals that have come meanwhile:
        Ctrl-C would be lost there, and the call with it. True when it was such a one.
        """
        traceback = raised.exc_traceback
        code = None if traceback is None else traceback.tb_frame.f_code
        function = None if code is None else self._by_code.get(code)
        if traceback is None or code is None or function is None or raised.exc_value is None:
            return False
        self._report(raised.exc_value)
        if traceback.tb_lineno == code.co_firstlineno:
            local = traceback.tb_frame.f_locals
            function(*(local[name] for name in code.co_varnames[: code.co_argcount]))
        return True

    def number_once(self, call: Callable[..., None]) -> int:
        """The number of a call that comes once."""
        number = next(self._numbers)
        self.once[number] = call
        return number

    def number_always(self, call: Callable[..., None]) -> int:
        """The number of a call that comes until it is forgotten."""
        number = next(self._numbers)
        self.always[number] = call
        return number

    def number_reader(self, reader: StreamTransport) -> int:
        number = next(self._numbers)
        self.readers[number] = reader
        return number

    def number_receiver(self, receiver: PacketTransport) -> int:
        number = next(self._numbers)
        self.receivers[number] = receiver
        return number

    def forget(self, number: int) -> None:
        self.receivers.pop(number, None)
        self.once.pop(number, None)
        self.always.pop(number, None)
        self.readers.pop(number, None)

    def forget_all(self) -> None:
        """Nothing is called any more, and no stream calls C."""
        self.once.clear()
        self.always.clear()
        for reader in self.readers.values():
            reader.abandon()
        self.readers.clear()
        for receiver in self.receivers.values():
            receiver.abandon()
        self.receivers.clear()
