# SPDX-License-Identifier: Apache-2.0
"""A wire-level engine: a TLS listener that hands every connection to the test, which plays the engine on it."""

import itertools
import queue
import secrets
import socket
import ssl
import threading

from . import wire
from .certificates import Authority
from .closing import Closing, close_all, close_listener
from .tls import TLSStream

_AUTO = object()


class FakeEngine(Closing):
    """Listens on a port of its own. Connections wait in accept() once their TLS handshake is done.

    `before_handshake` may be set to a function that gets the accepted socket and returns False to keep it for itself.
    """

    def __init__(self, directory, names=("localhost",), host="127.0.0.1", client_ca=None):
        self.authority = Authority(directory)
        self.ca_file = self.authority.ca_file
        self.names = names
        self.before_handshake = None
        self.handshake_errors = []
        self.connections = queue.Queue()
        self.accepted = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.authority.issue(*names))
        self.context.set_alpn_protocols([wire.ALPN])
        self.context.sni_callback = self._remember_name
        if client_ca:
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.load_verify_locations(client_ca)
        self.server_names = []
        self._held = []
        self._open = True
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self.address = f"{names[0]}:{self.port}"
        threading.Thread(target=self._accept_loop, daemon=True).start()

    def _remember_name(self, _socket, name, _context):
        self.server_names.append(name)

    def _accept_loop(self):
        while self._open:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.before_handshake and self.before_handshake(sock) is False:
                self._held.append(sock)
                continue
            threading.Thread(target=self._handshake, args=(sock,), daemon=True).start()

    def _handshake(self, sock):
        try:
            stream = TLSStream(sock, self.context, server_side=True).handshake()
        except (OSError, ssl.SSLError) as error:
            self.handshake_errors.append(error)
            sock.close()
            return
        self._held.append(stream)
        self.connections.put(wire.Wire(stream))

    def client_options(self, token=None):
        """What rstreamctl needs to connect here."""
        return ["--engine", self.address, "--ca-file", self.ca_file] + (["--token", token] if token else [])

    # -- what a test plays -------------------------------------------------------------------------------------------

    def accept(self, timeout=10.0):
        """The next connection, nothing read from it yet."""
        try:
            return self.connections.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(
                f"no connection within {timeout} s (handshake errors: {self.handshake_errors})"
            ) from None

    def no_connection(self, timeout=1.0):
        try:
            connection = self.connections.get(timeout=timeout)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected connection: {connection.receive()}")

    def accept_request(self, timeout=10.0):
        """The next connection's OpenControlChannelReq, not answered yet: (connection, request)."""
        connection = self.accept(timeout)
        return connection, connection.expect("open_control_channel_req", timeout)

    def accept_control(self, timeout=10.0, client_id="client-1", liveness=_AUTO, timeout_ms=15000, auto_ack=True):
        """Opens the next control channel. `liveness` None leaves it out; otherwise what was asked for is echoed."""
        connection, request = self.accept_request(timeout)
        return self.open_control(connection, request, client_id, liveness, timeout_ms, auto_ack)

    def open_control(self, connection, request, client_id="client-1", liveness=_AUTO, timeout_ms=15000, auto_ack=True):
        response = wire.pb.Message()
        ok = response.open_control_channel_rsp.ok
        ok.client_id = client_id
        ok.server_details.agent.value = "interop-engine"
        ok.server_details.plan.value = "test"
        if liveness is _AUTO and request.HasField("liveness"):
            ok.liveness.heartbeat_interval_ms = request.liveness.heartbeat_interval_ms
            ok.liveness.heartbeat_timeout_ms = timeout_ms
        elif liveness not in (None, _AUTO):
            ok.liveness.heartbeat_interval_ms, ok.liveness.heartbeat_timeout_ms = liveness
        connection.send(response)
        return EngineControl(self, connection, request, auto_ack and ok.HasField("liveness"))

    def accept_proxy(self, timeout=10.0):
        """The next connection's ProxyReq: (connection, request). Answer it with wire.proxy_rsp() unless zero_rtt."""
        connection = self.accept(timeout)
        return connection, connection.expect("proxy_req", timeout)

    def accept_dial(self, timeout=10.0):
        """The next connection's StreamReq: (connection, request)."""
        connection = self.accept(timeout)
        return connection, connection.expect("stream_req", timeout)

    def close(self):
        self._open = False
        close_listener(self._listener)
        close_all(self._held)


class EngineControl(wire.Channel):
    """The engine's side of a control channel. Heartbeats and closes are answered at once unless told otherwise."""

    def __init__(self, engine, connection, request, auto_ack):
        self.engine = engine
        self.request = request
        self.auto_ack = auto_ack
        self.auto_close = True
        self._ids = itertools.count(1)
        super().__init__(connection)

    def _take(self, message):
        kind = wire.kind_of(message)
        try:
            if kind == "heartbeat" and self.auto_ack:
                self.send(wire.heartbeat(acknowledgement=message.heartbeat.sequence))
                return True
            if kind == "close_control_channel_req" and self.auto_close:
                self.send(wire.close_control_rsp())
                self.wire.shutdown_write()
        except OSError:
            pass
        return False

    def grant_tunnel(self, timeout=10.0, tunnel_id=None, then=(), **overrides):
        """Answers the next OpenTunnelReq and returns the properties sent; `then` follows in the same segment."""
        request = self.expect("open_tunnel_req", timeout)
        granted = wire.pb.TunnelProperties()
        granted.CopyFrom(request.tunnel_properties)
        granted.id.value = tunnel_id or f"tunnel-{next(self._ids)}"
        if not granted.HasField("type"):
            granted.type.value = "bytestream"
        granted.MergeFrom(wire.properties(**overrides))
        response = wire.pb.Message()
        response.open_tunnel_rsp.request_id = request.request_id
        response.open_tunnel_rsp.tunnel_properties.CopyFrom(granted)
        self.send(response, *then)
        return granted

    def refuse_tunnel(self, code, text, timeout=10.0):
        request = self.expect("open_tunnel_req", timeout)
        response = wire.pb.Message()
        response.open_tunnel_rsp.request_id = request.request_id
        response.open_tunnel_rsp.error.code = code
        response.open_tunnel_rsp.error.message.value = text
        self.send(response)

    def ask_stream(self, tunnel_id, stream_id=None, secret=_AUTO, **options):
        """Sends a ProxyConnReq and returns (stream id, secret)."""
        stream_id = stream_id or secrets.token_hex(12)
        secret = secrets.token_hex(16) if secret is _AUTO else secret
        self.send(wire.proxy_conn_req(tunnel_id, stream_id, secret, **options))
        return stream_id, secret

    def open_stream(self, tunnel_id, payload=b"", timeout=10.0, **options):
        """Asks for a stream and takes it: a connection on which raw bytes may flow. `payload` follows the answer."""
        stream_id, secret = self.ask_stream(tunnel_id, **options)
        connection, request = self.engine.accept_proxy(timeout)
        while request.stream_id != stream_id:
            # A stream of an earlier request, whose handshake was slower.
            connection.close()
            connection, request = self.engine.accept_proxy(timeout)
        assert request.client_details.token.value == (secret or "")
        if not request.zero_rtt.value:
            connection.send(wire.proxy_rsp(), payload=payload)
        elif payload:
            connection.write(payload)
        connection.stream_id = stream_id
        return connection
