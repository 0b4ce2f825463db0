# SPDX-License-Identifier: Apache-2.0
"""Cryptographic tokens: SoftHSM's, with keys and certificates put there by OpenSC's tools."""

import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


def certificate(key, name="agent"):
    """A certificate that is its own authority."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


class Tokens:
    """A SoftHSM of its own in a directory."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "tokens").mkdir()
        self.configuration = directory / "softhsm2.conf"
        self.configuration.write_text(f"directories.tokendir = {directory}/tokens\nlog.level = ERROR\n")
        self.environment = {"SOFTHSM2_CONF": str(self.configuration)}

    def _run(self, *command):
        done = subprocess.run(
            [str(part) for part in command],
            env={"PATH": "/usr/bin:/bin", **self.environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def make(self, label, pin="7493-tok"):
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "so-" + pin, "--pin", pin)
        return pin

    def slots(self):
        """(slot, serial number) of the tokens by label."""
        found, slot, serial = {}, None, None
        for line in self._run("softhsm2-util", "--show-slots").splitlines():
            word, _, value = line.strip().partition(":")
            if line.startswith("Slot "):
                slot = line.split()[1]
            elif word == "Serial number":
                serial = value.strip()
            elif word == "Label" and value.strip():
                found[value.strip()] = (slot, serial)
        return found

    def put(self, token, pin, key, label, identifier):
        file = self.directory / "key.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._run(
            "softhsm2-util", "--import", file, "--token", token, "--pin", pin, "--label", label, "--id", identifier,
            "--force",
        )  # fmt: skip
        file.unlink()

    def put_certificate(self, token, pin, what, label, identifier):
        file = self.directory / "certificate.der"
        file.write_bytes(what.public_bytes(serialization.Encoding.DER))
        self._run(
            "pkcs11-tool", "--module", MODULE, "--login", "--pin", pin, "--token-label", token,
            "--write-object", file, "--type", "cert", "--label", label, "--id", identifier,
        )  # fmt: skip
