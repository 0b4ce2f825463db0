# SPDX-License-Identifier: Apache-2.0
"""Which certificate authorities a client trusts that is given none: the system's, from its directory or its bundle."""

import subprocess

import pytest

from support.ctl import ClientOptions, unique
from support.process import clean_environment


@pytest.fixture
def authorities(tmp_path, engine):
    """An empty directory, a hashed one with the engine's authority, and a bundle whose last certificate is that."""
    empty, hashed, bundle = tmp_path / "empty", tmp_path / "hashed", tmp_path / "bundle.pem"
    empty.mkdir()
    hashed.mkdir()
    authority = open(engine.ca_file).read()
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", engine.ca_file]
    subject_hash = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (hashed / f"{subject_hash}.0").write_text(authority)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=another authority", "-keyout", "/dev/null"]
    bundle.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    with open(bundle, "a") as file:
        file.write(authority)
    return {"empty": empty, "hashed": hashed, "bundle": bundle, "missing": tmp_path / "missing"}


@pytest.fixture(params=["tls", "quic"])
def transport(request):
    return request.param


def start(forward, engine, authorities, file, directory, transport, **options):
    environment = clean_environment(
        HOME=authorities["empty"], SSL_CERT_FILE=authorities[file], SSL_CERT_DIR=authorities[directory]
    )
    client = ClientOptions("--engine", engine.address, "--config-set", f"transport.mode={transport}")
    return forward(client, "127.0.0.1:9", unique(), environment=environment, **options)


@pytest.mark.parametrize(
    "file, directory", [("missing", "hashed"), ("bundle", "missing"), ("bundle", "empty"), ("bundle", "hashed")]
)
def test_an_engine_of_a_system_authority_is_trusted(forward, engine, authorities, file, directory, transport):
    start(forward, engine, authorities, file, directory, transport)


@pytest.mark.parametrize("file, directory", [("missing", "missing"), ("missing", "empty")])
def test_an_unknown_authority_is_refused(forward, engine, authorities, file, directory, transport):
    agent = start(forward, engine, authorities, file, directory, transport, online=False)
    assert agent.wait_line(status="offline")["code"] == "ERR_RSTREAM_TLS", agent.describe()
    agent.judge(agent.wait(), expect=4)
