# SPDX-License-Identifier: Apache-2.0
"""A UDP relay for one client that sees the ECN marks of the datagrams it carries (RFC 3168), and keeps or removes them."""

import selectors
import socket
import struct
import threading

from .closing import Closing

ECT0 = 2


class MarkingRelay(Closing):
    """`to_server` and `to_client` are the marks in the order in which they came."""

    def __init__(self, target_port, keeps):
        self.to_server = []
        self.to_client = []
        self._keeps = keeps
        self._near = self._socket()
        self._near.bind(("127.0.0.1", 0))
        self.port = self._near.getsockname()[1]
        self._far = self._socket()
        self._far.connect(("127.0.0.1", target_port))
        self._client = None
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _socket(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        return sock

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for each in (self._near, self._far, self._woken):
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    try:
                        self._carry(key.fileobj)
                    except ConnectionRefusedError:
                        pass  # what the other end of a connection that has ended says

    def _carry(self, source):
        data, ancillary, _, sender = source.recvmsg(65536, 100)
        mark = next((value[0] for _, kind, value in ancillary if kind == socket.IP_TOS), 0) & 3
        kept = [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", mark))] if self._keeps else []
        if source is self._near:
            self._client = sender
            self.to_server.append(mark)
            self._far.sendmsg([data], kept)
        else:
            self.to_client.append(mark)
            self._near.sendmsg([data], kept, 0, self._client)

    def close(self):
        self._wake.close()
        self._thread.join()
        for each in (self._near, self._far, self._woken):
            each.close()
