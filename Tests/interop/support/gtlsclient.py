# SPDX-License-Identifier: Apache-2.0
"""gtlsclient, the client that comes with ngtcp2, with the protocol it is to offer. It tells all that it does."""

import os
import subprocess
import threading

from .closing import Closing
from .preload import preload


def download(port, server_name, paths, folder, timeout=60):
    """Fetches paths over HTTP/3 into a folder; returns what gtlsclient said."""
    urls = [f"https://{server_name}:{port}/{path}" for path in paths]
    command = ["gtlsclient", "-q", "--exit-on-all-streams-close", f"--download={folder}", "127.0.0.1", str(port), *urls]
    environment = {**os.environ, "LD_PRELOAD": str(preload("sni")), "RSTREAM_SNI": server_name}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, timeout=timeout
    )
    return done.stdout


class GTLSClient(Closing):
    """Connects and stays until close(). `lines` is what it says, about every packet and frame."""

    def __init__(self, port, *options, alpn="rstrm/1", server_name="localhost", host="127.0.0.1", target=()):
        libraries = f"{preload('alpn')}:{preload('sni')}"
        environment = {**os.environ, "LD_PRELOAD": libraries, "RSTREAM_ALPN": alpn, "RSTREAM_SNI": server_name}
        command = ["gtlsclient", *options, "--no-quic-dump", host, str(port), *target]
        self.lines = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        )
        self._condition = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._condition:
                self.lines.append(line.rstrip("\n"))
                self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def wait_line(self, *parts, after=0, timeout=10.0):
        """Waits for a line that has all these parts and comes after that many lines; returns how many came up to it."""

        def place():
            return next(
                (n for n, line in enumerate(self.lines[after:], after + 1) if all(part in line for part in parts)), None
            )

        with self._condition:
            self._condition.wait_for(lambda: place() or self._ended, timeout)
            found = place()
        assert found, f"gtlsclient said nothing of {parts}\n" + "\n".join(self.lines[-60:])
        return found

    def close(self):
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._process.stdout.close()
