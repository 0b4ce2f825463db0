# SPDX-License-Identifier: Apache-2.0
"""Local services behind the tunnels: TCP servers of several manners, HTTP servers with server-sent events."""

import hashlib
import http.server
import json
import socket
import struct
import threading
import time

from .closing import Closing, close_all, close_listener


class TCPServer(Closing):
    """Runs `handler(connection)` in a thread for every connection; `connection` is a socket, TLS when asked for."""

    def __init__(self, handler, tls=None, family=socket.AF_INET, address=None):
        self.handler = handler
        self.tls = tls
        self.connections = []
        self.peers = []
        self.errors = []
        if family == socket.AF_UNIX:
            self._listener = socket.socket(family)
            self._listener.bind(address)
            self._listener.listen(256)
            self.port = None
            self.address = f"unix:{address}"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
            self.port = self._listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, peer), daemon=True).start()

    def _serve(self, sock, peer):
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            self.connections.append(sock)
            self.peers.append(peer)
            self.handler(sock)
        except (OSError, ValueError) as error:
            self.errors.append(error)
        finally:
            sock.close()

    def close(self):
        close_listener(self._listener)
        close_all(self.connections)


class UDPServer(Closing):
    """Answers every packet with `handler(packet)`, unless that is None. `peers` are the addresses packets came from."""

    def __init__(self, handler=bytes.upper, host="127.0.0.1"):
        self.handler = handler
        self.peers = set()
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                packet, peer = self._socket.recvfrom(65536)
                if peer is None:
                    return
                self.peers.add(peer)
                answer = self.handler(packet)
                if answer is not None:
                    self._socket.sendto(answer, peer)
            except OSError:
                return

    def close(self):
        # A thread that waits in recvfrom() does not notice a mere close().
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


# -- manners of TCP servers ------------------------------------------------------------------------------------------


def echo(sock):
    """Sends back what comes; ends its direction when the peer has ended the other."""
    while data := sock.recv(65536):
        sock.sendall(data)
    if not hasattr(sock, "context"):
        sock.shutdown(socket.SHUT_WR)


def upper(sock):
    """Answers every chunk in capitals."""
    while data := sock.recv(65536):
        sock.sendall(data.upper())


def reply_after_end(sock):
    """Says nothing until the peer has ended its direction, then answers with all that came."""
    received = b""
    while data := sock.recv(65536):
        received += data
    sock.sendall(b"reply-after-eof:" + received)


def banner(sock):
    """Speaks first, as SSH and SMTP servers do, then echoes."""
    sock.sendall(b"220 hello, I speak first\r\n")
    echo(sock)


def stall(sock):
    """Never reads."""
    threading.Event().wait(120)


def sink(sock):
    """Takes everything and answers with length and SHA-256 at the end of the peer's direction."""
    digest, length = hashlib.sha256(), 0
    while data := sock.recv(262144):
        digest.update(data)
        length += len(data)
    sock.sendall(f"{length} {digest.hexdigest()}".encode())


def source(size):
    """Sends `size` bytes of a known pattern and ends."""

    def handler(sock):
        block = bytes(range(256)) * 256
        sent = 0
        while sent < size:
            chunk = block[: min(len(block), size - sent)]
            sock.sendall(chunk)
            sent += len(chunk)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    return handler


def reset_on_first_byte(sock):
    """Resets the connection as soon as something came."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# -- HTTP ------------------------------------------------------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    """Routes of the test services; /seen tells what arrived here, head by head."""

    def log_message(self, *_):
        pass

    def _reply(self, body, status=200, content_type="text/plain", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size == 0:
                    while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                        pass
                    return body
                body += self.rfile.read(size)
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_GET(self):
        site = self.server.site
        site.requests.append((self.command, self.path, self.headers.items()))
        body = self._body()
        path = self.path.split("?")[0]
        if path == "/ping":
            self._reply(b"pong\n")
        elif path == "/name":
            self._reply(site.name.encode())
        elif path == "/directory/":
            self._reply(b"directory\n")
        elif path == "/redirect":
            self._reply(b"", 302, headers=[("Location", "/directory/")])
        elif path == "/nothing":
            self.send_response(204)
            self.end_headers()
        elif path == "/not-modified":
            self.send_response(304)
            self.end_headers()
        elif path == "/seen":
            seen = {
                "method": self.command,
                "target": self.path,
                "version": self.request_version,
                "headers": self.headers.items(),
                "peer": self.client_address[1],
                "body": body.decode("latin-1"),
            }
            self._reply(json.dumps(seen).encode(), content_type="application/json")
        elif path == "/cookies":
            self._reply(b"two\n", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        elif path == "/digest":
            self._reply(f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode())
        elif path == "/large":
            self._reply(bytes(range(256)) * 4096 * 4)
        elif path == "/chunked":
            self._stream(["first ", "second ", "third"], "text/plain", wait=False)
        elif path == "/events":
            self._stream([f"data: event-{n}\n\n" for n in (1, 2, 3)], "text/event-stream", wait=True)
        elif path == "/hang":
            site.hanging.set()
            site.go_on.wait(60)
            self._reply(b"late\n")
        elif path == "/slow":
            time.sleep(1.5)
            self._reply(b"slow\n")
        elif path == "/close":
            self.close_connection = True
            self._reply(b"closing\n", headers=[("Connection", "close")])
        elif path == "/until-close":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"ends with the connection")
        elif path == "/break":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        else:
            self._reply(b"nothing here\n", 404)

    do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = do_HEAD = do_GET

    def _stream(self, parts, content_type, wait):
        """Parts flushed one by one; with `wait` each only after the test has taken the one before."""
        chunked = self.protocol_version == "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()
        for index, part in enumerate(parts):
            if wait and index and not self.server.site.step.acquire(timeout=30):
                raise TimeoutError("the test never took the event before")
            data = part.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


class HTTPSite(Closing):
    """An HTTP server on a port of its own, HTTP/1.1 with keep-alive or plain HTTP/1.0."""

    def __init__(self, version="HTTP/1.1", name="origin", tls=None):
        self.name = name
        self.requests = []
        self.step = threading.Semaphore(0)
        self.hanging = threading.Event()
        self.go_on = threading.Event()
        handler = type("Handler", (_Handler,), {"protocol_version": version})
        http.server.ThreadingHTTPServer.request_queue_size = 128
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.site = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
