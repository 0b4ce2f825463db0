# SPDX-License-Identifier: Apache-2.0
"""Fixtures: our engine and client as processes, and the foreign parts around them.

Every process under test is stopped at the end of its test and must then end as expected, without a trace of a crash.
"""

import itertools
import socket

import pytest

from support.ctl import Dial, Engine, Forward, unique
from support.fake_api import FakeAPI
from support.fake_engine import FakeEngine
from support.network import SmallNetwork
from support.origins import HTTPSite, TCPServer, UDPServer, echo, upper
from support.pausing_proxy import PausingProxy
from support.ports import free_port_range
from support.process import Program, build_product, clean_environment
from support.proxies import PASSWORD
from support.quic_engine import QUICEngine
from support.udp_relay import UDPRelay


def pytest_collection_modifyitems(items):
    for item in items:
        # Generous on a busy machine; a test that waits for a liveness timeout needs half a minute.
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(90))


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory):
    """One development engine for all tests that leave no mark on it."""
    engine = Engine(
        tmp_path_factory.mktemp("engine"),
        settings={"timeouts.drain_seconds": 1},
        arguments=["--tcp-ports", free_port_range(40)],
    )
    yield engine
    engine.end()


@pytest.fixture
def engine(shared_engine):
    assert shared_engine.is_running, f"an earlier test ended the engine\n{shared_engine.describe()}"
    yield shared_engine
    assert shared_engine.is_running, f"this test ended the engine\n{shared_engine.describe()}"


class Keeper:
    """Makes things of one kind and ends them, newest first, when the test is over."""

    def __init__(self, make, end):
        self._make = make
        self._end = end
        self._made = []

    def __call__(self, *arguments, **options):
        thing = self._make(*arguments, **options)
        self._made.append(thing)
        return thing

    def finish(self):
        """Ends what was made."""
        failures = []
        for thing in reversed(self._made):
            try:
                self._end(thing)
            except Exception as error:  # every one is ended; the first failure is reported
                failures.append(error)
        if failures:
            raise failures[0]


def keeping(make, end=lambda thing: thing.close()):
    """A fixture that makes things of one kind."""
    keeper = Keeper(make, end)
    yield keeper
    keeper.finish()


def _end_program(program):
    if program.is_running:
        program.end()
    elif not program.judged:
        program.judge(program.wait())


@pytest.fixture
def small_network(request):
    """A network for one test, whose MTU is the fixture's parameter. To be asked for in front of whatever is to be in it."""
    try:
        network = SmallNetwork(request.param)
    except PermissionError as error:
        pytest.skip(f"no network of its own for this test: {error}")
    yield network
    network.close()


@pytest.fixture
def start_engine(tmp_path):
    """Starts an engine of the test's own: start_engine(settings={...}, ...)."""
    yield from keeping(lambda **options: Engine(tmp_path / "engine", **options), _end_program)


@pytest.fixture
def forward(tmp_path, engine_first):
    """Starts `rstreamctl forward`: forward(engine, target, name, arguments=[...])."""
    yield from keeping(lambda *a, **options: Forward(tmp_path / "forward", *a, **options), _end_program)


@pytest.fixture
def dial(tmp_path, engine_first):
    """Starts `rstreamctl dial`: dial(engine, name)."""
    yield from keeping(lambda *a, **options: Dial(tmp_path / "dial", *a, **options), _end_program)


@pytest.fixture
def engine_first(request):
    """Orders the ends: clients stop before the engines of the same test."""
    for name in ("start_engine", "start_fake_engine", "start_quic_engine"):
        if name in request.fixturenames:
            request.getfixturevalue(name)


@pytest.fixture
def client(engine):
    """A wire-level client of the shared engine."""
    client = engine.fake_client()
    yield client
    client.close()


@pytest.fixture
def quic_client(engine):
    """The same over QUIC, by aioquic."""
    client = engine.quic_client()
    yield client
    client.close()


@pytest.fixture
def start_fake_engine(tmp_path_factory):
    """Starts a wire-level engine: start_fake_engine(names=("localhost",), ...)."""
    yield from keeping(lambda **options: FakeEngine(tmp_path_factory.mktemp("fake-engine"), **options))


@pytest.fixture
def start_quic_engine(tmp_path_factory):
    """Starts a wire-level engine that speaks QUIC, too: start_quic_engine(names=("localhost",), retry=False, ...)."""
    yield from keeping(lambda **options: QUICEngine(tmp_path_factory.mktemp("quic-engine"), **options))


@pytest.fixture
def fake_engine(start_fake_engine):
    return start_fake_engine()


@pytest.fixture
def agent(fake_engine, forward):
    """Our client as an agent of the fake engine: agent(target, ...) -> (process, control, tunnel properties)."""

    def start(target, liveness="echo", timeout_ms=15000, auto_ack=True, arguments=(), prefix=(), **granted):
        process = forward(
            fake_engine, target, unique("agent"), ["--no-publish", *arguments], online=False, prefix=prefix
        )
        options = {} if liveness == "echo" else {"liveness": liveness}
        control = fake_engine.accept_control(timeout_ms=timeout_ms, auto_ack=auto_ack, **options)
        tunnel = control.grant_tunnel(**granted)
        process.tunnel = process.wait_line(status="online")
        return process, control, tunnel

    return start


@pytest.fixture
def tcp_server():
    """Starts a local TCP service: tcp_server(handler, tls=None)."""
    yield from keeping(TCPServer)


@pytest.fixture
def udp_echo():
    """A local UDP service that answers every packet in capitals."""
    with UDPServer() as server:
        yield server


@pytest.fixture
def site():
    """Starts a local HTTP service: site(version="HTTP/1.1", name="origin")."""
    yield from keeping(HTTPSite)


@pytest.fixture
def pausing_proxy():
    """Starts a proxy in front of a port: pausing_proxy(port)."""
    yield from keeping(PausingProxy)


@pytest.fixture
def udp_relay():
    """Starts a relay in front of a UDP port: udp_relay(port, host="127.0.0.1", seed=1)."""
    yield from keeping(UDPRelay)


@pytest.fixture
def name():
    return unique()


@pytest.fixture
def carried(engine, forward, dial):
    """Sends bytes through a private tunnel whose agent and whose dialer both take the path of these arguments."""

    def check(arguments, environment=None):
        name = unique("carried")
        with TCPServer(upper) as service:
            agent = forward(engine, service.address, name, ["--no-publish", *arguments], environment)
            dialer = dial(engine, name, arguments=arguments, environment=environment)
            payload = bytes(range(97, 123)) * 10_000
            with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
                sock.settimeout(20)
                sock.sendall(payload)
                # Without half close: squid takes the end of one direction for the end of both.
                received = b""
                while len(received) < len(payload):
                    received += sock.recv(65536)
            assert received == payload.upper()
            # Before a proxy on the path ends, which they would notice.
            dialer.end()
            agent.end()

    return check


@pytest.fixture
def refused(engine, forward):
    """What an agent says that cannot get through by the path of these arguments."""

    def check(arguments, environment=None):
        agent = forward(
            engine, "127.0.0.1:9", unique("refused"), ["--no-publish", *arguments], environment, online=False
        )
        line = agent.wait_line(30, status="offline")
        agent.wait()
        agent.judged = True
        assert PASSWORD not in agent.log + str(line)
        return line

    return check


@pytest.fixture
def control(client, name):
    """A control channel with one private tunnel called `name`."""
    control = client.control()
    control.tunnel = control.open_tunnel(name=name, publish=False)
    return control


@pytest.fixture
def our_agent(agent, tcp_server):
    """Our client in front of an echo server, on the fake engine: (control, tunnel id)."""
    _, control, tunnel = agent(tcp_server(echo).address)
    return control, tunnel.id.value


@pytest.fixture
def watch(tmp_path):
    """Starts `rstreamctl watch --json`: watch(engine, *arguments)."""
    numbers = itertools.count()

    def start(engine, *arguments, token=None):
        command = [build_product("rstreamctl"), "watch", "--json", *engine.client_options(token), *arguments]
        return Program(command, tmp_path / f"watch-{next(numbers)}.log", environment=clean_environment())

    yield from keeping(start, _end_program)


@pytest.fixture
def fake_api(tmp_path_factory):
    """Starts an engine's HTTP interface that gives one answer to everything: fake_api(answer)."""
    yield from keeping(lambda answer: FakeAPI(tmp_path_factory.mktemp("api"), answer))
