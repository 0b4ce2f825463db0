# SPDX-License-Identifier: Apache-2.0
"""Names looked up by the servers of the user's choice: unbound and nsd with a signed zone, and servers that misbehave."""

import socket

import pytest

from support.certificates import Authority
from support.nameservers import NSD, FakeNameServer, SignedZone, Unbound, name
from support.process import clean_environment
from support.proxies import ConnectProxy, Microsocks


def arguments(engine, host, **values):
    options = ["--engine", f"{host}:{engine.port}", "--server-name", "localhost"]
    for key, value in values.items():
        options += ["--config-set", f"transport.{key.replace('_', '.')}={value}"]
    return options


@pytest.fixture
def fails(refused):
    """What an agent says that finds no address."""
    return lambda options, environment=None: refused(options, environment)["error"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zones")
    return SignedZone(folder / "good", "signed.test"), SignedZone(folder / "bad", "bogus.test", spoil=True)


@pytest.fixture(scope="module")
def resolver(tmp_path_factory, zones, authority):
    """A validating resolver that is asked over TLS: (port, CA file)."""
    folder = tmp_path_factory.mktemp("resolver")
    records = ["unsigned.test. 60 IN A 127.0.0.1"]
    with NSD(folder, zones) as nsd:
        with Unbound(folder, nsd, zones, authority.issue("dns.test"), records) as unbound:
            yield unbound.port


@pytest.fixture
def trusting(authority, engine, tmp_path):
    """A CA file for both the engine and the resolver."""
    file = tmp_path / "both.pem"
    with open(authority.ca_file) as one, open(engine.ca_file) as other:
        file.write_text(one.read() + other.read())
    return ["--ca-file", str(file)]


# -- plain DNS --------------------------------------------------------------------------------------------------------


def test_unbound_by_udp(carried, engine, tmp_path):
    with Unbound(tmp_path, records=["edge.test. 60 IN A 127.0.0.1"]) as unbound:
        carried(arguments(engine, "edge.test", dns_override=f"127.0.0.1:{unbound.port}"))


def test_asks_for_a_then_aaaa_and_nothing_of_the_platform(carried, engine):
    with FakeNameServer(lambda question: question.address()) as server:
        carried(arguments(engine, "Edge.Test", dns_override=server.address))
        assert [(q.name, q.type) for q in server.questions[:2]] == [("edge.test", 1), ("edge.test", 28)]
        # EDNS with 1232 bytes, recursion desired.
        assert server.questions[0].message[-11:] == b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
        assert server.questions[0].message[2:4] == b"\x01\x00"


@pytest.mark.parametrize(("family", "kind"), [("ipv4", 1), ("ipv6", 28)])
def test_a_forced_family_asks_for_nothing_else(fails, engine, family, kind):
    with FakeNameServer(lambda question: question.answer(code=3)) as server:
        error = fails(arguments(engine, "edge.test", dns_override=server.address, ipFamily=family))
        if family == "ipv6":
            # The name server itself has an IPv4 address only.
            assert "127.0.0.1 has no IPv6 address" in error and not server.questions
        else:
            assert "the name has no address" in error
            assert {question.type for question in server.questions} == {kind}


def test_follows_aliases_inside_and_across_answers(carried, engine):
    def handler(question):
        if question.name == "edge.test":
            return question.answer(("edge.test", 5, name("Second.Test")), ("second.test", 5, name("third.test")))
        return question.address()

    with FakeNameServer(handler) as server:
        carried(arguments(engine, "edge.test", dns_override=server.address))
        assert [question.name for question in server.questions[:2]] == ["edge.test", "third.test"]


def test_a_loop_of_aliases_ends(fails, engine):
    other = {"edge.test": "second.test", "second.test": "edge.test"}
    with FakeNameServer(lambda q: q.answer((q.name, 5, name(other[q.name])))) as server:
        assert "more than 8 aliases in a row" in fails(arguments(engine, "edge.test", dns_override=server.address))
        assert len(server.questions) < 12


def test_records_of_other_owners_are_ignored(fails, engine):
    def handler(question):
        return question.answer(("evil.test", 1, socket.inet_aton("127.0.0.1")))

    with FakeNameServer(handler) as server:
        assert "the name has no address" in fails(arguments(engine, "edge.test", dns_override=server.address))


def test_a_truncated_answer_is_asked_for_by_tcp(carried, engine):
    def handler(question):
        return question.address() if question.transport == "tcp" else question.answer(flags=0x8380)

    with FakeNameServer(handler) as server:
        carried(arguments(engine, "edge.test", dns_override=server.address))
        assert [question.transport for question in server.questions[:2]] == ["udp", "tcp"]


def test_forged_answers_are_passed_over(carried, engine):
    def handler(question):
        wrong = bytes([question.message[0] ^ 1, question.message[1]])
        return [
            b"",
            b"\x00" * 11,
            question.address("127.0.0.99", identifier=wrong),
            question.address("127.0.0.99", question="other.test"),
            question.message,
            question.address(),
        ]

    with FakeNameServer(handler) as server:
        carried(arguments(engine, "edge.test", dns_override=server.address))


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (lambda q: q.answer(code=3), "the name has no address"),
        (lambda q: q.answer(code=2), "answered SERVFAIL"),
        (lambda q: q.answer(code=5), "answered REFUSED"),
        (lambda q: q.answer(), "the name has no address"),
        (lambda q: None, "no answer from 127.0.0.1:"),
        (lambda q: [b"\xff" * 40], "no answer from 127.0.0.1:"),
    ],
)
def test_answers_without_an_address(fails, engine, handler, expected):
    with FakeNameServer(handler) as server:
        error = fails(arguments(engine, "edge.test", dns_override=server.address))
        assert expected in error and "edge.test" in error, error


def test_a_closed_port_fails_at_once(fails, engine):
    server = FakeNameServer(lambda question: None)
    server.close()
    assert "refused" in fails(arguments(engine, "edge.test", dns_override=server.address))


def test_a_dead_address_is_overtaken_by_the_next(carried, engine):
    """Two addresses, the first of which is not ours: the second is tried beside it (RFC 8305)."""

    def handler(question):
        if question.type != 1:
            return question.answer()
        return question.answer(
            (question.name, 1, socket.inet_aton("127.0.0.66")), (question.name, 1, socket.inet_aton("127.0.0.1"))
        )

    with FakeNameServer(handler) as server:
        carried(arguments(engine, "edge.test", dns_override=server.address))


# -- DNS over TLS and DNSSEC ------------------------------------------------------------------------------------------


def test_dns_over_tls(carried, fails, engine, resolver, trusting):
    def secure(host, server_name):
        return arguments(
            engine, host, dns_override=f"127.0.0.1:{resolver}", dns_tls="true", dns_serverName=server_name
        )

    carried([*secure("edge.signed.test", "dns.test"), *trusting])
    assert "certificate not accepted" in fails([*secure("edge.signed.test", "other.test"), *trusting])
    assert "certificate not accepted" in fails(secure("edge.signed.test", "dns.test"))
    assert "answered SERVFAIL" in fails([*secure("edge.bogus.test", "dns.test"), *trusting])


def test_dns_over_tls_by_the_trust_of_the_system(carried, engine, resolver, trusting, tmp_path):
    environment = clean_environment(HOME=tmp_path, SSL_CERT_FILE=trusting[1])
    options = arguments(
        engine, "edge.signed.test", dns_override=f"127.0.0.1:{resolver}", dns_tls="true", dns_serverName="dns.test"
    )
    carried(options, environment)


def test_dnssec(carried, fails, engine, resolver, trusting):
    def validated(host):
        return [
            *arguments(
                engine,
                host,
                dns_override=f"127.0.0.1:{resolver}",
                dns_tls="true",
                dns_serverName="dns.test",
                dns_dnssec="true",
            ),
            *trusting,
        ]

    carried(validated("edge.signed.test"))
    carried(validated("alias.signed.test"))
    assert "has not validated its answer" in fails(validated("unsigned.test"))
    assert "answered SERVFAIL" in fails(validated("edge.bogus.test"))
    assert "the name has no address" in fails(validated("nothing.signed.test"))


def test_a_resolver_that_speaks_no_tls(fails, engine, tmp_path):
    with Unbound(tmp_path, records=["edge.test. 60 IN A 127.0.0.1"]) as unbound:
        options = arguments(
            engine, "edge.test", dns_override=f"127.0.0.1:{unbound.port}", dns_tls="true", dns_serverName="dns.test"
        )
        error = fails(options)
        assert "edge.test" in error and ("TLS handshake" in error or "no answer" in error), error


# -- with proxies and sockets -----------------------------------------------------------------------------------------


def test_a_proxy_is_given_the_address(carried, engine, tmp_path):
    with FakeNameServer(lambda q: q.address()) as server, ConnectProxy(engine.port) as proxy:
        options = arguments(
            engine, "edge.test", dns_override=server.address, proxy_http=f"http://127.0.0.1:{proxy.port}"
        )
        carried(options)
        assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{engine.port} ")
    with FakeNameServer(lambda q: q.address()) as server, Microsocks(tmp_path) as microsocks:
        carried(arguments(engine, "edge.test", dns_override=server.address, proxy_socks5=microsocks.url))


def test_a_family_without_name_servers_resolves_for_the_proxy_too(carried, engine):
    with ConnectProxy(engine.port) as proxy:
        carried([*arguments(engine, "localhost", ipFamily="ipv4", proxy_http=f"http://127.0.0.1:{proxy.port}")])
        assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{engine.port} ")


def test_local_addresses(fails, engine, carried):
    carried(arguments(engine, "localhost", bind_address="127.0.0.33"))
    carried(arguments(engine, "localhost", bind_interface="lo", bind_mode="interface", ipFamily="ipv4"))
    carried(arguments(engine, "localhost", mptcp="true"))
    assert "no network interface nosuch0" in fails(
        arguments(engine, "localhost", bind_interface="nosuch0", bind_mode="interface")
    )


def test_queries_and_connections_leave_by_the_chosen_address(carried, engine):
    with FakeNameServer(lambda q: q.address()) as server, ConnectProxy(engine.port) as proxy:
        options = arguments(
            engine,
            "edge.test",
            dns_override=server.address,
            bind_address="127.0.0.34",
            proxy_http=f"http://127.0.0.1:{proxy.port}",
        )
        carried(options)
        assert proxy.peers == server.peers == {"127.0.0.34"}
