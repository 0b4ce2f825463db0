# SPDX-License-Identifier: Apache-2.0
"""One configuration read twice, by the official Python client and by librstream: two Resolutions to compare."""

import asyncio
import contextlib
import ctypes
import dataclasses
import json
import os

from rstream.config import ClientOptions, TLSOptions, resolve_client_options
from rstream.errors import RstreamError

from .process import build_product

_P = ctypes.c_void_p
_S = ctypes.c_char_p


@dataclasses.dataclass(frozen=True)
class Resolution:
    """What a configuration comes to: an error by its stable name, or values in one spelling."""

    error: str | None = None
    engine: str | None = None
    token: str | None = None
    certificate: str | None = None
    key: str | None = None
    api_url: str = "https://rstream.io"
    project: str | None = None
    region: str | None = None
    headers: tuple = ()

    def differences(self, other):
        """The fields that another resolution has otherwise."""
        return {
            field.name for field in dataclasses.fields(self) if getattr(self, field.name) != getattr(other, field.name)
        }


@contextlib.contextmanager
def _environment(variables, home):
    """The process environment with these variables of rstream's and no others."""
    saved = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("RSTREAM_"):
            del os.environ[name]
    os.environ["HOME"] = str(home)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in list(os.environ):
            if name not in saved:
                del os.environ[name]
        os.environ.update(saved)


def _engine(text):
    """Lower case, without the port that is meant anyway."""
    return text and text.strip().lower().removesuffix(":443")


def _url(text):
    return text.strip().rstrip("/")


def official(variables, options, home):
    """What the official client makes of it."""
    arguments = dict(options)
    if tls := arguments.pop("tls", None):
        arguments["tls"] = TLSOptions(**tls)
    with _environment(variables, home):
        try:
            resolved = asyncio.run(resolve_client_options(ClientOptions(**arguments)))
        except RstreamError as error:
            return Resolution(error=error.code)
        except Exception as error:  # what escapes as something else is a difference too
            return Resolution(error=type(error).__name__)
    # What its client checks before the first connection.
    needs_project = resolved.region is not None or resolved.engine is None
    if needs_project and resolved.project_endpoint is None:
        return Resolution(error="ERR_RSTREAM_ENGINE_REQUIRED")
    tls = resolved.tls
    return Resolution(
        engine=None if needs_project else _engine(resolved.engine),
        token=resolved.token,
        certificate=tls and (tls.cert_file or tls.certificate) or None,
        key=tls and (tls.key_file or tls.key) or None,
        api_url=_url(resolved.api_url),
        project=resolved.project_endpoint,
        region=resolved.region,
        headers=tuple(sorted(resolved.control_plane_headers.items())),
    )


_SETTINGS = {
    "api_url": "apiUrl",
    "config_path": "configFile",
    "context": "context",
    "engine": "engine",
    "project_endpoint": "projectEndpoint",
    "region": "region",
    "token": "auth.token",
    "no_token": "auth.noToken",
    "require_token": "auth.required",
    "tunnel_transport": "transport.mode",
    "zero_rtt": "zeroRtt",
    "heartbeat": "heartbeat.enabled",
}
_SECONDS = {
    "connect_timeout": "timeouts.connectMs",
    "operation_timeout": "timeouts.operationMs",
    "heartbeat_interval": "heartbeat.intervalMs",
}
_TLS = {
    "ca_file": "transport.tls.caFile",
    "cert_file": "auth.mtls.certificateFile",
    "key_file": "auth.mtls.keyFile",
    "certificate": "auth.mtls.certificate",
    "key": "auth.mtls.key",
    "server_name": "transport.tls.serverName",
    "insecure_skip_verify": "transport.tls.insecureSkipVerify",
}


def _text(value):
    return {True: "true", False: "false"}.get(value, str(value))


def _settings(options):
    """The official client's options under the names of our settings."""
    for name, value in options.items():
        if value is None:
            continue
        if name == "tls":
            yield from ((_TLS[field], _text(given)) for field, given in value.items())
        elif name in _SECONDS:
            milliseconds = value * 1000
            whole = int(milliseconds) if milliseconds == int(milliseconds) else milliseconds
            yield _SECONDS[name], str(whole)
        elif name == "control_plane_headers":
            yield "headers", json.dumps(dict(value))
        else:
            yield _SETTINGS[name], _text(value)


class Library:
    """librstream's configuration; nothing here connects."""

    def __init__(self):
        self._c = ctypes.CDLL(str(build_product("librstream.so.1")))
        signatures = {
            "rstream_config_new": (ctypes.c_int, [_P]),
            "rstream_config_set": (ctypes.c_int, [_P, _S, _S, _P]),
            "rstream_config_get": (_S, [_P, _S]),
            "rstream_config_load": (ctypes.c_int, [_P, _P]),
            "rstream_config_free": (None, [_P]),
            "rstream_loop_new": (ctypes.c_int, [_P]),
            "rstream_loop_close": (ctypes.c_int, [_P, _P, _P]),
            "rstream_client_new": (ctypes.c_int, [_P, _P, _P, _P]),
            "rstream_error_name": (_S, [_P]),
            "rstream_error_message": (_S, [_P]),
            "rstream_error_free": (None, [_P]),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(self._c, name)
            function.restype, function.argtypes = result, arguments
        #: The message of the last error.
        self.message = None

    def resolve(self, variables, options, home):
        """What librstream makes of it."""
        config = _P()
        assert self._c.rstream_config_new(ctypes.byref(config)) == 0
        try:
            with _environment(variables, home):
                return self._resolve(config, options)
        finally:
            self._c.rstream_config_free(config)

    def _resolve(self, config, options):
        error = _P()
        self.message = None
        for name, value in _settings(options):
            if self._c.rstream_config_set(config, name.encode(), value.encode(), ctypes.byref(error)) != 0:
                return self._failure(error)
        if self._c.rstream_config_load(config, ctypes.byref(error)) != 0:
            return self._failure(error)
        if not self._make_client(config, error):
            return self._failure(error)

        def get(name):
            value = self._c.rstream_config_get(config, name.encode())
            return None if value is None else value.decode()

        region = (get("region") or "").strip().lower()
        region = None if region in ("", "auto") else region
        return Resolution(
            engine=None if region else _engine(get("engine")),
            token=None if get("auth.noToken") == "true" else get("auth.token"),
            certificate=get("auth.mtls.certificateFile") or get("auth.mtls.certificate"),
            key=get("auth.mtls.keyFile") or get("auth.mtls.key"),
            api_url=_url(get("apiUrl") or "https://rstream.io"),
            project=get("projectEndpoint"),
            region=region,
            headers=tuple(sorted(json.loads(get("headers") or "{}").items())),
        )

    def _make_client(self, config, error):
        loop, client = _P(), _P()
        assert self._c.rstream_loop_new(ctypes.byref(loop)) == 0
        try:
            return self._c.rstream_client_new(loop, config, ctypes.byref(client), ctypes.byref(error)) == 0
        finally:
            self._c.rstream_loop_close(loop, None, None)

    def _failure(self, error):
        name = self._c.rstream_error_name(error).decode()
        self.message = self._c.rstream_error_message(error).decode()
        self._c.rstream_error_free(error)
        return Resolution(error=name)
