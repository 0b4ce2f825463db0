# SPDX-License-Identifier: Apache-2.0
"""Real programs as consumers: curl, and OpenSSH over a published TCP tunnel."""

import concurrent.futures
import getpass
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

from support import origins
from support.process import build_product, clean_environment

# -- curl ------------------------------------------------------------------------------------------------------------


def curl(engine, *arguments, expect=0, stdin=None):
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", engine.ca_file, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=30,
    )
    assert run.returncode in (expect if isinstance(expect, tuple) else (expect,)), (run.returncode, run.stderr)
    return run.stdout


@pytest.fixture
def published(engine, forward, site, name):
    return forward(engine, site(name=name).address, name)


def test_curl_gets_a_page_by_the_printed_address(engine, published):
    """The address that forward prints works as it is: curl resolves *.localhost by itself."""
    assert curl(engine, published.tunnel["forwarding"] + "/ping") == b"pong\n"


def test_curl_reuses_one_connection(engine, published):
    url = published.tunnel["forwarding"]
    out = curl(engine, "--write-out", "%{num_connects}\n", url + "/ping", url + "/name", url + "/directory/")
    assert out == b"pong\n1\n" + published.tunnel["name"].encode() + b"0\ndirectory\n0\n"


def test_curl_uploads_with_expect_and_chunked(engine, published, tmp_path):
    body = os.urandom(2 << 20)
    (tmp_path / "body").write_bytes(body)
    expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    url = published.tunnel["forwarding"] + "/digest"
    assert curl(engine, "--data-binary", f"@{tmp_path / 'body'}", "--header", "Expect: 100-continue", url) == expected
    assert curl(engine, "--upload-file", "-", "--request", "POST", url, stdin=body) == expected


def test_curl_verifies_the_certificate(engine, published, tmp_path):
    """Without the development authority the handshake fails, and so it does for a name that is none of the engine's."""
    run = subprocess.run(
        ["curl", "--silent", "--max-time", "10", published.tunnel["forwarding"] + "/ping"], capture_output=True
    )
    assert run.returncode == 60
    curl(engine, "--connect-to", f"::127.0.0.1:{engine.port}", "https://elsewhere.example.com/", expect=(35, 60))


def test_curl_reads_the_api(engine, published):
    out = curl(
        engine,
        f"https://{engine.address}/api/tunnels?params=%7B%22filters%22%3A%7B%22name%22%3A%22"
        f"{published.tunnel['name']}%22%7D%7D",
    )
    assert published.tunnel["id"].encode() in out


def test_curl_speaks_tls_1_2_to_a_published_tunnel(engine, published):
    assert curl(engine, "--tls-max", "1.2", published.tunnel["forwarding"] + "/ping") == b"pong\n"


# -- OpenSSH ---------------------------------------------------------------------------------------------------------


def keygen(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=20)
    return path


@pytest.fixture
def sshd(tmp_path, tcp_server):
    """An OpenSSH server of the test's own, one process a connection (inetd mode), for the user who runs the tests."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    assert pathlib.Path(program).exists(), "sshd is missing: apt install openssh-server"
    if os.getuid() == 0:
        # The server refuses to run for root without its own empty directory, which the Debian service creates.
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key, user_key = keygen(tmp_path / "host_key"), keygen(tmp_path / "user_key")
    shutil.copy(f"{user_key}.pub", tmp_path / "authorized_keys")
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {host_key}\nAuthorizedKeysFile {tmp_path}/authorized_keys\nPidFile none\nUsePAM no\n"
        "StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        "PrintMotd no\nUseDNS no\n"
    )

    def serve(sock):
        subprocess.run(
            [program, "-i", "-e", "-f", str(config)],
            stdin=sock.fileno(),
            stdout=sock.fileno(),
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    known = tmp_path / "known_hosts"
    known.write_text("tunnel " + pathlib.Path(f"{host_key}.pub").read_text())
    server = tcp_server(serve)
    server.user_key, server.known_hosts, server.directory = user_key, known, tmp_path
    return server


def ssh(sshd, port, *command, key=None, known_hosts=None, stdin=b"", timeout=40):
    return subprocess.run(
        [
            "ssh", "-F", "none", "-p", str(port), "-i", str(key or sshd.user_key), "-o", "IdentitiesOnly=yes",
            "-o", "IdentityAgent=none", "-o", f"UserKnownHostsFile={known_hosts or sshd.known_hosts}",
            "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=tunnel", "-o", "BatchMode=yes",
            "-o", "ConnectTimeout=15", f"{getpass.getuser()}@127.0.0.1", *command,
        ],
        input=stdin, capture_output=True, timeout=timeout,
    )  # fmt: skip


@pytest.fixture
def ssh_tunnel(engine, forward, sshd, name):
    return forward(engine, sshd.address, name, ["--protocol", "tcp"]).tunnel["port"]


def test_ssh_runs_a_command(sshd, ssh_tunnel):
    run = ssh(sshd, ssh_tunnel, "echo over the tunnel; exit 7")
    assert (run.returncode, run.stdout) == (7, b"over the tunnel\n"), run.stderr


def test_ssh_carries_data_both_ways(sshd, ssh_tunnel):
    data = os.urandom(8 << 20)
    run = ssh(sshd, ssh_tunnel, "cat", stdin=data)
    assert run.returncode == 0, run.stderr
    assert hashlib.sha256(run.stdout).digest() == hashlib.sha256(data).digest()


def test_ssh_rejects_a_foreign_key(sshd, ssh_tunnel, tmp_path):
    run = ssh(sshd, ssh_tunnel, "true", key=keygen(tmp_path / "foreign_key"))
    assert run.returncode == 255 and b"Permission denied" in run.stderr


def test_ssh_rejects_a_wrong_host_key(sshd, ssh_tunnel, tmp_path):
    other = keygen(tmp_path / "other_host_key")
    known = tmp_path / "other_known_hosts"
    known.write_text("tunnel " + pathlib.Path(f"{other}.pub").read_text())
    run = ssh(sshd, ssh_tunnel, "true", known_hosts=known)
    assert run.returncode == 255 and b"Host key verification failed" in run.stderr


def test_ssh_as_proxy_command_over_a_private_tunnel(engine, forward, sshd, name, tmp_path):
    """`rstreamctl dial` on standard input and output is what ssh wants as a ProxyCommand."""
    forward(engine, sshd.address, name, ["--no-publish"])
    command = f"{build_product('rstreamctl')} dial {name} --engine {engine.address} --ca-file {engine.ca_file}"
    run = subprocess.run(
        [
            "ssh", "-F", "none", "-i", str(sshd.user_key), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
            "-o", f"UserKnownHostsFile={sshd.known_hosts}", "-o", "HostKeyAlias=tunnel", "-o", "BatchMode=yes",
            "-o", f"ProxyCommand={command}", f"{getpass.getuser()}@private", "echo private",
        ],
        capture_output=True, timeout=40, env=clean_environment(HOME=tmp_path),
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, b"private\n"), run.stderr


def test_two_ssh_sessions_at_once(sshd, ssh_tunnel):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda n: ssh(sshd, ssh_tunnel, f"echo {n}"), range(4)))
    assert [run.stdout for run in runs] == [b"%d\n" % n for n in range(4)], [run.stderr for run in runs]


def test_banner_of_a_server_that_speaks_first(engine, forward, tcp_server, name):
    ours = forward(engine, tcp_server(origins.banner).address, name, ["--protocol", "tcp"])
    with socket.create_connection(("127.0.0.1", ours.tunnel["port"]), timeout=10) as sock:
        assert sock.recv(100) == b"220 hello, I speak first\r\n"


# -- openssl s_client ------------------------------------------------------------------------------------------------


def test_key_updates_in_the_middle_of_a_stream(engine, forward, tcp_server, name):
    """OpenSSL's own client changes its keys, and asks for a change of ours, between two messages."""
    host = forward(engine, tcp_server(origins.echo).address, name, ["--protocol", "tls"]).host
    client = subprocess.Popen(
        [
            "openssl", "s_client", "-connect", f"127.0.0.1:{engine.port}", "-servername", host, "-CAfile",
            engine.ca_file, "-verify_return_error",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said = b""

    def until(what):
        nonlocal said
        while what not in said:
            data = os.read(client.stdout.fileno(), 65536)
            assert data, said
            said += data
        said = said.split(what, 1)[1]

    def tell(line):
        client.stdin.write(line)
        client.stdin.flush()

    # A line that begins with K asks both sides for new keys, one with k changes the own only.
    for command in (b"K\n", b"k\n", b"K\n"):
        tell(b"before " + command)
        until(b"before " + command)
        tell(command)
        until(b"KEYUPDATE")
        tell(b"after " + command)
        until(b"after " + command)
    client.stdin.close()
    client.wait(10)
    client.stdout.close()
