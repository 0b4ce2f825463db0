# SPDX-License-Identifier: Apache-2.0
"""A wire-level engine that is reached over QUIC as well as over TLS, on the same port number."""

import queue

from . import quic, wire
from .fake_engine import FakeEngine


class QUICEngine(FakeEngine):
    """A FakeEngine whose accept() gives QUIC streams, too, each with its first bytes waiting.

    What it does wrong on request: `alpn` (others than the protocol's), `certificate` (another one than TLS has), `retry`,
    `datagrams=False` (none are negotiated), and everything a Connection can do (end(), fall_silent()).
    """

    def __init__(
        self,
        directory,
        names=("localhost",),
        host="127.0.0.1",
        alpn=(wire.ALPN,),
        certificate=None,
        retry=False,
        datagrams=True,
        client_ca=None,
    ):
        self.quic_connections = queue.Queue()
        for _ in range(20):
            super().__init__(directory, names, host, client_ca)
            try:
                self._server = quic.Server(
                    certificate or self.authority.issue(*names),
                    alpn,
                    host=host,
                    port=self.port,
                    on_stream=lambda stream: self.connections.put(wire.Wire(stream)),
                    on_ready=self.quic_connections.put,
                    retry=retry,
                    client_ca=client_ca,
                    max_datagram_frame_size=quic.MAX_DATAGRAM_FRAME if datagrams else None,
                )
                return
            except OSError:
                super().close()  # somebody has the UDP port of this number
        raise AssertionError("found no port that is free for TCP and UDP")

    @property
    def seen(self):
        """How many QUIC connections were begun."""
        return len(self._server.connections)

    @property
    def begun(self):
        """When the first of them was begun."""
        return self._server.begun[0]

    def accept_quic(self, timeout=10.0):
        """The next QUIC connection, its handshake done."""
        try:
            return self.quic_connections.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no QUIC connection within {timeout} s ({self.seen} begun)") from None

    def close(self):
        self._server.close()
        super().close()
