# SPDX-License-Identifier: Apache-2.0
"""A program that has an aioquic server behind a published quic tunnel, without a socket in between: the packets of each
channel are the server's. It says its host name and echoes until its standard input ends.

usage: quic_inside.py ENGINE CA_FILE TRANSPORT ALPN CERTIFICATE KEY
"""

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from librstream import Client, TLSOptions


class Echo(QuicConnectionProtocol):
    def quic_event_received(self, event):
        match event:
            case events.StreamDataReceived():
                self._quic.send_stream_data(event.stream_id, event.data, event.end_stream)
            case events.DatagramFrameReceived():
                self._quic.send_datagram_frame(event.data)
        self.transmit()


async def main(engine, ca_file, transport, alpn, certificate, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=[alpn], max_datagram_frame_size=65535)
    configuration.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    tls = TLSOptions(ca_file=ca_file)
    async with Client(engine=engine, no_token=True, tls=tls, tunnel_transport=transport) as client:
        async with await client.connect() as control:
            tunnel = await control.create_packet_tunnel(publish=True, protocol="quic", tls_alpns=(alpn,))
            print(tunnel.properties.hostname, flush=True)

            async def serve():
                while True:
                    channel = await tunnel.accept()
                    channel.use_protocol(lambda: QuicServer(configuration=configuration, create_protocol=Echo))

            serving = asyncio.create_task(serve())
            await loop.run_in_executor(None, sys.stdin.read)
            serving.cancel()


asyncio.run(main(*sys.argv[1:]))
