# SPDX-License-Identifier: Apache-2.0
"""Encrypted ClientHello: found in the DNS, remembered, offered where the TLS library can, and never given up for a name in
the clear. The library here cannot: what is offered is seen through a preloaded stand-in for OpenSSL 4's functions."""

import base64
import os
import random
import socket
import struct
import subprocess
import time

import pytest

from support.certificates import Authority
from support.ctl import ClientOptions, Engine, unique
from support.nameservers import NSD, FakeNameServer, SignedZone, Unbound, name
from support.origins import TCPServer, upper
from support.process import build_product, clean_environment

A, CNAME, SVCB, HTTPS = 1, 5, 64, 65
REGRET = "ECH found but this TLS library cannot"


def configurations(text):
    """An ECHConfigList with one configuration of the current version."""
    config = b"\xfe\x0d" + struct.pack(">H", len(text)) + text
    return struct.pack(">H", len(config)) + config


LIST, OTHER = configurations(b"published"), configurations(b"other")


def service(target=".", ech=LIST, alpn=None, priority=1):
    """Data of an SVCB or HTTPS record."""
    parameters = b""
    for key, value in ((1, alpn and b"".join(bytes([len(p)]) + p.encode() for p in alpn)), (5, ech)):
        if value:
            parameters += struct.pack(">HH", key, len(value)) + value
    return struct.pack(">H", priority) + (b"\0" if target == "." else name(target)) + parameters


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """An engine with a name that the DNS could know."""
    engine = Engine(tmp_path_factory.mktemp("edge"), arguments=["--host", "edge.test"])
    yield engine
    engine.end()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """What is preloaded for OpenSSL 4's functions."""
    if os.environ.get("RSTREAM_BUILD_DIR", "").endswith("asan"):
        pytest.skip("AddressSanitizer wants to be the first library")
    product = tmp_path_factory.mktemp("ech") / "libech.so"
    source = os.path.join(os.path.dirname(__file__), "support", "ech_library.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", product, source], check=True)
    return product


class Offers:
    """What a program offers that thinks OpenSSL could do it."""

    def __init__(self, directory, library, statuses="1", retry=None):
        self.file = directory / unique("offers")
        more = {"ECH_RETRY": retry.hex()} if retry else {}
        self.environment = clean_environment(
            LD_PRELOAD=library, ECH_OFFERS=self.file, ECH_STATUSES=statuses, RSTREAM_LOG="debug", **more
        )

    @property
    def made(self):
        return [bytes.fromhex(line) for line in self.file.read_text().split()] if self.file.exists() else []


@pytest.fixture
def offers(tmp_path, library):
    return lambda *arguments, **options: Offers(tmp_path, library, *arguments, **options)


def asked(server, *kinds):
    return [question.name for question in server.questions if question.type in (kinds or (SVCB, HTTPS))]


class World:
    """An agent that reaches the engine by its name, by way of a name server."""

    def __init__(self, edge, forward):
        self.edge = edge
        self.record = f"_{edge.port}._rstream.edge.test"
        self._forward = forward

    def handler(self, *records, **options):
        def answer(question):
            if question.type in (SVCB, HTTPS):
                return question.answer(*((o or question.name, k, d) for o, k, d in records), **options)
            return question.address()

        return answer

    def options(self, server, host="edge.test"):
        address = server if isinstance(server, str) else server.address
        return ClientOptions(
            "--engine", f"{host}:{self.edge.port}", "--ca-file", self.edge.ca_file,
            "--config-set", f"transport.dns.override={address}",
        )  # fmt: skip

    def agent(self, server, environment=None, online=True, **options):
        environment = environment or clean_environment(RSTREAM_LOG="debug")
        return self._forward(
            self.options(server), "127.0.0.1:9", unique("ech"), ["--no-publish"], environment, online=online, **options
        )

    def refused(self, server, environment):
        agent = self.agent(server, environment, online=False)
        line = agent.wait_line(status="offline")
        agent.wait()
        agent.judged = True
        return line, agent.log


@pytest.fixture
def world(edge, forward):
    assert edge.is_running, edge.describe()
    return World(edge, forward)


def ended(agent):
    agent.end()
    return agent.log


# -- finding ----------------------------------------------------------------------------------------------------------


def test_found_once_and_said_once(world, tmp_path, dial):
    """A stream is a connection of its own: they all go by the one answer."""
    with FakeNameServer(world.handler((None, SVCB, service()))) as server, TCPServer(upper) as origin:
        environment = clean_environment(RSTREAM_LOG="debug")
        tunnel = unique("ech")
        agent = world._forward(world.options(server), origin.address, tunnel, ["--no-publish"], environment)
        dialer = dial(world.options(server), tunnel, environment=environment)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
                sock.settimeout(20)
                sock.sendall(b"abc")
                assert sock.recv(3) == b"ABC"
        assert ended(dialer).count(f"edge.test: {REGRET}") == 1
        assert ended(agent).count(f"edge.test: {REGRET}") == 1
        assert asked(server) == [world.record] * 2


def test_features_tell(offers):
    def features(environment):
        command = [build_product("rstreamctl"), "version", "--json"]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert '"ech"' in features(offers().environment) or " ech" in features(offers().environment)
    assert '"ech"' not in features(clean_environment()) and " ech" not in features(clean_environment())


def test_the_api_has_an_https_record(world, offers):
    recorded = offers()
    with FakeNameServer(world.handler((None, HTTPS, service(alpn=["h3", "http/1.1"])))) as server:
        command = [build_product("rstreamctl"), "tunnels", "--json", *world.options(server).client_options()]
        subprocess.run(command, env=recorded.environment, check=True, capture_output=True, timeout=30)
        assert asked(server) == [f"_{world.edge.port}._https.edge.test"]
    assert recorded.made == [LIST]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([(None, SVCB, service())], LIST),
        ([(None, SVCB, service(alpn=["rstrm/1"]))], LIST),
        ([(None, SVCB, service(alpn=["h2", "rstrm/1"]))], LIST),
        ([(None, SVCB, service(alpn=["h2"]))], None),
        ([(None, SVCB, service(alpn=["h2"])), (None, SVCB, service(ech=OTHER))], OTHER),
        ([(None, SVCB, service(ech=OTHER, priority=9)), (None, SVCB, service())], OTHER),
        ([(None, SVCB, service(ech=None)), (None, SVCB, service())], LIST),
        ([(None, SVCB, service(ech=b"\0\4junk")), (None, SVCB, service())], LIST),
        ([(None, SVCB, service(ech=b"\0\2"))], None),
        ([("other.test", SVCB, service())], None),
        ([(None, CNAME, name("svc.test")), ("svc.test", SVCB, service())], LIST),
        ([(None, SVCB, service("svc.test", ech=None, priority=0)), ("svc.test", SVCB, service())], LIST),
        ([(None, SVCB, service(".", ech=None, priority=0))], None),
        ([], None),
    ],
)
def test_which_record_counts(world, offers, records, expected):
    recorded = offers()
    with FakeNameServer(world.handler(*records)) as server:
        ended(world.agent(server, recorded.environment))
        assert asked(server) == [world.record]
    assert recorded.made == ([expected] if expected else [])


def test_aliases_across_answers(world, offers):
    def handler(question):
        if question.type != SVCB:
            return question.address()
        if question.name == world.record:
            return question.answer((question.name, SVCB, service("One.Test", ech=None, priority=0)))
        if question.name == "one.test":
            return question.answer((question.name, CNAME, name("two.test")))
        return question.answer((question.name, SVCB, service()))

    recorded = offers()
    with FakeNameServer(handler) as server:
        ended(world.agent(server, recorded.environment))
        assert asked(server) == [world.record, "one.test", "two.test"]
    assert recorded.made == [LIST]


def test_a_loop_of_aliases_is_left(world, offers):
    def handler(question):
        if question.type != SVCB:
            return question.address()
        other = "one.test" if question.name == "two.test" else "two.test"
        return question.answer((question.name, SVCB, service(other, ech=None, priority=0)))

    recorded = offers()
    with FakeNameServer(handler) as server:
        ended(world.agent(server, recorded.environment))
        assert len(asked(server)) == 9
    assert recorded.made == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "edge.localhost"])
def test_no_question_without_a_name_in_the_dns(world, forward, host):
    with FakeNameServer(world.handler((None, SVCB, service()))) as server:
        options = ClientOptions(*world.options(server, host).client_options(), "--server-name", host, "--insecure")
        agent = forward(options, "127.0.0.1:9", unique(), ["--no-publish"], online=False)
        # The engine knows itself by another name: it may refuse, after the connection.
        if agent.wait_line()["status"] == "online":
            agent.end()
        else:
            agent.judge(agent.wait(), expect=4)
        assert asked(server) == []


# -- failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "questions"), [({"code": 2}, 2), ({"code": 5}, 2), ({"code": 3}, 1), ({"code": 0}, 1)]
)
def test_errors_are_not_remembered_and_absence_is(world, dial, options, questions):
    """Two streams after one another. What failed is asked again for the second, which does not wait for it."""
    with FakeNameServer(world.handler(**options)) as server, TCPServer(upper) as origin:
        tunnel = unique("ech")
        environment = clean_environment(RSTREAM_LOG="debug")
        with FakeNameServer(world.handler()) as other:
            agent = world._forward(world.options(other), origin.address, tunnel, ["--no-publish"])
            dialer = dial(world.options(server), tunnel, environment=environment)
            for _ in (1, 2):
                with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
                    sock.settimeout(20)
                    sock.sendall(b"abc")
                    assert sock.recv(3) == b"ABC"
            dialer.end()
            agent.end()
        assert len(asked(server)) == questions


def test_a_silent_server_delays_nothing_where_ech_is_impossible(world):
    begin = time.monotonic()
    with FakeNameServer(lambda q: None if q.type == SVCB else q.address()) as server:
        agent = world.agent(server)
        assert time.monotonic() - begin < 1.5
        agent.end()


def test_a_silent_server_delays_the_first_connection_only_so_long(world, offers):
    recorded = offers()
    begin = time.monotonic()
    with FakeNameServer(lambda q: None if q.type == SVCB else q.address()) as server:
        agent = world.agent(server, recorded.environment)
        assert 1.5 < time.monotonic() - begin < 6
        assert "going without ECH" in ended(agent)
    assert recorded.made == []


# -- rejection --------------------------------------------------------------------------------------------------------

REJECTED = "-105"


def test_a_rejection_is_followed_by_one_attempt_with_what_the_server_wants(world, offers, dial):
    recorded = offers(f"{REJECTED} 1", retry=OTHER)
    with FakeNameServer(world.handler((None, SVCB, service()))) as server:
        agent = world.agent(server, recorded.environment)
        assert recorded.made == [LIST, OTHER]
        assert "connecting again as the server has said" in ended(agent)


def test_what_the_server_wants_is_remembered(world, offers, dial):
    recorded = offers(f"{REJECTED} 1", retry=OTHER)
    with FakeNameServer(world.handler((None, SVCB, service()))) as server, TCPServer(upper) as origin:
        tunnel = unique("ech")
        world._forward(world.options(server), origin.address, tunnel, ["--no-publish"], recorded.environment)
        dialer = dial(world.options(server), tunnel)
        with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
            sock.settimeout(20)
            sock.sendall(b"abc")
            assert sock.recv(3) == b"ABC"
        # The control channel's two, and the stream's.
        assert recorded.made == [LIST, OTHER, OTHER]


@pytest.mark.parametrize(
    ("statuses", "retry", "made"),
    [
        (REJECTED, None, [LIST]),
        (REJECTED, LIST, [LIST]),
        (REJECTED, b"junk", [LIST]),
        (REJECTED, OTHER, [LIST, OTHER]),
        ("-106", OTHER, [LIST]),
        ("-101", OTHER, [LIST]),
        ("0", OTHER, [LIST]),
        ("2", OTHER, [LIST]),
    ],
)
def test_a_name_is_never_sent_in_the_clear_after_a_rejection(world, offers, statuses, retry, made):
    recorded = offers(statuses, retry=retry)
    with FakeNameServer(world.handler((None, SVCB, service()))) as server:
        line, _ = world.refused(server, recorded.environment)
        assert line["code"] == "ERR_RSTREAM_TLS", line
        if statuses == REJECTED:
            assert "rejected the encrypted ClientHello" in line["error"]
    assert recorded.made == made


# -- real name servers ------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path, edge):
    """A validating resolver over TLS for a signed zone with the engine's record, and the options to ask it."""
    folder = tmp_path / "zones"
    records = [
        "@ IN A 127.0.0.1",
        f"_{edge.port}._rstream IN SVCB 0 published.edge.test.",
        f"published IN SVCB 1 . alpn=rstrm/1 ech={base64.b64encode(LIST).decode()}",
    ]
    zone = SignedZone(folder, "edge.test", records=records)
    authority = Authority(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(open(authority.ca_file).read() + open(edge.ca_file).read())
    with NSD(folder, [zone]) as nsd:
        with Unbound(folder, nsd, [zone], authority.issue("dns.test")) as unbound:
            yield unbound.port, both


def test_by_a_signed_zone_over_tls(edge, forward, offers, secure):
    port, ca_file = secure
    recorded = offers()
    settings = {"override": f"127.0.0.1:{port}", "tls": "true", "serverName": "dns.test", "dnssec": "true"}
    options = ["--engine", f"edge.test:{edge.port}", "--ca-file", ca_file]
    for key, value in settings.items():
        options += ["--config-set", f"transport.dns.{key}={value}"]
    forward(ClientOptions(*options), "127.0.0.1:9", unique(), ["--no-publish"], recorded.environment).end()
    assert recorded.made == [LIST]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root: another /etc/resolv.conf, and a name server on port 53")
def test_the_platforms_name_servers_are_asked(edge, forward, tmp_path, offers):
    address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {address}\n")
    mount = ["unshare", "--mount", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh"]
    recorded = offers()

    def handler(question):
        if question.type == SVCB:
            return question.answer((question.name, SVCB, service()))
        return question.address()

    with FakeNameServer(handler, (address, 53)) as server:
        options = ClientOptions("--engine", f"edge.test:{edge.port}", "--ca-file", edge.ca_file)
        agent = forward(options, "127.0.0.1:9", unique(), ["--no-publish"], recorded.environment, prefix=mount)
        agent.end()
        assert asked(server) == [f"_{edge.port}._rstream.edge.test"]
    assert recorded.made == [LIST]
