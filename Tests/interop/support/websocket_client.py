# SPDX-License-Identifier: Apache-2.0
"""The websockets package as a client."""

import contextlib
import socket
import ssl

from websockets.sync.client import connect

from support.tls import client_context


@contextlib.contextmanager
def websocket(engine, authority, target, alpn=("http/1.1",), **options):
    """A connection to `target` of `authority`, which the engine serves."""
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    context = client_context(engine.ca_file, alpn)
    # The package reads on one thread while it writes on another, and OpenSSL wants one at a time. With TLS 1.3, where
    # session tickets come after the handshake, that loses a request now and then, whoever the server is.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host = authority.partition(":")[0]
    with connect(f"wss://{authority}{target}", sock=sock, ssl=context, server_hostname=host, **options) as connection:
        yield connection
