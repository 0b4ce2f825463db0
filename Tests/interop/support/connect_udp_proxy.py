# SPDX-License-Identifier: Apache-2.0
"""An HTTP/3 proxy for UDP (RFC 9298) by aioquic."""

import asyncio
import urllib.parse

from aioquic.h3 import events as h3_events
from aioquic.h3.connection import H3Connection, Setting

from . import background, quic
from .closing import Closing

_PACKET = 1452
# What of it is left for a UDP payload. aioquic would hold larger ones back for ever, and all behind them.
_LARGEST = _PACKET - 60
PATH = "/.well-known/masque/udp/"


class _Settings(H3Connection):
    """Says of itself what a test wants."""

    def __init__(self, quic_connection, switches):
        self._switches = switches
        super().__init__(quic_connection)

    def _get_local_settings(self):
        settings = super()._get_local_settings() | dict.fromkeys(self._switches, 1)
        return {name: value for name, value in settings.items() if self._switches.get(name, True)}


def proxy_settings(connection, extended_connect=True, datagrams=True):
    """HTTP/3 for one end of a connection, with the settings that say what a proxy for UDP can do."""
    switches = {Setting.ENABLE_CONNECT_PROTOCOL: extended_connect, Setting.H3_DATAGRAM: datagrams}
    return _Settings(connection._quic, switches)


class ConnectUDPProxy(Closing):
    """Carries UDP to wherever it is asked to, names being this machine. `requests` are the headers it was sent; `carried`
    counts datagrams towards the target and back, `largest` has their largest payloads.

    What it does differently on request: `extended_connect` and `datagrams` False (neither is announced), `status` (its
    answer), `certificate` (another one), `drop` (carries nothing), `mute` (answers nothing), `max_datagram_frame_size` (less than all; None for no
    QUIC datagrams, whatever its HTTP/3 settings say), `port` (a certain one).
    """

    def __init__(
        self,
        authority,
        names=("localhost",),
        certificate=None,
        extended_connect=True,
        datagrams=True,
        status=200,
        drop=False,
        mute=False,
        max_datagram_frame_size=quic.MAX_DATAGRAM_FRAME,
        port=0,
    ):
        self.requests = []
        self.carried = [0, 0]
        self.largest = [0, 0]
        self.status = status
        self.drop = drop
        self.mute = mute
        self._settings = {"extended_connect": extended_connect, "datagrams": datagrams}
        self._targets = []
        self._server = quic.Server(
            certificate or authority.issue(*names),
            ["h3"],
            on_event=self._event,
            port=port,
            max_datagram_size=_PACKET,
            max_datagram_frame_size=max_datagram_frame_size,
        )
        self.port = self._server.port
        self.url = f"https://{names[0]}:{self.port}"

    def _event(self, connection, event):
        if not hasattr(connection, "http"):
            connection.http = proxy_settings(connection, **self._settings)
            connection.flows = {}
        for happened in connection.http.handle_event(event):
            if isinstance(happened, h3_events.HeadersReceived):
                self._request(connection, happened.stream_id, {k.decode(): v.decode() for k, v in happened.headers})
            elif isinstance(happened, h3_events.DatagramReceived) and happened.stream_id in connection.flows:
                self._towards(connection.flows[happened.stream_id], happened.data)
        connection.transmit()

    def _request(self, connection, stream, headers):
        self.requests.append(headers)
        if self.mute:
            return
        good = headers.get(":method") == "CONNECT" and headers.get(":protocol") == "connect-udp"
        path = headers.get(":path", "")
        if not good or not path.startswith(PATH):
            return connection.http.send_headers(stream, [(b":status", b"400")], end_stream=True)
        refused = self.status >= 300
        answer = [(b":status", str(self.status).encode()), (b"capsule-protocol", b"?1")]
        connection.http.send_headers(stream, answer, end_stream=refused)
        if not refused:
            host, port = (urllib.parse.unquote(part) for part in path.removeprefix(PATH).split("/")[:2])
            flow = connection.flows[stream] = _Flow(self, connection, stream)
            target = (host if host[0].isdigit() or ":" in host else "127.0.0.1", int(port))
            background.loop().create_task(flow.open(target))
            self._targets.append(flow)

    def _towards(self, flow, datagram):
        # The context id: 0 are UDP payloads.
        if datagram[:1] == b"\0" and not self.drop:
            self.carried[0] += 1
            self.largest[0] = max(self.largest[0], len(datagram) - 1)
            flow.send(datagram[1:])

    def end_tunnels(self, how):
        """Ends the request of every tunnel, how="fin" or "reset", or with how="close" the connections they are on."""
        background.call(self._end_tunnels, how)

    def _end_tunnels(self, how):
        for connection in self._server.connections:
            if how == "close":
                connection.close(0x100, "going home")
                continue
            for stream in getattr(connection, "flows", {}):
                if how == "fin":
                    connection.send_stream_data(stream, b"", True)
                else:
                    connection.reset_direction(stream, 0x102)

    def close(self):
        self._server.close()
        for flow in self._targets:
            background.call(flow.close)


class _Flow(asyncio.DatagramProtocol):
    """One request's UDP socket."""

    def __init__(self, proxy, connection, stream):
        self._proxy = proxy
        self._connection = connection
        self._stream = stream
        self._transport = None
        self._early = []

    async def open(self, target):
        self._transport, _ = await background.loop().create_datagram_endpoint(lambda: self, remote_addr=target)
        for payload in self._early:
            self._transport.sendto(payload)

    def send(self, payload):
        if self._transport:
            self._transport.sendto(payload)
        else:
            self._early.append(payload)

    def datagram_received(self, data, addr):
        if len(data) > _LARGEST:
            return
        self._proxy.carried[1] += 1
        self._proxy.largest[1] = max(self._proxy.largest[1], len(data))
        self._connection.http.send_datagram(self._stream, b"\0" + data)
        self._connection.transmit()

    def close(self):
        if self._transport:
            self._transport.close()
