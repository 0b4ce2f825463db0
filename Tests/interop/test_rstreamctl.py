# SPDX-License-Identifier: Apache-2.0
"""rstreamctl on the command line: help, mistakes, what dial makes of its standard streams, the engine's defaults."""

import json
import os
import pty
import signal
import socket
import subprocess

import pytest

from support import origins
from support.ctl import unique
from support.ports import unused_port
from support.process import Program, build_product, clean_environment
from support.waiting import wait_until

COMMANDS = ("engine", "forward", "dial", "version")


def ctl(*arguments, environment=None, **options):
    """Runs rstreamctl to its end."""
    return subprocess.run(
        [build_product("rstreamctl"), *[str(argument) for argument in arguments]],
        env=environment or clean_environment(),
        timeout=60,
        **({"capture_output": True} | ({} if "input" in options else {"stdin": subprocess.DEVNULL}) | options),
    )


# -- help and mistakes -----------------------------------------------------------------------------------------------


def test_help_of_everything():
    for words in (["--help"], ["-h"], ["help"]):
        result = ctl(*words)
        assert result.returncode == 0 and result.stderr == b""
        for command in COMMANDS:
            assert f"  {command} ".encode() in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    results = [ctl(command, "--help"), ctl(command, "-h"), ctl("help", command)]
    for result in results:
        assert result.returncode == 0 and result.stderr == b"" and result.stdout == results[0].stdout
    for word in (b"usage:", b"Options:", b"Examples:", b"Exit codes:", b"--json", b"  5  "):
        assert word in results[0].stdout


def test_nothing_asked_is_a_mistake():
    result = ctl()
    assert result.returncode == 2 and b"usage:" in result.stderr and result.stdout == b""


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["help", "bogus"],
        ["forward"],
        ["forward", "--bogus", "80"],
        ["forward", "80", "81"],
        ["forward", "80", "--name"],
        ["forward", "80", "--json=yes"],
        ["forward", "80", "--label", "novalue"],
        ["forward", "80", "--config-set", "=x"],
        ["dial"],
        ["dial", "x", "y"],
        ["engine", "x"],
        ["engine", "--set", "nothing"],
        ["version", "--long"],
    ],
    ids=" ".join,
)
def test_mistakes(words):
    result = ctl(*words)
    assert result.returncode == 2 and result.stdout == b""
    assert result.stderr.startswith(b"rstreamctl: ") and b"--help'" in result.stderr


@pytest.mark.parametrize(
    "words, wanted",
    [
        (["forward", "80", "--port", "x"], "port"),
        (["forward", "80"], "RSTREAM_ENGINE"),
        (["forward", "80", "--engine", "https://x"], "engine"),
        (["forward", "80", "--config-set", "no.such=1"], "no.such"),
        (["forward", "80", "--property", "id=1"], "id"),
        (["dial", "x", "--engine", "localhost:1", "--config-set", "timeouts.connectMs=0"], "timeouts.connectMs"),
        (["engine", "--set", "no.such=1"], "no.such"),
        (["engine", "--config", "/nonexistent/engine.yaml"], "/nonexistent/engine.yaml"),
        (["engine", "--listen", "127.0.0.1:0"], "certs.static.cert_file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_bad_configuration(words, wanted):
    result = ctl(*words)
    assert result.returncode == 3 and wanted in result.stderr.decode()


def test_options_after_two_dashes_are_arguments(engine):
    result = ctl("dial", *engine.client_options(), "--", "--help")
    assert result.returncode == 3 and b"dial --help" in result.stderr


def test_version():
    text = ctl("version").stdout.decode()
    version = json.loads(ctl("version", "--json").stdout)
    assert ctl("--version").stdout.decode() == text
    assert version["version"] == version["library"] and version["library"] in text
    assert version["protocol"] == "1.4.5" and "transport.tls" in version["features"]


def test_a_token_is_never_shown(engine, start_fake_engine):
    secret = "s3cr3t-t0k3n"
    for words in (
        ["forward", "80", "--token", secret, "--cert", "/nonexistent/cert", "--key", "/nonexistent/key"],
        ["forward", "80", "--token", f"{secret} {secret}"],
        ["forward", "80", f"--tokens={secret}"],
        ["forward", "80", "--config-set", f"auth.tokens={secret}"],
        ["dial", "nobody", "--token", secret, *engine.client_options()],
        ["engine", "--set", f"auth.tokens={secret},", "--set", "dev.enabled=maybe"],
    ):
        result = ctl(*words, environment=clean_environment(RSTREAM_LOG="debug"))
        assert result.returncode != 0
        assert secret.encode() not in result.stdout + result.stderr


# -- dial with standard input and output -------------------------------------------------------------------------------


@pytest.fixture
def reached(engine, forward, tcp_server, name):
    """Options for `dial` that reach a service: reached(handler)."""

    def start(handler):
        forward(engine, tcp_server(handler).address, name, ["--no-publish"])
        return [name, *engine.client_options()]

    return start


def test_dial_with_pipes(reached):
    result = ctl("dial", *reached(origins.reply_after_end), input=b"ping")
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"ping" in result.stdout


def test_dial_with_files(reached, tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(data)
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as sink:
        options = {"stdin": source, "stdout": sink, "stderr": subprocess.PIPE, "capture_output": False}
        result = ctl("dial", *reached(origins.echo), **options)
    assert (result.returncode, result.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == data


def test_dial_with_nothing_to_say(reached):
    result = ctl("dial", *reached(origins.banner))
    assert result.returncode == 0 and len(result.stdout) > 0


def test_dial_with_closed_descriptors(reached):
    """Started without standard input and output, nothing of the tool's own may take their place."""
    command = [str(build_product("rstreamctl")), "dial", *reached(origins.echo)]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&-', "sh", *command], env=clean_environment(), capture_output=True, timeout=60
    )
    assert result.returncode == 0 and result.stdout == b""


def test_dial_with_a_socket(reached):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [build_product("rstreamctl"), "dial", *reached(origins.echo)],
            stdin=theirs,
            stdout=theirs,
            env=clean_environment(),
        )
        theirs.close()
        ours.sendall(b"through a socket")
        ours.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: ours.recv(4096), b""))
        assert received == b"through a socket"
        assert process.wait(20) == 0


def test_dial_with_a_terminal(reached):
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [build_product("rstreamctl"), "dial", *reached(origins.upper)],
        stdin=terminal,
        stdout=terminal,
        env=clean_environment(),
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    os.write(main, b"hello\n")
    while b"HELLO" not in shown:
        shown += os.read(main, 4096)
    os.write(main, b"\x04")  # the terminal's end of input
    assert process.wait(20) == 0
    os.close(main)


def test_dial_whose_output_nobody_reads(reached):
    process = subprocess.Popen(
        [build_product("rstreamctl"), "dial", *reached(origins.source(50_000_000))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert len(process.stdout.read(100_000)) == 100_000
    process.stdout.close()
    assert process.wait(20) == 1
    assert b"broken pipe" in process.stderr.read()
    process.stderr.close()


def test_dial_leaves_its_standard_input_as_it_was(reached):
    """Others that share the pipe do not find it non-blocking afterwards."""
    reader, writer = os.pipe()
    os.close(writer)
    assert ctl("dial", *reached(origins.echo), stdin=reader).returncode == 0
    assert os.get_blocking(reader)
    os.close(reader)


def test_dial_of_a_stream_that_is_reset(reached):
    result = ctl("dial", *reached(origins.reset_on_first_byte), input=b"x" * 1000)
    assert result.returncode == 5 and b"reset" in result.stderr


def test_dial_waits_for_the_engine_s_answer(engine):
    result = ctl("dial", "nobody", *engine.client_options())
    assert result.returncode == 3 and b"no such tunnel" in result.stderr.lower()
    result = ctl("dial", "nobody", "--json", *engine.client_options())
    error = json.loads(result.stderr)
    assert error["status"] == "offline" and error["engine_code"] == 3000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_dial_is_ended_by_signals(engine, reached, dial, name, number):
    reached(origins.echo)
    ours = dial(engine, name, listen=False)
    ours.stdin.write(b"here")
    ours.stdin.flush()
    assert ours.stdout.read(4) == b"here"
    ours.end(number)
    ours.stdin.close()


# -- dial --listen -----------------------------------------------------------------------------------------------------


def test_listen_carries_connections(engine, reached, dial, name):
    reached(origins.reply_after_end)
    ours = dial(engine, name)
    connections = [socket.create_connection(("127.0.0.1", ours.port), 10) for _ in range(5)]
    for index, connection in enumerate(connections):
        connection.sendall(b"x" * (index + 1))
        connection.shutdown(socket.SHUT_WR)
    for index, connection in enumerate(connections):
        received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert b"x" * (index + 1) in received
        closed = ours.wait_line(event="closed", peer=f"127.0.0.1:{connection.getsockname()[1]}")
        assert closed["bytes_out"] == index + 1 and closed["bytes_in"] == len(received) and closed["error"] is None
        connection.close()


@pytest.mark.parametrize("address", ["0", ":0", "127.0.0.1:0", "localhost:0", "[::1]:0"])
def test_listen_addresses(engine, tmp_path, address):
    command = [build_product("rstreamctl"), "dial", "x", "--listen", address, "--json", *engine.client_options()]
    ours = Program(command, tmp_path / "dial.log")
    host, port = ours.wait_line(event="listening")["address"].rsplit(":", 1)
    assert host == ("[::1]" if "::1" in address else "127.0.0.1") and int(port) > 0
    ours.end()


@pytest.mark.parametrize("address", ["", "x", "65536", "-1", "127.0.0.1:", "127.0.0.1:x", "1:2:3"])
def test_bad_listen_addresses(engine, address):
    result = ctl("dial", "x", "--listen", address, *engine.client_options())
    assert result.returncode == 2 and b"cannot listen" in result.stderr


def test_listen_on_a_taken_port(engine):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = ctl("dial", "x", "--listen", port, "--json", *engine.client_options())
    assert result.returncode == 1
    assert json.loads(result.stdout)["code"] == "EADDRINUSE" and str(port) in result.stderr.decode()


def test_connections_to_an_unknown_tunnel_are_refused(engine, dial):
    ours = dial(engine, "nobody", arguments=["--no-zero-rtt"])
    with socket.create_connection(("127.0.0.1", ours.port), 10) as connection:
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert "no such tunnel" in ours.wait_line(event="closed")["error"].lower()


def test_a_reset_is_carried_over(engine, reached, dial, name):
    reached(origins.reset_on_first_byte)
    ours = dial(engine, name)
    with socket.create_connection(("127.0.0.1", ours.port), 10) as connection:
        connection.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert ours.wait_line(event="closed")["error"]


# -- forward -----------------------------------------------------------------------------------------------------------


def test_forward_s_target_is_checked(engine):
    result = ctl("forward", "http://127.0.0.1:80", "--json", *engine.client_options())
    assert result.returncode == 2
    assert json.loads(result.stdout)["code"] == "ERR_RSTREAM_INVALID_LOCAL_ENDPOINT"


def test_forward_publishes_http_by_default(engine, forward, site):
    ours = forward(engine, str(site(name="default").port))
    assert ours.tunnel["forwarding"] == f"https://{ours.host}:{engine.port}" and ours.tunnel["port"] == engine.port
    connection = engine.http(ours.host)
    connection.request("GET", "/name")
    assert connection.getresponse().read() == b"default"
    connection.close()


def test_forward_does_what_the_publish_property_says(engine, forward, name):
    """Packets are published with a protocol of their own, and nothing becomes private in silence."""
    result = ctl("forward", "53", "--udp", "--property", "publish=true", "--json", *engine.client_options())
    assert result.returncode == 3
    assert "protocol dtls, quic or http" in json.loads(result.stdout)["error"]
    ours = forward(engine, "80", name, ["--property", "publish=false"])
    assert ours.tunnel["forwarding"] == f"rstrm://{name} (unpublished)"


def test_forward_for_people(engine, tmp_path, name):
    command = [build_product("rstreamctl"), "forward", "80", "--no-publish", "--name", name, *engine.client_options()]
    ours = Program(command, tmp_path / "forward.log")
    assert ours.wait_line(not_json=f"rstrm://{name} (unpublished) -> 80\n")
    ours.end(signal.SIGINT)


def test_what_the_engine_says_is_escaped(agent):
    """Names that would end a JSON string, a line, or give orders to a terminal."""
    evil = 'quote" backslash\\ newline\n escape\x1b[2J bell\x07 end'
    process, _, _ = agent("127.0.0.1:9", name=evil)
    assert process.tunnel["name"] == evil
    assert process.tunnel["forwarding"] == f"rstrm://{evil} (unpublished)"


# -- engine ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def development(tmp_path):
    """Starts `rstreamctl engine --dev` with nothing but its defaults."""
    programs = []

    def start(*arguments, **variables):
        environment = clean_environment(HOME=tmp_path / "home", **variables)
        environment.pop("XDG_STATE_HOME", None)
        environment |= {key: str(value) for key, value in variables.items()}
        command = [build_product("rstreamctl"), "engine", "--dev", *arguments]
        programs.append(Program(command, tmp_path / f"{len(programs)}.log", environment=environment))
        return programs[-1]

    yield start
    for program in reversed(programs):
        if program.is_running:
            program.end()


def test_two_development_engines_with_defaults(development, tmp_path):
    """The second one finds the usual port taken, if the first got it, and takes a free one; both share a CA."""
    engines = [development("--json") for _ in range(2)]
    lines = [engine.wait_line(event="listening") for engine in engines]
    assert lines[0]["port"] != lines[1]["port"]
    for line in lines:
        assert line["host"] == "localhost" and line["address"] == f"localhost:{line['port']}"
        assert line["ca_file"] == str(tmp_path / "home" / ".local/state/rstream/ca.pem")


def test_the_state_follows_the_environment(development, tmp_path):
    line = development("--json", XDG_STATE_HOME=tmp_path / "deep" / "er").wait_line(event="listening")
    assert line["ca_file"] == str(tmp_path / "deep" / "er" / "rstream" / "ca.pem")
    for folder in ("deep", "deep/er", "deep/er/rstream"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


def test_commands_to_copy_work(development, tmp_path, site):
    engine = development("--listen", "localhost:0")
    text = engine.wait_line(not_json=lambda line: "rstreamctl forward 8080 " in line)["not_json"]
    words = text.split()
    words[0:3] = [str(build_product("rstreamctl")), "forward", str(site(name="copied").port)]
    ours = Program([*words, "--json"], tmp_path / "forward.log")
    assert ours.wait_line(status="online")["forwarding"].startswith("https://")
    ours.end()
    exports = {}
    for name in ("RSTREAM_ENGINE", "RSTREAM_CA_FILE"):
        line = engine.wait_line(not_json=lambda line, wanted=name: f"export {wanted}=" in line)["not_json"]
        exports[name] = line.strip().split("=", 1)[1]
    assert ctl("dial", "nobody", environment=clean_environment(**exports)).returncode == 3


def test_the_command_line_is_stronger_than_environment_and_file(development, tmp_path):
    (tmp_path / "engine.yaml").write_text("engine:\n  host: file.example.com\n")
    words = ["--json", "--listen", "127.0.0.1:0", "--config", tmp_path / "engine.yaml"]
    from_environment = {"RSTREAM_ENGINE_ENGINE__HOST": "environment.example.com"}
    hosts = [
        development(*words).wait_line(event="listening")["host"],
        development(*words, **from_environment).wait_line(event="listening")["host"],
        development(*words, "--host", "line.example.com", **from_environment).wait_line(event="listening")["host"],
    ]
    assert hosts == ["file.example.com", "environment.example.com", "line.example.com"]


def test_engine_on_a_taken_port(engine):
    address = f"127.0.0.1:{engine.port}"
    result = ctl("engine", "--dev", "--state-dir", engine.log_file.parent / "state", "--listen", address)
    assert result.returncode == 1 and str(engine.port) in result.stderr.decode()


def test_engine_is_gone_when_its_signal_is_answered(development):
    engine = development("--json", "--listen", "127.0.0.1:0")
    port = engine.wait_line(event="listening")["port"]
    engine.end(signal.SIGINT)
    assert engine.lines[-1] == {"event": "stopped"}
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0)


def test_forward_tells_of_a_service_that_is_down(engine, forward):
    keeper, port = unused_port()
    with keeper:
        ours = forward(engine, f"127.0.0.1:{port}", unique("down"), arguments=["--protocol", "http"])
        connection = engine.http(ours.host)
        connection.request("GET", "/")
        assert connection.getresponse().status == 502
        connection.close()
        assert ours.opened()["peer"].startswith("127.0.0.1")
        assert "connection refused" in ours.closed()["error"]
