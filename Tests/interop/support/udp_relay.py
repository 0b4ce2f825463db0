# SPDX-License-Identifier: Apache-2.0
"""A UDP relay that does to datagrams what networks do: loses, spoils, repeats and overtakes them, falls dark, and
gives a client another address in the middle of a connection.
"""

import asyncio
import random
import threading

from . import background
from .closing import Closing

_REORDER_SECONDS = 0.005


class Direction:
    """What happens to the datagrams that go one way. The shares are between 0 and 1 and may be changed at any time."""

    def __init__(self, seed):
        self.loss = self.corruption = self.duplication = self.reordering = 0.0
        self.keep = lambda datagram: True
        self.datagrams = self.bytes = self.lost = self.spoilt = self.repeated = self.overtaken = 0
        self._random = random.Random(seed)

    def pass_on(self, datagram, send):
        """Calls `send` with what comes out, none, one or two datagrams."""
        chance = self._random.random
        if not self.keep(datagram) or chance() < self.loss:
            self.lost += 1
            return
        if chance() < self.corruption:
            self.spoilt += 1
            place = self._random.randrange(len(datagram))
            datagram = (
                datagram[:place] + bytes([datagram[place] ^ (1 << self._random.randrange(8))]) + datagram[place + 1 :]
            )
        copies = 1
        if chance() < self.duplication:
            self.repeated += 1
            copies = 2
        self.datagrams += 1
        self.bytes += len(datagram)
        if chance() < self.reordering:
            self.overtaken += 1
            background.loop().call_later(_REORDER_SECONDS, send, datagram)
            copies -= 1
        for _ in range(copies):
            send(datagram)


class Path:
    """What one client's address has sent and got."""

    def __init__(self):
        self.upstream = None
        self.bytes_to_server = self.bytes_to_client = 0
        self.validated = False
        self.amplification = 0.0


class UDPRelay(Closing):
    """Listens on a port of its own, or the given one, and carries datagrams to a port and back."""

    def __init__(self, target_port, host="127.0.0.1", port=0, seed=1):
        self.to_server = Direction(seed)
        self.to_client = Direction(seed + 1)
        self.paths = {}
        self.rebindings = 0
        self._target = (host, target_port)
        self._dark = False
        self._forgotten = []
        self._heard = threading.Condition()

        async def listen():
            return await background.loop().create_datagram_endpoint(lambda: _Near(self), local_addr=(host, port))

        self._near, _ = background.run(listen())
        self.port = self._near.get_extra_info("sockname")[1]

    # -- for the test ----------------------------------------------------------------------------------------------------

    def set(self, **shares):
        """The same shares for both directions: set(loss=0.02)."""
        for direction in (self.to_server, self.to_client):
            for name, value in shares.items():
                assert name in ("loss", "corruption", "duplication", "reordering")
                setattr(direction, name, value)
        return self

    def darken(self, seconds=None):
        """Carries nothing any more; for that many seconds, or until lighten()."""
        self._dark = True
        if seconds is not None:
            background.loop().call_soon_threadsafe(background.loop().call_later, seconds, self.lighten)

    def lighten(self):
        self._dark = False

    def rebind(self):
        """From now on the server sees every client at another port."""

        async def change():
            for client, path in list(self.paths.items()):
                old = path.upstream
                path.upstream = await self._open(client)
                # What the server still sends to the old address arrives, as with a NAT that has two mappings.
                self._forgotten.append(old)
            self.rebindings += 1

        background.run(change())

    @property
    def amplification(self):
        """The most a server sent to an address it had not validated, as a multiple of what had come from there."""
        return max((path.amplification for path in self.paths.values()), default=0.0)

    def wait_datagrams(self, count, timeout=10.0):
        """Waits until that many have been given to clients in all."""
        with self._heard:
            assert self._heard.wait_for(lambda: self.to_client.datagrams >= count, timeout), (
                f"{self.to_client.datagrams} datagrams of {count} within {timeout} s"
            )

    def close(self):
        background.call(self._close)

    # -- in the loop -----------------------------------------------------------------------------------------------------

    def _close(self):
        self._near.close()
        for transport in [path.upstream for path in self.paths.values()] + self._forgotten:
            if transport:
                transport.close()

    async def _open(self, client):
        transport, _ = await background.loop().create_datagram_endpoint(
            lambda: _Far(self, client), remote_addr=self._target
        )
        return transport

    def from_client(self, datagram, client):
        path = self.paths.get(client)
        if path is None:
            path = self.paths[client] = Path()
            background.loop().create_task(self._begin(path, datagram, client))
        elif path.upstream:
            self._up(path, datagram)
        # Else the first one is on its way still; a client repeats itself.

    async def _begin(self, path, datagram, client):
        path.upstream = await self._open(client)
        self._up(path, datagram)

    def _up(self, path, datagram):
        if self._dark:
            self.to_server.lost += 1
        else:
            self.to_server.pass_on(datagram, lambda data: self._send_up(path, data))

    def _send_up(self, path, datagram):
        path.bytes_to_server += len(datagram)
        path.validated = path.validated or proves_address(datagram)
        if not path.upstream.is_closing():
            path.upstream.sendto(datagram)

    def from_server(self, datagram, client):
        path = self.paths[client]
        if not path.validated and path.bytes_to_server:
            path.bytes_to_client += len(datagram)
            path.amplification = max(path.amplification, path.bytes_to_client / path.bytes_to_server)
        if self._dark:
            self.to_client.lost += 1
            return
        self.to_client.pass_on(datagram, lambda data: self._near.is_closing() or self._near.sendto(data, client))
        with self._heard:
            self._heard.notify_all()


class _Near(asyncio.DatagramProtocol):
    def __init__(self, relay):
        self._relay = relay

    def datagram_received(self, data, addr):
        self._relay.from_client(data, addr)


class _Far(asyncio.DatagramProtocol):
    def __init__(self, relay, client):
        self._relay = relay
        self._client = client

    def datagram_received(self, data, addr):
        self._relay.from_server(data, self._client)


def proves_address(datagram):
    """Whether a client's QUIC datagram shows the server that its answers arrive: it has a packet with keys that were in
    them, Handshake or 1-RTT. Packets of other kinds may come before that one in the datagram.
    """
    place = 0
    while place < len(datagram):
        first = datagram[place]
        if not first & 0x80:
            return first & 0x40 != 0
        if len(datagram) < place + 7:
            return False
        kind = (first >> 4) & 3
        if kind == 2:
            return True
        place += 5
        for _ in range(2):
            place += 1 + datagram[place] if place < len(datagram) else 1
        if kind == 0:
            length, place = _varint(datagram, place)
            place += length
        length, place = _varint(datagram, place)
        place += length
    return False


def _varint(data, place):
    if place >= len(data):
        return 0, len(data)
    size = 1 << (data[place] >> 6)
    value = int.from_bytes(data[place : place + size], "big") & ((1 << (8 * size - 2)) - 1)
    return value, place + size
