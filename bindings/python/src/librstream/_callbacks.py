# SPDX-License-Identifier: Apache-2.0
"""What the C library calls back: a few C functions that find the Python side by number."""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

from librstream import _capi

if TYPE_CHECKING:
    from librstream._transport import StreamTransport
    from librstream.errors import RstreamError
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
        self._report = report
        # By their code and what tells those of the same code apart.
        self._functions: dict[tuple[CodeType, int], Callable[..., None]] = {}
        once, always = self.once, self.always
        event_json = library.event_json

        def lent(error: int | None) -> RstreamError | None:
            return library.borrowed_error(error) if error else None

        self.plain = _capi.PlainCallback(self._calling(once.pop, lambda _: ()))
        self.result = _capi.ResultCallback(self._calling(once.pop, lambda handle, error, _: (handle, lent(error))))
        self.event = _capi.ResultCallback(self._calling(always.get, lambda _handle, error, _: (lent(error),)))
        self.stop = _capi.StopCallback(self._calling(once.pop, lambda _engine, _: ()))
        self.drained = _capi.StopCallback(self._calling(always.get, lambda _packets, _: ()))
        self.happened = _capi.EventCallback(
            self._calling(always.get, lambda _watch, event, _: (event_json(event) or b"{}",))
        )
        self.answered = _capi.CheckCallback(self._calling(once.pop, lambda error, _: (None, lent(error))))
        self.doctor_end = _capi.DoctorEndCallback(self._calling(once.pop, lambda worst, _: (worst,)))
        self.forward = _capi.ForwardCallback(
            self._calling(
                always.get,
                lambda _tunnel, event, peer, bytes_in, bytes_out, error, _: (
                    *(event, _capi.text(peer), bytes_in, bytes_out),
                    lent(error),
                ),
            )
        )
        self.doctor_check = _capi.DoctorCheckCallback(
            self._calling(
                always.get,
                lambda name, status, microseconds, detail, advice, _: (
                    *(_capi.text(name), status, microseconds),
                    *(_capi.text(detail), _capi.optional_text(advice)),
                ),
            )
        )
        self.stream = _capi.StreamCallback(self._incoming(library.stream_reset))
        self.packets = _capi.StreamCallback(self._incoming(library.packets_close))
        self.read = _capi.ReadCallback(self._reading(library))
        self.packet = _capi.ReadCallback(self._receiving(library))

    def _calling(
        self, find: Callable[[int, None], Callable[..., None] | None], made_for: Callable[..., tuple[object, ...]]
    ) -> Callable[..., None]:
        """A C function whose last argument is the number of a call; ``made_for`` makes the
        call's arguments of the function's."""
        report = self._report

        def called(*given: Any) -> None:
            try:
                call = find(given[-1] or 0, None)
                if call is not None:
                    call(*made_for(*given))
            except BaseException as failure:
                report(failure)

        self._functions[called.__code__, id(made_for)] = called
        return called

    def _incoming(self, made_for: Callable[..., int]) -> Callable[..., None]:
        """A C function that is given what has come in by a tunnel, which ``made_for`` ends
        when nobody takes it."""
        always, report = self.always, self._report

        def came(*given: Any) -> None:
            try:
                _, handle, number = given
                call = always.get(number or 0)
                if call is None:
                    made_for(handle, _NO_PLAIN, None)
                else:
                    call(handle)
            except BaseException as failure:
                report(failure)

        self._functions[came.__code__, id(made_for)] = came
        return came

    def _reading(self, library: _capi.Library) -> Callable[..., None]:
        """The C function that is given a stream's bytes."""
        readers, report = self.readers, self._report
        borrowed_error, string_at = library.borrowed_error, ctypes.string_at

        def read(_stream: int | None, address: int | None, length: int, error: int | None, number: int | None) -> None:
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

        self._functions[read.__code__, id(None)] = read
        return read

    def _receiving(self, library: _capi.Library) -> Callable[..., None]:
        """The C function that is given a channel's packets."""
        receivers, report = self.receivers, self._report
        borrowed_error, string_at = library.borrowed_error, ctypes.string_at

        def packet(
            _packets: int | None, address: int | None, length: int, error: int | None, number: int | None
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

        self._functions[packet.__code__, id(None)] = packet
        return packet

    def catch(self, raised: sys.UnraisableHookArgs) -> bool:
        """Takes an exception that came before a function was inside its ``try``.

        That is where Python runs the handlers of signals that have come meanwhile:
        Ctrl-C would be lost there, and the call with it. True when it was such a one.
        """
        traceback = raised.exc_traceback
        if traceback is None or raised.exc_value is None:
            return False
        code, local = traceback.tb_frame.f_code, traceback.tb_frame.f_locals
        function = self._functions.get((code, id(local.get("made_for"))))
        if function is None:
            return False
        self._report(raised.exc_value)
        if traceback.tb_lineno == code.co_firstlineno:
            given = local.get("given") or (local[name] for name in code.co_varnames[: code.co_argcount])
            function(*given)
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
