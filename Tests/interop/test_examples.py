# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/, used as their first lines say."""

import pathlib
import signal

import pytest

from support.process import Program, build_directory, clean_environment

EXAMPLES = {
    "http_server", "echo_server", "echo_client", "forward_port", "http_get_libcurl", "embedded_engine", "packet_echo",
}  # fmt: skip


@pytest.fixture
def example(engine, tmp_path):
    """Starts an example: example("echo_server", "name"); its lines are text."""
    programs = []

    def start(name, *arguments, stop_with=signal.SIGTERM, expect=0):
        assert name in EXAMPLES
        path = build_directory() / "examples" / name
        assert path.exists(), f"{path} is missing: was libcurl there when everything was built?"
        environment = clean_environment(RSTREAM_ENGINE=engine.address, RSTREAM_CA_FILE=engine.ca_file)
        log = tmp_path / f"{name}-{len(programs)}.log"
        program = Program([path, *arguments], log, environment=environment)
        programs.append((program, stop_with, expect))
        return program

    yield start
    for program, stop_with, expect in reversed(programs):
        if program.is_running:
            program.end(stop_with, expect=expect)
        elif not program.judged:
            program.judge(program.wait(), expect)


def line(program, predicate=lambda text: True, timeout=15):
    """The next line of text that an example prints."""
    return program.wait_line(timeout, not_json=predicate)["not_json"].rstrip("\n")


def output(program, expect=0):
    """Everything an example printed, when it has ended."""
    program.judge(program.wait(), expect)
    return "".join(item["not_json"] for item in program.lines)


def host_of(address):
    return address.removeprefix("https://").split(":")[0]


def get(engine, host, path="/", method="GET", connection=None):
    connection = connection or engine.http(host)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode(), connection


def test_http_server(engine, example):
    server = example("http_server", stop_with=signal.SIGINT)
    host = host_of(line(server))
    status, body, connection = get(engine, host)
    assert status == 200 and "this is request 1 " in body and "Hello 127.0.0.1" in body
    # The same connection of the consumer carries more.
    assert "this is request 2 " in get(engine, host, connection=connection)[1]
    assert get(engine, host, method="HEAD", connection=connection)[:2] == (200, "")
    connection.close()
    status, body, connection = get(engine, host, method="DELETE")
    assert status == 405
    connection.close()


def test_echo(example, name):
    server = example("echo_server", name, expect=-signal.SIGTERM)
    assert line(server) == f"rstrm://{name} (unpublished)"
    assert output(example("echo_client", name)) == "hello\n"
    assert output(example("echo_client", name, "grüße, Welt")) == "grüße, Welt\n"
    large = "0123456789abcdef" * 8000
    assert output(example("echo_client", name, large)) == large + "\n"
    assert server.is_running


def test_echo_client_without_server(example, name):
    client = example("echo_client", name, expect=1)
    assert output(client, expect=1) == ""
    assert "ERR_RSTREAM_ENGINE" in client.log


def test_packet_echo(example, name):
    server = example("packet_echo", name, expect=-signal.SIGTERM)
    assert line(server) == f"rstrm://{name} (unpublished)"
    assert output(example("packet_echo", name, "one", "", "drei Grüße")) == "3: one\n0: \n12: drei Grüße\n"
    assert line(server) == "127.0.0.1: 3 packets, 0 of them dropped"
    assert server.is_running


def test_packet_echo_without_server(example, name):
    client = example("packet_echo", name, "x", expect=1)
    assert output(client, expect=1) == ""
    assert "ERR_RSTREAM_ENGINE" in client.log


def test_forward_port(engine, example, site):
    origin = site(name="behind-the-example")
    program = example("forward_port", str(origin.port), stop_with=signal.SIGINT)
    address, arrow, target = line(program).split(" ")
    assert arrow == "->" and target == str(origin.port)
    status, body, connection = get(engine, host_of(address), "/name")
    assert (status, body) == (200, "behind-the-example")
    connection.close()
    assert line(program, lambda text: "connected" in text).startswith("127.0.0.1")
    line(program, lambda text: "bytes in" in text)


def test_http_get_libcurl(example, forward, engine, site, name):
    origin = site(name="behind-libcurl")
    forward(engine, str(origin.port), name, ["--no-publish"])
    assert output(example("http_get_libcurl", name, "/name")) == "behind-libcurl"
    assert len(output(example("http_get_libcurl", name, "/chunked"))) == len("first second third")


def test_http_get_libcurl_without_tunnel(example, name):
    program = example("http_get_libcurl", name, "/", expect=1)
    assert output(program, expect=1) == ""
    assert "ERR_RSTREAM_ENGINE" in program.log


def test_embedded_engine(example, tmp_path):
    text = output(example("embedded_engine", str(tmp_path / "state")))
    assert "The engine listens on localhost:" in text
    assert "The agent offers rstrm://greeter (unpublished)" in text
    assert text.endswith("Hello dialer, from the other side of the tunnel.\n")


def test_every_example_is_tested():
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples"
    assert {path.stem for path in folder.glob("*.c")} == EXAMPLES
