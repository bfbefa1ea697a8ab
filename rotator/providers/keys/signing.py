"""Signing keys: names of public keys, a signer in this process, and sources of new key pairs.

A pair is made in this process, or is a version of a key that never leaves Vault Transit (see vault/transit.py). The
value of a pair in Transit is its public key. It is no secret, but is handled like one: it identifies the version, even
of a key that was deleted and created again, and has no text in common with `kid`, which logs show.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from anyio import to_thread
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
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from rotator.ports import CannotPresent, Refused, StoreRefused, Transient, UnusableKey
from rotator.providers.keys.algorithms import (
    Algorithm,
    AnyPublicKey,
    PrivateKey,
    SharedKey,
    check_fit,
    described,
    fitting,
    generate,
    transit_type,
)
from rotator.rotation.secret import Secret

_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"  # RFC 7468, section 13
Seen = Callable[[], Awaitable[set[str]]]  # thumbprints of the keys that targets know now


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

    key: AnyPublicKey
    thumbprint: str  # RFC 7638, SHA-256

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """The algorithms that such a key signs with."""
        return fitting(self.key)

    def check(self, algorithm: Algorithm) -> None:
        """Raise UnusableKey when this key must not be used with this algorithm."""
        check_fit(algorithm, self.key)

    def verifies(self, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature. Raises UnusableKey when key and algorithm do not fit."""
        check_fit(algorithm, self.key)
        checker = _implementation(algorithm)
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
        if not isinstance(key, PrivateKey):
            raise UnusableKey("the signing key is neither RSA, nor EC, nor Ed25519")
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def public_pem(self) -> str:
        """See `Signer`."""
        return self._public

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """See `Signer`. Raises UnusableKey when key and algorithm do not fit."""
        check_fit(Algorithm(algorithm), self._key.public_key())
        signer = _implementation(Algorithm(algorithm))
        return bytes(signer.sign(message, self._key))


class SharedSigner:
    """A client secret that signs."""

    def __init__(self, secret: Secret) -> None:
        self.key = SharedKey(secret)

    async def public_pem(self) -> str:
        """Raises UnusableKey: a shared secret has no public half."""
        raise UnusableKey("a client secret has no public half")

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """See `Signer`. Raises UnusableKey when the secret is too short."""
        return self.key.sign(Algorithm(algorithm), message)


SigningKey = PublicKey | SharedKey


async def key_of(signer: Signer) -> SigningKey:
    """The key that checks the next signature. Raises as `Signer`, and UnusableKey for an unfit key."""
    return signer.key if isinstance(signer, SharedSigner) else public_key(await signer.public_pem())


def public_text(value: Secret) -> str | None:
    """The value itself if it is just a public key in PEM."""
    text = value.reveal().strip()
    alone = text.startswith(_BEGIN) and text.endswith(_END) and text.count("-----BEGIN") == 1
    return text if alone else None


def _implementation(algorithm: Algorithm) -> Any:
    """PyJWT 2.15.1 knows Ed25519 by its older name only."""
    return get_algorithm_by_name(Algorithm.EDDSA if algorithm is Algorithm.ED25519 else algorithm.value)


@lru_cache(maxsize=1024)
def public_key(pem: str) -> PublicKey:
    """The public key in a PEM. Raises UnusableKey unless it is an RSA key of at least 2048 bits, an EC key on P-256,
    P-384 or P-521, or an Ed25519 key."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("the public key cannot be read") from None
    if not isinstance(key, AnyPublicKey):
        raise UnusableKey("the signing key is neither RSA, nor EC, nor Ed25519")
    if not (algorithms := fitting(key)):
        raise UnusableKey(f"no algorithm fits {described(key)}: make one on P-256, P-384 or P-521")
    check_fit(algorithms[0], key)
    return PublicKey(key, _thumbprint(_members(key)))


def make_key(algorithm: Algorithm, bits: int) -> Secret:
    """A new private key as PEM (PKCS 8); `bits` of an RSA key. It takes up to a second: call it in a worker thread."""
    made = generate(algorithm, bits)
    check_fit(algorithm, made.public_key())
    return Secret(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip())


def public_jwk(key: PublicKey, algorithm: Algorithm) -> dict[str, str]:
    """The public half as a JWK (RFC 7517, RFC 8037), for signatures of this algorithm; `kid` is its thumbprint."""
    return {**_members(key.key), "kid": key.thumbprint, "use": "sig", "alg": algorithm.value}


def _members(key: AnyPublicKey) -> dict[str, str]:
    """The members of a JWK that identify a key (RFC 7638, section 3.2; RFC 8037, section 2)."""
    names: tuple[str, ...]
    match key:
        case rsa.RSAPublicKey():
            told, names = RSAAlgorithm.to_jwk(key, as_dict=True), ("e", "kty", "n")
        case ec.EllipticCurvePublicKey():
            told, names = ECAlgorithm.to_jwk(key, as_dict=True), ("crv", "kty", "x", "y")
        case _:
            told, names = OKPAlgorithm.to_jwk(key, as_dict=True), ("crv", "kty", "x")
    return {name: told[name] for name in names}


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


def _thumbprint(jwk: dict[str, str]) -> str:
    text = json.dumps(jwk, separators=(",", ":"), sort_keys=True)
    return unpadded(hashlib.sha256(text.encode()).digest())


class VersionedKey(Protocol):
    """A key in Transit. Every verb except the last may raise Transient or Refused."""

    async def prepare(self, sort: str) -> None:
        """Ensure that the key exists, has this Transit type and cannot be exported. Refused says what to do."""
        ...

    async def versions(self) -> Mapping[int, str]:
        """The public keys (PEM) of the versions that can sign, by number; none where there is no such key."""
        ...

    async def rotate(self) -> None:
        """Create another version."""
        ...

    def version(self, number: int, public_pem: str) -> Signer:
        """A signer with exactly this version."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair in use: its signer, its public key as PEM, and where consumers find the private key."""

    signer: Signer
    pem: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def thumbprint(self) -> str:
        """The public key's thumbprint (RFC 7638). Raises Refused for an unfit key."""
        return public_key(self.pem).thumbprint


class KeyPairs(Protocol):
    """The source of a credential's key pairs."""

    @property
    def takes(self) -> bool:
        """Whether a person may supply a private key."""
        ...

    async def new(self, seen: Seen) -> Secret:
        """The value of a new pair, not among those `seen`. Raises Transient or Refused."""
        ...

    async def opened(self, value: Secret) -> Pair:
        """The pair with this value. Raises CannotPresent when settings now use another place, Transient,
        and Refused for a value that is no pair."""
        ...

    async def spend(self, thumbprint: str) -> None:
        """Mark a pair as ending: `new` must not return it again. Idempotent."""
        ...


class LocalPairs:
    """Key pairs made in this process. The value is the private key."""

    takes = True

    def __init__(self, algorithm: Algorithm, bits: int) -> None:
        self._algorithm = algorithm
        self._bits = bits
        self._parsed: tuple[Secret, LocalSigner] | None = None

    async def new(self, seen: Seen) -> Secret:
        """See `KeyPairs`."""
        return await to_thread.run_sync(make_key, self._algorithm, self._bits)

    async def opened(self, value: Secret) -> Pair:
        """See `KeyPairs`. Parsed once: for some kinds, consumers are cut off meanwhile."""
        if public_text(value):
            lost = "its key is in Vault Transit, and settings have no `transit_key` any more to sign with"
            raise CannotPresent(f"{lost}: put it back to use this value")
        if self._parsed is None or not self._parsed[0].matches(value):
            self._parsed = value, LocalSigner(value, made=True)  # or tested when a person supplied it
        signer = self._parsed[1]
        return Pair(signer, await signer.public_pem())

    async def spend(self, thumbprint: str) -> None:
        """Do nothing: no key is made twice."""


class TransitPairs:
    """Versions of a Transit key that belongs to the credential. The newest version is in use, or was never used."""

    takes = False

    def __init__(self, key: VersionedKey, path: str, algorithm: Algorithm, bits: int) -> None:
        """`path`: where consumers find the key, "mount/name"."""
        self._key = key
        self._path = path
        self._sort = transit_type(algorithm, bits)
        self._local = LocalPairs(algorithm, bits)

    async def new(self, seen: Seen) -> Secret:
        """The newest version, unless it is known already: then another one. So a version is found, not created again,
        after a lost answer or a kill.
        """
        await self._key.prepare(self._sort)
        known, (thumbprint, pem) = await seen(), await self._newest()
        if thumbprint in known:
            await self._key.rotate()
            thumbprint, pem = await self._newest()
        if thumbprint in known:
            raise Transient(f"Transit key {self._path} has a new version, which this Vault node does not show yet")
        return Secret(pem)

    async def opened(self, value: Secret) -> Pair:
        """See `KeyPairs`. A value from before the settings named a Transit key is a private key, and is opened here."""
        pem = public_text(value)
        if pem is None:
            return await self._local.opened(value)
        wanted = public_key(pem).thumbprint
        for number, each in (await self._shown()).items():
            if public_key(each).thumbprint == wanted:
                beside = {"transit_key": self._path, "key_version": str(number)}
                return Pair(self._key.version(number, each), each, beside)
        lost = f"Transit key {self._path} has no version with this public key that may sign"
        raise CannotPresent(f"{lost}: where settings named another key before, put that back to use this value")

    async def spend(self, thumbprint: str) -> None:
        """Create a version after this one, because `new` only returns the newest."""
        shown = await self._shown()
        if shown and public_key(shown[max(shown)]).thumbprint == thumbprint:
            await self._key.rotate()

    async def _newest(self) -> tuple[str, str]:
        shown = await self._shown()
        if not shown:
            raise Refused(f"Transit key {self._path} has no version with a public key that may sign")
        pem = shown[max(shown)].strip()
        return public_key(pem).thumbprint, pem

    async def _shown(self) -> Mapping[int, str]:
        """A missing right is no verdict on a key."""
        try:
            return await self._key.versions()
        except StoreRefused as fault:
            raise Transient(f"Transit key {self._path}: {fault.reason}") from None


class Keys(Protocol):
    """The options of a key pair."""

    @property
    def transit_key(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def bits(self) -> int: ...


class Versions(Protocol):
    """Gives access to Transit keys by their path."""

    def versions(self, key: str) -> VersionedKey: ...


def pairs_of(keys: Keys, server: Versions) -> KeyPairs:
    """The source of key pairs for these options."""
    algorithm = Algorithm(keys.algorithm)
    if keys.transit_key:
        return TransitPairs(server.versions(keys.transit_key), keys.transit_key, algorithm, keys.bits)
    return LocalPairs(algorithm, keys.bits)
