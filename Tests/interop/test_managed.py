# SPDX-License-Identifier: Apache-2.0
"""Contexts of managed projects: the control plane tells where the engine is."""

import json
import subprocess

import pytest

from support.certificates import Authority
from support.control_plane import ControlPlane
from support.process import build_product, clean_environment

FILE = """
defaults: {{context: {{name: managed}}}}
environments:
  - apiUrl: {url}
    headers: {{x-gate: open-sesame}}
contexts:
  - name: managed
    apiUrl: {url}
    projectEndpoint: "127"
    auth: {{token: {{storage: {{kind: inline, value: stored-token}}}}}}
    transport: {{tls: {{caFile: "{ca_file}", serverName: {host}}}}}
"""


@pytest.fixture(params=["http", "https"])
def plane(request, tmp_path):
    certificate = None
    if request.param == "https":
        authority = Authority(tmp_path)
        certificate = authority.issue("127.0.0.1")
    plane = ControlPlane(certificate)
    plane.environment = {"SSL_CERT_FILE": authority.ca_file} if certificate else {}
    yield plane
    plane.close()


@pytest.fixture
def tunnels(plane, engine, tmp_path):
    """Runs `rstreamctl tunnels` with the managed context: tunnels(*arguments) -> (exit code, output, errors)."""
    file = tmp_path / "config.yaml"
    file.write_text(FILE.format(url=plane.url, ca_file=engine.ca_file, host=engine.host))
    environment = clean_environment(HOME=tmp_path, RSTREAM_CONFIG=file, RSTREAM_LOG="debug", **plane.environment)

    def run(*arguments):
        command = [build_product("rstreamctl"), "tunnels", "--json", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        # Not even where everything is logged.
        assert "stored-token" not in done.stdout + done.stderr
        assert "open-sesame" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def project(engine, **more):
    """A project whose engine is at 127.0.0.1, which the resolver need not be asked for."""
    return {"id": "p1", "endpoint": "127", "domain": "0.0.1", "enginePort": engine.port, "routing": "global", **more}


def test_the_control_plane_tells_the_engine(plane, engine, tunnels):
    plane.tell(project(engine))
    code, output, errors = tunnels()
    assert code == 0, errors
    assert isinstance(json.loads(output), list)
    [(path, headers)] = plane.requests
    assert path == "/api/projects/tunnels/resolve/127"
    assert headers["Authorization"] == "Bearer stored-token"
    assert headers["X-Gate"] == "open-sesame"
    assert headers["Host"] == plane.url.split("//")[1]


def test_a_region_is_chosen(plane, engine, tunnels):
    regions = [
        {"provider": "p", "region": "EU-West", "domain": "0.0.1", "enginePort": engine.port},
        {"provider": "p", "region": "us", "domain": "0.0.2", "enginePort": 1},
        {"provider": "q", "region": "twice", "domain": "0.0.2", "enginePort": 1},
        {"provider": "r", "region": "twice", "domain": "0.0.2", "enginePort": 1},
    ]
    plane.tell(project(engine, domain="0.0.3", enginePort=1, regionalEndpoints=regions))
    assert tunnels("--region", "eu-west")[0] == 0
    code, _, errors = tunnels("--region", "mars")
    assert code == 3 and "not available in the region mars; it has eu-west, twice, us" in errors
    code, _, errors = tunnels("--region", "twice")
    assert code == 3 and "2 endpoints in the region twice" in errors
    plane.tell(project(engine))
    code, _, errors = tunnels("--region", "eu-west")
    assert code == 3 and "no regions to choose from" in errors


@pytest.mark.parametrize(
    "answer, words",
    [
        ((401, "application/json", b'{"error":"token unknown: stored-token"}', {}), ["401", "token unknown", "log in"]),
        ((403, "application/json", b"{}", {}), ["403", "not authorized"]),
        ((404, "application/json", b'{"error":"no such project"}', {}), ["404", "no such project", "projectEndpoint"]),
        ((500, "text/plain", b"", {}), ["500"]),
        ((302, "text/html", b"<html>", {"Location": "https://elsewhere"}), ["302", "not followed"]),
        ((403, "text/html", b"<html>sign in</html>", {}), ["access protection", "RSTREAM_CONTROL_PLANE_HEADERS"]),
        ((200, "text/html", b"<html>sign in</html>", {}), ["access protection"]),
        ((200, "application/json", b"[]", {}), ["cannot be used"]),
        ((200, "application/json", b"{", {}), ["cannot be used"]),
        ((200, "application/json", b"x" * 300_000, {}), ["larger than"]),
        ((200, "application/json", b'{"endpoint":"a"}', {}), ["domain is missing"]),
        ((200, "application/json", b'{"endpoint":"a","domain":"b","enginePort":"x"}', {}), ["enginePort"]),
        ((200, "application/json", b'{"endpoint":"a","domain":"b","enginePort":65536}', {}), ["enginePort"]),
        ((200, "application/json", b'{"endpoint":"a/b","domain":"c","enginePort":1}', {}), ["engine address"]),
    ],
    ids=lambda value: None if isinstance(value, list) else f"{value[0]}-{value[2][:30]!r}",
)
def test_refusals_say_what_to_do(plane, tunnels, answer, words):
    plane.answer = answer
    code, _, errors = tunnels()
    assert code == 3, errors
    assert all(word in errors for word in words), errors


def test_an_older_answer_has_a_url(plane, engine, tunnels):
    plane.tell({"id": "p1", "url": f"127.0.0.1:{engine.port}"})
    code, _, errors = tunnels()
    assert code == 0, errors


def test_a_control_plane_that_is_away(plane, tunnels):
    plane.close()
    code, _, errors = tunnels()
    assert code == 4 and "connection refused" in errors


def test_an_agent_of_a_managed_project(plane, engine, tmp_path, forward, tunnels):
    plane.tell(project(engine))
    tunnels()

    class Managed:
        """Stands for the engine: the context says the rest."""

        def client_options(self, token=None):
            return ["--config-set", f"configFile={tmp_path / 'config.yaml'}"]

    environment = clean_environment(HOME=tmp_path, **plane.environment)
    agent = forward(Managed(), "127.0.0.1:9", "managed-agent", environment=environment)
    assert agent.tunnel["name"] == "managed-agent"
    assert engine.tunnels(name="managed-agent")
