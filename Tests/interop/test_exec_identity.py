# SPDX-License-Identifier: Apache-2.0
"""Client certificates whose private key is in the hands of a program (mTLS storage of the kind exec)."""

import datetime
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support import origins
from support.ctl import ClientOptions, unique
from support.process import build_product, clean_environment
from support.waiting import wait_until

PROVIDER = pathlib.Path(__file__).parent / "support/mtls_provider.py"
KEYS = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


class Identity:
    """A certificate and its key in a directory, and the program that signs with it."""

    def __init__(self, directory, kind="ecdsa", signs=True, client=True, days=1):
        self.directory = directory
        key = KEYS[kind]()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agent")])
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(signs, False, False, False, False, True, True, False, False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(key, None if kind == "ed25519" else hashes.SHA256())
        )
        (directory / "chain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.ca_file = directory / "chain.pem"
        self.digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        # Of this test's Python, and written by nobody else.
        self.program = directory / "provider"
        self.program.write_text(f"#!{sys.executable}\n" + PROVIDER.read_text().split("\n", 1)[1])
        self.program.chmod(0o755)

    def options(self, engine, fault="", digest=None, **more):
        settings = {
            "auth.mtls.storage.kind": "exec",
            "auth.mtls.storage.certificateSHA256": digest or self.digest,
            "auth.mtls.storage.exec.command": self.program,
            "auth.mtls.storage.exec.args": json.dumps([str(self.directory), fault]),
            "auth.mtls.storage.exec.timeout": "20s",
            **{f"auth.mtls.storage.exec.{name}": value for name, value in more.items()},
        }
        options = ["--engine", engine.address, "--ca-file", engine.ca_file]
        for name, value in settings.items():
            options += ["--config-set", f"{name}={value}"]
        return ClientOptions(*options)

    @property
    def requests(self):
        return [json.loads(line) for line in (self.directory / "requests.log").read_text().splitlines()]


@pytest.fixture
def identity(tmp_path):
    def make(**options):
        directory = tmp_path / "identity"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return Identity(directory, **options)

    return make


def refused(target, tmp_path):
    """What `rstreamctl forward` says when it cannot connect."""
    command = [build_product("rstreamctl"), "forward", "9", *target.client_options()]
    environment = clean_environment(HOME=tmp_path, RSTREAM_CONFIG="/dev/null")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode in (3, 4), done.stderr
    return done.stderr


@pytest.mark.parametrize("fault", ["", "digest-only"])
@pytest.mark.parametrize("kind", KEYS)
def test_the_program_signs_the_handshake(identity, start_fake_engine, forward, tcp_server, kind, fault):
    if kind == "ed25519" and fault:
        pytest.skip("Ed25519 signs messages only")
    own = identity(kind=kind)
    fake = start_fake_engine(client_ca=str(own.ca_file))
    target = own.options(fake, fault)
    forward(target, tcp_server(origins.echo).address, unique(), ["--no-publish"], online=False)
    control = fake.accept_control()
    assert control.wire.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)
    stream = control.open_stream(control.grant_tunnel().id.value)
    assert stream.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)
    stream.write(b"through")
    assert stream.read_exactly(7) == b"through"
    asked, signed = own.requests[:2]
    assert asked["request"] == {"version": 1, "operation": "identity", "certificateSHA256": own.digest}
    assert signed["request"]["operation"] == "sign"
    assert signed["request"]["input"] == ("digest" if fault else "message")
    assert signed["cwd"] == "/"
    # LC_CTYPE is Python's own doing.
    assert set(signed["environment"]) - {"LC_CTYPE"} == {"LANG", "LC_ALL"}


def test_closing_does_not_wait_for_the_program(identity, start_fake_engine, forward):
    """The handshake is paused, and what it holds has to go nevertheless."""
    own = identity()
    fake = start_fake_engine(client_ca=str(own.ca_file))
    agent = forward(own.options(fake, "sign:slow"), "127.0.0.1:9", "agent", online=False)
    log = own.directory / "requests.log"
    wait_until(lambda: log.exists() and len(own.requests) == 2, 30, what="the question for a signature")
    begun = time.monotonic()
    agent.end(expect=(0, 4))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "fault, words",
    [
        ("denied", "signing_denied"),
        ("sign:denied", "signing_denied"),
        ("status", "status 7"),
        ("garbage", "no JSON"),
        ("flood", "more than 262144 bytes"),
        ("version", "version 1"),
        ("deaf", "version 1"),
        ("wrong-signature", "does not fit the certificate"),
        ("sign:garbage", "no JSON"),
    ],
)
def test_what_goes_wrong_is_said(identity, start_fake_engine, tmp_path, fault, words):
    own = identity()
    fake = start_fake_engine(client_ca=str(own.ca_file))
    assert words in refused(own.options(fake, fault), tmp_path)


def test_a_slow_program_is_ended(identity, start_fake_engine, tmp_path):
    own = identity()
    fake = start_fake_engine(client_ca=str(own.ca_file))
    begun = time.monotonic()
    assert "no answer after 2000 ms" in refused(own.options(fake, "slow", timeout="2s"), tmp_path)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "options, words",
    [
        ({"signs": False}, "digitalSignature"),
        ({"client": False}, "clientAuth"),
        ({"days": -1}, "not valid now"),
    ],
)
def test_certificates_that_are_not_for_this(identity, start_fake_engine, tmp_path, options, words):
    own = identity(**options)
    fake = start_fake_engine()
    assert words in refused(own.options(fake), tmp_path)


def test_another_certificate_than_expected(identity, start_fake_engine, tmp_path):
    own = identity()
    assert "certificateSHA256" in refused(own.options(start_fake_engine(), digest="00" * 32), tmp_path)


def test_programs_that_others_can_write(identity, start_fake_engine, tmp_path):
    own = identity()
    own.program.chmod(0o775)
    assert "written by others" in refused(own.options(start_fake_engine()), tmp_path)


@pytest.mark.parametrize(
    "more, words",
    [
        ({"command": "provider"}, "absolute path"),
        ({"timeout": "61s"}, "at most 1m"),
        ({"timeout": "0"}, "more than 0"),
        ({"passEnv": '["1A"]'}, "names of environment variables"),
        ({"args": json.dumps(["x"] * 129)}, "at most 128"),
        ({"args": json.dumps(["x" * 70_000])}, "64 KiB"),
    ],
)
def test_settings_out_of_range(identity, start_fake_engine, tmp_path, more, words):
    assert words in refused(identity().options(start_fake_engine(), **more), tmp_path)


def test_variables_are_passed_by_name(identity, start_fake_engine, forward, tmp_path):
    own = identity()
    fake = start_fake_engine(client_ca=str(own.ca_file))
    environment = clean_environment(HOME=tmp_path, TOKEN_PIN="1234", OTHER="x")
    options = own.options(fake, passEnv='["TOKEN_PIN","MISSING"]')
    forward(options, "127.0.0.1:9", "agent", online=False, environment=environment)
    fake.accept_control()
    assert set(own.requests[0]["environment"]) - {"LC_CTYPE"} == {"LANG", "LC_ALL", "TOKEN_PIN"}
