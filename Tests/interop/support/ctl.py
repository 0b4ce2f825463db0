# SPDX-License-Identifier: Apache-2.0
"""rstreamctl's three commands as processes under test."""

import http.client
import itertools
import json
import signal
import socket
import subprocess
import urllib.parse

from .fake_client import FakeClient
from .process import Program, build_product, clean_environment
from .quic_client import QUICClient
from .tls import client_context, tls_connect

_numbers = itertools.count(1)


def unique(stem="tunnel"):
    """A tunnel name that no other test of this process uses."""
    return f"{stem}-{next(_numbers)}"


class ClientOptions:
    """Stands for an engine where a test wants client options of its own."""

    def __init__(self, *options):
        self._options = [str(option) for option in options]

    def client_options(self, token=None):
        return self._options + (["--token", token] if token else [])


class Engine(Program):
    """`rstreamctl engine`, in development mode unless told otherwise, on a free port of this machine."""

    def __init__(self, directory, dev=True, settings=(), arguments=(), prefix=(), environment=None, log_level="info"):
        directory.mkdir(parents=True, exist_ok=True)
        command = [*prefix, build_product("rstreamctl"), "engine", "--json", "--listen", "127.0.0.1:0"]
        if dev:
            command += ["--dev", "--state-dir", directory / "state"]
        command += ["--set", f"engine.log_level={log_level}"]
        for name, value in dict(settings).items():
            command += ["--set", f"{name}={value}"]
        super().__init__(
            [*command, *arguments],
            directory / f"engine-{next(_numbers)}.log",
            environment=environment or clean_environment(HOME=directory),
        )
        self.settings = dict(settings)
        self.listening = self.wait_line(event="listening")
        self.address = self.listening["address"]
        self.host = self.listening["host"]
        self.port = self.listening["port"]
        self.ca_file = self.listening["ca_file"]
        self._clients = []

    def end(self, number=signal.SIGTERM, timeout=20.0, expect=0):
        for client in self._clients:
            client.close()
        code = super().end(number, timeout, expect)
        if number == signal.SIGTERM and expect == 0:
            assert {"event": "stopped"} in self.lines, self.describe()
        return code

    # -- peers of this engine ----------------------------------------------------------------------------------------

    def fake_client(self, **options):
        client = FakeClient(self.port, self.ca_file, self.host, **options)
        self._clients.append(client)
        return client

    def quic_client(self, port=None, **options):
        client = QUICClient(port or self.port, self.ca_file, self.host, **options)
        self._clients.append(client)
        return client

    def client_options(self, token=None):
        options = ["--engine", self.address, "--ca-file", self.ca_file]
        return options + (["--token", token] if token else [])

    # -- consumers ---------------------------------------------------------------------------------------------------

    def tunnel_host(self, hostname):
        return hostname if "." in hostname else f"{hostname}.t.{self.host}"

    def tls(self, server_name=None, alpn=None, **options):
        """A verified TLS connection with that name, to a published tunnel or the engine itself."""
        return tls_connect(self.port, server_name or self.host, client_context(self.ca_file, alpn), **options)

    def http(self, server_name=None, timeout=15.0):
        """An HTTP/1.1 connection (http.client) that verifies the certificate of `server_name`."""
        return HTTPSConnection(self.port, server_name or self.host, self.ca_file, timeout)

    def api(self, path, params=None, token=None, headers=None):
        """GETs an engine API route: (status, body decoded from JSON where it is JSON)."""
        query = (
            ""
            if params is None
            else "?params=" + urllib.parse.quote(params if isinstance(params, str) else json.dumps(params))
        )
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = self.http()
        try:
            connection.request("GET", path + query, headers=headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.headers.get_content_type() == "application/json":
            body = json.loads(body)
        return response.status, body

    def tunnels(self, token=None, **filters):
        status, body = self.api("/api/tunnels", {"filters": filters} if filters else None, token)
        assert status == 200, (status, body)
        return body

    def clients(self, token=None, **filters):
        status, body = self.api("/api/clients", {"filters": filters} if filters else None, token)
        assert status == 200, (status, body)
        return body


class HTTPSConnection(http.client.HTTPSConnection):
    """Connects to 127.0.0.1 whatever the name is, so that no resolver is asked."""

    def __init__(self, port, server_name, ca_file, timeout):
        super().__init__(server_name, port, timeout=timeout, context=client_context(ca_file))

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


class Forward(Program):
    """`rstreamctl forward` towards an Engine, a FakeEngine or ClientOptions."""

    def __init__(
        self, directory, engine, target, name=None, arguments=(), environment=None, online=True, token=None, prefix=()
    ):
        directory.mkdir(parents=True, exist_ok=True)
        command = [*prefix, build_product("rstreamctl"), "forward", target, "--json"]
        command += engine.client_options(token)
        if name:
            command += ["--name", name]
        super().__init__(
            [*command, *arguments],
            directory / f"forward-{next(_numbers)}.log",
            environment=environment or clean_environment(HOME=directory),
        )
        self.engine = engine
        self.tunnel = self.wait_line(status="online") if online else None

    @property
    def host(self):
        """Host name of the published tunnel."""
        return self.tunnel["hostname"]

    def opened(self, timeout=10.0):
        return self.wait_line(timeout, event="opened")

    def closed(self, timeout=10.0):
        return self.wait_line(timeout, event="closed")


class Dial(Program):
    """`rstreamctl dial`, on a local port (listen=True) or on standard input and output."""

    def __init__(self, directory, engine, name, listen=True, arguments=(), environment=None, token=None):
        directory.mkdir(parents=True, exist_ok=True)
        command = [build_product("rstreamctl"), "dial", name, *engine.client_options(token)]
        if listen:
            command += ["--listen", "127.0.0.1:0", "--json"]
        super().__init__(
            [*command, *arguments],
            directory / f"dial-{next(_numbers)}.log",
            json_lines=listen,
            environment=environment or clean_environment(HOME=directory),
            stdin=subprocess.DEVNULL if listen else subprocess.PIPE,
        )
        self.tunnel = self.port = None
        if listen:
            self.port = int(self.wait_line(event="listening")["address"].rsplit(":", 1)[1])
