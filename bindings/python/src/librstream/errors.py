# SPDX-License-Identifier: Apache-2.0
"""The exceptions of this package.

Every one is a :class:`RstreamError` with a stable ``code``: an identifier that
begins with ``ERR_RSTREAM_``, or the name of a system error such as
``ECONNREFUSED``. Errors of the network are also the :class:`OSError` that
Python raises for them, and errors of TLS are also :class:`ssl.SSLError`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping


class RstreamError(Exception):
    """Anything that went wrong in this package or in the library below it.

    Attributes:
        code: stable identifier, for programs.
        details: what else is known about the error, or None.
    """

    code: str
    details: Mapping[str, object] | None

    def __init__(
        self,
        message: str,
        *,
        code: str = "ERR_RSTREAM",
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self._message = message
        self.code = code
        self.details = dict(details) if details is not None else None

    def __str__(self) -> str:
        return self._message


class RuntimeError(RstreamError):
    """An operation could not be completed."""


#: The same under a name that hides no built-in one.
RstreamRuntimeError = RuntimeError


class EngineError(RuntimeError):
    """The engine refused a request; ``code`` is ``ERR_RSTREAM_ENGINE``.

    Attributes:
        engine_code: the engine's number. Its thousands tell the kind: 1
            authorization, 2 request, 3 not found, 4 state, 5 feature,
            6 unavailable, 7 capacity, 8 conflict, 9 internal.
    """

    engine_code: int

    def __init__(self, engine_code: int, message: str) -> None:
        super().__init__(message, code="ERR_RSTREAM_ENGINE", details={"engine_code": engine_code})
        self.engine_code = engine_code


class ConfigurationError(RuntimeError):
    """A setting is missing, unknown or invalid."""


class UnsupportedFeatureError(RuntimeError):
    """Something was asked for that this version cannot do."""


class ProtocolError(RuntimeError):
    """The engine broke the rstream protocol."""


class LibraryError(RuntimeError, ImportError):
    """librstream.so.1 cannot be found, loaded or used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="ERR_RSTREAM_LIBRARY")


class TransportError(RuntimeError, OSError):
    """The network or the operating system failed.

    It is also the :class:`OSError` of its ``errno``: a refused connection is
    caught by ``except ConnectionRefusedError`` as well.
    """

    def __init__(self, message: str, *, code: str, number: int) -> None:
        super().__init__(message, code=code)
        self.errno = number
        self.strerror = message


class TLSError(TransportError, ssl.SSLError):
    """The TLS handshake or connection failed, or a certificate is of no use."""


_CONFIGURATION = {
    "ERR_RSTREAM_AUTH_CONFLICT",
    "ERR_RSTREAM_AUTH_REQUIRED",
    "ERR_RSTREAM_TOKEN_EXPIRED",
    "ERR_RSTREAM_MTLS_INCOMPLETE",
    "ERR_RSTREAM_INVALID_CONFIG",
    "ERR_RSTREAM_INVALID_ENGINE",
    "ERR_RSTREAM_ENGINE_REQUIRED",
    "ERR_RSTREAM_INVALID_TIMEOUT",
    "ERR_RSTREAM_CONTEXT_NOT_FOUND",
    "ERR_RSTREAM_CONTEXT_AMBIGUOUS",
    "ERR_RSTREAM_INVALID_API_URL",
    "ERR_RSTREAM_INVALID_REGION",
    "ERR_RSTREAM_REGION_ENGINE_CONFLICT",
    "ERR_RSTREAM_REGION_UNAVAILABLE",
    "ERR_RSTREAM_REGION_AMBIGUOUS",
    "ERR_RSTREAM_PROJECT_ENDPOINT_REQUIRED",
    "ERR_RSTREAM_STORED_TOKEN_ENGINE_OVERRIDE",
    "ERR_RSTREAM_STORED_MTLS_ENGINE_OVERRIDE",
}
_PROTOCOL = {"ERR_RSTREAM_PROTOCOL", "ERR_RSTREAM_FRAME_TOO_LARGE"}
_UNSUPPORTED = {
    "ERR_RSTREAM_UNSUPPORTED_TUNNEL",
    "ERR_RSTREAM_UNSUPPORTED_TRANSPORT",
    "ERR_RSTREAM_UNSUPPORTED_TOKEN_STORAGE",
    "ERR_RSTREAM_UNSUPPORTED_MTLS_STORAGE",
}

#: libuv's numbers for errors of name look-up.
_NAME_LOOKUP = range(-3014, -2999)


def make_error(number: int, code: str, message: str, engine_code: int = 0) -> RstreamError:
    """The exception for an error of the library, given its number, stable name,
    words and the engine's number."""
    if code == "ERR_RSTREAM_ENGINE":
        return EngineError(engine_code, message)
    if code in _CONFIGURATION:
        return ConfigurationError(message, code=code)
    if code in _PROTOCOL:
        return ProtocolError(message, code=code)
    if code in _UNSUPPORTED:
        return UnsupportedFeatureError(message, code=code)
    if code == "ERR_RSTREAM_TLS":
        return TLSError(message, code=code, number=ssl.SSL_ERROR_SSL)
    if code == "ERR_RSTREAM_ENGINE_API_HTTP":
        return RuntimeError(message, code=code, details={"status": engine_code})
    if code.startswith("ERR_RSTREAM"):
        return RuntimeError(message, code=code)
    if number in _NAME_LOOKUP:
        eai: int = getattr(socket, code, number)
        return _also(socket.gaierror)(message, code=code, number=eai)
    return _also(type(OSError(-number, "")))(message, code=code, number=-number)


_combined: dict[str, type[TransportError]] = {"OSError": TransportError}


def _also(base: type[OSError]) -> type[TransportError]:
    """TransportError that is also a ``base``."""
    known = _combined.get(base.__name__)
    if known is None:
        name = TransportError.__name__
        known = type(name, (TransportError, base), {"__module__": __name__})
        _combined[base.__name__] = known
    return known
