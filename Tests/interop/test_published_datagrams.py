# SPDX-License-Identifier: Apache-2.0
"""The published cases of the official datagram matrix that ride on DTLS: packets as they are and SCTP by usrsctp, with
clients of OpenSSL and GnuTLS, to plain services and to ones that speak DTLS themselves.
"""

import subprocess

import pytest
from OpenSSL import SSL

from support import dtls
from support.certificates import Authority
from support.sctp import SCTPClient, SCTPServer

DTLS_ALPN = "rstream-dtls-echo"
SCTP_ALPN = "rstream-sctp-echo"


@pytest.fixture
def dtls_engine(start_engine):
    return start_engine(
        settings={"dtls.enabled": "true", "dtls.listen_addr": "127.0.0.1:0", "timeouts.drain_seconds": 1}
    )


@pytest.fixture
def publish(dtls_engine, forward, name):
    """Publishes a UDP service: publish(address, alpn) -> options of dtls.connect()."""

    def start(address, alpn, *arguments):
        agent = forward(
            dtls_engine, address, name, ["--udp", "--protocol", "dtls", "--tls-alpn", alpn, *arguments]
        )
        port = dtls_engine.listening["dtls_port"]
        assert agent.tunnel["port"] == port
        return dict(port=port, ca_file=dtls_engine.ca_file, server_name=agent.tunnel["hostname"])

    return start


@pytest.fixture
def certificate(tmp_path):
    return Authority(tmp_path).issue("service.test")


@pytest.fixture(params=["plain", "upstream-tls"])
def echo_service(request, udp_echo, certificate):
    """Address and arguments of an echo service, and what it makes of a packet."""
    if request.param == "plain":
        yield udp_echo.address, [], bytes.upper
        return
    with dtls.DTLSServer(*certificate, DTLS_ALPN) as server:
        yield server.address, ["--upstream-tls"], bytes


@pytest.fixture(params=["plain", "upstream-tls"])
def sctp_service(request, certificate):
    with SCTPServer() as server:
        if request.param == "plain":
            yield server.address, []
            return
        with dtls.DTLSServer(*certificate, SCTP_ALPN, target=server.port) as secure:
            yield secure.address, ["--upstream-tls"]


def test_dtls(publish, echo_service):
    address, arguments, echoed = echo_service
    options = publish(address, DTLS_ALPN, *arguments)
    with dtls.connect(alpn=DTLS_ALPN, **options) as end:
        assert end.alpn == DTLS_ALPN
        for packet in (b"ping-dtls", b"x", bytes(1100), b"y" * 9000):
            end.write(packet)
            assert end.read() == echoed(packet)


def test_dtls_with_another_protocol(publish, echo_service):
    address, arguments, _ = echo_service
    options = publish(address, DTLS_ALPN, *arguments)
    with pytest.raises(SSL.Error, match="alert"):
        dtls.connect(alpn="rstream-dtls-wrong", **options)


def test_sctp(publish, sctp_service):
    address, arguments = sctp_service
    options = publish(address, SCTP_ALPN, *arguments)
    with dtls.Bridge(alpn=SCTP_ALPN, **options) as bridge, SCTPClient(bridge.port) as client:
        assert bridge.alpn == SCTP_ALPN
        client.connect()
        assert client.exchange(b"ping-sctp") == b"ping-sctp"
        # Several packets of its own.
        message = bytes(range(256)) * 64
        assert client.exchange(message) == message


def test_sctp_with_another_protocol(publish, sctp_service):
    address, arguments = sctp_service
    options = publish(address, SCTP_ALPN, *arguments)
    with pytest.raises(SSL.Error, match="alert"):
        dtls.Bridge(alpn="rstream-sctp-wrong", **options)


# -- GnuTLS ----------------------------------------------------------------------------------------------------------


def gnutls(options, alpn, timeout=30):
    """What gnutls-cli says of an association that it is to end at once: (its output, its exit status)."""
    command = [
        *("gnutls-cli", "--udp", "--mtu=1200", "--priority=NORMAL:-VERS-ALL:+VERS-DTLS1.2", f"--alpn={alpn}"),
        *(f"--x509cafile={options['ca_file']}", f"--sni-hostname={options['server_name']}"),
        *(f"--verify-hostname={options['server_name']}", f"--port={options['port']}", "127.0.0.1"),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        return output.decode(errors="replace"), process.returncode


def test_gnutls(publish, echo_service):
    address, arguments, _ = echo_service
    options = publish(address, DTLS_ALPN, *arguments)
    output, status = gnutls(options, DTLS_ALPN)
    assert status == 0 and "Handshake was completed" in output, output
    assert "DTLS1.2" in output and DTLS_ALPN in output, output
    # GnuTLS 3.8 does not heed the alert and repeats itself.
    output, status = gnutls(options, "rstream-dtls-wrong", 10)
    assert status != 0 and "Handshake was completed" not in output, output
