# SPDX-License-Identifier: Apache-2.0
"""QUIC through proxies: UDP ASSOCIATE of SOCKS5 with dante, CONNECT-UDP with aioquic."""

import pytest

from support.certificates import Authority
from support.connect_udp_proxy import PATH, ConnectUDPProxy
from support.proxies import Dante, Squid

QUIC = ["--config-set", "transport.mode=quic"]
AUTO = ["--config-set", "transport.mode=auto"]


def settings(**values):
    return [part for name, value in values.items() for part in ("--config-set", f"transport.proxy.{name}={value}")]


def test_dante(carried, tmp_path):
    with Dante(tmp_path, commands="connect udpassociate udpreply") as dante:
        carried([*QUIC, *settings(socks5=dante.url)])


def test_dante_that_gives_no_udp(refused, tmp_path):
    with Dante(tmp_path) as dante:
        line = refused([*QUIC, *settings(socks5=dante.url)])
        assert "UDP" in line["error"] or "SOCKS" in line["error"]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def through(proxy, authority, path="", mode=QUIC):
    return [*mode, *settings(http=proxy.url + path), *settings(**{"tls.caFile": authority.ca_file})]


def test_connect_udp(engine, carried, authority):
    with ConnectUDPProxy(authority) as proxy:
        carried(through(proxy, authority))
        assert all(count > 100 for count in proxy.carried)
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


@pytest.mark.parametrize(
    "trouble, complaint",
    [
        ({"status": 403}, "403"),
        ({"extended_connect": False}, ""),
        ({"datagrams": False}, ""),
        ({"drop": True}, ""),
    ],
    ids=["403", "no-extended-connect", "no-datagrams", "drops"],
)
def test_connect_udp_that_does_not_work(refused, authority, trouble, complaint):
    with ConnectUDPProxy(authority, **trouble) as proxy:
        line = refused([*through(proxy, authority), "--config-set", "timeouts.connectMs=2000"])
        assert complaint in line["error"]
        assert line["code"] != "ERR_RSTREAM_INVALID_CONFIG"
        if "status" not in trouble and not proxy.drop:
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
