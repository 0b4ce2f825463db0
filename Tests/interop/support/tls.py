# SPDX-License-Identifier: Apache-2.0
"""TLS over a plain socket, with the endings that ssl.SSLSocket does not offer.

ssl.SSLSocket cannot end one direction only, nor end without close_notify. This class keeps the TLS engine in memory and
moves the records itself, so that a test decides what leaves in which segment and how a connection ends.
"""

import select
import socket
import ssl
import struct
import threading
import time

from .reading import Reading


class TLSStream(Reading):
    """A blocking TLS stream; one thread may read while another writes."""

    def __init__(self, sock, context, server_side=False, server_hostname=None, session=None):
        self.sock = sock
        sock.setblocking(False)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._decrypted = bytearray()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else server_hostname,
            session=session,
        )

    # -- handshake ---------------------------------------------------------------------------------------------------

    def client_hello(self):
        """The bytes of the ClientHello, not sent: for tests that cut it into pieces."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def handshake(self, timeout=10.0):
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_pending()
                if not self._fill(deadline):
                    raise ConnectionError("the peer closed the connection during the TLS handshake") from None
            except ssl.SSLError:
                self._send_pending()
                raise
        self._send_pending()
        return self

    @property
    def alpn(self):
        return self._tls.selected_alpn_protocol()

    @property
    def version(self):
        return self._tls.version()

    @property
    def cipher(self):
        return self._tls.cipher()[0]

    @property
    def session(self):
        return self._tls.session

    @property
    def session_reused(self):
        return self._tls.session_reused

    def peer_certificate(self):
        return self._tls.getpeercert()

    # -- bytes -------------------------------------------------------------------------------------------------------

    def encrypt(self, data):
        """Turns data into records without sending them."""
        with self._lock:
            if data:
                self._tls.write(data)
            return self._outgoing.read()

    def write(self, data):
        self._send(self.encrypt(data))

    def read(self, size=65536, timeout=None):
        """Up to `size` bytes; b"" at the end of the peer's direction. A missing close_notify counts as an end, too."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            with self._lock:
                if self._decrypted:
                    data = bytes(self._decrypted[:size])
                    del self._decrypted[:size]
                    return data
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            if not self._fill(deadline):
                return b""

    # -- endings -----------------------------------------------------------------------------------------------------

    def close_notify(self):
        """Ends the own direction: close_notify only, the TCP connection stays open both ways."""
        with self._lock:
            # unwrap() goes on to look for the peer's close_notify, and fails on data that came before that.
            try:
                while data := self._tls.read(65536):
                    self._decrypted += data
            except ssl.SSLError:
                pass
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass
            data = self._outgoing.read()
        self._send(data)

    def shutdown_write(self):
        """Ends the own direction as most TLS stacks do: close_notify and FIN."""
        self.close_notify()
        self.sock.shutdown(socket.SHUT_WR)

    def fin(self):
        """Ends the own direction with a bare FIN, without close_notify."""
        self.sock.shutdown(socket.SHUT_WR)

    def abort(self):
        """Resets the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The end of reading is seen by no peer.
        self._close(socket.SHUT_RD)

    def close(self):
        try:
            self.close_notify()
        except OSError:
            pass
        self._close(socket.SHUT_RDWR)

    def _close(self, shut_down):
        # A thread that polls the socket keeps it open and may find its descriptor used anew: it has to leave first, and
        # only a shutdown wakes it.
        try:
            self.sock.shutdown(shut_down)
        except OSError:
            pass
        with self._reading:
            self.sock.close()

    # -- records -----------------------------------------------------------------------------------------------------

    # The socket is non-blocking and waited for with poll: a socket timeout would be shared by reader and writer.

    def _send_pending(self):
        with self._lock:
            data = self._outgoing.read()
        self._send(data)

    def _send(self, data):
        deadline = time.monotonic() + self._timeout
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline, "the peer did not take the bytes in time")

    def _fill(self, deadline):
        with self._reading:
            while True:
                try:
                    data = self.sock.recv(65536)
                    break
                except BlockingIOError:
                    self._wait(select.POLLIN, deadline, "nothing arrived in time")
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        return bool(data)

    def _wait(self, event, deadline, complaint):
        poll = select.poll()
        poll.register(self.sock, event)
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(remaining * 1000):
            raise TimeoutError(complaint)


def client_context(ca_file=None, alpn=None, verify=True, certificate=None):
    """A TLS 1.3 or 1.2 client context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca_file:
        context.load_verify_locations(ca_file)
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def tls_connect(port, server_name, context, session=None, timeout=10.0, host="127.0.0.1"):
    """A TLS connection to a port of this machine that asks for `server_name`."""
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return TLSStream(sock, context, server_hostname=server_name, session=session).handshake(timeout)
    except BaseException:
        sock.close()
        raise
