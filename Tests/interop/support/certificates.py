# SPDX-License-Identifier: Apache-2.0
"""Certificates for the foreign parts: an authority for the fake engine, self-signed ones for upstream TLS servers."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
    )


def _write(path, *parts):
    path.write_bytes(b"".join(parts))
    path.chmod(0o600)
    return str(path)


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """A certificate authority that lives in one directory; its own certificate is of the authority `above`, if any."""

    def __init__(self, directory, above=None, key=None):
        self.directory = directory
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        name = _name("interop test authority" if above is None else "interop test authority below another")
        issuer, key = (above._certificate.subject, above._key) if above else (name, self._key)
        self._certificate = (
            _builder(name, issuer, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0 if above else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca_file = _write(directory / "ca.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names, client=False, key_usage=None):
        """Returns (certificate file, key file) for DNS names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = _builder(_name(names[0]), self._certificate.subject, key)
        if key_usage:
            builder = builder.add_extension(key_usage, critical=True)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        stem = f"{names[0].replace('*', 'any')}-{certificate.serial_number:x}"
        return (
            _write(self.directory / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            _write(self.directory / f"{stem}.key", _pem(key)),
        )


def self_signed(directory, key=None):
    """(certificate file, key file) as test upstreams have them: without any subject alternative name."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = _name("self-signed upstream")
    certificate = _builder(name, name, key).sign(key, hashes.SHA256())
    stem = f"upstream-{certificate.serial_number:x}"
    return (
        _write(directory / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
        _write(directory / f"{stem}.key", _pem(key)),
    )


def self_signed_context(directory, alpn=None):
    """A TLS server context with such a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(directory))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
