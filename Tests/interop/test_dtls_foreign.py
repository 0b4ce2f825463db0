# SPDX-License-Identifier: Apache-2.0
"""Consumers of published dtls tunnels of other make, and OpenSSL's with hellos in pieces, resumed and stubborn ones."""

import pathlib
import subprocess

import pytest

from support import dtls
from support.talker import OpenSSL, Talker

_SOURCE = pathlib.Path(__file__).parent / "support" / "mbedtls_client.c"


@pytest.fixture
def published(start_engine, forward, udp_echo, name):
    """An echo service behind a tunnel: (engine, host, agent)."""
    engine = start_engine(
        settings={"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0", "timeouts.drain_seconds": 1}
    )
    agent = forward(engine, udp_echo.address, name, ["--udp", "--protocol", "dtls"])
    return engine, agent.tunnel["hostname"], agent


def s_client(published, *arguments):
    engine, host, _ = published
    return OpenSSL(
        *("s_client", "-dtls1_2", "-connect", f"127.0.0.1:{engine.listening['dtls_port']}", "-servername", host),
        *("-CAfile", engine.ca_file, "-verify_return_error", *arguments),
    )


def gnutls(published, *arguments):
    engine, host, _ = published
    return Talker(
        *("gnutls-cli", "--udp", "--port", engine.listening["dtls_port"], "--x509cafile", engine.ca_file),
        *("--sni-hostname", host, "--verify-hostname", host, *arguments, "127.0.0.1"),
    )


def exchanges(client, word=b"packet"):
    client.say(word + b"\n")
    client.wait_for(word.upper() + b"\n")


@pytest.fixture(scope="session")
def mbedtls_client(tmp_path_factory):
    program = tmp_path_factory.mktemp("mbedtls") / "client"
    libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
    subprocess.run(["cc", "-Wall", "-Werror", "-o", program, _SOURCE, *libraries], check=True)
    return program


@pytest.mark.parametrize(
    "suite",
    [
        pytest.param("TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8", marks=dtls.short_tags),
        "TLS-ECDHE-ECDSA-WITH-AES-256-CCM",
        "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
        "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256",
    ],
)
def test_mbedtls(published, mbedtls_client, suite):
    engine, host, agent = published
    words = ["a", "ab", "eight...", "x" * 1200, "y" * 4000]
    port = str(engine.listening["dtls_port"])
    ended = subprocess.run(
        [mbedtls_client, engine.ca_file, port, host, suite, *words], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout.split()) == (0, [suite, *(word.upper() for word in words)])
    # close_notify arrived.
    assert agent.closed()["bytes_in"] == sum(map(len, words))


@pytest.mark.parametrize(
    "priority", ["NORMAL", pytest.param("NORMAL:-CIPHER-ALL:+AES-128-CCM-8", marks=dtls.short_tags)]
)
def test_gnutls(published, priority):
    with gnutls(published, "--priority", priority) as client:
        client.wait_for(rb"Handshake was completed")
        exchanges(client, b"p")
        exchanges(client, b"another packet")
        client.process.stdin.close()
        assert client.process.wait(10) == 0
    assert published[2].closed()["bytes_in"] == 2 + 15


@pytest.mark.parametrize("mtu", [300, 600])
def test_handshakes_in_small_pieces(published, mtu):
    """The client's hello does not fit into one datagram."""
    names = ",".join(f"protocol-{number:03}" for number in range(60))
    with s_client(published, "-mtu", mtu, "-alpn", names) as client:
        client.wait_for(rb"Verify return code: 0")
        exchanges(client)


def test_gnutls_in_small_pieces(published):
    with gnutls(published, "--mtu", "300") as client:
        client.wait_for(rb"Handshake was completed")
        exchanges(client)


def test_a_resumed_session(published, tmp_path):
    with s_client(published, "-sess_out", tmp_path / "session") as client:
        client.wait_for(rb"New, TLSv1.2")
        client.wait_for(rb"Verify return code: 0")
        exchanges(client)
        client.say(b"Q\n")
        assert client.process.wait(10) == 0
    with s_client(published, "-sess_in", tmp_path / "session") as client:
        client.wait_for(rb"Reused, TLSv1.2")
        exchanges(client)


def test_renegotiation_is_refused(published):
    with s_client(published) as bystander, s_client(published) as client:
        for each in (bystander, client):
            each.wait_for(rb"Verify return code: 0")
            exchanges(each)
        client.say(b"R\n")
        client.wait_for(rb"RENEGOTIATING")
        client.wait_for(rb"no renegotiation")
        assert client.process.wait(10) != 0
        exchanges(bystander)


def test_a_client_with_a_shared_key_only_is_refused(published):
    with s_client(published) as bystander:
        bystander.wait_for(rb"Verify return code: 0")
        with s_client(published, "-psk", "1a2b3c4d", "-cipher", "PSK-AES128-CCM8:PSK-AES128-GCM-SHA256") as client:
            client.wait_for(rb"SSL alert number 40")
            assert client.process.wait(10) != 0
        exchanges(bystander)
