"""Signing algorithms, and the keys and shared secrets that fit each."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from rotator.ports import UnusableKey
from rotator.rotation.secret import Secret

FEWEST_BITS = 2048  # RFC 7518, sections 3.3 and 3.5
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AnyPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Algorithm(StrEnum):
    """A signing algorithm (RFC 7518; EdDSA: RFC 8037, for Ed25519 only; Ed25519: the same by its name of RFC 9864).
    PSnnn has a salt as long as its hash, ESnnn a signature of two raw numbers."""

    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"
    ED25519 = "Ed25519"
    HS256 = "HS256"  # by a shared secret, as the other two
    HS384 = "HS384"
    HS512 = "HS512"


@dataclass(frozen=True, slots=True)
class _Sort:
    """The only sort of keys for an algorithm. `curve`: of an EC key, as OpenSSL calls it; `transit`: its type there."""

    said: str
    curve: str
    transit: str
    make: Callable[[], PrivateKey]


_EDWARDS = _Sort("an Ed25519 key", "", "ed25519", ed25519.Ed25519PrivateKey.generate)
_SORTS: dict[Algorithm, _Sort] = {  # of all others: an RSA key
    Algorithm.ES256: _Sort(
        "an EC key on P-256", "secp256r1", "ecdsa-p256", lambda: ec.generate_private_key(ec.SECP256R1())
    ),
    Algorithm.ES384: _Sort(
        "an EC key on P-384", "secp384r1", "ecdsa-p384", lambda: ec.generate_private_key(ec.SECP384R1())
    ),
    Algorithm.ES512: _Sort(
        "an EC key on P-521", "secp521r1", "ecdsa-p521", lambda: ec.generate_private_key(ec.SECP521R1())
    ),
    Algorithm.EDDSA: _EDWARDS,
    Algorithm.ED25519: _EDWARDS,
}
_OF_RSA = tuple(each for each in Algorithm if each.startswith(("PS", "RS")))
_HASHES = {Algorithm.HS256: "sha256", Algorithm.HS384: "sha384", Algorithm.HS512: "sha512"}
ASYMMETRIC = tuple(each for each in Algorithm if each not in _HASHES)


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A client secret as the key of signatures that only its server can check (HMAC)."""

    secret: Secret
    thumbprint: str = ""  # such a key has no name

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """The algorithms that it is long enough for."""
        return tuple(each for each in _HASHES if len(self._raw()) >= _least(each))

    def check(self, algorithm: Algorithm) -> None:
        """Raise UnusableKey when it must not be used with this algorithm: RFC 7518, section 3.2, wants a key as long as
        the hash."""
        if algorithm not in _HASHES:
            raise UnusableKey(f"{algorithm} does not sign with a client secret", remedy='set algorithm = "HS256"')
        if len(self._raw()) < _least(algorithm):
            fit = " or ".join(f'set algorithm = "{each}"' for each in self.algorithms[-1:])
            raise UnusableKey(
                f"the client secret is too short for {algorithm}, which takes {_least(algorithm)} bytes or more",
                remedy=f"{fit}{', or ' if fit else ''}have the server make a longer secret",
            )

    def sign(self, algorithm: Algorithm, message: bytes) -> bytes:
        """The signature of RFC 7518, section 3.2. Raises UnusableKey as `check`."""
        self.check(algorithm)
        return hmac.digest(self._raw(), message, _HASHES[algorithm])

    def verifies(self, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature. Raises UnusableKey as `check`."""
        return hmac.compare_digest(self.sign(algorithm, message), signature)

    def _raw(self) -> bytes:
        return self.secret.reveal().encode("utf-8", "surrogatepass")


def _least(algorithm: Algorithm) -> int:
    return int(algorithm[2:]) // 8


def other_names(algorithm: str) -> tuple[Algorithm, ...]:
    """The further names of the same signatures by the same keys."""
    sort = _SORTS.get(Algorithm(algorithm))
    return tuple(each for each, known in _SORTS.items() if known is sort and each != algorithm)


def generate(algorithm: Algorithm, bits: int) -> PrivateKey:
    """A new private key for this algorithm; `bits` of an RSA key."""
    sort = _SORTS.get(algorithm)
    return sort.make() if sort else rsa.generate_private_key(public_exponent=65537, key_size=bits)


def transit_type(algorithm: Algorithm, bits: int) -> str:
    """The type of the Transit keys that sign with this algorithm; `bits` of an RSA key."""
    sort = _SORTS.get(algorithm)
    return sort.transit if sort else f"rsa-{bits}"


def check_fit(algorithm: Algorithm, key: AnyPublicKey) -> None:
    """Raise UnusableKey when this key must not be used with this algorithm. RFC 7518, sections 3.3 to 3.5."""
    if algorithm not in (others := fitting(key)):
        fit, sort = " or ".join(f'"{each}"' for each in others), _SORTS.get(algorithm)
        raise UnusableKey(
            f"{algorithm} does not sign with {described(key)}",
            remedy=f"set algorithm = {fit or 'another'}, or give {sort.said if sort else 'an RSA key'}",
        )
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < FEWEST_BITS:
        raise UnusableKey(f"the RSA key has {key.key_size} bits; {FEWEST_BITS} are the least")


def fitting(key: AnyPublicKey) -> tuple[Algorithm, ...]:
    """The algorithms that such a key signs with; none for other curves."""
    if isinstance(key, rsa.RSAPublicKey):
        return _OF_RSA
    return tuple(each for each, sort in _SORTS.items() if sort.curve == _curve(key))


def described(key: AnyPublicKey) -> str:
    """What kind of key it is, with an article."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"an RSA key of {key.key_size} bits"
    return next((_SORTS[each].said for each in fitting(key)), f"an EC key on {_curve(key)}")


def _curve(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else ""
