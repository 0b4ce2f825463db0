# SPDX-License-Identifier: Apache-2.0
"""How an engine is configured: file, environment, command line; what it says when that cannot work."""

import http.client
import os
import socket

import pytest

from support import origins, wire
from support.certificates import Authority
from support.ctl import ClientOptions
from support.ports import unused_port
from support.process import Program, build_product, clean_environment
from support.tls import client_context, tls_connect


@pytest.fixture
def authority(tmp_path):
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture
def configuration(tmp_path, authority):
    """A configuration file in the sections of an official self-hosted engine."""
    certificate, key = authority.issue("edge.test", "*.t.edge.test")
    path = tmp_path / "engine.yaml"
    path.write_text(
        f"""
engine:
  host: edge.test
  log_level: info
tls:
  enabled: true
certs:
  static:
    enabled: true
    cert_file: {certificate}
    key_file: {key}
auth:
  tokens: from-the-file
  jwt:
    enabled: false
timeouts:
  stream_request_seconds: 5
  http_idle_seconds: 90
"""
    )
    return path


def test_a_configuration_file(start_engine, configuration, authority, name):
    engine = start_engine(dev=False, arguments=["--config", configuration])
    engine.ca_file = authority.ca_file
    assert engine.host == "edge.test"
    control = engine.fake_client(token="from-the-file").control()
    assert control.open_tunnel(hostname=name).hostname.value == f"{name}.t.edge.test"


def test_the_environment_names_the_file_and_overrides_it(start_engine, configuration, authority, tmp_path):
    environment = clean_environment(
        HOME=tmp_path, RSTREAM_ENGINE_CONFIG=configuration, RSTREAM_ENGINE_AUTH__TOKENS="from-the-environment"
    )
    engine = start_engine(dev=False, environment=environment)
    engine.ca_file = authority.ca_file
    client = engine.fake_client()
    client.control(token="from-the-environment").close()
    with pytest.raises(wire.Refused):
        client.control(token="from-the-file")


def test_the_command_line_overrides_the_environment(start_engine, configuration, authority, tmp_path):
    environment = clean_environment(HOME=tmp_path, RSTREAM_ENGINE_AUTH__TOKENS="from-the-environment")
    engine = start_engine(
        dev=False,
        environment=environment,
        settings={"auth.tokens": "from-the-command-line"},
        arguments=["--config", configuration],
    )
    engine.ca_file = authority.ca_file
    client = engine.fake_client()
    client.control(token="from-the-command-line").close()
    for token in ("from-the-environment", "from-the-file"):
        with pytest.raises(wire.Refused):
            client.control(token=token)


def run_engine(tmp_path, *arguments, **environment):
    program = Program(
        [build_product("rstreamctl"), "engine", "--json", "--listen", "127.0.0.1:0", *arguments],
        tmp_path / "refused.log",
        environment=clean_environment(HOME=tmp_path, **environment),
    )
    return program.wait(timeout=10), program.log + str(program.lines)


@pytest.mark.parametrize(
    "change, expected",
    [
        (("  host: edge.test", "  hots: edge.test"), "engine.yaml:3"),
        (("seconds: 5", "seconds: soon"), "stream_request_seconds"),
        (("engine:", "engine: ["), "engine.yaml"),
        (("cert_file: /", "cert_file: /nowhere/"), "nowhere"),
        (("seconds: 90", "seconds: 0"), "http_idle_seconds"),
    ],
    ids=["unknown-key", "bad-value", "bad-yaml", "no-certificate", "out-of-range"],
)
def test_errors_in_the_file_are_told_by_name(tmp_path, configuration, change, expected):
    configuration.write_text(configuration.read_text().replace(*change))
    code, said = run_engine(tmp_path, "--config", configuration)
    assert code == 3 and expected in said


def test_errors_elsewhere_are_told_by_name(tmp_path):
    code, said = run_engine(tmp_path, "--set", "tls.nonsense=1", "--dev", "--state-dir", tmp_path / "s")
    assert code in (2, 3) and "tls.nonsense" in said
    code, said = run_engine(tmp_path, "--dev", "--state-dir", tmp_path / "s", RSTREAM_ENGINE_TLS__ENABLED="perhaps")
    assert code == 3 and "RSTREAM_ENGINE_TLS__ENABLED" in said
    code, said = run_engine(tmp_path, "--config", tmp_path / "missing.yaml")
    assert code in (1, 3) and "missing.yaml" in said
    code, said = run_engine(tmp_path, "--nonsense")
    assert code == 2 and "--nonsense" in said


def test_short_secrets_are_warned_of(start_engine):
    engine = start_engine(settings={"auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": "tooshort"})
    assert "token_jwt_secret" in engine.log and "tooshort" not in engine.log


def test_a_port_in_use_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = Program(
            [
                build_product("rstreamctl"),
                "engine",
                "--dev",
                "--state-dir",
                tmp_path / "s",
                "--listen",
                f"127.0.0.1:{port}",
            ],
            tmp_path / "taken.log",
            environment=clean_environment(HOME=tmp_path),
        )
        code = program.wait(timeout=10)
    assert code != 0 and str(port) in program.log


def test_an_unprotected_engine_does_not_start_by_accident(tmp_path, authority):
    """Neither development mode nor any way to authenticate: nobody could connect, or everybody; it says so."""
    certificate, key = authority.issue("localhost")
    code, said = run_engine(
        tmp_path, "--set", f"certs.static.cert_file={certificate}", "--set", f"certs.static.key_file={key}"
    )
    assert code == 3 and "auth" in said


def test_plain_http_redirects(start_engine):
    keep, port = unused_port()
    keep.close()
    engine = start_engine(settings={"http.enabled": "true", "http.listen_addr": f"127.0.0.1:{port}"})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for host, path in (("localhost", "/a/b?c=d"), ("x.t.localhost", "/")):
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        response.read()
        assert response.status in (301, 302, 307, 308)
        assert response.headers["Location"] in (f"https://{host}:{engine.port}{path}", f"https://{host}{path}")
    connection.request("GET", "/", headers={"Host": "evil.example.com"})
    response = connection.getresponse()
    assert response.status in (400, 404, 421) or "evil" not in (response.headers["Location"] or "")


def test_listening_on_ipv6(start_engine, tmp_path, forward, tcp_server, name):
    engine = start_engine(arguments=["--listen", "[::1]:0"])
    context = client_context(engine.ca_file, [wire.ALPN])
    stream = wire.Wire(tls_connect(engine.port, "localhost", context, host="::1"))
    stream.send(wire.open_control())
    assert stream.expect("open_control_channel_rsp").ok.client_id
    stream.send(wire.open_tunnel("r", protocol="tls", name=name))
    host = stream.expect("open_tunnel_rsp").tunnel_properties.hostname.value
    consumer = tls_connect(engine.port, host, client_context(engine.ca_file), host="::1")
    request = stream.expect("proxy_conn_req")
    assert request.source_ip.v6 == socket.inet_pton(socket.AF_INET6, "::1")
    consumer.close()
    stream.close()
    # The client finds its way to ::1 although the name has an IPv4 address first.
    target = ClientOptions("--engine", f"localhost:{engine.port}", "--ca-file", engine.ca_file)
    forward(target, tcp_server(origins.echo).address, f"{name}-6", ["--no-publish"])


def test_state_of_others_is_not_used(tmp_path):
    """A state directory that others can write to is no place for a private key."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    code, said = run_engine_briefly(tmp_path, "--dev", "--state-dir", state)
    if code is None:
        assert state.stat().st_mode & 0o777 == 0o700
    else:
        assert code in (1, 3) and str(state) in said


def run_engine_briefly(tmp_path, *arguments):
    """(None, "") when the engine listens; otherwise its exit code and what it said."""
    program = Program(
        [build_product("rstreamctl"), "engine", "--json", "--listen", "127.0.0.1:0", *arguments],
        tmp_path / "brief.log",
        environment=clean_environment(HOME=tmp_path),
    )
    try:
        program.wait_line(event="listening")
    except AssertionError:
        return program.wait(), program.log + str(program.lines)
    program.end()
    return None, ""


def test_the_default_state_directory(tmp_path):
    """$XDG_STATE_HOME/rstream, or ~/.local/state/rstream."""
    for variable, expected in (
        ("XDG_STATE_HOME", tmp_path / "xdg" / "rstream"),
        (None, tmp_path / ".local/state/rstream"),
    ):
        environment = clean_environment(HOME=tmp_path)
        environment.pop("XDG_STATE_HOME", None)
        if variable:
            environment[variable] = str(tmp_path / "xdg")
        program = Program(
            [build_product("rstreamctl"), "engine", "--dev", "--json", "--listen", "127.0.0.1:0"],
            tmp_path / "default.log",
            environment=environment,
        )
        ca_file = program.wait_line(event="listening")["ca_file"]
        program.end()
        assert ca_file.startswith(str(expected)) and os.stat(expected).st_mode & 0o777 == 0o700
