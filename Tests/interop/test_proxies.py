# SPDX-License-Identifier: Apache-2.0
"""Agents and dialers behind proxies: squid, dante and microsocks from Debian, and proxies that misbehave."""

import socket
import ssl

import pytest

from support.certificates import Authority
from support.origins import TCPServer
from support.ports import unused_port
from support.process import clean_environment
from support.proxies import PASSWORD, USER, ConnectProxy, Dante, Microsocks, Squid, join
from support.waiting import wait_until


def settings(**values):
    arguments = []
    for name, value in values.items():
        arguments += ["--config-set", f"transport.proxy.{name.replace('_', '.')}={value}"]
    return arguments


def test_squid(carried, engine):
    with Squid() as squid:
        carried(settings(http=squid.url))
        # The proxy was given the name, and every connection went through it.
        wait_until(lambda: squid.targets().count(engine.address) >= 3, what="the log of squid")
        assert set(squid.targets()) == {engine.address}


def test_squid_with_credentials(carried, refused):
    with Squid(authenticate=True) as squid:
        carried(settings(http=squid.url, username=USER, password=PASSWORD))
        carried(settings(http=squid.url.replace("//", f"//{USER}:pass%20word%3a%25@")))
        line = refused(settings(http=squid.url))
        assert line["code"] == "ERR_RSTREAM_PROXY" and "407" in line["error"] and "wants a user name" in line["error"]
        line = refused(settings(http=squid.url, username=USER, password="wrong"))
        assert "407" in line["error"] and "does not accept the credentials" in line["error"]


def test_squid_refuses_a_target(refused):
    with Squid() as squid:
        line = refused(["--engine", "unknown.invalid:443", *settings(http=squid.url)])
        assert line["code"] == "ERR_RSTREAM_PROXY" and "unknown.invalid:443" in line["error"], line
        # squid writes its log when it has time.
        wait_until(lambda: squid.targets() == ["unknown.invalid:443"], what="the log of squid")


@pytest.mark.parametrize("scheme", ["socks5://", "socks5h://", ""])
def test_dante(carried, tmp_path, scheme):
    with Dante(tmp_path) as dante:
        carried(settings(socks5=dante.url.replace("socks5://", scheme)))


def test_dante_refuses_a_target(refused, tmp_path):
    with Dante(tmp_path) as dante:
        line = refused(["--engine", "127.0.0.7:443", *settings(socks5=dante.url)])
        assert line["code"] == "ERR_RSTREAM_PROXY"
        assert "could not connect to 127.0.0.7:443: not allowed by its rules" in line["error"]


def test_microsocks(carried, tmp_path):
    with Microsocks(tmp_path) as microsocks:
        carried(settings(socks5=microsocks.url))


def test_microsocks_with_credentials(carried, refused, tmp_path):
    with Microsocks(tmp_path, authenticate=True) as microsocks:
        carried(settings(socks5=microsocks.url, username=USER, password=PASSWORD))
        carried(settings(socks5=f"socks5://{USER}:pass%20word%3A%25@127.0.0.1:{microsocks.port}"))
        line = refused(settings(socks5=microsocks.url, username=USER, password="wrong"))
        assert line["code"] == "ERR_RSTREAM_PROXY" and "does not accept the user name" in line["error"]
        line = refused(settings(socks5=microsocks.url))
        assert "rejected all authentication methods" in line["error"]


def test_a_proxy_inside_tls(carried, refused, tmp_path, engine):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("proxy.test"))
    with ConnectProxy(engine.port, tls=context) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        named = {"tls_caFile": authority.ca_file, "tls_serverName": "proxy.test"}
        carried(settings(http=url, headers='{"X-Company":"acme","Host":"other"}', **named))
        lines = proxy.requests[0].split("\r\n")
        assert lines[0] == f"CONNECT {engine.address} HTTP/1.1"
        assert "X-Company: acme" in lines and "Host: other" in lines and "Host: " + engine.address not in lines
        carried(settings(http=url, tls_insecureSkipVerify="true"))
        count = len(proxy.requests)
        assert "certificate not accepted" in refused(settings(http=url))["error"]
        assert "certificate not accepted" in refused(settings(http=url, tls_caFile=authority.ca_file))["error"]
        assert len(proxy.requests) == count


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_the_proxy(carried, tmp_path, engine, variable):
    with ConnectProxy(engine.port) as proxy:
        url = f"http://{USER}:secret@127.0.0.1:{proxy.port}" if "ALL" not in variable else f"127.0.0.1:{proxy.port}"
        environment = clean_environment(HOME=tmp_path, **{variable: url})
        # Loopback is never proxied: the engine goes by a name that only the proxy knows.
        edge = ["--engine", f"edge.invalid:{engine.port}", "--server-name", "localhost", *settings(fromEnvironment="true")]
        carried(edge, environment)
        assert proxy.requests[0].startswith(f"CONNECT edge.invalid:{engine.port} ")
        assert ("Proxy-Authorization: Basic " in proxy.requests[0]) == ("@" in url)
        count = len(proxy.requests)
        carried(settings(fromEnvironment="true"), environment)
        assert len(proxy.requests) == count


def test_no_proxy_excepts_the_engine(refused, tmp_path, engine):
    with ConnectProxy(engine.port) as proxy:
        environment = clean_environment(
            HOME=tmp_path, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}", no_proxy="example.com,.invalid"
        )
        line = refused(["--engine", "edge.invalid:443", *settings(fromEnvironment="true")], environment)
        assert "look up edge.invalid" in line["error"]
        assert not proxy.requests


def test_nothing_is_proxied_unasked(carried, tmp_path, engine):
    with ConnectProxy(engine.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        carried([], clean_environment(HOME=tmp_path, HTTPS_PROXY=url, ALL_PROXY=url))
        assert not proxy.requests


def say(*pieces, then="close"):
    """A server that answers whatever it is asked with these bytes."""

    def handler(sock):
        sock.recv(4096)
        for piece in pieces:
            sock.sendall(piece)
        if then == "wait":
            while sock.recv(4096):
                pass

    return handler


@pytest.mark.parametrize(
    ("kind", "handler", "expected"),
    [
        ("http", say(b"HTTP/1.1 200"), "closed the connection in the middle"),
        ("http", say(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, then="wait"), "larger than 16384 bytes"),
        ("http", say(b"SSH-2.0-x\r\n", then="wait"), "not HTTP/1.1"),
        ("http", say(b"\x05\x00", then="wait"), "not HTTP/1.1"),
        ("http", say(b"HTTP/1.1 502 Bad\x07 Gateway\r\n\r\n", then="wait"), "not HTTP/1.1"),
        ("http", say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", then="wait"), "502 Bad Gateway"),
        ("http", say(b"HTTP/1.1 200 OK\r\n\r\nno TLS at all", then="wait"), "TLS handshake"),
        ("http", say(then="close"), "closed the connection"),
        ("socks5", say(b"\x05"), "closed the connection in the middle"),
        ("socks5", say(b"\x04\x00", then="wait"), "does not speak SOCKS5"),
        ("socks5", say(b"HTTP/1.1 400 Bad Request\r\n\r\n", then="wait"), "does not speak SOCKS5"),
        ("socks5", say(b"\x05\x00\x05\x05", then="wait"), "connection refused"),
        ("socks5", say(b"\x05\x00\x05\x00\x00\x09\x00", then="wait"), "address type 9"),
    ],
)
def test_proxies_that_misbehave(refused, kind, handler, expected):
    with TCPServer(handler) as server:
        scheme = "http" if kind == "http" else "socks5"
        line = refused(settings(**{kind: f"{scheme}://127.0.0.1:{server.port}"}))
        assert expected in line["error"], line


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_silent_proxy_costs_the_time_limit(refused, kind):
    with TCPServer(say(then="wait")) as server:
        scheme = "http" if kind == "http" else "socks5"
        arguments = settings(**{kind: f"{scheme}://127.0.0.1:{server.port}"})
        line = refused([*arguments, "--config-set", "timeouts.connectMs=700"])
        assert line["code"] == "ERR_RSTREAM_OPERATION_TIMEOUT"
        assert f"through {kind} proxy 127.0.0.1:{server.port}" in line["error"]


def test_a_proxy_that_is_not_there(refused):
    keeper, port = unused_port()
    with keeper:
        line = refused(settings(http=f"http://127.0.0.1:{port}"))
    assert "through http proxy" in line["error"] and "refused" in line["error"]


def test_an_answer_in_single_bytes(engine, carried):

    def handler(near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096)
        with socket.create_connection(("127.0.0.1", engine.port)) as far:
            answer = b"HTTP/1.1 200 OK\r\nVia: 1.1 slow\r\n\r\n"
            for index in range(len(answer) - 1):
                near.sendall(answer[index : index + 1])
            near.sendall(answer[-1:])
            join(near, far)

    with TCPServer(handler) as server:
        carried(settings(http=f"http://127.0.0.1:{server.port}"))
