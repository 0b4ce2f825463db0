# SPDX-License-Identifier: Apache-2.0
"""A wire-level client: an agent and a dialer that do exactly what a test says, right or wrong."""

import itertools
import socket
import threading

from . import wire
from .closing import Closing
from .tls import TLSStream, client_context, tls_connect


class FakeClient(Closing):
    """Knows an engine; makes connections to it. Everything it opened is closed with close()."""

    def __init__(self, port, ca_file, server_name="localhost", token=None, agent="interop-wire"):
        self.port = port
        self.server_name = server_name
        self.token = token
        self.agent = agent
        self.context = client_context(ca_file, [wire.ALPN])
        self._opened = []
        self._lock = threading.Lock()

    def _keep(self, thing):
        with self._lock:
            self._opened.append(thing)
        return thing

    def connect(self, timeout=10.0):
        """A TLS connection with the protocol's ALPN and nothing sent on it yet."""
        stream = tls_connect(self.port, self.server_name, self.context, timeout=timeout)
        assert stream.alpn == wire.ALPN and stream.version == "TLSv1.3"
        return self._keep(wire.Wire(stream))

    def connect_tcp(self):
        """A TCP connection to the engine, TLS not begun."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self._keep(sock)
        return sock

    def begin_tls(self, sock):
        return TLSStream(sock, self.context, server_hostname=self.server_name)

    def control(self, liveness=None, token=None, **detail):
        """Opens a control channel; raises wire.Refused when the engine does not want it."""
        detail.setdefault("agent", self.agent)
        connection = self.connect()
        connection.send(wire.open_control(token or self.token, liveness, **detail))
        response = connection.expect("open_control_channel_rsp")
        if response.WhichOneof("payload") == "error":
            raise wire.Refused(response.error)
        return self._keep(Control(self, connection, response.ok))

    def dial(self, name, zero_rtt=False, token=None, payload=b"", timeout=10.0):
        """Dials a private tunnel; without zero_rtt (False, or None for the field left out) the answer is awaited."""
        connection = self.connect()
        connection.send(wire.stream_req(name, zero_rtt, token or self.token), payload=payload)
        if not zero_rtt:
            response = connection.expect("stream_rsp", timeout)
            if response.WhichOneof("payload") == "error":
                raise wire.Refused(response.error)
            assert response.stream_id
            connection.stream_id = response.stream_id
        return connection

    def pair(self, control, name, zero_rtt=False):
        """Both ends of a new stream to a tunnel of `control`: (dialer's end, owner's end).

        An engine may wait for the owner before it answers the dialer, so one thread has to play both in turn.
        """
        near = self.connect()
        near.send(wire.stream_req(name, zero_rtt, self.token))
        far = control.accept()
        if not zero_rtt:
            response = near.expect("stream_rsp")
            if response.WhichOneof("payload") == "error":
                raise wire.Refused(response.error)
            near.stream_id = response.stream_id
        return near, far

    def close(self):
        with self._lock:
            opened, self._opened = self._opened, []
        for thing in reversed(opened):
            try:
                thing.drop() if isinstance(thing, Control) else thing.close()
            except OSError:
                pass


class Control(wire.Channel):
    """The agent's side of a control channel."""

    def __init__(self, client, connection, ok):
        self.client = client
        self.ok = ok
        self.client_id = ok.client_id
        self._requests = itertools.count(1)
        self._handler = None
        super().__init__(connection)

    def open_tunnel(self, timeout=10.0, **values):
        """Returns the properties the engine confirmed; raises wire.Refused."""
        request_id = f"request-{next(self._requests)}"
        self.send(wire.open_tunnel(request_id, **values))
        response = self.expect("open_tunnel_rsp", timeout, where=lambda rsp: rsp.request_id == request_id)
        if response.WhichOneof("payload") == "error":
            raise wire.Refused(response.error)
        assert response.WhichOneof("payload") == "tunnel_properties"
        return response.tunnel_properties

    def close_tunnel(self, tunnel_id):
        self.send(wire.close_tunnel(tunnel_id))
        self.expect("close_tunnel_rsp", where=lambda rsp: rsp.tunnel_id == tunnel_id)

    def close(self):
        self.send(wire.close_control())
        self.expect("close_control_channel_rsp")
        self.expect_end()

    def next_request(self, timeout=10.0, tunnel_id=None):
        """The next ProxyConnReq, of one tunnel when given."""
        where = None if tunnel_id is None else (lambda request: request.tunnel_id == tunnel_id)
        return self.expect("proxy_conn_req", timeout, where)

    def open_stream(self, request, zero_rtt=True, payload=b"", confirm=True):
        """Answers a ProxyConnReq as an agent does: a new connection, ProxyReq on it, ProxyConnRsp here."""
        connection = self.client.connect()
        connection.send(wire.proxy_req(request.stream_id, request.secret.value, zero_rtt), payload=payload)
        if not zero_rtt:
            response = connection.expect("proxy_rsp")
            if response.HasField("error"):
                raise wire.Refused(response.error)
        if confirm:
            self.send(wire.proxy_conn_rsp(request.stream_id))
        return connection

    def accept(self, timeout=10.0, tunnel_id=None, **options):
        return self.open_stream(self.next_request(timeout, tunnel_id), **options)

    def serve(self, handler, workers=64):
        """Answers every further ProxyConnReq in a thread of its own with `handler(connection, request)`."""
        self._handler = handler
        self._slots = threading.Semaphore(workers)

    def _take(self, message):
        if self._handler is None or wire.kind_of(message) != "proxy_conn_req":
            return False
        threading.Thread(target=self._serve_one, args=(message.proxy_conn_req,), daemon=True).start()
        return True

    def _serve_one(self, request):
        with self._slots:
            try:
                connection = self.open_stream(request)
            except (OSError, wire.Closed):
                return
            try:
                self._handler(connection, request)
            except (OSError, wire.Closed):
                pass
            finally:
                connection.close()


def echo(connection, request=None):
    """A handler for Control.serve(): sends back what comes until the peer ends its direction."""
    while True:
        data = connection.read(timeout=60)
        if not data:
            break
        connection.write(data)
    connection.shutdown_write()
