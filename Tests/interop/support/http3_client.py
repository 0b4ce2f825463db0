# SPDX-License-Identifier: Apache-2.0
"""An HTTP/3 client by aioquic: requests as a test's thread makes them."""

import threading

from aioquic.h3 import events as h3_events
from aioquic.h3.connection import H3Connection

from . import background, quic

ALPN = "h3"


class Response:
    """What has come for one request so far."""

    def __init__(self, number):
        self.number = number
        self.status = None
        self.headers = {}
        self.body = bytearray()
        self.reset = None
        self._ended = False
        self._condition = threading.Condition()

    def take(self, event):
        with self._condition:
            if isinstance(event, h3_events.HeadersReceived) and self.status is None:
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
                self.status = int(self.headers.pop(":status"))
            elif isinstance(event, h3_events.DataReceived):
                self.body += event.data
            self._ended = self._ended or event.stream_ended
            self._condition.notify_all()

    def break_off(self, code):
        with self._condition:
            self.reset = code
            self._condition.notify_all()

    def wait_for(self, condition, timeout=10.0):
        with self._condition:
            assert self._condition.wait_for(lambda: condition(self) or self.reset is not None, timeout), (
                self.status,
                bytes(self.body),
            )
        return self

    def wait(self, timeout=10.0):
        """Waits for all of it."""
        return self.wait_for(lambda response: response._ended, timeout)


class HTTP3Client:
    """One connection to a port."""

    def __init__(self, port, ca_file=None, server_name="localhost", certificate=None, alpn=(ALPN,), **options):
        self.authority = f"{server_name}:{port}"
        self._responses = {}
        self._quic = quic.Client(port, ca_file, server_name, alpn, **options)
        self.connection = self._quic.connect(certificate=certificate, on_event=self._event)
        self.alpn = self.connection.alpn

    def _event(self, connection, event):
        if not hasattr(connection, "http"):
            connection.http = H3Connection(connection._quic)
        if isinstance(event, quic.events.StreamReset) and event.stream_id in self._responses:
            self._responses[event.stream_id].break_off(event.error_code)
        for happened in connection.http.handle_event(event):
            if happened.stream_id in self._responses:
                self._responses[happened.stream_id].take(happened)
        connection.transmit()

    @property
    def settings(self):
        """The server's."""
        return self.connection.http.received_settings

    def begin(self, path, method="GET", headers=(), body=None, authority=None, end=True):
        """Sends a request and does not wait for the response."""

        def send():
            self.connection.raise_if_closed()
            http = self.connection.http
            number = self.connection._quic.get_next_available_stream_id()
            response = self._responses[number] = Response(number)
            lines = {
                ":method": method,
                ":scheme": "https",
                ":authority": authority or self.authority,
                ":path": path,
                **dict(headers),
            }
            fields = [(name.encode(), value.encode()) for name, value in lines.items()]
            http.send_headers(number, fields, end_stream=end and body is None)
            if body is not None:
                http.send_data(number, body, end_stream=end)
            self.connection.transmit()
            return response

        return background.call(send)

    def request(self, path, timeout=10.0, **options):
        return self.begin(path, **options).wait(timeout)

    def cancel(self, response, code=0x10C):
        background.call(self.connection.end_stream, response.number, code, True)

    def close(self):
        self._quic.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
