# SPDX-License-Identifier: Apache-2.0
"""A SOCKS5 proxy (RFC 1928) that wants user name and password (RFC 1929) and relays UDP, of the tests' own: dante knows
the users of the system only, and microsocks no UDP.
"""

import asyncio
import socket
import struct

from . import background
from .closing import Closing

_NO_METHOD, _PASSWORD = 0xFF, 2
_UDP_ASSOCIATE = 3


class SOCKS5UDPProxy(Closing):
    """Names are this machine. `associations` counts the relays that were asked for."""

    def __init__(self, user, password):
        self.associations = 0
        self._user, self._password = user.encode(), password.encode()
        self._relays = []
        self._server = background.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"socks5://127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        try:
            await self._negotiate(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def _negotiate(self, reader, writer):
        methods = await self._field(reader, skip=1)
        if _PASSWORD not in methods:
            return writer.write(bytes([5, _NO_METHOD]))
        writer.write(bytes([5, _PASSWORD]))
        user, password = await self._field(reader, skip=1), await self._field(reader)
        if (user, password) != (self._user, self._password):
            return writer.write(bytes([1, 1]))
        writer.write(bytes([1, 0]))
        _, command, _, kind = await reader.readexactly(4)
        if kind == 3:
            await self._field(reader)
        else:
            await reader.readexactly(4 if kind == 1 else 16)
        await reader.readexactly(2)
        if command != _UDP_ASSOCIATE:
            return writer.write(bytes([5, 7, 0, 1]) + bytes(6))
        self.associations += 1
        relay, _ = await background.loop().create_datagram_endpoint(_Relay, local_addr=("127.0.0.1", 0))
        self._relays.append(relay)
        host, port = relay.get_extra_info("sockname")
        writer.write(bytes([5, 0, 0, 1]) + socket.inet_aton(host) + struct.pack(">H", port))
        # The relay lives as long as this connection.
        await reader.read()
        relay.close()

    @staticmethod
    async def _field(reader, skip=0):
        """Bytes behind their count, and that behind others."""
        count = (await reader.readexactly(skip + 1))[skip]
        return await reader.readexactly(count)

    def close(self):
        background.call(self._close)

    def _close(self):
        self._server.close()
        for relay in self._relays:
            relay.close()


class _Relay(asyncio.DatagramProtocol):
    """Tells the client from its targets by the header that only a client sends."""

    def __init__(self):
        self._client = None
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        if self._client in (None, addr):
            self._client = addr
            target, payload = self._unpack(data)
            self._transport.sendto(payload, target)
        else:
            header = bytes([0, 0, 0, 1]) + socket.inet_aton(addr[0]) + struct.pack(">H", addr[1])
            self._transport.sendto(header + data, self._client)

    @staticmethod
    def _unpack(data):
        if data[3] == 3:
            end = 5 + data[4]
            host = "127.0.0.1"
        else:
            end = 8
            host = socket.inet_ntoa(data[4:8])
        (port,) = struct.unpack(">H", data[end : end + 2])
        return (host, port), data[end + 2 :]
