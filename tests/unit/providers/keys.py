"""The signing keys of the tests: made once per process, never written anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from math import gcd
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from rotator.rotation.secret import Secret


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    curves: dict[str, Any] = {each.name: each for each in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1)}
    return ec.generate_private_key(curves[curve]())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def key_for(algorithm: str) -> Any:
    """A key that signs with this algorithm, one for all."""
    curves = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
    return (
        ed_key()
        if algorithm in ("EdDSA", "Ed25519")
        else ec_key(curves[algorithm])
        if algorithm in curves
        else rsa_key()
    )


def private_pem(key: Any) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip())


def public_pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rotator.test")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + timedelta(days=9999)).sign(key, hashes.SHA256())


@cache
def false_key() -> Secret:
    """A private key that reads like one of RSA, and whose "primes" are products."""
    while True:
        one, two = (rsa.generate_private_key(65537, 1024).private_numbers() for _ in range(2))
        p, q, phi = one.p * one.q, two.p * two.q, (one.p - 1) * (one.q - 1) * (two.p - 1) * (two.q - 1)
        if gcd(phi, 65537) == 1 and (p * q).bit_length() == 2048:
            break
    d, public = pow(65537, -1, phi), rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return private_pem(numbers.private_key(unsafe_skip_rsa_key_validation=True))
