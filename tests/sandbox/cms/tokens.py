"""The token text: `pat_` and an RS256 JWT, really signed and really checked.

Whether a genuine token is still welcome is left to `model`.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from tests.sandbox.cms.records import Record

PREFIX = "pat_"
# Expiry is judged by the model with its own clock, and the issuer is never checked, as in Halo.
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
}


class BadToken(Exception):  # noqa: N818 - says it all
    """The text is not a token of this site."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says of itself."""

    name: str
    token_id: str


@cache
def _site_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _thumbprint(key: rsa.RSAPublicKey) -> str:
    numbers = key.public_numbers()
    members = {name: _base64(n.to_bytes((n.bit_length() + 7) // 8)) for name, n in (("e", numbers.e), ("n", numbers.n))}
    jwk = {"e": members["e"], "kty": "RSA", "n": members["n"]}
    return _base64(hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest())


class Signer:
    """Signs and reads tokens with the site's key, made once per process and size."""

    def __init__(self, bits: int = 2048) -> None:
        """A real Halo has 4096 bits; 2048 sign five times faster."""
        self._key = _site_key(bits)
        self._public = self._key.public_key()
        self._headers = {"kid": _thumbprint(self._public), "typ": ""}

    def sign(self, record: Record, issuer: str) -> str:
        """The token of a record: the only time it is ever seen."""
        claims: dict[str, Any] = {
            "iss": issuer,
            "sub": record.owner,
            "iat": int(record.created.timestamp()),
            "jti": record.token_id,
            "pat_name": record.name,
        }
        if record.token_expires is not None:
            claims["exp"] = record.token_expires
        return PREFIX + jwt.encode(claims, self._key, algorithm="RS256", headers=self._headers)

    def read(self, text: str) -> Claims:
        """Check the signature of a token. Raises BadToken."""
        try:
            claims = jwt.decode(text.removeprefix(PREFIX), self._public, algorithms=["RS256"], options=_SIGNATURE_ONLY)
        except jwt.PyJWTError:
            raise BadToken("not a genuine token") from None
        name, token_id = claims.get("pat_name"), claims.get("jti")
        if not isinstance(name, str) or not isinstance(token_id, str):
            raise BadToken("claims are missing")
        return Claims(name, token_id)
