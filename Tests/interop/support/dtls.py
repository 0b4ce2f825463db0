# SPDX-License-Identifier: Apache-2.0
"""DTLS by OpenSSL: a client and a server, each for one association on a UDP socket; the server echoes, or it and the
client carry the packets of other UDP sockets."""

import select
import socket
import subprocess
import threading
import time

import pytest
from OpenSSL import SSL

_MTU = 1200
_RESEND_SECONDS = 0.3

_offered = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", "ECDHE+AESCCM"], capture_output=True, text=True).stdout
# For what is about AES-CCM-8.
short_tags = pytest.mark.skipif("CCM8" not in _offered, reason="OpenSSL's security level allows no tags of 8 bytes")


class DTLSEnd:
    """One end of an association. Blocking; for one thread."""

    def __init__(self, packets, context, closed=None):
        self._packets = packets
        self.closed = closed or threading.Event()
        self.tls = SSL.Connection(context, None)
        self.tls.set_ciphertext_mtu(_MTU)

    @property
    def alpn(self):
        return self.tls.get_alpn_proto_negotiated().decode()

    def _step(self, operation, timeout=10.0):
        """Calls until it succeeds, moving packets meanwhile, and repeating ours when the peer says nothing."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                result = operation()
                self._flush()
                return result
            except SSL.WantReadError:
                self._flush()
            if time.monotonic() > deadline:
                raise TimeoutError("the DTLS peer did not answer")
            if self.closed.is_set():
                raise ConnectionError("closed by another thread")
            self._packets.settimeout(_RESEND_SECONDS)
            try:
                packet = self._packets.recv(65536)
            except TimeoutError:
                self.tls.DTLSv1_handle_timeout()
                continue
            except ConnectionRefusedError:
                continue  # nobody listened for an earlier packet
            self.tls.bio_write(packet)

    def _flush(self):
        try:
            data = self.tls.bio_read(1 << 20)
        except SSL.WantReadError:
            return
        while data:
            # Every record is a packet of its own: its length is behind a header of eleven bytes.
            end = 13 + int.from_bytes(data[11:13], "big")
            self._packets.send(data[:end])
            data = data[end:]

    def shake_hands(self):
        self._step(self.tls.do_handshake)
        return self

    def write(self, data):
        self._step(lambda: self.tls.send(data))

    def read(self, timeout=10.0):
        return self._step(lambda: self.tls.recv(65536), timeout)

    def carry(self, plain, peer=None):
        """Carries packets between the association and a UDP socket, whose peer may be the one that its first comes from."""
        self._packets.setblocking(False)
        plain.setblocking(False)
        while not self.closed.is_set():
            select.select([self._packets, plain], [], [], _RESEND_SECONDS)
            try:
                while True:
                    data, peer = plain.recvfrom(65536)
                    self.tls.send(data)
                    self._flush()
            except (BlockingIOError, ConnectionRefusedError):
                pass
            try:
                while True:
                    self.tls.bio_write(self._packets.recv(65536))
                    while data := self._take():
                        plain.sendto(data, peer)
            except (BlockingIOError, ConnectionRefusedError):
                pass

    def _take(self):
        try:
            return self.tls.recv(65536)
        except SSL.WantReadError:
            return b""

    def notify_close(self):
        self.tls.shutdown()
        self._flush()

    def close(self):
        self._packets.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Bridge:
    """A UDP port whose packets travel in an association, which is made at once: the first sender's, and back to it."""

    def __init__(self, *arguments, **options):
        self._end = connect(*arguments, **options)
        self.alpn = self._end.alpn
        self._plain = socket.socket(type=socket.SOCK_DGRAM)
        self._plain.bind(("127.0.0.1", 0))
        self.port = self._plain.getsockname()[1]
        self._thread = threading.Thread(target=self._end.carry, args=(self._plain,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end.closed.set()
        self._thread.join(5)
        self._end.close()
        self._plain.close()


def connect(port, ca_file, alpn, server_name="localhost", host="127.0.0.1"):
    """A verified association, its handshake done."""
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.load_verify_locations(ca_file)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_protos([alpn.encode()])
    packets = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    packets.connect((host, port))
    end = DTLSEnd(packets, context)
    end.tls.set_tlsext_host_name(server_name.encode())
    end.tls.set_connect_state()
    return end.shake_hands()


class DTLSServer:
    """Echoes what comes from its first client, or carries it to a local UDP port."""

    def __init__(self, certificate, key, alpn, target=None):
        self._target = target
        self._context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        self._context.use_certificate_chain_file(certificate)
        self._context.use_privatekey_file(key)
        self._context.set_alpn_select_callback(lambda _, offered: alpn.encode() if alpn.encode() in offered else b"")
        self._packets = socket.socket(type=socket.SOCK_DGRAM)
        self._packets.bind(("127.0.0.1", 0))
        self.port = self._packets.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        try:
            _, peer = self._packets.recvfrom(65536, socket.MSG_PEEK)
            if peer is None:
                return
            self._packets.connect(peer)
            end = DTLSEnd(self._packets, self._context, self._closed)
            end.tls.set_accept_state()
            end.shake_hands()
            if self._target:
                with socket.socket(type=socket.SOCK_DGRAM) as plain:
                    end.carry(plain, ("127.0.0.1", self._target))
            while True:
                end.write(end.read(60))
        except (OSError, SSL.Error):
            pass  # the test is over

    def close(self):
        self._closed.set()
        # Wakes a thread that waits for the first packet.
        try:
            self._packets.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(5)
        self._packets.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
