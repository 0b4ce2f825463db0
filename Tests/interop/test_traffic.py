# SPDX-License-Identifier: Apache-2.0
"""Random traffic in both directions at once through every kind of tunnel: all bytes arrive, in order, to the last."""

import concurrent.futures
import hashlib
import random
import socket
import threading
import time

import pytest

from support import wire
from support.certificates import self_signed_context
from support.fake_client import echo
from support.ports import free_port_range
from support.tls import TLSStream, client_context
from support.waiting import wait_until


def talk(write, read, end, seed, size):
    """Sends `size` random bytes in random pieces while reading everything; returns what was sent and received, each as
    (length, digest)."""
    dice = random.Random(seed)
    data = dice.randbytes(size)

    def send():
        position = 0
        while position < size:
            piece = dice.choice((1, 10, 1000, 16384, 16385, 65536, 200000))
            write(data[position : position + piece])
            position += piece
            if dice.random() < 0.05:
                time.sleep(0.003)
        end()

    sender = threading.Thread(target=send)
    sender.start()
    digest, length = hashlib.sha256(), 0
    while chunk := read():
        digest.update(chunk)
        length += len(chunk)
    sender.join()
    return (size, hashlib.sha256(data).hexdigest()), (length, digest.hexdigest())


class Service:
    """A TCP service that talks as the consumer does; `results` has what it sent under what it received."""

    def __init__(self, size):
        self.size = size
        self.results = {}
        self._lock = threading.Lock()

    def __call__(self, sock):
        def end():
            if hasattr(sock, "context"):
                # The blocking TLS socket can end both directions only; the end is in the length instead.
                return
            sock.shutdown(socket.SHUT_WR)

        remaining = [self.size]

        def read():
            if hasattr(sock, "context"):
                if remaining[0] == 0:
                    return b""
                data = sock.recv(min(65536, remaining[0]))
                remaining[0] -= len(data)
                return data
            return sock.recv(65536)

        sent, received = talk(sock.sendall, read, end, 2, self.size)
        with self._lock:
            self.results[received] = [*self.results.get(received, []), sent]


def check(service, consumer_sent, consumer_received):
    wait_until(lambda: consumer_sent in service.results, timeout=20, what="the service's side of the traffic")
    assert consumer_received in service.results[consumer_sent]


def over_socket(sock):
    return sock.sendall, lambda: sock.recv(65536), lambda: sock.shutdown(socket.SHUT_WR)


def over_tls(stream):
    return stream.write, lambda: stream.read(timeout=30), stream.shutdown_write


SIZE = 3 << 20


@pytest.mark.parametrize("kind", ["private", "private-zero-rtt", "tcp", "tls", "dialed"])
def test_random_traffic(engine, forward, dial, tcp_server, client, name, kind):
    service = Service(SIZE)
    arguments = {"tcp": ["--protocol", "tcp"], "tls": ["--protocol", "tls"]}.get(kind, ["--no-publish"])
    ours = forward(engine, tcp_server(service).address, name, arguments)
    if kind in ("private", "private-zero-rtt"):
        stream = client.dial(name, zero_rtt=kind == "private-zero-rtt").stream
        results = talk(*over_tls(stream.settimeout(30)), 1, SIZE)
    elif kind == "tls":
        results = talk(*over_tls(engine.tls(ours.host).settimeout(30)), 1, SIZE)
    else:
        port = ours.tunnel["port"] if kind == "tcp" else dial(engine, name).port
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            results = talk(*over_socket(sock), 1, SIZE)
    check(service, *results)


@pytest.mark.parametrize("mode", ["passthrough", "upstream-tls"])
def test_random_traffic_with_tls_at_the_service(engine, forward, tcp_server, tmp_path, name, mode):
    service = Service(SIZE)
    server = tcp_server(service, tls=self_signed_context(tmp_path))
    arguments = ["--tls-mode", "passthrough"] if mode == "passthrough" else ["--upstream-tls"]
    ours = forward(engine, server.address, name, ["--protocol", "tls", *arguments])
    if mode == "passthrough":
        sock = socket.create_connection(("127.0.0.1", engine.port), timeout=30)
        stream = TLSStream(sock, client_context(verify=False), server_hostname=ours.host).handshake()
    else:
        stream = engine.tls(ours.host)
    received = []

    def read():
        if sum(map(len, received)) == SIZE:
            return b""
        received.append(stream.read(timeout=30))
        return received[-1]

    results = talk(stream.settimeout(30).write, read, lambda: None, 1, SIZE)
    check(service, *results)
    stream.close()


def test_random_traffic_of_many_streams_at_once(engine, forward, tcp_server, name):
    service = Service(200_000)
    forward(engine, tcp_server(service).address, name, ["--no-publish"])

    def one(seed):
        with engine.fake_client() as client:
            stream = client.dial(name, zero_rtt=seed % 2 == 0).stream
            return talk(*over_tls(stream.settimeout(60)), seed, service.size)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for results in pool.map(one, range(100, 148)):
            check(service, *results)


def test_tunnels_that_come_and_go_under_traffic(engine, forward, tcp_server, client, name):
    """Tunnels are opened and closed all the time on one channel while another tunnel's traffic goes on."""
    control = client.control()
    stop = threading.Event()
    failures = []

    def churn():
        try:
            while not stop.is_set():
                tunnel_id = control.open_tunnel(name=f"{name}-churn", publish=False).id.value
                near = client.dial(f"{name}-churn", zero_rtt=True, payload=b"x")
                with control.accept(tunnel_id=tunnel_id) as far:
                    assert far.read_exactly(1) == b"x"
                near.close()
                control.close_tunnel(tunnel_id)
        except Exception as error:
            failures.append(error)

    service = Service(SIZE)
    forward(engine, tcp_server(service).address, name, ["--no-publish"])
    thread = threading.Thread(target=churn)
    thread.start()
    with engine.fake_client() as dialer:
        stream = dialer.dial(name).stream.settimeout(60)
        check(service, *talk(*over_tls(stream), 1, SIZE))
    stop.set()
    thread.join(20)
    assert not failures, failures


@pytest.mark.parametrize("seed", range(6))
def test_random_ends(start_engine, name, seed):
    """Streams that end in every way at random moments: no descriptor stays behind, and the tunnel still works.

    An owner that resets a connection may take its unread ProxyReq along: such a consumer waits for its time limit.
    """
    engine = start_engine(
        settings={"timeouts.stream_request_seconds": 3}, arguments=["--tcp-ports", free_port_range(5)]
    )
    client = engine.fake_client()
    dice = random.Random(seed)
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    port = control.open_tunnel(name=f"{name}-tcp", protocol="tcp").port.value

    def end(stream):
        how = dice.choice(("close", "abort", "shutdown_write", "fin", "nothing"))
        try:
            if how == "fin":
                stream.stream.fin()
            elif how != "nothing":
                getattr(stream, how)()
        except OSError:
            pass

    files = engine.open_files
    opened = []
    for _ in range(25):
        if dice.random() < 0.3:
            near = socket.create_connection(("127.0.0.1", port), timeout=5)
        else:
            near = client.dial(name, zero_rtt=True, payload=dice.randbytes(dice.choice((0, 1, 50000))))
        far = control.accept(payload=dice.randbytes(dice.choice((0, 1, 50000))))
        opened += [near, far]
        for stream in (near, far):
            if isinstance(stream, wire.Wire) and dice.random() < 0.7:
                end(stream)
    for stream in opened:
        try:
            stream.close()
        except OSError:
            pass
    wait_until(lambda: engine.open_files <= files, timeout=20, what="the end of all connections")
    control.serve(echo)
    with client.dial(name) as stream:
        stream.write(b"still works")
        assert stream.read_exactly(11) == b"still works"
