# SPDX-License-Identifier: Apache-2.0
"""SCTP by usrsctp, its packets in UDP packets as they are: a server that echoes, and a client."""

import ctypes
import functools
import itertools
import socket
import struct
import subprocess
import sys
import threading

_AF_CONN, _SOCK_STREAM, _IPPROTO_SCTP = 123, socket.SOCK_STREAM, 132
_SERVER_PORT, _CLIENT_PORT = 5000, 5001
_NO_INFO = 0
# What one end is for the library, which calls back with it when it has a packet to send.
_ends = {}
_keys = itertools.count(1)


class _Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16), ("addr", ctypes.c_void_p)]


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint8, ctypes.c_uint8)
def _output(key, packet, length, _tos, _dont_fragment):
    end = _ends.get(key)
    if end:
        end.send_packet(ctypes.string_at(packet, length))
    return 0


@functools.cache
def _library():
    library = ctypes.CDLL("libusrsctp.so.2", use_errno=True)
    for name in ("usrsctp_socket", "usrsctp_accept"):
        getattr(library, name).restype = ctypes.c_void_p
    library.usrsctp_recvv.restype = library.usrsctp_sendv.restype = ctypes.c_ssize_t
    library.usrsctp_init(0, _output, None)
    return library


def _check(result):
    if result is None or result < 0:
        raise OSError(ctypes.get_errno(), "SCTP: " + str(OSError(ctypes.get_errno())))
    return result


class _End:
    """One end of associations on a UDP socket, with a thread that gives its packets to the library from begin() on."""

    def __init__(self, packets, port):
        self._library = _library()
        self._packets = packets
        self._key = next(_keys)
        self._peer = None
        _ends[self._key] = self
        self._library.usrsctp_register_address(ctypes.c_void_p(self._key))
        made = self._library.usrsctp_socket(_AF_CONN, _SOCK_STREAM, _IPPROTO_SCTP, None, None, 0, None)
        self._socket = ctypes.c_void_p(_check(made))
        _check(self._library.usrsctp_bind(self._socket, *self._address(port)))

    def begin(self):
        threading.Thread(target=self._receive, daemon=True).start()

    def _address(self, port):
        address = _Address(_AF_CONN, socket.htons(port), self._key)
        return ctypes.byref(address), ctypes.sizeof(address)

    def _receive(self):
        while True:
            try:
                packet, peer = self._packets.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if peer is None:
                return
            self._peer = peer
            self._library.usrsctp_conninput(ctypes.c_void_p(self._key), packet, ctypes.c_size_t(len(packet)), 0)

    def send_packet(self, packet):
        try:
            self._packets.sendto(packet, self._peer)
        except OSError:
            pass  # lost, as packets are

    def _send(self, target, data):
        sent = self._library.usrsctp_sendv(target, data, ctypes.c_size_t(len(data)), None, 0, None, 0, _NO_INFO, 0)
        assert _check(sent) == len(data)

    def _read(self, source):
        buffer = ctypes.create_string_buffer(65536)
        size, kind, flags = ctypes.c_uint32(0), ctypes.c_uint(0), ctypes.c_int(0)
        length = self._library.usrsctp_recvv(
            source, buffer, ctypes.c_size_t(len(buffer)), None, None, None,
            ctypes.byref(size), ctypes.byref(kind), ctypes.byref(flags),
        )  # fmt: skip
        return buffer.raw[: _check(length)]

    def close(self):
        # An ABORT goes out at once; a SHUTDOWN would wait for what is not acknowledged yet.
        linger = struct.pack("ii", 1, 0)
        _check(self._library.usrsctp_setsockopt(self._socket, socket.SOL_SOCKET, socket.SO_LINGER, linger, len(linger)))
        self._library.usrsctp_close(self._socket)
        self._library.usrsctp_deregister_address(ctypes.c_void_p(self._key))
        del _ends[self._key]
        try:
            self._packets.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._packets.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Server(_End):
    def __init__(self, packets):
        super().__init__(packets, _SERVER_PORT)
        _check(self._library.usrsctp_listen(self._socket, 1))

    def serve(self):
        """Echoes the messages of one association after the other."""
        self.begin()
        while True:
            accepted = ctypes.c_void_p(_check(self._library.usrsctp_accept(self._socket, None, None)))
            try:
                while message := self._read(accepted):
                    self._send(accepted, message)
            except OSError:
                pass  # the peer is gone
            self._library.usrsctp_close(accepted)


class SCTPServer:
    """Echoes messages. A process, for the library locks itself up when a socket is closed that a thread reads."""

    def __init__(self):
        with socket.socket(type=socket.SOCK_DGRAM) as packets:
            packets.bind(("127.0.0.1", 0))
            self.port = packets.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
            number = packets.fileno()
            self._process = subprocess.Popen([sys.executable, __file__, str(number)], pass_fds=[number])

    def close(self):
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SCTPClient(_End):
    """An association to a server whose packets go to this UDP port. It is made by connect()."""

    def __init__(self, port):
        packets = socket.socket(type=socket.SOCK_DGRAM)
        packets.connect(("127.0.0.1", port))
        super().__init__(packets, _CLIENT_PORT)
        self.begin()

    def send_packet(self, packet):
        try:
            self._packets.send(packet)
        except OSError:
            pass

    def connect(self):
        _check(self._library.usrsctp_connect(self._socket, *self._address(_SERVER_PORT)))
        return self

    def exchange(self, message):
        """Sends a message on stream 0 and returns the next that comes."""
        self._send(self._socket, message)
        return self._read(self._socket)


if __name__ == "__main__":
    _Server(socket.socket(fileno=int(sys.argv[1]))).serve()
