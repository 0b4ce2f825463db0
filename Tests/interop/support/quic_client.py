# SPDX-License-Identifier: Apache-2.0
"""A wire-level client over QUIC: what FakeClient is over TLS, every stream on one connection."""

from . import quic, wire
from .fake_client import FakeClient


class QUICClient(FakeClient):
    def __init__(self, port, ca_file, server_name="localhost", token=None, host="127.0.0.1", **options):
        super().__init__(port, ca_file, server_name, token)
        self.quic = quic.Client(port, ca_file, server_name, [wire.ALPN], host, **options)
        self._connection = None

    @property
    def connection(self):
        """The connection, made when it is first needed."""
        if self._connection is None:
            self._connection = self.quic.connect()
            assert self._connection.alpn == wire.ALPN
        return self._connection

    def connect(self, timeout=10.0):
        """A new stream with nothing sent on it yet; the engine does not know of it before something is."""
        return self._keep(wire.Wire(self.connection.open_stream()))

    def accept_channel(self, control, tunnel_id=None, timeout=10.0):
        """Answers a ProxyConnReq with a channel of QUIC datagrams."""
        request = control.next_request(timeout, tunnel_id)
        control.send(wire.proxy_conn_rsp(request.stream_id))
        return Channel(self.connection, request.stream_id)

    def ask_for_channel(self, name):
        """Dials a datagram tunnel; returns the stream that the answer will come on."""
        stream = self.connect()
        stream.send(wire.stream_req(name, False, self.token, datagram_channel=True))
        return stream

    def dialed_channel(self, stream, timeout=10.0):
        """The channel that was dialed, held by that stream. Raises wire.Refused."""
        response = stream.expect("stream_rsp", timeout)
        if response.WhichOneof("payload") == "error":
            raise wire.Refused(response.error)
        return Channel(self.connection, response.stream_id)

    def close(self):
        super().close()
        self.quic.close()


class Channel:
    """Packets of one channel id. A test that has several on one connection takes the datagrams from that itself."""

    def __init__(self, connection, stream_id):
        self.connection = connection
        self.stream_id = stream_id
        self.id = wire.channel_id(stream_id)

    def send(self, *packets):
        self.connection.send_datagram(*(self.id + packet for packet in packets))

    def receive(self, timeout=10.0):
        datagram = self.connection.receive_datagram(timeout)
        assert datagram[:12] == self.id, f"a datagram of another channel: {datagram[:12].hex()}"
        return datagram[12:]
