# SPDX-License-Identifier: Apache-2.0
"""A network of the test's own: a loopback device that carries no longer packets than others do. Takes root."""

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFMTU = 0x8913, 0x8914, 0x8922
_IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _check(status):
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class SmallNetwork:
    """What this thread opens and starts from now on is there, until `close`."""

    def __init__(self, mtu):
        self._old = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(_CLONE_NEWNET))
        except OSError:
            os.close(self._old)
            raise
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:

            def ask(request, value):
                return fcntl.ioctl(any_socket, request, struct.pack("16s16s", b"lo", value))

            ask(_SIOCSIFMTU, struct.pack("i", mtu))
            (flags,) = struct.unpack_from("h", ask(_SIOCGIFFLAGS, b""), 16)
            ask(_SIOCSIFFLAGS, struct.pack("h", flags | _IFF_UP))

    def close(self):
        _check(_libc.setns(self._old, _CLONE_NEWNET))
        os.close(self._old)
