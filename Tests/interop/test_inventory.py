# SPDX-License-Identifier: Apache-2.0
"""Lists of tunnels and clients: ours and the official client's from the same engine, and ours from a fake engine that
answers in every way an engine should and should not."""

import json
import signal
import subprocess
import time

import pytest
from rstream import ClientFilters, TunnelFilters

from support.ctl import unique
from support.fake_api import FakeAPI, response
from support.official import official_client
from support.process import Program, build_product, clean_environment
from support.tokens import CREATE, LIST, mint
from support.waiting import wait_until

SECRET = "inventory-test-secret-0123456789abcdef"


def ctl(*arguments, expect=0, environment=()):
    """Runs rstreamctl to its end: (standard output, standard error)."""
    done = subprocess.run(
        [build_product("rstreamctl"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(**dict(environment)),
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    assert "AddressSanitizer" not in done.stderr and "LeakSanitizer" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def listed(kind, engine, *arguments, token=None):
    output, _ = ctl(kind, "--json", *engine.client_options(token), *arguments)
    assert output.count("\n") == 1
    return json.loads(output)


@pytest.fixture
def fake(tmp_path):
    """Starts fake engines: fake(answer, ...)."""
    made = []

    def start(answer=None, **options):
        directory = tmp_path / f"api-{len(made)}"
        directory.mkdir()
        made.append(FakeAPI(directory, answer, **options))
        return made[-1]

    yield start
    for api in made:
        api.close()


# -- with our engine and the official client --------------------------------------------------------------------------


@pytest.fixture
def population(engine, client):
    """Two clients with three tunnels, told from those of other tests by a label: (label, controls, ids)."""
    label = unique("inventory")
    first, second = client.control(agent=f"{label}-a", os="plan9"), client.control(agent=f"{label}-b")
    ids = [
        first.open_tunnel(name=f"{label}-1", labels={"k": label, "n": "1"}, publish=False).id.value,
        first.open_tunnel(name=f"{label}-2", labels={"k": label, "note": 'a "b" é,c\\'}).id.value,
        second.open_tunnel(name=f"{label}-3", labels={"k": label}, protocol="tls", tls_alpns=["a", "b"]).id.value,
    ]
    return label, (first, second), ids


async def test_tunnels_as_the_official_client_lists_them(engine, population):
    label, controls, ids = population
    async with official_client(engine) as official:
        for filters, arguments in [
            ({}, []),
            ({"name": f"{label}-2"}, ["--name", f"{label}-2"]),
            ({"id": ids[0]}, ["--id", ids[0]]),
            ({"publish": False}, ["--publish", "false"]),
            ({"publish": True}, ["--publish", "true"]),
            ({"protocol": "tls"}, ["--protocol", "tls"]),
            ({"type": "bytestream"}, ["--type", "bytestream"]),
            ({"type": "datagram"}, ["--type", "datagram"]),
            ({"status": "online"}, ["--status", "online"]),
            ({"client_id": controls[1].client_id}, ["--client-id", controls[1].client_id]),
            ({"http_version": "http/1.1"}, ["--http-version", "http/1.1"]),
            ({"user_id": "nobody"}, ["--user-id", "nobody"]),
            ({"hostname": "nothing"}, ["--hostname", "nothing"]),
            ({"labels": {"n": None}}, ["--label", "n"]),
            ({"labels": {"n": "2"}}, ["--label", "n=2"]),
            ({"labels": {"note": 'a "b" é,c\\'}}, ["--label", 'note=a "b" é,c\\']),
        ]:
            labels = {"k": label, **filters.pop("labels", {})}
            theirs = await official.list_tunnels(filters=TunnelFilters(**filters, labels=labels))
            ours = listed("tunnels", engine, "--label", f"k={label}", *arguments)
            assert ours == [entry.raw for entry in theirs], (filters, labels)
        theirs = await official.list_tunnels(filters=TunnelFilters(labels={"k": label}), limit=2)
        ours = listed("tunnels", engine, "--label", f"k={label}", "--limit", 2)
        assert len(ours) == 2 and ours == [entry.raw for entry in theirs]


async def test_clients_as_the_official_client_lists_them(engine, population):
    label, controls, _ = population
    async with official_client(engine) as official:
        for filters, arguments in [
            ({"id": controls[0].client_id}, ["--id", controls[0].client_id]),
            ({"agent": f"{label}-b"}, ["--agent", f"{label}-b"]),
            ({"agent": f"{label}-a", "os": "plan9"}, ["--agent", f"{label}-a", "--os", "plan9"]),
            ({"agent": f"{label}-b", "os": "plan9"}, ["--agent", f"{label}-b", "--os", "plan9"]),
            ({"agent": label, "labels": {"x": None}}, ["--agent", label, "--label", "x"]),
        ]:
            theirs = await official.list_clients(filters=ClientFilters(**filters))
            assert listed("clients", engine, *arguments) == theirs, filters
    assert listed("clients", engine, "--agent", f"{label}-a")[0]["os"] == "plan9"


def test_the_table(engine, population):
    label, _, ids = population
    output, _ = ctl("tunnels", *engine.client_options(), "--label", f"k={label}")
    head, *rows = output.splitlines()
    assert head.split() == ["ID", "NAME", "PROTOCOL", "CLIENT", "ADDRESS"]
    assert [row.split()[0] for row in rows] == ids[::-1]
    assert rows[2].endswith(f"rstrm://{label}-1 (unpublished)") and "https://" in rows[1]
    starts = [head.index(word) for word in head.split()]
    assert all(row[start] != " " and row[start - 1] == " " for row in rows for start in starts[1:])
    output, complaint = ctl("tunnels", *engine.client_options(), "--name", f"{label}-none")
    assert output == "" and "no such tunnel" in complaint
    assert f"{label}-a" in ctl("clients", *engine.client_options(), "--agent", f"{label}-a")[0]


def test_tokens(start_engine):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})
    assert listed("tunnels", engine, token=mint(SECRET, [LIST])) == []
    _, complaint = ctl("tunnels", *engine.client_options(), expect=3)
    assert "401" in complaint and "RSTREAM_AUTHENTICATION_TOKEN" in complaint
    wrong = mint("x" * 40)
    _, complaint = ctl("tunnels", *engine.client_options(wrong), expect=3)
    assert "401" in complaint and wrong not in complaint
    _, complaint = ctl("clients", *engine.client_options(mint(SECRET, [CREATE])), expect=3)
    assert "403" in complaint and "tunnels.resources.read-only" in complaint


@pytest.mark.parametrize(
    "arguments",
    [["--publish", "maybe"], ["--limit", "0"], ["--limit", "-1"], ["--limit", "x"], ["--label", ""], ["--agent", "x"], ["y"]],
    ids=" ".join,
)
def test_wrong_command_lines(arguments):
    assert "--help" in ctl("tunnels", "--engine", "localhost:1", *arguments, expect=2)[1]


# -- with a fake engine -----------------------------------------------------------------------------------------------


def test_what_is_asked(fake):
    api = fake()
    assert listed("tunnels", api) == []
    labels = ["--label", "a=b=c", "--label", "d", "--label", "e="]
    assert listed("tunnels", api, "--name", "ä b&c", "--publish", "true", *labels, "--limit", 7, token="secret") == []
    assert listed("clients", api, "--protocol-version", "1.4.5") == []
    first, second, third = api.requests
    assert (first.method, first.target, first.params) == ("GET", "/api/tunnels", None)
    assert first.headers["host"] == api.address and "authorization" not in first.headers
    assert first.headers["accept"] == "application/json" and "librstream" in first.headers["user-agent"]
    assert second.headers["authorization"] == "Bearer secret"
    assert second.params == {
        "limit": 7,
        "filters": {"name": "ä b&c", "publish": True, "labels": {"a": "b=c", "d": None, "e": ""}},
    }
    assert third.path == "/api/clients" and third.params == {"filters": {"protocol_version": "1.4.5"}}
    assert api.alpns == ["http/1.1"] * 3


def test_the_engines_certificate_is_verified(fake):
    api, other = fake(), fake()
    options = ["--engine", api.address]
    _, complaint = ctl("tunnels", *options, "--ca-file", other.ca_file, expect=4)
    assert "certificate" in complaint
    assert "certificate" in ctl("tunnels", *options, "--ca-file", api.ca_file, "--server-name", "else.where", expect=4)[1]
    assert api.requests == [] and api.accepted == 2, "a certificate is not tried again"
    assert ctl("tunnels", *options, "--insecure", "--json")[0] == "[]\n"


def test_an_engine_without_alpn(fake):
    assert listed("tunnels", fake(alpn=())) == []


ENTRY = {"id": "t1", "name": "n", "labels": {"a": "ü"}, "port": 443, "new": {"deep": [1.5, None]}}


def chunked(body, size):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\nTrailer: x\r\n\r\n"
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_answers(fake, size):
    api = fake(lambda connection, request: chunked(json.dumps([ENTRY]).encode(), size))
    assert listed("tunnels", api) == [ENTRY]


def test_a_slow_answer(fake):
    def slowly(connection, request):
        for byte in response([ENTRY]):
            connection.sendall(bytes([byte]))
            time.sleep(0.002)

    assert listed("tunnels", fake(slowly)) == [ENTRY]


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_the_content_type_is_not_what_counts(fake, content_type):
    assert listed("tunnels", fake(lambda *_: response([ENTRY], content_type=content_type))) == [ENTRY]


def test_a_large_answer(fake):
    entries = [dict(ENTRY, id=f"t{number}", note="x" * 100) for number in range(20_000)]
    assert listed("tunnels", fake(lambda *_: response(entries))) == entries


PAYLOADS = [b"", b"{}", b'"x"', b"null", b"[", b"[1,]", b"<html></html>", b"\xff\xfe", b'["\xff"]', b"[" * 100_000]


@pytest.mark.parametrize("body", PAYLOADS, ids=range(len(PAYLOADS)))
def test_payloads_that_cannot_be_used(fake, body):
    api = fake(lambda *_: response(body))
    _, complaint = ctl("tunnels", *api.client_options(), expect=1)
    assert "cannot be used" in complaint
    assert len(api.requests) == 1


def test_elements_that_are_no_objects_are_left_out(fake):
    assert listed("tunnels", fake(lambda *_: response([1, ENTRY, None, [], "x"]))) == [ENTRY]


def test_a_huge_answer_is_refused(fake):
    def endlessly(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
        for _ in range(100):
            connection.sendall(b" " * 1_000_000)

    api = fake(endlessly)
    assert "16 MiB" in ctl("tunnels", *api.client_options(), expect=1)[1]
    assert len(api.requests) == 1


HEADS = [b"\x00\x01\x02", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"X" * 100_000]


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_what_is_not_http(fake, head):
    api = fake(lambda connection, request: connection.sendall(head) or False)
    ctl("tunnels", *api.client_options(), expect=1)
    assert len(api.requests) == 1


STATUSES = [("301 Moved Permanently", 301), ("400 Bad Request", 400), ("401 Unauthorized", 401), ("403 Forbidden", 403)]
STATUSES += [("404 Not Found", 404), ("429 Too Many Requests", 429), ("500 Oops", 500), ("503 Busy", 503)]


@pytest.mark.parametrize("status, code", STATUSES, ids=[str(code) for _, code in STATUSES])
def test_a_status_is_final(fake, status, code):
    headers = ("Retry-After: 0", "Location: /api/clients")
    api = fake(lambda *_: response(b"no, because\x1b[31m\n", status, "text/plain", headers))
    _, complaint = ctl("tunnels", *api.client_options("secret-token"), expect=3)
    assert f"answered {code}: no, because [31m" in complaint and "secret-token" not in complaint
    assert len(api.requests) == 1


def test_the_token_in_an_answer_is_not_repeated(fake):
    api = fake(lambda connection, request: response(request.headers["authorization"].encode(), "401 X", "text/plain"))
    assert "secret-token" not in ctl("tunnels", *api.client_options("secret-token"), expect=3)[1]


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["])
def test_a_broken_connection_is_tried_once_more(fake, part):
    def first_breaks(connection, request):
        if len(api.requests) > 1:
            return response([ENTRY])
        if part:
            connection.sendall(part)
        return False

    api = fake(first_breaks)
    assert listed("tunnels", api) == [ENTRY]
    assert len(api.requests) == 2 and 0.02 <= api.requests[1].time - api.requests[0].time < 2
    api = fake(lambda connection, request: part and connection.sendall(part) or False)
    ctl("tunnels", *api.client_options(), expect=4)
    assert len(api.requests) == 2


def test_silence_is_tried_once_more_and_not_for_long(fake):
    def silent_at_first(connection, request):
        return response([ENTRY]) if len(api.requests) > 1 else None

    api = fake(silent_at_first)
    assert listed("tunnels", api) == [ENTRY]
    assert 2.3 < api.requests[1].time - api.requests[0].time < 4
    api = fake(lambda connection, request: None)
    started = time.monotonic()
    _, complaint = ctl("tunnels", *api.client_options(), expect=4)
    assert "within 5000 ms" in complaint and 4.8 < time.monotonic() - started < 10
    assert len(api.requests) == 2


def test_an_interrupt_ends_the_request(fake, tmp_path):
    api = fake(lambda connection, request: None)
    program = Program(
        [build_product("rstreamctl"), "tunnels", *api.client_options()], tmp_path / "log", environment=clean_environment()
    )
    wait_until(lambda: api.requests)
    program.end(signal.SIGINT)
    assert "closed" not in program.log
