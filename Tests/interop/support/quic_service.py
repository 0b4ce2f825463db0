# SPDX-License-Identifier: Apache-2.0
"""A QUIC service of aioquic's, as it stands behind a published quic tunnel."""

import queue

from . import quic
from .certificates import self_signed

ALPN = "rstream-quic-echo"


class QUICService:
    """Echoes streams and datagrams. A test that wants the streams for itself switches `echoes` off and takes them."""

    def __init__(self, directory, alpn=(ALPN,), key=None, **options):
        self.echoes = True
        self.streams = queue.Queue()
        self.server = quic.Server(
            self_signed(directory, key), alpn, on_event=self._happened, on_stream=self._opened, **options
        )
        self.address = f"127.0.0.1:{self.server.port}"

    @property
    def connections(self):
        return self.server.connections

    @property
    def connection(self):
        """The one that has come last."""
        return self.server.connections[-1]

    def _opened(self, stream):
        if not self.echoes:
            self.streams.put(stream)

    def _happened(self, connection, event):
        if not self.echoes:
            return
        match event:
            case quic.events.StreamDataReceived() if event.stream_id & 2 == 0:
                connection.send_stream_data(event.stream_id, event.data, event.end_stream)
            # aioquic tries a datagram that fits no packet again and again, and sends none behind it.
            case quic.events.DatagramFrameReceived() if len(event.data) <= connection._quic._max_datagram_size - 60:
                connection._quic.send_datagram_frame(event.data)

    def accept(self, timeout=10.0):
        """The next stream that a client has opened."""
        return self.streams.get(timeout=timeout)

    def close(self):
        self.server.close()
