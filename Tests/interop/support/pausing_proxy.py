# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy whose path can be interrupted: while paused nothing passes in either direction and nothing is closed."""

import select
import socket
import threading

from .closing import Closing, close_listener


class PausingProxy(Closing):
    def __init__(self, port, host="127.0.0.1"):
        self._target = (host, port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets = []
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def pause(self):
        self._flowing.clear()

    def resume(self):
        self._flowing.set()

    def cut(self):
        """Ends every connection that goes through."""
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        self._flowing.wait()
        try:
            far = socket.create_connection(self._target, timeout=10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self._sockets += [near, far]
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._copy, args=(near, far), daemon=True).start()
        threading.Thread(target=self._copy, args=(far, near), daemon=True).start()

    def _copy(self, source, target):
        try:
            while True:
                # What arrived during a pause stays in the kernel: both ends see a slow path, not a closed one.
                select.select([source], [], [])
                self._flowing.wait()
                data = source.recv(65536)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
        except (OSError, ValueError):
            for sock in (source, target):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.resume()
        close_listener(self._listener)
        self.cut()
