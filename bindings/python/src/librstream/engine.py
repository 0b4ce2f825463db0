# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: the edge that clients connect to, inside this process."""

from __future__ import annotations

import asyncio
import ctypes
import tempfile
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any, Self

from librstream._capi import optional_text
from librstream._context import Leaving
from librstream._driver import Driver
from librstream.client import Client
from librstream.errors import RuntimeError
from librstream.types import TLSOptions

#: An engine for tests and development: reachable from this machine alone, with a
#: certification authority of its own, and gone at once when it is stopped.
_DEFAULTS = {
    "tls.listen_addr": "127.0.0.1:0",
    "timeouts.drain_seconds": "0",
}


class Engine(Leaving):
    """An engine on the running asyncio loop.

    ::

        async with librstream.Engine() as engine:
            async with engine.client() as client:
                ...

    Without settings it is an engine for development: it listens on a free port of
    127.0.0.1, makes its certificates in a temporary folder and accepts clients
    without a token. Its host is ``localhost``, so published tunnels are
    ``<label>.t.localhost``.

    Args:
        settings: settings of the engine by name, as include/rstream/engine.h has
            them, for example ``{"tcp.port_range": "20000-20010"}``.
        config_file: YAML file of an engine, below the settings.
    """

    def __init__(
        self,
        settings: Mapping[str, str | int | bool] | None = None,
        *,
        config_file: str | PathLike[str] | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._config_file = None if config_file is None else fspath(config_file)
        self._driver: Driver | None = None
        self._handle: int | None = None
        self._state_dir: tempfile.TemporaryDirectory[str] | None = None
        self._info: dict[str, str | None] = {}

    async def start(self) -> None:
        """Opens the listeners.

        Raises:
            ConfigurationError: a setting is unknown, invalid or excludes another.
            TLSError: certificate files that cannot be used.
            TransportError: an address cannot be listened on, as an :class:`OSError`.
        """
        if self._handle is not None:
            return
        driver = Driver.current()
        library = driver.library
        options = library.new("make engine options", library.engine_options_new)
        out = ctypes.c_void_p()
        try:
            if self._config_file is not None:
                library.checked(
                    f"read {self._config_file}",
                    library.engine_options_load_file,
                    options,
                    self._config_file.encode(),
                )
            for name, value in self._all_settings().items():
                library.checked(
                    f"set {name}",
                    library.engine_options_set,
                    options,
                    name.encode(),
                    value.encode(),
                )
            library.checked(
                "make an engine",
                library.engine_new,
                driver.handle,
                options,
                ctypes.byref(out),
            )
        except BaseException:
            self._remove_state()
            raise
        finally:
            library.engine_options_free(options)
        self._driver = driver
        self._handle = out.value
        driver.acquire()
        try:
            library.checked("start the engine", library.engine_start, self._handle)
        except BaseException:
            await self._close()
            raise
        driver.touch()
        for name in ("address", "host", "ca_file"):
            value = library.engine_info(self._handle, name.encode())
            self._info[name] = optional_text(value)
        port = library.engine_port(self._handle, b"tls")
        self._info["port"] = str(port) if port >= 0 else None

    def _all_settings(self) -> dict[str, str]:
        given = {name: _text(value) for name, value in self._settings.items()}
        if self._config_file is not None:
            return given
        settings = _DEFAULTS | given
        if "certs.static.cert_file" not in settings:
            settings.setdefault("dev.enabled", "true")
        if settings.get("dev.enabled") == "true" and "dev.state_dir" not in settings:
            self._state_dir = tempfile.TemporaryDirectory(prefix="librstream-")
            settings["dev.state_dir"] = self._state_dir.name
        return settings

    async def stop(self) -> None:
        """Stops: listeners close, control channels are told, streams may go on for
        ``timeouts.drain_seconds`` and are then cut."""
        driver, handle = self._driver, self._handle
        if driver is None or handle is None or not driver.is_usable:
            return
        stopped: asyncio.Future[None] = driver.loop.create_future()

        def done() -> None:
            if not stopped.done():
                stopped.set_result(None)

        callbacks = driver.callbacks
        number = callbacks.number_once(done)
        if driver.library.engine_stop(handle, callbacks.stop, number) >= 0:
            driver.touch()
            await stopped
        else:
            callbacks.forget(number)
        await self._close()

    async def _close(self) -> None:
        driver, handle = self._driver, self._handle
        self._driver = self._handle = None
        if driver is None or handle is None:
            return
        try:
            await driver.end(driver.library.engine_close, handle, driver.release)
        finally:
            self._remove_state()

    def _remove_state(self) -> None:
        if self._state_dir is not None:
            self._state_dir.cleanup()
            self._state_dir = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _leave(self) -> None:
        await self.stop()

    # What clients need to know

    def _known(self, name: str) -> str:
        value = self._info.get(name)
        if value is None:
            raise RuntimeError(
                f"the engine has no {name}: it was not started, or is not set up for it",
                code="ERR_RSTREAM_ENGINE_CLOSED",
            )
        return value

    @property
    def address(self) -> str:
        """``host:port``, for the ``engine`` option of clients."""
        return self._known("address")

    @property
    def host(self) -> str:
        """The engine's host name; published tunnels are ``<label>.t.<host>``."""
        return self._known("host")

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._known("port"))

    @property
    def ca_file(self) -> str | None:
        """PEM file of the development CA, while the engine runs; None without one."""
        return self._info.get("ca_file")

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead ``Client.from_env()`` here, in this process
        or another: ``RSTREAM_ENGINE``, and ``RSTREAM_CA_FILE`` with a development CA."""
        variables = {"RSTREAM_ENGINE": self.address}
        if self.ca_file is not None:
            variables["RSTREAM_CA_FILE"] = self.ca_file
        return variables

    def client(self, **options: Any) -> Client:
        """A :class:`librstream.Client` of this engine; options as there. It trusts the
        development CA, and takes neither a token nor a configuration file that this
        machine happens to have."""
        options.setdefault("tls", TLSOptions(ca_file=self.ca_file))
        options.setdefault("read_config_file", False)
        options.setdefault("no_token", "token" not in options)
        return Client(engine=self.address, **options)


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
