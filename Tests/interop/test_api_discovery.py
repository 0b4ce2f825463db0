# SPDX-License-Identifier: Apache-2.0
"""Clients that are known by a certificate: how they find the engine's API. The official client and ours with our engine,
and both with an engine that says things that are right and wrong."""

import json
import socket
import subprocess
import threading

import pytest
import rstream
from rstream.config import TLSOptions
from rstream.engine_discovery import EngineAPIDiscovery
from rstream.errors import RuntimeError as OfficialError

from support import wire
from support.certificates import Authority
from support.ctl import unique
from support.fake_api import FakeAPI, response
from support.origins import TCPServer
from support.process import Program, build_product, clean_environment
from support.tls import client_context, tls_connect
from support.waiting import wait_until

WELL_KNOWN = "/.well-known/rstream/engine"


def ctl(*arguments, expect=0):
    done = subprocess.run(
        [build_product("rstreamctl"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A client's certificate and its authority: (ca file, certificate file, key file)."""
    authority = Authority(tmp_path_factory.mktemp("client-authority"))
    return (authority.ca_file, *authority.issue("agent-1", client=True))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate of another authority."""
    return Authority(tmp_path_factory.mktemp("stranger")).issue("agent-2", client=True)


def shows(certificate, key):
    return ["--cert", certificate, "--key", key]


@pytest.fixture
def closed_engine(start_engine, identity):
    """An engine that takes certificates of one authority and a static token."""
    return start_engine(
        settings={"auth.open": "false", "auth.tokens": "static", "auth.mtls.ca_file": identity[0], "timeouts.drain_seconds": 1}
    )


def official(engine, certificate, key, ca_file=None):
    return rstream.Client(
        engine=f"localhost:{engine.port}",
        no_token=True,
        read_config_file=False,
        operation_timeout=10.0,
        tls=TLSOptions(ca_file=ca_file or engine.ca_file, cert_file=certificate, key_file=key),
    )


# -- our engine -------------------------------------------------------------------------------------------------------


async def test_the_official_client_with_a_certificate(closed_engine, identity, stranger, name):
    async with official(closed_engine, *identity[1:]) as client:
        control = await client.connect()
        tunnel = await control.create_tunnel(name=name, publish=False)
        assert [entry.raw["id"] for entry in await client.list_tunnels()] == [tunnel.id]
        assert len(await client.list_clients()) == 1
        for transport in ("sse", "websocket"):
            async with client.watch(transport=transport) as stream:
                assert (await anext(stream)).type == "state.initial"
    async with official(closed_engine, *stranger) as client:
        with pytest.raises(OfficialError, match="certificate") as refusal:
            await client.list_tunnels()
        assert refusal.value.code == "ERR_RSTREAM_ENGINE_API_HTTP"


def test_our_client_with_a_certificate(closed_engine, identity, stranger, forward, name):
    ours = forward(closed_engine, "127.0.0.1:9", name, ["--no-publish", *shows(*identity[1:])])
    listed = json.loads(ctl("tunnels", "--json", *closed_engine.client_options(), *shows(*identity[1:]))[0])
    assert [entry["name"] for entry in listed] == [name] and ours.tunnel["id"] == listed[0]["id"]
    _, complaint = ctl("tunnels", *closed_engine.client_options(), *shows(*stranger), expect=3)
    assert "401" in complaint and "authority" in complaint
    refused = forward(closed_engine, "127.0.0.1:9", "x", ["--no-publish", *shows(*stranger)], online=False)
    assert refused.wait_line(status="offline")["engine_code"] == 1000
    refused.judge(refused.wait(), expect=3)


def test_a_certificate_and_a_token_are_refused(closed_engine, identity):
    context = client_context(closed_engine.ca_file, ["http/1.1"], certificate=identity[1:])
    with tls_connect(closed_engine.port, "localhost", context) as stream:
        stream.write(b"GET /api/auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer static\r\nConnection: close\r\n\r\n")
        answer = stream.read_all()
    assert answer.startswith(b"HTTP/1.1 401 ") and b"cannot be used together" in answer


def test_a_certificate_that_is_not_for_clients(tmp_path, start_engine):
    server = Authority(tmp_path)
    engine = start_engine(settings={"auth.open": "false", "auth.mtls.ca_file": server.ca_file})
    assert ctl("tunnels", "--json", *engine.client_options(), *shows(*server.issue("c", client=True)))[0] == "[]\n"
    assert "401" in ctl("tunnels", *engine.client_options(), *shows(*server.issue("s")), expect=3)[1]


def test_the_document(closed_engine):
    status, document = closed_engine.api(WELL_KNOWN)
    assert status == 200
    assert document == {
        "version": 1,
        "projectEndpoint": "localhost",
        "mtlsApiUrl": f"https://localhost:{closed_engine.port}/api",
        "capabilities": ["engine-api-mtls"],
    }


def test_an_open_engine_takes_any_certificate(engine, stranger):
    assert ctl("tunnels", "--json", *engine.client_options(), *shows(*stranger), "--name", unique("none"))[0] == "[]\n"


def test_an_engine_that_takes_no_certificates(start_engine, stranger):
    engine = start_engine(settings={"auth.open": "false", "auth.tokens": "static"})
    assert engine.api(WELL_KNOWN)[0] == 404
    _, complaint = ctl("tunnels", *engine.client_options(), *shows(*stranger), expect=4)
    assert "mTLS API discovery" in complaint and "404" in complaint
    client = engine.fake_client()
    client.context.load_cert_chain(*stranger)
    with pytest.raises(wire.Refused) as refusal:
        client.control()
    assert refusal.value.code == 1000


def test_pitfall75_what_needs_no_token(closed_engine):
    for path in ("/api/openapi.json", "/api/health/live", "/api/health/ready", WELL_KNOWN):
        connection = closed_engine.http()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, path
        connection.close()
    assert closed_engine.api("/api/tunnels")[0] == 401


def test_pitfall74_refusals_are_short_texts_and_no_redirects(closed_engine):
    for path in ("/", "/api", "/api/tunnels", "/api/sse", "/api/x", "/.well-known/rstream/engine/", "//api/tunnels"):
        connection = closed_engine.http()
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (401, 404) and answer.getheader("Location") is None, path
        assert answer.headers.get_content_type() == "text/plain" and len(body) < 300 and b"<" not in body
        connection.close()


# -- a host of its own, through a proxy -------------------------------------------------------------------------------


@pytest.fixture
def connect_proxy():
    """A proxy that knows where every name is: connect_proxy(port) -> (URL, the targets that it was asked for)."""
    servers = []

    def start(port):
        targets = []

        def serve(sock):
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
            targets.append(head.split()[1].decode())
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with socket.create_connection(("127.0.0.1", port), 10) as upstream:
                back = threading.Thread(target=pump, args=(upstream, sock), daemon=True)
                back.start()
                pump(sock, upstream)
                back.join(20)

        servers.append(TCPServer(serve))
        return f"http://{servers[-1].address}", targets

    yield start
    for server in servers:
        server.close()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_host_of_its_own(start_engine, identity, connect_proxy):
    engine = start_engine(
        settings={
            "auth.open": "false",
            "auth.tokens": "static",
            "auth.mtls.ca_file": identity[0],
            "auth.mtls.api_host": "localhost.mtls.test",
        }
    )
    assert engine.api(WELL_KNOWN)[1]["mtlsApiUrl"] == f"https://localhost.mtls.test:{engine.port}/api"
    proxy, targets = connect_proxy(engine.port)
    options = [*engine.client_options(), "--config-set", f"transport.proxy.http={proxy}"]
    assert ctl("tunnels", "--json", *options, *shows(*identity[1:]))[0] == "[]\n"
    assert targets == [f"localhost:{engine.port}", f"localhost.mtls.test:{engine.port}"]
    # The ordinary host does not ask for certificates, and goes on taking tokens.
    assert ctl("tunnels", "--json", *options, "--token", "static")[0] == "[]\n"
    assert targets[2:] == [f"localhost:{engine.port}"]
    ordinary = ["--config-set", f"mtlsApiUrl=https://localhost:{engine.port}/api"]
    assert "401" in ctl("tunnels", *options, *ordinary, *shows(*identity[1:]), expect=3)[1]


# -- an engine that says anything -------------------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path, identity):
    """Starts fake engines: fake(discovery) answers the discovery with that, everything else with an empty list."""
    made = []

    def start(discovery, **options):
        directory = tmp_path / f"api-{len(made)}"
        directory.mkdir()

        def answer(connection, request):
            if request.path != WELL_KNOWN:
                return response()
            return discovery(connection, request) if callable(discovery) else discovery

        made.append(FakeAPI(directory, answer, client_ca=identity[0], **options))
        return made[-1]

    yield start
    for api in made:
        api.close()


def document(port=1, **changes):
    values = {
        "version": 1,
        "projectEndpoint": "localhost",
        "mtlsApiUrl": f"https://localhost:{port}/api",
        "capabilities": ["engine-api-mtls"],
        **changes,
    }
    return {name: value for name, value in values.items() if value != "absent"}


def test_nothing_is_shown_before_it_is_known_where(fake, identity):
    api = fake(lambda connection, request: response(document(api.port, more={"future": True})))
    options = [*api.client_options(), *shows(*identity[1:])]
    assert ctl("tunnels", "--json", *options)[0] == "[]\n"
    first, second = api.requests
    assert (first.method, first.target, first.headers["accept"]) == ("GET", WELL_KNOWN, "application/json")
    assert first.headers["host"] == api.address and not {"authorization", "cookie"} & first.headers.keys()
    assert second.path == "/api/tunnels" and "authorization" not in second.headers
    assert not api.certificates[0] and api.certificates[1]


def test_the_engine_is_verified_even_without_verification(fake, identity):
    api, other = (fake(lambda connection, request: response(document(api.port))) for _ in range(2))
    options = ["--engine", api.address, "--insecure", *shows(*identity[1:])]
    for more in ([], ["--ca-file", other.ca_file]):
        assert "certificate" in ctl("tunnels", *options, *more, expect=4)[1]
    assert api.requests == []
    assert ctl("tunnels", "--json", *options, "--ca-file", api.ca_file)[0] == "[]\n"


def test_a_configured_url(fake, identity):
    api = fake(response(b"", "404 Not Found"))
    url = ["--config-set", f"mtlsApiUrl=https://{api.address}/api"]
    assert ctl("tunnels", "--json", *api.client_options(), *shows(*identity[1:]), *url)[0] == "[]\n"
    assert [request.path for request in api.requests] == ["/api/tunnels"] and api.certificates[0]
    for wrong in (f"http://{api.address}/api", f"https://{api.address}", f"https://u:secret@{api.address}/api"):
        _, complaint = ctl("tunnels", *api.client_options(), "--config-set", f"mtlsApiUrl={wrong}", expect=3)
        assert "mtlsApiUrl" in complaint and "secret" not in complaint


URL = "https://localhost:1/api"

# Both refuse these.
MALFORMED = {
    "empty": b"",
    "null": b"null",
    "list": [document()],
    "text": "x",
    "trailing": json.dumps(document()).encode() + b"x",
    "twice": json.dumps(document()).encode() * 2,
    "cut": json.dumps(document()).encode()[:-1],
    "not-utf-8": json.dumps(document()).encode().replace(b"engine-api-mtls", b"engine-api-mtls\xff"),
    "version-2": document(version=2),
    "version-float": document(version=1.0),
    "version-text": document(version="1"),
    "version-true": document(version=True),
    "version-absent": document(version="absent"),
    "project-other": document(projectEndpoint="other"),
    "project-capital": document(projectEndpoint="LOCALHOST"),
    "project-absent": document(projectEndpoint="absent"),
    "capability-missing": document(capabilities=["other"]),
    "capability-number": document(capabilities=["engine-api-mtls", 1]),
    "capabilities-text": document(capabilities="engine-api-mtls"),
    "capabilities-object": document(capabilities={"engine-api-mtls": True}),
    "url-absent": document(mtlsApiUrl="absent"),
    "url-number": document(mtlsApiUrl=1),
    "url-http": document(mtlsApiUrl=URL.replace("https", "http")),
    "url-path": document(mtlsApiUrl=URL + "/"),
    "url-no-path": document(mtlsApiUrl="https://localhost:1"),
    "url-query": document(mtlsApiUrl=URL + "?x=y"),
    "url-fragment": document(mtlsApiUrl=URL + "#x"),
    "url-user": document(mtlsApiUrl="https://user:secret@localhost:1/api"),
    "url-port-0": document(mtlsApiUrl="https://localhost:0/api"),
    "url-port-big": document(mtlsApiUrl="https://localhost:65536/api"),
    "url-port-text": document(mtlsApiUrl="https://localhost:x/api"),
    "url-host": document(mtlsApiUrl="https://other.localhost:1/api"),
    "url-empty-host": document(mtlsApiUrl="https:///api"),
    "url-space": document(mtlsApiUrl="https://localhost :1/api"),
    "url-backslash": document(mtlsApiUrl="https://localhost.x\\evil:1/api"),
    "url-escape": document(mtlsApiUrl="https://localhost.%65vil:1/api"),
    "large": document(more="x" * 16_384),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_documents_that_nobody_uses(fake, identity, kind):
    api = fake(response(MALFORMED[kind]))
    _, complaint = ctl("tunnels", *api.client_options(), *shows(*identity[1:]), expect=4)
    assert "invalid or unavailable mTLS API discovery" in complaint and "secret" not in complaint
    with pytest.raises(OfficialError) as refusal:
        await EngineAPIDiscovery().resolve(api.address, TLSOptions(ca_file=api.ca_file))
    assert refusal.value.code == "ERR_RSTREAM_ENGINE_DISCOVERY"
    assert [request.path for request in api.requests] == [WELL_KNOWN] * 2


# Only the official client takes these: they are read in different ways by different programs, or are not what they seem.
AMBIGUOUS = {
    "empty-query": document(mtlsApiUrl=URL + "?"),
    "empty-port": document(mtlsApiUrl="https://localhost:/api"),
    "a-name-twice": b'{"version":2,' + json.dumps(document()).encode()[1:],
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
async def test_documents_that_only_the_official_client_uses(fake, identity, kind):
    api = fake(response(AMBIGUOUS[kind]))
    assert "discovery" in ctl("tunnels", *api.client_options(), *shows(*identity[1:]), expect=4)[1]
    assert await EngineAPIDiscovery().resolve(api.address, TLSOptions(ca_file=api.ca_file))


@pytest.mark.parametrize(
    "answer",
    [
        response(document(), "201 Created"),
        response(b"", "302 Found", headers=("Location: /elsewhere",)),
        response(b"", "404 Not Found"),
        response(b"", "503 Busy"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        False,
    ],
    ids=["201", "302", "404", "503", "cut", "closed"],
)
def test_answers_that_are_no_document(fake, identity, answer, tmp_path):
    def say(connection, request):
        if answer:
            connection.sendall(answer)
        return False

    api = fake(say)
    command = [build_product("rstreamctl"), "watch", "--json", *api.client_options(), *shows(*identity[1:])]
    program = Program(command, tmp_path / "watch.log", environment=clean_environment())
    assert program.wait_line(status="offline")["code"] == "ERR_RSTREAM_ENGINE_DISCOVERY"
    program.judge(program.wait(), 4)
    assert {request.path for request in api.requests} <= {WELL_KNOWN} and not any(api.certificates)


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_our_watch_with_a_certificate(closed_engine, identity, tmp_path, transport):
    options = [*closed_engine.client_options(), *shows(*identity[1:]), *(["--websocket"] if transport == "websocket" else [])]
    command = [build_product("rstreamctl"), "watch", "--json", *options]
    program = Program(command, tmp_path / "watch.log", environment=clean_environment())
    program.wait_line(type="state.initial")
    program.end()


def test_a_watch_looks_anew_after_its_connection_broke(fake, identity, tmp_path):
    snapshot = b'data: {"type":"state.initial","object":{"clients":[],"tunnels":[]}}\n\n'

    def answer(connection, request):
        if request.path == WELL_KNOWN:
            return response(document(api.port))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n" + snapshot)
        return False

    directory = tmp_path / "breaking"
    directory.mkdir()
    api = FakeAPI(directory, answer, client_ca=identity[0])
    command = [build_product("rstreamctl"), "watch", "--json", "--reconnect", *api.client_options(), *shows(*identity[1:])]
    program = Program(command, tmp_path / "watch.log", environment=clean_environment())
    wait_until(lambda: [line.get("type") for line in program.lines].count("state.initial") >= 2, 20, what="snapshots")
    program.end()
    api.close()
    assert [request.path for request in api.requests][:4] == [WELL_KNOWN, "/api/sse", WELL_KNOWN, "/api/sse"]
