# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of an engine, written from its description: TLS, HTTP/1.1, and answers that a test scripts."""

import dataclasses
import json
import socket
import ssl
import threading
import time
import urllib.parse

from .certificates import Authority
from .closing import close_listener


@dataclasses.dataclass
class Request:
    """One request as it came, and which connection it came on: 0 for the first."""

    method: str
    target: str
    headers: dict
    connection: int
    time: float

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def params(self):
        """What the query parameter `params` says; None when there is none."""
        query = urllib.parse.parse_qs(self.target.partition("?")[2], strict_parsing=True) if "?" in self.target else {}
        return json.loads(query["params"][0]) if "params" in query else None


def response(body=b"[]", status="200 OK", content_type="application/json", headers=()):
    """A response with its length. What is not bytes is made JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class FakeAPI:
    """Listens on a port of its own. `answer(connection, request)` is called for each request, with the TLS socket; it
    returns the bytes to send, or sends itself, and False ends the connection without a word."""

    def __init__(self, directory, answer=None, alpn=("http/1.1",), client_ca=None):
        self.authority = Authority(directory)
        self.ca_file = self.authority.ca_file
        self.answer = answer or (lambda connection, request: response())
        self.requests = []
        self.alpns = []
        self.certificates = []
        self.errors = []
        self.accepted = 0
        self._lock = threading.Lock()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*self.authority.issue("localhost"))
        if alpn:
            self._context.set_alpn_protocols(list(alpn))
        if client_ca:
            self._context.verify_mode = ssl.CERT_OPTIONAL
            self._context.load_verify_locations(client_ca)
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.address = f"localhost:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def client_options(self, token=None):
        return ["--engine", self.address, "--ca-file", self.ca_file] + (["--token", token] if token else [])

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                number = self.accepted
                self.accepted += 1
                self._connections.append(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            connection = self._context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(error)
            return
        with self._lock:
            self._connections.append(connection)
            self.alpns.append(connection.selected_alpn_protocol())
            self.certificates.append(connection.getpeercert())
        try:
            with connection, connection.makefile("rb") as lines:
                while request := self._read(lines, number):
                    self.requests.append(request)
                    answer = self.answer(connection, request)
                    if answer is False:
                        return
                    if answer:
                        connection.sendall(answer)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(error)

    @staticmethod
    def _read(lines, number):
        first = lines.readline().decode()
        if not first:
            return None
        method, target, version = first.split()
        assert version == "HTTP/1.1", first
        headers = {}
        while (line := lines.readline().decode().rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        return Request(method, target, headers, number, time.monotonic())

    def close(self):
        close_listener(self._listener)
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
