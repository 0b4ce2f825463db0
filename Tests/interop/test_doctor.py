# SPDX-License-Identifier: Apache-2.0
"""rstreamctl doctor: what it finds on good ways and on broken ones."""

import json
import subprocess

import pytest

from support.nameservers import FakeNameServer
from support.ports import unused_port
from support.process import build_product, clean_environment
from support.proxies import PASSWORD, USER, ConnectProxy
from support.socks5_udp_proxy import SOCKS5UDPProxy
from support.tokens import mint

ORDER = ["configuration", "project", "dns", "tcp", "proxy", "tls", "engine", "clock"]
QUIC = ["--config-set", "transport.mode=quic"]
SECRET = "a secret of thirty-two bytes and more"


@pytest.fixture
def examine(tmp_path):
    def run(*arguments, expect=0, **environment):
        result = subprocess.run(
            [build_product("rstreamctl"), "doctor", "--json", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(HOME=tmp_path, RSTREAM_LOG="debug", **environment),
        )
        assert result.returncode == expect, (result.stdout, result.stderr)
        findings = [json.loads(line) for line in result.stdout.splitlines()]
        assert "hunter2" not in result.stdout + result.stderr
        return {finding["check"]: finding for finding in findings}

    return run


def statuses(findings):
    assert list(findings) == ORDER
    return [finding["status"] for finding in findings.values()]


def test_a_good_way(examine, engine):
    found = examine(*engine.client_options())
    assert statuses(found) == ["pass", "skip", "pass", "pass", "skip", "pass", "pass", "pass"]
    assert found["dns"]["detail"] == "the engine has 127.0.0.1, ::1, says the platform"
    assert found["tcp"]["detail"] == f"connected to 127.0.0.1:{engine.port}"
    assert found["tls"]["detail"].startswith("TLSv1.3 TLS_") and "more days" in found["tls"]["detail"]
    assert "agrees" in found["clock"]["detail"]
    for finding in found.values():
        assert (finding["microseconds"] > 0) == (finding["status"] != "skip") and finding["advice"] is None


def test_by_name_server_and_proxy(examine, engine):
    with FakeNameServer(lambda question: question.address()) as server, ConnectProxy(engine.port) as proxy:
        found = examine(
            *engine.client_options(),
            *["--engine", f"edge.test:{engine.port}", "--server-name", "localhost"],
            *["--config-set", f"transport.dns.override={server.address}"],
            *["--config-set", f"transport.proxy.http=http://user:hunter2@127.0.0.1:{proxy.port}"],
        )
    assert statuses(found) == ["pass", "skip", "pass", "pass", "pass", "pass", "pass", "pass"]
    assert found["dns"]["detail"] == f"the proxy has 127.0.0.1, says name server {server.address}"
    assert f"http proxy 127.0.0.1:{proxy.port}" in found["proxy"]["detail"]


def test_a_good_way_over_quic(examine, engine):
    """With a proxy that carries UDP and without one."""
    options = [*engine.client_options(), *QUIC]
    found = examine(*options)
    assert statuses(found) == ["pass", "skip", "pass", "pass", "skip", "pass", "pass", "pass"]
    assert found["tcp"]["detail"] == f"connected to 127.0.0.1:{engine.port}"
    assert found["tls"]["detail"].startswith("QUIC v1, TLS 1.3 AES-") and "more days" in found["tls"]["detail"]
    with SOCKS5UDPProxy(USER, PASSWORD) as proxy:
        credentials = [f"transport.proxy.username={USER}", f"transport.proxy.password={PASSWORD}"]
        settings = [f"transport.proxy.socks5={proxy.url}", *credentials]
        found = examine(*options, *(part for setting in settings for part in ("--config-set", setting)))
        # The API is asked over TCP, which this proxy does not carry.
        assert statuses(found)[:7] == ["pass", "skip", "pass", "pass", "pass", "pass", "pass"]
        assert found["dns"]["detail"].startswith("the proxy has 127.0.0.1")
        assert found["tcp"]["detail"] == "connected to " + proxy.url.rpartition("/")[2]


def test_people_can_read_it(engine, tmp_path):
    result = subprocess.run(
        [build_product("rstreamctl"), "doctor", *engine.client_options(), "--insecure"],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(HOME=tmp_path),
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and lines[0].startswith("configuration warn ")
    assert lines[1].startswith("              -> unset transport.tls.insecureSkipVerify")


def test_nothing_configured(examine):
    found = examine(expect=1)
    assert statuses(found) == ["fail"] + ["skip"] * 7
    assert "no engine address" in found["configuration"]["detail"]


def test_a_file_that_cannot_be_read(examine, tmp_path):
    (tmp_path / "config.yaml").write_text("contexts: [")
    found = examine(expect=1, RSTREAM_CONFIG=tmp_path / "config.yaml")
    assert list(found) == ["configuration"] and "config.yaml:2: did not find" in found["configuration"]["detail"]


def test_an_unknown_name(examine):
    with FakeNameServer(lambda question: question.answer(code=3)) as server:
        found = examine(
            *["--engine", "edge.test", "--config-set", f"transport.dns.override={server.address}"], expect=1
        )
    assert statuses(found) == ["pass", "skip", "fail"] + ["skip"] * 5
    assert "the name has no address" in found["dns"]["detail"] and "name server" in found["dns"]["advice"]


@pytest.mark.parametrize("scheme", ["socks5", "https"])
def test_a_proxy_for_udp_that_is_not_there(examine, engine, scheme):
    keeper, port = unused_port()
    setting = "socks5" if scheme == "socks5" else "http"
    with keeper:
        proxy = ["--config-set", f"transport.proxy.{setting}={scheme}://127.0.0.1:{port}"]
        found = examine(*engine.client_options(), *QUIC, *proxy, expect=1)
    assert statuses(found) == ["pass", "skip", "pass", "fail"] + ["skip"] * 4


def test_a_closed_port(examine):
    keeper, port = unused_port()
    with keeper:
        found = examine("--engine", f"127.0.0.1:{port}", expect=1)
    assert statuses(found) == ["pass", "skip", "pass", "fail"] + ["skip"] * 4
    assert "firewall" in found["tcp"]["advice"]


def test_a_proxy_that_is_none(examine, engine):
    found = examine(*engine.client_options(), "--config-set", f"transport.proxy.http=http://{engine.address}", expect=1)
    assert statuses(found) == ["pass", "skip", "pass", "pass", "fail"] + ["skip"] * 3


@pytest.mark.parametrize("mode", ["tls", "quic", "auto"])
def test_a_certificate_that_is_not_trusted(examine, engine, mode):
    found = examine("--engine", engine.address, "--config-set", f"transport.mode={mode}", expect=1)
    assert statuses(found) == ["pass", "skip", "pass", "pass", "skip", "fail", "skip", "skip"]
    assert "certificate not accepted" in found["tls"]["detail"] and "caFile" in found["tls"]["advice"]


def test_a_token_that_is_refused(examine, start_engine):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})
    found = examine(*engine.client_options(token=mint("another secret of thirty-two bytes")), expect=1)
    assert found["engine"]["status"] == "fail" and "log in again" in found["engine"]["advice"]
    found = examine(*engine.client_options(token=mint(SECRET)))
    assert found["engine"]["status"] == "pass"
