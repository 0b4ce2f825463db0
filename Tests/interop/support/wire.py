# SPDX-License-Identifier: Apache-2.0
"""The rstream wire protocol for the wire-level peers: frames, messages, one connection, one control channel.

Messages come from the official package's descriptor, so that Google's protobuf judges our encoding; framing and
everything else is written here and shares nothing with the official client class.
"""

import collections
import struct
import threading
import time

from rstream._proto import rstream_pb2 as pb

from .closing import Closing

ALPN = "rstrm/1"
MAX_PAYLOAD = 65535
PROTOCOL_VERSION = "1.4.5"


class Refused(Exception):
    """The peer answered a request with an error."""

    def __init__(self, error):
        self.code = error.code
        self.text = error.message.value
        super().__init__(f"refused with {self.code}: {self.text}")


class Closed(Exception):
    """The connection ended before the awaited message came."""


# -- frames and messages ---------------------------------------------------------------------------------------------


def frame(message):
    """A message, or bytes taken as a payload, with its length in front."""
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">I", len(payload)) + payload


def kind_of(message):
    return message.WhichOneof("payload")


def details(token=None, agent="interop-wire", version=PROTOCOL_VERSION, **extra):
    result = pb.ClientDetails()
    result.agent.value = agent
    result.channel.value = "test"
    result.version.value = "0"
    result.os.value = "linux"
    result.arch.value = "any"
    if version is not None:
        result.protocol_version.value = version
    if token is not None:
        result.token.value = token
    for name, value in extra.items():
        getattr(result, name).value = value
    return result


def properties(**values):
    """TunnelProperties from plain values; lists and labels as Python has them, anything else in its wrapper."""
    result = pb.TunnelProperties()
    for name, value in values.items():
        if value is None:
            continue
        if name == "labels":
            result.labels.update(value)
        elif isinstance(value, (list, tuple)):
            getattr(result, name).extend(value)
        else:
            field = getattr(result, name)
            field.value = value
            field.SetInParent()
    return result


def open_control(token=None, liveness=None, **detail):
    message = pb.Message()
    message.open_control_channel_req.client_details.CopyFrom(details(token, **detail))
    if liveness is not None:
        message.open_control_channel_req.liveness.heartbeat_interval_ms = liveness
    return message


def open_tunnel(request_id, **values):
    message = pb.Message()
    message.open_tunnel_req.request_id = request_id
    message.open_tunnel_req.tunnel_properties.CopyFrom(properties(**values))
    return message


def close_tunnel(tunnel_id):
    message = pb.Message()
    message.close_tunnel_req.tunnel_id = tunnel_id
    return message


def close_tunnel_rsp(tunnel_id):
    message = pb.Message()
    message.close_tunnel_rsp.tunnel_id = tunnel_id
    return message


def close_control():
    message = pb.Message()
    message.close_control_channel_req.SetInParent()
    return message


def close_control_rsp():
    message = pb.Message()
    message.close_control_channel_rsp.SetInParent()
    return message


def heartbeat(sequence=0, acknowledgement=0):
    message = pb.Message()
    message.heartbeat.SetInParent()
    message.heartbeat.sequence = sequence
    message.heartbeat.acknowledgement = acknowledgement
    return message


def server_message(text):
    message = pb.Message()
    message.server_message.message = text
    return message


def _optional_bool(field, value):
    if value is not None:
        field.value = value
        field.SetInParent()


def stream_req(name, zero_rtt=False, token=None, datagram_channel=None, **detail):
    """None leaves a field out, which is not the same bytes as false but means the same."""
    message = pb.Message()
    message.stream_req.client_details.CopyFrom(details(token, **detail))
    message.stream_req.tunnel_id_name = name
    _optional_bool(message.stream_req.zero_rtt, zero_rtt)
    _optional_bool(message.stream_req.datagram_channel, datagram_channel)
    return message


def stream_rsp(stream_id=None, error=None):
    message = pb.Message()
    message.stream_rsp.SetInParent()
    if stream_id is not None:
        message.stream_rsp.stream_id = stream_id
    if error is not None:
        message.stream_rsp.error.code = error[0]
        message.stream_rsp.error.message.value = error[1]
    return message


def proxy_req(stream_id, secret=None, zero_rtt=True):
    message = pb.Message()
    message.proxy_req.client_details.CopyFrom(details(secret))
    message.proxy_req.stream_id = stream_id
    _optional_bool(message.proxy_req.zero_rtt, zero_rtt)
    return message


def proxy_rsp(error=None):
    message = pb.Message()
    message.proxy_rsp.SetInParent()
    if error is not None:
        message.proxy_rsp.error.code = error[0]
        message.proxy_rsp.error.message.value = error[1]
    return message


def proxy_conn_req(tunnel_id, stream_id, secret=None, source_ip=None, proxy_endpoint=None):
    message = pb.Message()
    message.proxy_conn_req.tunnel_id = tunnel_id
    message.proxy_conn_req.stream_id = stream_id
    if secret is not None:
        message.proxy_conn_req.secret.value = secret
        message.proxy_conn_req.secret.SetInParent()
    if source_ip is not None:
        message.proxy_conn_req.source_ip.v4 = source_ip
    if proxy_endpoint is not None:
        message.proxy_conn_req.proxy_endpoint.value = proxy_endpoint
        message.proxy_conn_req.proxy_endpoint.SetInParent()
    return message


def proxy_conn_rsp(stream_id, error=None):
    message = pb.Message()
    message.proxy_conn_rsp.stream_id = stream_id
    if error is not None:
        message.proxy_conn_rsp.error.code = error[0]
        message.proxy_conn_rsp.error.message.value = error[1]
    return message


def datagram_channel_close(stream_id, error=None):
    message = pb.Message()
    message.datagram_channel_close.stream_id = stream_id
    if error is not None:
        message.datagram_channel_close.error.code = error[0]
        message.datagram_channel_close.error.message.value = error[1]
    return message


def channel_id(stream_id):
    """The twelve bytes in front of every QUIC datagram of a channel."""
    return bytes.fromhex(stream_id.strip().replace("-", "")[:24])


def source_address(request):
    """The dotted address of a ProxyConnReq, or None."""
    if request.source_ip.WhichOneof("addr") != "v4":
        return None
    return ".".join(str(octet) for octet in request.source_ip.v4.to_bytes(4, "big"))


# -- one connection --------------------------------------------------------------------------------------------------


class Wire(Closing):
    """Framed messages, and raw bytes where the protocol goes over to them, on one TLS connection."""

    def __init__(self, stream):
        self.stream = stream

    def send(self, *messages, payload=b""):
        """Sends messages and raw bytes behind them in one TLS record and one segment."""
        self.stream.write(b"".join(frame(message) for message in messages) + payload)

    def receive(self, timeout=10.0):
        """The next message."""
        message = pb.Message()
        message.ParseFromString(self.receive_packet(timeout))
        return message

    def send_packets(self, *packets):
        self.stream.write(b"".join(map(frame, packets)))

    def receive_packet(self, timeout=10.0):
        """What is in the next frame. Never reads beyond it: what follows may be payload."""
        deadline = time.monotonic() + timeout
        try:
            header = self.stream.read_exactly(4, timeout=timeout)
            length = struct.unpack(">I", header)[0]
            assert length <= MAX_PAYLOAD, f"a frame of {length} bytes"
            return self.stream.read_exactly(length, timeout=max(0.001, deadline - time.monotonic()))
        except ConnectionError as error:
            raise Closed(str(error)) from None

    def expect(self, kind, timeout=10.0):
        message = self.receive(timeout)
        assert kind_of(message) == kind, f"expected {kind}, received {message}"
        return getattr(message, kind)

    def expect_end(self, timeout=5.0):
        """The peer must end its direction (or reset) without another byte."""
        try:
            data = self.stream.read(timeout=timeout)
        except ConnectionError:
            return
        assert data == b"", f"expected the end of the connection, received {data!r}"

    def write(self, data):
        self.stream.write(data)

    def read(self, size=65536, timeout=10.0):
        return self.stream.read(size, timeout=timeout)

    def read_exactly(self, size, timeout=10.0):
        return self.stream.read_exactly(size, timeout=timeout)

    def read_all(self, timeout=10.0):
        return self.stream.read_all(timeout=timeout)

    def shutdown_write(self):
        self.stream.shutdown_write()

    def abort(self):
        self.stream.abort()

    def close(self):
        self.stream.close()


# -- one control channel ---------------------------------------------------------------------------------------------


class Channel:
    """A control channel whose messages a thread collects, so that a test can await them in any order.

    `history` keeps every message in the order of arrival as (time, kind, message).
    """

    def __init__(self, wire):
        self.wire = wire
        self.history = []
        self.ended = None
        self._inbox = collections.deque()
        self._condition = threading.Condition()
        self._send_lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, *messages, payload=b""):
        with self._send_lock:
            self.wire.send(*messages, payload=payload)

    def expect(self, kind, timeout=10.0, where=None):
        """Takes the first message of that kind (for which `where` holds) out of the inbox."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while True:
                for index, message in enumerate(self._inbox):
                    if kind_of(message) == kind:
                        value = getattr(message, kind)
                        if where is None or where(value):
                            del self._inbox[index]
                            return value
                if self.ended is not None:
                    raise Closed(f"the channel ended ({self.ended}) while waiting for {kind}; {self.describe()}")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise AssertionError(f"no {kind} within {timeout} s; {self.describe()}")
                self._condition.wait(remaining)

    def expect_end(self, timeout=5.0):
        """Waits for the end of the channel and returns why it ended."""
        with self._condition:
            assert self._condition.wait_for(lambda: self.ended is not None, timeout), (
                f"the channel did not end within {timeout} s; {self.describe()}"
            )
            return self.ended

    def received(self, kind):
        """Every message of a kind received so far."""
        with self._condition:
            return [getattr(message, kind) for _, name, message in self.history if name == kind]

    def kinds(self):
        with self._condition:
            return [name for _, name, _ in self.history]

    def describe(self):
        waiting = [kind_of(message) for message in self._inbox]
        return f"waiting in the inbox: {waiting[:20]}, received {len(self.history)} in all"

    @property
    def is_open(self):
        return self.ended is None

    def abort(self):
        self.wire.abort()

    def drop(self):
        """Closes the connection without any word of the protocol."""
        self.wire.close()
        self._reader.join(5)

    def _take(self, message):
        """For subclasses: returns True when the message is dealt with and shall not go into the inbox."""
        return False

    def _read(self):
        while True:
            try:
                message = self.wire.receive(timeout=3600)
            except Closed as error:
                reason = str(error)
                break
            except (OSError, TimeoutError) as error:
                reason = repr(error)
                break
            with self._condition:
                self.history.append((time.monotonic(), kind_of(message), message))
                if not self._take(message):
                    self._inbox.append(message)
                self._condition.notify_all()
        with self._condition:
            self.ended = reason
            self._condition.notify_all()
