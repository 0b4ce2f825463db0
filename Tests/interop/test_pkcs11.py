# SPDX-License-Identifier: Apache-2.0
"""Client certificates whose private key is on a cryptographic token (mTLS storage of the kind pkcs11): SoftHSM's."""

import socket
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from support import origins
from support.ctl import ClientOptions, unique
from support.process import build_product, clean_environment
from support.softhsm import KEYS, MODULE, Tokens, certificate

TOKEN = "agents"


class Identity:
    """A key on a token, its certificate there and in a file."""

    def __init__(self, directory, kind="P-256"):
        directory.mkdir()
        self.tokens = Tokens(directory)
        self.pin = self.tokens.make(TOKEN)
        self.key = KEYS[kind]()
        self.certificate = certificate(self.key)
        self.tokens.put(TOKEN, self.pin, self.key, "agent key", "a1b2")
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        self.ca_file = directory / "certificate.pem"
        self.ca_file.write_bytes(self.pem)
        self.environment = clean_environment(
            HOME=directory,
            RSTREAM_CONFIG="/dev/null",
            RSTREAM_LOG="debug",
            AGENT_PIN=self.pin,
            **self.tokens.environment,
        )

    def put_certificate(self, what=None, label="agent certificate", identifier="c3d4"):
        self.tokens.put_certificate(TOKEN, self.pin, what or self.certificate, label, identifier)

    def options(self, engine, **changes):
        """Settings of auth.mtls.storage; None leaves one out."""
        settings = {
            "kind": "pkcs11",
            "module": MODULE,
            "tokenLabel": TOKEN,
            "keyLabel": "agent key",
            "certificateFile": self.ca_file,
            "pinEnv": "AGENT_PIN",
            **changes,
        }
        options = ["--engine", engine.address, "--ca-file", engine.ca_file]
        for name, value in settings.items():
            if value is not None:
                options += ["--config-set", f"auth.mtls.storage.{name}={value}"]
        return ClientOptions(*options)


@pytest.fixture
def identity(tmp_path):
    return lambda **options: Identity(tmp_path / unique("hsm"), **options)


@pytest.fixture
def connected(start_fake_engine, forward, tcp_server):
    """Opens a control channel and a stream with an identity, and looks at the certificates the engine was shown."""

    def check(own, **changes):
        fake = start_fake_engine(client_ca=str(own.ca_file))
        agent = forward(
            own.options(fake, **changes), tcp_server(origins.echo).address, unique(), ["--no-publish"],
            environment=own.environment, online=False,
        )  # fmt: skip
        control = fake.accept_control()
        assert control.wire.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)
        stream = control.open_stream(control.grant_tunnel().id.value)
        assert stream.stream.peer_certificate()["subject"] == ((("commonName", "agent"),),)
        stream.write(b"through")
        assert stream.read_exactly(7) == b"through"
        agent.end()
        assert own.pin not in agent.log
        return agent

    return check


def refused(own, engine, environment=None, **changes):
    """What `rstreamctl forward` says when it cannot connect."""
    command = [build_product("rstreamctl"), "forward", "9", *own.options(engine, **changes).client_options()]
    done = subprocess.run(command, env=environment or own.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode in (3, 4), done.stderr
    assert own.pin not in done.stderr + done.stdout
    return done.stderr


@pytest.mark.parametrize("kind", KEYS)
def test_the_token_signs(identity, connected, kind):
    connected(identity(kind=kind))


def test_our_own_engine_knows_the_client_by_it(identity, start_engine, forward, dial, tcp_server):
    own = identity()
    settings = {"auth.open": "false", "auth.mtls.ca_file": own.ca_file, "timeouts.drain_seconds": 1}
    engine = start_engine(settings=settings)
    name = unique()
    target = own.options(engine)
    forward(target, tcp_server(origins.upper).address, name, ["--no-publish"], environment=own.environment)
    dialer = dial(target, name, environment=own.environment)
    with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
        sock.settimeout(20)
        sock.sendall(b"abc")
        assert sock.recv(3) == b"ABC"
    done = subprocess.run(
        [build_product("rstreamctl"), "dial", name, *engine.client_options()], capture_output=True, text=True,
        env=clean_environment(RSTREAM_CONFIG="/dev/null"), timeout=30,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr


def test_every_way_to_name_token_key_and_certificate(identity, connected):
    own = identity()
    own.put_certificate()
    slot, serial = own.tokens.slots()[TOKEN]
    connected(own, tokenLabel=None, tokenSerial=serial, keyLabel=None, keyIdHex="A1:b2")
    connected(own, tokenLabel=None, slot=slot, certificateFile=None, certificate=own.pem.decode())
    connected(own, certificateFile=None, certificateLabel="agent certificate", maxSessions=1)
    connected(own, certificateFile=None, certificateIdHex="c3 d4", opensslProvider="pkcs11")


def test_one_session_serves_many_streams(identity, start_fake_engine, forward, tcp_server):
    own = identity(kind="RSA")
    fake = start_fake_engine(client_ca=str(own.ca_file))
    forward(
        own.options(fake, maxSessions=1), tcp_server(origins.echo).address, unique(), ["--no-publish"],
        environment=own.environment, online=False,
    )  # fmt: skip
    control = fake.accept_control()
    tunnel = control.grant_tunnel()
    streams = [control.open_stream(tunnel.id.value) for _ in range(8)]
    for number, stream in enumerate(streams):
        stream.write(b"%d" % number)
    assert [stream.read_exactly(1) for stream in streams] == [b"%d" % number for number in range(8)]


def test_two_that_match(identity, start_fake_engine):
    own, fake = identity(), start_fake_engine()
    own.tokens.put(TOKEN, own.pin, KEYS["P-256"](), "agent key", "ffff")
    assert "there are several" in refused(own, fake)
    own.put_certificate()
    own.put_certificate(identifier="eeee")
    words = refused(own, fake, keyLabel=None, keyIdHex="a1b2", certificateFile=None, certificateLabel="agent certificate")
    assert "certificate labelled agent certificate" in words and "there are several" in words
    own.tokens.make(TOKEN)
    assert "2 tokens that match" in refused(own, fake)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenLabel": "other"}, "no token other: it has agents"),
        ({"tokenLabel": None, "tokenSerial": "0000"}, "no token with the serial number 0000"),
        ({"tokenLabel": None, "slot": 77}, "no token in slot 77"),
        ({"keyLabel": "other"}, "private key labelled other on token agents: there is none"),
        ({"keyLabel": None, "keyIdHex": "0102"}, "private key with the id 0102 on token agents: there is none"),
        ({"certificateFile": None, "certificateLabel": "agent"}, "certificate labelled agent on token agents: there is none"),
        ({"certificateFile": "/nonexistent.pem"}, "read /nonexistent.pem: no such file"),
        ({"certificateFile": "/dev/null"}, "there are 0"),
        ({"module": "/nonexistent.so"}, "load the PKCS#11 module /nonexistent.so"),
        ({"module": "/usr/lib/x86_64-linux-gnu/libz.so.1"}, "C_GetFunctionList"),
    ],
)
def test_what_is_missing_is_said(identity, start_fake_engine, changes, words):
    assert words in refused(identity(), start_fake_engine(), **changes)


def test_a_key_that_is_not_the_certificates(identity, start_fake_engine):
    own = identity()
    own.tokens.put(TOKEN, own.pin, KEYS["P-256"](), "stranger", "beef")
    fake = start_fake_engine(client_ca=str(own.ca_file))
    assert "does not fit the certificate" in refused(own, fake, keyLabel="stranger")


def test_a_key_of_another_kind_than_the_certificates(identity, start_fake_engine):
    own = identity()
    own.tokens.put(TOKEN, own.pin, KEYS["RSA"](), "stranger", "beef")
    fake = start_fake_engine(client_ca=str(own.ca_file))
    assert "sign with the key on token agents" in refused(own, fake, keyLabel="stranger")


def test_a_wrong_pin_is_tried_once(identity, start_fake_engine):
    own = identity()
    wrong = {**own.environment, "AGENT_PIN": "9999-wrong"}
    words = refused(own, start_fake_engine(), wrong)
    assert "the PIN is wrong" in words and "not tried again" in words
    assert "9999-wrong" not in words


def test_a_pin_that_is_not_there(identity, start_fake_engine):
    own = identity()
    without = {name: value for name, value in own.environment.items() if name != "AGENT_PIN"}
    assert "AGENT_PIN" in refused(own, start_fake_engine(), without)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"module": None}, "auth.mtls.storage.module: required"),
        ({"pinEnv": None}, "auth.mtls.storage.pinEnv: required"),
        ({"pinEnv": "1PIN"}, "name of an environment variable"),
        ({"tokenLabel": None}, "requires one of auth.mtls.storage.tokenLabel, auth.mtls.storage.tokenSerial"),
        ({"slot": 1}, "auth.mtls.storage.slot: excludes auth.mtls.storage.tokenLabel"),
        ({"keyLabel": None}, "requires one of auth.mtls.storage.keyLabel, auth.mtls.storage.keyIdHex"),
        ({"keyIdHex": "01"}, "auth.mtls.storage.keyIdHex: excludes auth.mtls.storage.keyLabel"),
        ({"certificateFile": None}, "requires one of auth.mtls.storage.certificate"),
        ({"certificateLabel": "x"}, "auth.mtls.storage.certificateLabel: excludes auth.mtls.storage.certificateFile"),
        ({"provider": "macos"}, "auth.mtls.storage.provider: not for mTLS storage of the kind pkcs11"),
        ({"certificateSHA256": "00" * 32}, "certificateSHA256: not for mTLS storage of the kind pkcs11"),
        ({"exec.command": "/bin/true"}, "exec.command: not for mTLS storage of the kind pkcs11"),
    ],
)
def test_settings_that_cannot_be(identity, start_fake_engine, changes, words):
    assert words in refused(identity(), start_fake_engine(), **changes)


