"""Signing keys: checks, names of public keys, and a signer in this process.

Keys that never leave Vault sign through the same protocol, see vault/transit.py.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt import get_algorithm_by_name
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from rotator.ports import UnusableKey
from rotator.rotation.secret import Secret

FEWEST_BITS = 2048  # RFC 7518, sections 3.3 and 3.5
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"  # RFC 7468, section 13
_RSA, _EC = ("e", "kty", "n"), ("crv", "kty", "x", "y")  # the members that identify a key, by RFC 7638


class Algorithm(StrEnum):
    """A signing algorithm (RFC 7518). PS256 has a salt of 32 bytes, ES256 a signature of 64 raw bytes."""

    PS256 = "PS256"
    RS256 = "RS256"
    ES256 = "ES256"


class Signer(Protocol):
    """The holder of a private key. Both verbs may raise Transient or Refused."""

    async def public_pem(self) -> str:
        """The public key of the next signature, as PEM (SPKI)."""
        ...

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """The signature in the form of RFC 7518."""
        ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, parsed once."""

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    thumbprint: str  # RFC 7638, SHA-256

    def verifies(self, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature. Raises UnusableKey when key and algorithm do not fit."""
        check_fit(algorithm, self.key)
        checker: Any = get_algorithm_by_name(algorithm.value)
        return bool(checker.verify(message, self.key, signature))


class LocalSigner:
    """A private key in this process, parsed once: parsing costs a hundred signatures."""

    def __init__(self, pem: Secret, *, made: bool = False) -> None:
        """Takes PEM without a passphrase. Raises UnusableKey without quoting it.

        `made`: it comes from `make_key`. Its primes are not tested again, because that blocks every thread of this
        process (160 ms with 3,072 bits).
        """
        try:
            key = load_pem_private_key(pem.reveal().encode(), None, unsafe_skip_rsa_key_validation=made)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKey(
                "the signing key cannot be read: it must be a PEM private key without passphrase"
            ) from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise UnusableKey("the signing key is neither RSA nor EC")
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def public_pem(self) -> str:
        """See `Signer`."""
        return self._public

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """See `Signer`. Raises UnusableKey when key and algorithm do not fit."""
        check_fit(Algorithm(algorithm), self._key.public_key())
        signer: Any = get_algorithm_by_name(algorithm)
        return bytes(signer.sign(message, self._key))


def public_text(value: Secret) -> str | None:
    """The value itself if it is just a public key in PEM."""
    text = value.reveal().strip()
    alone = text.startswith(_BEGIN) and text.endswith(_END) and text.count("-----BEGIN") == 1
    return text if alone else None


@lru_cache(maxsize=1024)
def public_key(pem: str) -> PublicKey:
    """The public key in a PEM. Raises UnusableKey unless it is an RSA key of at least 2048 bits, or on P-256."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("the public key cannot be read") from None
    if isinstance(key, rsa.RSAPublicKey):
        check_fit(Algorithm.PS256, key)
        return PublicKey(key, _thumbprint(RSAAlgorithm.to_jwk(key, as_dict=True), _RSA))
    if isinstance(key, ec.EllipticCurvePublicKey):
        check_fit(Algorithm.ES256, key)
        return PublicKey(key, _thumbprint(ECAlgorithm.to_jwk(key, as_dict=True), _EC))
    raise UnusableKey("the signing key is neither RSA nor EC")


def make_key(algorithm: Algorithm, bits: int) -> Secret:
    """A new private key as PEM (PKCS 8); `bits` of an RSA key. It takes up to a second: call it in a worker thread."""
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm is Algorithm.ES256:
        made = ec.generate_private_key(ec.SECP256R1())
    else:
        made = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    check_fit(algorithm, made.public_key())
    return Secret(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip())


def public_jwk(key: PublicKey, algorithm: Algorithm) -> dict[str, str]:
    """The public half as a JWK (RFC 7517), for signatures of this algorithm; `kid` is its thumbprint."""
    told = json.loads(_jwk(key.key))
    members = _RSA if isinstance(key.key, rsa.RSAPublicKey) else _EC
    return {**{name: told[name] for name in members}, "kid": key.thumbprint, "use": "sig", "alg": algorithm.value}


def _jwk(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return RSAAlgorithm.to_jwk(key) if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm.to_jwk(key)


def check_fit(algorithm: Algorithm, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> None:
    """Raise UnusableKey when this key must not be used with this algorithm."""
    if algorithm is Algorithm.ES256:
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise UnusableKey("ES256 needs an EC key on the curve P-256")
    elif not isinstance(key, rsa.RSAPublicKey):
        raise UnusableKey(f"{algorithm} needs an RSA key")
    elif key.key_size < FEWEST_BITS:
        raise UnusableKey(f"the RSA key has {key.key_size} bits; {FEWEST_BITS} are the least")


def certificate_mark(pem: Secret, algorithm: str) -> tuple[str, str]:
    """The header parameter that names a certificate, and its value: `x5t` (sha1) or `x5t#S256` (sha256)."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.reveal().encode())
    except ValueError:
        raise UnusableKey("the certificate cannot be read: it must be one PEM certificate") from None
    if algorithm == "sha1":
        return "x5t", unpadded(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - a name, fixed by RFC 7515
    return "x5t#S256", unpadded(certificate.fingerprint(hashes.SHA256()))


def unpadded(raw: bytes) -> str:
    """Base64url without padding, as in JOSE."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, Any], members: tuple[str, ...]) -> str:
    text = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True)
    return unpadded(hashlib.sha256(text.encode()).digest())
