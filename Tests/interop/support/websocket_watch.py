# SPDX-License-Identifier: Apache-2.0
"""The websockets package as a client that watches."""

import json

from support.websocket_client import websocket


def watching(engine, query="", **options):
    """The websockets package at /api/websocket."""
    return websocket(engine, f"{engine.host}:{engine.port}", f"/api/websocket{query}", **{"max_size": 1 << 24, **options})


def next_event(connection):
    message = connection.recv(timeout=10)
    assert isinstance(message, str)
    return json.loads(message)
