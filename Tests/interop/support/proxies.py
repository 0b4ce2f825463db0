# SPDX-License-Identifier: Apache-2.0
"""Proxies from Debian: squid (HTTP CONNECT), dante and microsocks (SOCKS5). And one of our own for what these cannot do."""

import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import pytest
from support.origins import TCPServer
from support.waiting import wait_until

from .closing import Closing

_DANTED = "/usr/sbin/danted"
USER, PASSWORD = "agent", "pass word:%"


class Daemon:
    """A foreign server in the foreground. It is given a port that was free a moment ago, and another when it was not."""

    def __init__(self, directory, start, port=None):
        directory.mkdir(parents=True, exist_ok=True)
        self._log = open(directory / f"{type(self).__name__.lower()}.log", "wb")
        for _ in range(5):
            with socket.socket() as probe:
                # A restarted one gets its port again, though connections of the old one may be closing.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port or 0))
                self.port = probe.getsockname()[1]
            self._process = subprocess.Popen(
                [str(part) for part in start(self.port)], stdout=self._log, stderr=self._log, start_new_session=True
            )
            wait_until(lambda: self._answers() or self._process.poll() is not None, 20, what=f"{self} to listen")
            if self._process.poll() is None:
                return
        raise AssertionError((directory / self._log.name).read_text())

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def end(self):
        """Ends the whole group: dante and squid are several processes."""
        try:
            os.killpg(self._process.pid, 9)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Squid(Daemon):
    def __init__(self, authenticate=False):
        # squid gives up root before it writes, and could not get into a test's own folder then.
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="rstream-squid-"))
        self._directory.chmod(0o777)
        self._authenticate = authenticate
        super().__init__(self._directory, self._start)
        self.url = f"http://127.0.0.1:{self.port}"

    def _start(self, port):
        self.access_log = self._directory / f"access-{port}.log"
        lines = [
            f"http_port 127.0.0.1:{port}",
            "pid_filename none",
            f"access_log stdio:{self.access_log}",
            f"cache_log {self._directory}/cache.log",
            f"coredump_dir {self._directory}",
            "cache deny all",
            "shutdown_lifetime 0 seconds",
            "visible_hostname squid.test",
        ]
        if self._authenticate:
            secret = subprocess.run(
                ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True
            ).stdout
            users = self._directory / "users"
            users.write_text(f"{USER}:{secret}")
            lines += [
                f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}",
                "acl known proxy_auth REQUIRED",
                "http_access allow known",
            ]
        else:
            lines.append("http_access allow localhost")
        lines.append("http_access deny all")
        configuration = self._directory / "squid.conf"
        configuration.write_text("\n".join(lines) + "\n")
        # Each has its own name for the memory that it shares with itself.
        return ["/usr/sbin/squid", "-N", "-n", f"interop{port}", "-f", configuration]

    def end(self):
        # It gives its shared memory back.
        self._process.terminate()
        self._process.wait(20)
        super().end()
        shutil.rmtree(self._directory)

    def targets(self):
        """What was asked for with CONNECT."""
        text = self.access_log.read_text() if self.access_log.exists() else ""
        return [line.split()[6] for line in text.splitlines() if " CONNECT " in line]


class Dante(Daemon):
    def __init__(self, directory, method="none", commands="connect", port=None):
        if not os.path.exists(_DANTED):
            pytest.skip("dante is not here")

        def start(port):
            configuration = directory / "dante" / "danted.conf"
            configuration.write_text(
                f"logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\n"
                f"socksmethod: {method}\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n"
                "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }\n"
                "socks block { from: 0.0.0.0/0 to: 127.0.0.7/32 }\n"
                f"socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: {commands} }}\n"
            )
            return [_DANTED, "-f", configuration, "-N", "1", "-p", directory / "dante" / "pid"]

        super().__init__(directory / "dante", start, port)
        self.url = f"socks5://127.0.0.1:{self.port}"


class Microsocks(Daemon):
    def __init__(self, directory, authenticate=False):
        def start(port):
            credentials = ["-u", USER, "-P", PASSWORD] if authenticate else []
            return ["/usr/bin/microsocks", "-i", "127.0.0.1", "-p", port, *credentials]

        super().__init__(directory / "microsocks", start)
        self.url = f"socks5://127.0.0.1:{self.port}"


class ConnectProxy(Closing):
    """An HTTP proxy that connects wherever it is asked to, by name of the test's own, inside TLS where a context is given.

    `requests` are the heads it was sent.
    """

    def __init__(self, port, tls=None):
        self.requests = []
        self._target = port
        self._server = TCPServer(self._serve, tls=tls)
        self.port = self._server.port

    def _serve(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = near.recv(4096)
            if not piece:
                return
            head += piece
        self.requests.append(head.decode())
        with socket.create_connection(("127.0.0.1", self._target)) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            join(near, far)

    @property
    def peers(self):
        return {peer[0] for peer in self._server.peers}

    def close(self):
        self._server.close()


def join(near, far):
    """Copies both ways until both have ended."""
    back = threading.Thread(target=_copy, args=(far, near), daemon=True)
    back.start()
    _copy(near, far)
    back.join()


def _copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except (OSError, ssl.SSLError):
        pass
