# SPDX-License-Identifier: Apache-2.0
"""QUIC by aioquic, with connections and streams that a test's thread can use as it uses TLS connections."""

import collections
import queue
import ssl
import threading
import time

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch
from cryptography.x509.oid import NameOID

from . import background
from .reading import Reading

# The alert as a QUIC error: RFC 9001, section 4.8.
NO_APPLICATION_PROTOCOL = 0x100 + 120
MAX_DATAGRAM_FRAME = 65535


class QUICClosed(ConnectionError):
    """The connection has ended; `code` is None when it ended by itself (idle, never answered)."""

    def __init__(self, event):
        self.code = event.error_code
        self.frame_type = event.frame_type
        self.reason = event.reason_phrase
        super().__init__(f"the QUIC connection was closed: code {self.code:#x}, {self.reason!r}")


class StreamReset(ConnectionResetError):
    def __init__(self, code):
        self.code = code
        super().__init__(f"the peer reset the stream with code {code}")


class Stream(Reading):
    """One stream; one thread may read while another writes."""

    version = "TLSv1.3"

    def __init__(self, connection, number):
        self.connection = connection
        self.number = number
        self.stopped = None
        self._received = bytearray()
        self._ended = False
        self._failure = None
        self._condition = threading.Condition()

    @property
    def alpn(self):
        return self.connection.alpn

    # -- for the connection, in the loop ---------------------------------------------------------------------------------

    def take(self, data, ended):
        with self._condition:
            self._received += data
            self._ended = self._ended or ended
            self._condition.notify_all()

    def fail(self, failure):
        with self._condition:
            if not self._ended:
                self._failure = self._failure or failure
            self._condition.notify_all()

    def take_stop(self, code):
        with self._condition:
            self.stopped = code
            self._condition.notify_all()

    # -- for the test ----------------------------------------------------------------------------------------------------

    def write(self, data, end=False):
        """Raises BrokenPipeError when the peer has asked for no more."""
        background.call(self._write, bytes(data), end)

    def _write(self, data, end):
        self.connection.raise_if_closed()
        if self.stopped is not None:
            raise BrokenPipeError(f"the peer stopped the stream with code {self.stopped}")
        self.connection.send_stream_data(self.number, data, end)

    def read(self, size=65536, timeout=None):
        """Up to `size` bytes; b"" at the end of the peer's direction."""
        with self._condition:
            if not self._condition.wait_for(
                lambda: self._received or self._ended or self._failure, self._timeout if timeout is None else timeout
            ):
                raise TimeoutError("nothing was received on the stream")
            if self._received:
                data = bytes(self._received[:size])
                del self._received[:size]
                return data
            if self._ended:
                return b""
            raise self._failure

    def wait_stopped(self, timeout=10.0):
        """Waits for the peer's STOP_SENDING and returns its code."""
        with self._condition:
            assert self._condition.wait_for(lambda: self.stopped is not None, timeout), "no STOP_SENDING"
            return self.stopped

    def shutdown_write(self):
        self.write(b"", end=True)

    def reset(self, code):
        """RESET_STREAM: the own direction ends, the other goes on."""
        background.call(self.connection.reset_direction, self.number, code)

    def stop(self, code):
        """STOP_SENDING: the peer is to end its direction."""
        background.call(self.connection.stop_direction, self.number, code)

    def wait_reset(self, timeout=10.0):
        """Waits for the peer's RESET_STREAM and returns its code."""
        with self._condition:
            assert self._condition.wait_for(lambda: self._failure, timeout), "no RESET_STREAM"
        assert isinstance(self._failure, StreamReset), self._failure
        return self._failure.code

    def abort(self, code=0):
        """RESET_STREAM and STOP_SENDING."""
        background.call(self.connection.end_stream, self.number, code, True)

    def close(self):
        """STOP_SENDING with code 0, and FIN."""
        background.call(self.connection.end_stream, self.number, 0, False)


class Connection(QuicConnectionProtocol):
    """One connection. Streams that the peer opens are given to `on_stream` with their first bytes; `on_event` hears of all
    that happens.
    """

    def __init__(self, quic, stream_handler=None, on_stream=None, on_ready=None, on_event=None):
        super().__init__(quic, stream_handler)
        self.alpn = None
        self.datagrams = queue.Queue()
        self.streams = {}
        self.ready = threading.Event()
        self.closed = threading.Event()
        self.closing = None
        self._on_stream = on_stream
        self._on_ready = on_ready
        self._on_event = on_event
        self._silent = False

    # -- in the loop -----------------------------------------------------------------------------------------------------

    def quic_event_received(self, event):
        match event:
            case events.HandshakeCompleted():
                self.alpn = event.alpn_protocol
                self.ready.set()
                if self._on_ready:
                    self._on_ready(self)
            case events.StreamDataReceived():
                self._stream(event.stream_id).take(event.data, event.end_stream)
            case events.StreamReset():
                self._stream(event.stream_id).fail(StreamReset(event.error_code))
            case events.StopSendingReceived():
                self._stream(event.stream_id).take_stop(event.error_code)
            case events.DatagramFrameReceived():
                self.datagrams.put(event.data)
            case events.ConnectionTerminated():
                self.closing = QUICClosed(event)
                for stream in list(self.streams.values()):
                    stream.fail(self.closing)
                self.closed.set()
                self.ready.set()
        if self._on_event:
            self._on_event(self, event)

    def _stream(self, number):
        stream = self.streams.get(number)
        if stream is None:
            stream = self.streams[number] = Stream(self, number)
            if self._on_stream:
                self._on_stream(stream)
        return stream

    def datagram_received(self, data, addr):
        if not self._silent:
            super().datagram_received(data, addr)

    def transmit(self):
        if not self._silent and not self._transport.is_closing():
            super().transmit()

    def send_stream_data(self, number, data, end):
        self._quic.send_stream_data(number, data, end)
        self.transmit()

    def end_stream(self, number, code, reset):
        if self.closed.is_set():
            return
        try:
            self._quic.stop_stream(number, code)
        except ValueError:
            pass  # the peer's direction has ended already
        try:
            if reset:
                self._quic.reset_stream(number, code)
            else:
                self._quic.send_stream_data(number, b"", end_stream=True)
        except (ValueError, RuntimeError):
            pass  # so has this one
        self.transmit()

    def reset_direction(self, number, code):
        self._quic.reset_stream(number, code)
        self.transmit()

    def stop_direction(self, number, code):
        self._quic.stop_stream(number, code)
        self.transmit()

    def raise_if_closed(self):
        if self.closing:
            raise self.closing

    # -- for the test ----------------------------------------------------------------------------------------------------

    @property
    def peer_certificate(self):
        """The common name in it."""
        return self._quic.tls._peer_certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value

    def open_stream(self, unidirectional=False):
        """A new stream; the peer sees it with its first bytes."""

        def make():
            self.raise_if_closed()
            number = self._quic.get_next_available_stream_id(is_unidirectional=unidirectional)
            stream = self.streams[number] = Stream(self, number)
            # So that the next one gets another number.
            self._quic.send_stream_data(number, b"")
            return stream

        return background.call(make)

    def send_datagram(self, *payloads):
        def send():
            self.raise_if_closed()
            for payload in payloads:
                self._quic.send_datagram_frame(payload)
            self.transmit()

        background.call(send)

    def receive_datagram(self, timeout=10.0):
        try:
            return self.datagrams.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no datagram within {timeout} s ({self.closing})") from None

    def wait_ready(self, timeout=10.0):
        """Waits for the end of the handshake; raises QUICClosed when it failed."""
        assert self.ready.wait(timeout), f"no QUIC handshake within {timeout} s"
        self.raise_if_closed()
        return self

    def wait_closed(self, timeout=10.0):
        """Waits for the end of the connection and returns the QUICClosed that tells about it."""
        assert self.closed.wait(timeout), f"the QUIC connection was not closed within {timeout} s"
        return self.closing

    def end(self, code=0, reason="transport closed"):
        """Closes the connection with an application error code."""
        background.call(lambda: self.close(code, reason))

    def ping_peer(self, timeout=10.0):
        background.run(self.ping(), timeout)

    def update_keys(self):
        background.call(self.request_key_update)

    def use_another_id(self):
        """Goes over to another connection id of the peer's, as one does on another path."""
        background.call(self.change_connection_id)

    def send_frames(self, frames):
        """Sends these bytes as the frames of one packet, whatever they mean."""
        background.call(self._send_frames, frames)

    def _send_frames(self, frames):
        quic = self._quic
        self.raise_if_closed()
        builder = QuicPacketBuilder(
            host_cid=quic.host_cid,
            is_client=quic._is_client,
            max_datagram_size=1400,
            packet_number=quic._packet_number,
            peer_cid=quic._peer_cid.cid,
            peer_token=b"",
            quic_logger=None,
            spin_bit=False,
            version=quic._version,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[Epoch.ONE_RTT])
        builder.start_frame(QuicFrameType.PING, len(frames) + 1).push_bytes(frames)
        (datagram,), _ = builder.flush()
        quic._packet_number = builder.packet_number
        self._transport.sendto(datagram, quic._network_paths[0].addr)

    def fall_silent(self):
        """Neither hears nor says anything any more, as after a power failure."""
        self._silent = True


def configuration(is_client, alpn, **options):
    options.setdefault("max_datagram_frame_size", MAX_DATAGRAM_FRAME)
    options.setdefault("idle_timeout", 30.0)
    return QuicConfiguration(is_client=is_client, alpn_protocols=alpn, **options)


class Client:
    """Makes connections to one address, each from a socket of its own."""

    def __init__(self, port, ca_file=None, server_name="localhost", alpn=("rstrm/1",), host="127.0.0.1", **options):
        # As the socket will tell it: aioquic takes answers from nowhere else.
        self._address = (host, port, 0, 0) if ":" in host else (host, port)
        self._configuration = dict(alpn=list(alpn), server_name=server_name, **options)
        self._ca_file = ca_file
        self._connections = collections.deque()

    def connect(self, certificate=None, wait=True, timeout=10.0, on_event=None, **options):
        """A connection whose handshake is done, or fails with QUICClosed; `options` go to aioquic's configuration."""
        settings = configuration(True, **{**self._configuration, **options})
        if self._ca_file:
            settings.load_verify_locations(self._ca_file)
        else:
            settings.verify_mode = ssl.CERT_NONE
        if certificate:
            settings.load_cert_chain(*certificate)

        async def begin():
            _, connection = await background.loop().create_datagram_endpoint(
                lambda: Connection(QuicConnection(configuration=settings), on_event=on_event),
                local_addr=_any(self._address),
            )
            connection.connect(self._address)
            return connection

        connection = background.run(begin())
        self._connections.append(connection)
        return connection.wait_ready(timeout) if wait else connection

    def close(self):
        while self._connections:
            connection = self._connections.pop()
            background.call(_end_of_client, connection)


def _any(address):
    return ("::1" if ":" in address[0] else "127.0.0.1", 0)


def _end_of_client(connection):
    connection.close(0, "transport closed")
    connection._transport.close()


def _ask_for_certificate(quic):
    """aioquic's servers can ask for a certificate, and have no setting for it."""
    initialize = quic._initialize

    def begin(*arguments):
        initialize(*arguments)
        quic.tls._request_client_certificate = True

    quic._initialize = begin


class Server:
    """Listens on a port. `on_ready` hears of connections, `on_stream` of their streams, `on_event` of all that happens.

    `retry` asks every client to prove its address, `client_ca` asks for its certificate.
    """

    def __init__(
        self,
        certificate,
        alpn,
        host="127.0.0.1",
        port=0,
        retry=False,
        on_stream=None,
        on_ready=None,
        on_event=None,
        client_ca=None,
        **options,
    ):
        settings = configuration(False, list(alpn), **options)
        settings.load_cert_chain(*certificate)
        if client_ca:
            settings.load_verify_locations(client_ca)
        self.connections = []
        self.begun = []

        def make(quic, stream_handler=None):
            if client_ca:
                _ask_for_certificate(quic)
            connection = Connection(quic, stream_handler, on_stream, on_ready, on_event)
            self.connections.append(connection)
            self.begun.append(time.monotonic())
            return connection

        async def listen():
            return await background.loop().create_datagram_endpoint(
                lambda: QuicServer(configuration=settings, create_protocol=make, retry=retry), local_addr=(host, port)
            )

        self._transport, self._server = background.run(listen())
        self.port = self._transport.get_extra_info("sockname")[1]

    def close(self):
        background.call(self._server.close)
