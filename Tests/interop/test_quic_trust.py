# SPDX-License-Identifier: Apache-2.0
"""Whom a client takes for the engine over QUIC: the same as over TLS, though another library decides."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from support.certificates import Authority
from support.ctl import ClientOptions, unique


@pytest.fixture(params=["tls", "quic"])
def mode(request):
    return ["--config-set", f"transport.mode={request.param}"]


@pytest.fixture
def presenting(start_quic_engine):
    """An engine with this certificate: presenting(certificate)."""

    def start(certificate):
        engine = start_quic_engine(certificate=certificate)
        engine.context.load_cert_chain(*certificate)
        return engine

    return start


@pytest.fixture
def start_agent(forward, mode):
    def start(engine, *trust):
        options = ClientOptions("--engine", engine.address, *trust)
        return forward(options, "127.0.0.1:9", unique("agent"), [*mode, "--no-publish"], online=False)

    return start


def comes_online(agent, engine):
    engine.accept_control().grant_tunnel()
    agent.wait_line(status="online")


def does_not_accept(agent):
    line = agent.wait_line(20, status="offline")
    assert line["code"] == "ERR_RSTREAM_TLS" and "certificate" in line["error"], line
    agent.judge(agent.wait(), 4)


def test_the_purpose_of_a_certificate(presenting, start_agent, tmp_path):
    """One of a trusted authority that is for clients only."""
    authority = Authority(tmp_path)
    engine = presenting(authority.issue("localhost", client=True))
    does_not_accept(start_agent(engine, "--ca-file", authority.ca_file))


def test_an_authority_with_a_weak_key(presenting, start_agent, tmp_path):
    authority = Authority(tmp_path, key=rsa.generate_private_key(65537, 1024))
    engine = presenting(authority.issue("localhost"))
    does_not_accept(start_agent(engine, "--ca-file", authority.ca_file))


def test_a_certificate_that_must_not_sign(start_quic_engine, forward, tmp_path):
    """Of no use in TLS 1.3; over QUIC that is found out, and told."""
    authority = Authority(tmp_path)
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    engine = start_quic_engine(certificate=authority.issue("localhost", key_usage=usage))
    options = ClientOptions("--engine", engine.address, "--ca-file", authority.ca_file)
    mode = ["--config-set", "transport.mode=quic"]
    agent = forward(options, "127.0.0.1:9", unique("agent"), [*mode, "--no-publish"], online=False)
    line = agent.wait_line(20, status="offline")
    assert "key usage does not allow digital signatures" in line["error"], line
    agent.judge(agent.wait(), 4)


def test_an_authority_below_another(presenting, start_agent, tmp_path):
    """Who is trusted needs nobody above."""
    root, below = tmp_path / "root", tmp_path / "below"
    root.mkdir()
    below.mkdir()
    authority = Authority(below, above=Authority(root))
    engine = presenting(authority.issue("localhost"))
    comes_online(start_agent(engine, "--ca-file", authority.ca_file), engine)


def test_insecure(presenting, start_agent, tmp_path):
    """Neither a trusted authority nor the right name is asked for; without it both are."""
    engine = presenting(Authority(tmp_path).issue("elsewhere.test"))
    comes_online(start_agent(engine, "--insecure"), engine)
    does_not_accept(start_agent(engine))
