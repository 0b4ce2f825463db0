# SPDX-License-Identifier: Apache-2.0
"""A control plane that knows one thing: where the engine of a project is."""

import http.server
import json
import ssl
import threading


class ControlPlane:
    """Answers what the test says and keeps the requests: `answer` is (status, content type, body, more headers)."""

    def __init__(self, certificate=None):
        self.requests = []
        self.answer = (404, "application/json", b'{"error":"no such project"}', {})
        plane = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                plane.requests.append((self.path, dict(self.headers)))
                status, kind, body, more = plane.answer
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def tell(self, value, status=200):
        self.answer = (status, "application/json", json.dumps(value).encode(), {})

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
