"""X.509 certificates for tests, with what Python 3.13 demands: key identifiers, and the key usage of an authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Span = tuple[datetime, datetime]
HERE = "127.0.0.1"


def span_of(first: float, last: float) -> Span:
    """From when until when, in days from now."""
    now = datetime.now(UTC)
    return now + timedelta(days=first), now + timedelta(days=last)


def sign(
    key: ec.EllipticCurvePublicKey,
    subject: str,
    by: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    ca: bool = False,
    host: str = "",
    span: Span | None = None,
) -> x509.Certificate:
    """A certificate of `key` for `subject`, signed by `issuer`; valid for a day unless told. `host`: an IP address."""
    begin, end = span or span_of(-1, 1)
    builder = (
        x509.CertificateBuilder(_named(issuer), _named(subject), key, x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .add_extension(_usage(ca), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return builder.sign(by, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key that is made in no time."""
    return ec.generate_private_key(ec.SECP256R1())


def written(path: Path, *parts: x509.Certificate | ec.EllipticCurvePrivateKey) -> Path:
    """Certificates and keys in one PEM file, for our eyes only."""
    path.touch(0o600)
    path.write_bytes(b"".join(_pem(part) for part in parts))
    return path


def _pem(part: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(part, x509.Certificate):
        return part.public_bytes(Encoding.PEM)
    return part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def served(pem: Path | str, key: Path | None = None) -> ssl.SSLContext:
    """A server's side of TLS with this certificate, and its key, which may lie in the same file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


def self_signed(folder: Path, host: str = HERE) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS with a certificate of its own making, and that certificate's file."""
    key = new_key()
    certificate = sign(key.public_key(), "vault.test", key, "vault.test", ca=True, host=host)
    path = written(folder / "cert.pem", certificate)
    return served(path, written(folder / "key.pem", key)), str(path)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own making, and the files that it writes."""

    folder: Path
    name: str = "ca"
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @property
    def ca_file(self) -> str:
        """What the other side must trust."""
        path = self.folder / f"{self.name}.pem"
        if not path.exists():
            written(path, sign(self.key.public_key(), self.name, self.key, self.name, ca=True))
        return str(path)

    def issue(self, subject: str = HERE, days: tuple[float, float] = (-1, 1), host: str = HERE) -> str:
        """A file with a certificate, to serve and to be a client, and its key; `days`: from when until when."""
        own = new_key()
        certificate = sign(own.public_key(), subject, self.key, self.name, host=host, span=span_of(*days))
        return str(written(self.folder / f"{certificate.serial_number}.pem", certificate, own))

    def context(self, host: str = HERE, days: tuple[float, float] = (-1, 1), *, known: bool = True) -> ssl.SSLContext:
        """A server's side of TLS; not `known`: by an authority of the same name that is another."""
        return served((self if known else Authority(self.folder)).issue(host, days, host))
