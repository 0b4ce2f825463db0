# SPDX-License-Identifier: Apache-2.0
"""The websockets package as a client that watches."""

import contextlib
import json
import socket

from websockets.sync.client import connect

from support.tls import client_context


@contextlib.contextmanager
def watching(engine, query="", **options):
    """The websockets package at /api/websocket."""
    sock = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    context = client_context(engine.ca_file, ["http/1.1"])
    url = f"wss://{engine.host}:{engine.port}/api/websocket{query}"
    options = {"max_size": 1 << 24, **options}
    with connect(url, sock=sock, ssl=context, server_hostname=engine.host, **options) as connection:
        yield connection


def next_event(connection):
    message = connection.recv(timeout=10)
    assert isinstance(message, str)
    return json.loads(message)
