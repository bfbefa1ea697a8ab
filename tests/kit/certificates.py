"""X.509 certificates for tests, with what Python 3.13 demands: key identifiers, and the key usage of an authority."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Span = tuple[datetime, datetime]


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
