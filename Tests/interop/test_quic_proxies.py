# SPDX-License-Identifier: Apache-2.0
"""QUIC through proxies: UDP ASSOCIATE of SOCKS5 with dante, CONNECT-UDP with aioquic."""

import socket

import pytest

from support import origins, quic
from support.certificates import Authority
from support.connect_udp_proxy import PATH, ConnectUDPProxy
from support.ctl import ClientOptions, unique
from support.proxies import PASSWORD, USER, Dante, Squid
from support.socks5_udp_proxy import SOCKS5UDPProxy

UDP = "connect udpassociate udpreply"
# A QUIC packet inside another connection, or behind a relay's header.
INSIDE = 1200
# A connection that nobody ends is given up after 30 s of silence.
AT_ONCE = 10
QUIC = ["--config-set", "transport.mode=quic"]
AUTO = ["--config-set", "transport.mode=auto"]


def settings(**values):
    return [part for name, value in values.items() for part in ("--config-set", f"transport.proxy.{name}={value}")]


def test_dante(carried, tmp_path):
    with Dante(tmp_path, commands=UDP) as dante:
        carried([*QUIC, *settings(socks5=dante.url)])


def test_dante_that_gives_no_udp(refused, tmp_path):
    with Dante(tmp_path) as dante:
        line = refused([*QUIC, *settings(socks5=dante.url)])
        assert "UDP" in line["error"] or "SOCKS" in line["error"]


def test_socks5_with_credentials(carried, refused):
    with SOCKS5UDPProxy(USER, PASSWORD) as proxy:
        carried([*QUIC, *settings(socks5=proxy.url, username=USER, password=PASSWORD)])
        # The agent's and the dialer's; neither is asked for TCP.
        assert proxy.associations == 2
        line = refused([*QUIC, *settings(socks5=proxy.url, username=USER, password="wrong")])
        assert line["code"] == "ERR_RSTREAM_PROXY" and "does not accept" in line["error"], line
        line = refused([*QUIC, *settings(socks5=proxy.url)])
        assert line["code"] == "ERR_RSTREAM_PROXY", line
        assert proxy.associations == 2


@pytest.fixture
def watched(engine, udp_relay):
    """(how to reach the engine, the largest datagrams it is sent and sends): what a proxy carries to its target and back."""
    largest = [0, 0]

    def watch(place):
        def keep(datagram):
            largest[place] = max(largest[place], len(datagram))
            return True

        return keep

    relay = udp_relay(engine.port)
    relay.to_server.keep = watch(0)
    relay.to_client.keep = watch(1)
    return ["--engine", f"localhost:{relay.port}"], largest


def test_packets_inside_fit_through_dante(carried, tmp_path, watched):
    to_relay, largest = watched
    with Dante(tmp_path, commands=UDP) as dante:
        carried([*QUIC, *to_relay, *settings(socks5=dante.url)])
    assert largest == [INSIDE, INSIDE]


def test_the_end_of_dantes_control_connection(engine, forward, tmp_path, pausing_proxy):
    with Dante(tmp_path, commands=UDP) as dante:
        control = pausing_proxy(dante.port)
        arguments = [*QUIC, *settings(socks5=f"socks5://127.0.0.1:{control.port}")]
        agent = forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *arguments])
        control.cut()
        line = agent.wait_line(AT_ONCE, status="offline")
        assert line["code"] == "ERR_RSTREAM_PROXY" and "the proxy ended the UDP association" in line["error"], line
        agent.judge(agent.wait(), 5)


def test_a_dante_that_comes_back(dialer, tmp_path):
    with Dante(tmp_path, commands=UDP) as dante:
        dialer([*QUIC, *settings(socks5=dante.url)])
        port = dante.port
    with Dante(tmp_path, commands=UDP, port=port):
        dialer.again()


@pytest.fixture
def dialer(engine, forward, dial, tcp_server):
    """Dials a tunnel of an agent that needs no proxy: dialer(arguments) the first time, dialer.again() after that."""
    return Dialer(engine, forward, dial, tcp_server(origins.echo).address)


class Dialer:
    def __init__(self, engine, forward, dial, service):
        self._engine, self._dial = engine, dial
        self._name = unique("dialed")
        self._local = None
        forward(engine, service, self._name, ["--no-publish"])

    def __call__(self, arguments):
        self._local = self._dial(self._engine, self._name, arguments=arguments)
        self.again()

    def again(self):
        with socket.create_connection(("127.0.0.1", self._local.port), 10) as sock:
            sock.settimeout(AT_ONCE)
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def through(proxy, authority, path="", mode=QUIC):
    return [*mode, *settings(http=proxy.url + path), *settings(**{"tls.caFile": authority.ca_file})]


def test_connect_udp(engine, carried, authority):
    with ConnectUDPProxy(authority) as proxy:
        carried(through(proxy, authority))
        assert all(count > 100 for count in proxy.carried)
        assert proxy.largest == [INSIDE, INSIDE]
        # The agent's and the dialer's.
        assert len(proxy.requests) == 2
        for request in proxy.requests:
            assert (request[":method"], request[":protocol"], request[":scheme"]) == ("CONNECT", "connect-udp", "https")
            assert request[":authority"] == f"localhost:{proxy.port}"
            assert request[":path"] == f"{PATH}localhost/{engine.port}/"
            assert request["capsule-protocol"] == "?1"


def test_connect_udp_by_a_template_of_the_proxys_own(engine, carried, authority):
    with ConnectUDPProxy(authority) as proxy:
        carried(through(proxy, authority, PATH + "{target_host}/{target_port}/?key=value"))
        assert proxy.requests[0][":path"] == f"{PATH}localhost/{engine.port}/?key=value"


def test_connect_udp_with_a_query_only(engine, carried, authority):
    with ConnectUDPProxy(authority) as proxy:
        carried(through(proxy, authority, "/?key=value"))
        assert proxy.requests[0][":path"] == f"{PATH}localhost/{engine.port}/?key=value"


@pytest.mark.parametrize("host, in_path", [("127.0.0.1", "127.0.0.1"), ("::1", "%3A%3A1")])
def test_connect_udp_to_an_address(start_quic_engine, forward, authority, host, in_path):
    engine = start_quic_engine(names=(host,), host=host)
    options = ClientOptions(
        "--engine", f"[{host}]:{engine.port}" if ":" in host else f"{host}:{engine.port}", "--ca-file", engine.ca_file
    )
    with ConnectUDPProxy(authority) as proxy:
        agent = forward(options, "127.0.0.1:9", unique(), ["--no-publish", *through(proxy, authority)], online=False)
        control = engine.accept_control()
        control.grant_tunnel()
        agent.wait_line(status="online")
        assert [request[":path"] for request in proxy.requests] == [f"{PATH}{in_path}/{engine.port}/"]
        agent.end()


@pytest.mark.parametrize(
    "how, complaint", [("close", "going home"), ("reset", "reset"), ("fin", "the proxy has ended the tunnel")]
)
def test_the_end_of_connect_udp(engine, forward, dialer, authority, how, complaint):
    """Noticed at once, with what the proxy said; who connects again gets another tunnel."""
    with ConnectUDPProxy(authority) as proxy:
        agent = forward(engine, "127.0.0.1:9", unique(), ["--no-publish", *through(proxy, authority)])
        dialer(through(proxy, authority))
        proxy.end_tunnels(how)
        line = agent.wait_line(AT_ONCE, status="offline")
        assert complaint in line["error"], line
        agent.judge(agent.wait(), 5)
        dialer.again()
        assert len(proxy.requests) == 3


@pytest.mark.parametrize(
    "trouble, complaint",
    [
        ({"max_datagram_frame_size": None}, "QUIC datagrams of 0 bytes"),
        ({"max_datagram_frame_size": 1100}, "QUIC datagrams of 1097 bytes"),
        ({"status": 403}, "403"),
        ({"extended_connect": False}, ""),
        ({"datagrams": False}, ""),
        ({"drop": True}, "through https proxy"),
        ({"mute": True}, "the proxy has opened no way for UDP"),
    ],
    ids=["no-quic-datagrams", "small-quic-datagrams", "403", "no-extended-connect", "no-datagrams", "drops", "mute"],
)
def test_connect_udp_that_does_not_work(refused, authority, trouble, complaint):
    with ConnectUDPProxy(authority, **trouble) as proxy:
        line = refused([*through(proxy, authority), "--config-set", "timeouts.connectMs=2000"])
        assert complaint in line["error"]
        assert line["code"] != "ERR_RSTREAM_INVALID_CONFIG"
        if proxy.drop or proxy.mute or "status" in trouble or "max_datagram_frame_size" in trouble:
            assert len(proxy.requests) == 1
        else:
            assert proxy.requests == []


def test_the_proxys_certificate_counts(refused, authority, tmp_path_factory):
    other = Authority(tmp_path_factory.mktemp("other"))
    with ConnectUDPProxy(authority, certificate=other.issue("localhost")) as proxy:
        line = refused(through(proxy, authority))
        assert "certificate" in line["error"]
        assert proxy.requests == []


def test_auto_behind_a_proxy_that_knows_tcp_only(carried, tmp_path):
    """No head start for what cannot be: QUIC needs an https proxy."""
    with Squid() as squid:
        carried([*AUTO, *settings(http=squid.url)])
        assert squid.targets()


@pytest.mark.parametrize("commands, is_quic", [(UDP, True), ("connect", False)], ids=["udp", "tcp-only"])
def test_auto_through_dante(start_quic_engine, forward, tmp_path, commands, is_quic):
    """QUIC where the proxy carries UDP, TLS through the same proxy where it does not."""
    engine = start_quic_engine()
    if is_quic:
        # TLS never gets ready, however busy the machine is.
        engine.before_handshake = lambda sock: False
    with Dante(tmp_path, commands=commands) as dante:
        agent = forward(
            engine, "127.0.0.1:9", unique(), ["--no-publish", *AUTO, *settings(socks5=dante.url)], online=False
        )
        control = engine.accept_control()
        assert isinstance(control.wire.stream, quic.Stream) == is_quic
        control.grant_tunnel()
        agent.wait_line(status="online")
        agent.end()
