"""Client assertions (RFC 7523): drafting, varying, signing and reading them. No I/O except the signer's.

The defaults are those that two real servers accepted (Keycloak 26.4.0, node oidc-provider 9.13.3): one audience, as a
string; `iat` and `jti` always present.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.ports import Transient
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.signing import Signer, SigningKey, certificate_mark, key_of, unpadded
from rotator.rotation.secret import Secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, section 2.2
THUMBPRINT, NO_KID = "thumbprint", "none"


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one client's assertions. `kid`: a literal, `thumbprint` (RFC 7638) or `none`."""

    client_id: str
    audience: str
    issuer: str = ""  # empty: the client id
    algorithm: Algorithm = Algorithm.PS256
    kid: str = THUMBPRINT
    x5t: str = "none"  # or sha1, sha256: the certificate's digest in the header
    certificate: Secret | None = None  # PEM, for x5t
    typ: str = "JWT"  # or client-authentication+jwt; empty: left out
    backdate: timedelta = timedelta(0)  # of `iat` and `nbf`; the latter is left out when this is nothing


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion without its signature, so that it is no secret yet."""

    header: Mapping[str, str]
    claims: Mapping[str, Any]

    @property
    def jti(self) -> str:
        """Its unique id."""
        return str(self.claims.get("jti", ""))

    @property
    def issued_at(self) -> datetime:
        """When it was made, in whole seconds."""
        return datetime.fromtimestamp(self.claims["iat"], UTC)

    @property
    def expires_at(self) -> datetime:
        """When it expires, in whole seconds."""
        return datetime.fromtimestamp(self.claims["exp"], UTC)

    def sibling(self, jti: str) -> Assertion:
        """The same key, times, audience and kid with another `jti`: a server's verdict on it holds for this one too."""
        return replace(self, claims={**self.claims, "jti": jti})

    def aged(self, age: timedelta, jti: str) -> Assertion:
        """The same, made so much earlier, with the same expiry."""
        seconds = int(age.total_seconds())
        moved = {name: self.claims[name] - seconds for name in ("iat", "nbf") if name in self.claims}
        return replace(self, claims={**self.claims, **moved, "jti": jti})

    def moved(self, earlier: timedelta) -> Assertion:
        """The same, made and expired so much earlier."""
        seconds = int(earlier.total_seconds())
        times = {name: self.claims[name] - seconds for name in ("iat", "nbf", "exp") if name in self.claims}
        return replace(self, claims={**self.claims, **times})

    def addressed(self, audience: str) -> Assertion:
        """The same for another audience."""
        return replace(self, claims={**self.claims, "aud": audience})

    def naming(self, kid: str) -> Assertion:
        """The same with another `kid`; empty: without one."""
        header = {name: value for name, value in self.header.items() if name != "kid"}
        return replace(self, header={**header, "kid": kid} if kid else header)

    def by(self, algorithm: Algorithm) -> Assertion:
        """The same for another signing algorithm."""
        return replace(self, header={**self.header, "alg": algorithm.value})

    def message(self) -> bytes:
        """The signed text: header and claims, encoded (RFC 7515, section 5.1)."""
        parts = (json.dumps(dict(part), separators=(",", ":")).encode() for part in (self.header, self.claims))
        return ".".join(map(unpadded, parts)).encode()


def draft(form: Form, key: SigningKey, jti: str, now: datetime, expires_at: datetime) -> Assertion:
    """A new assertion, valid from `now`; both times are cut to whole seconds."""
    header = {"alg": form.algorithm.value}
    if form.typ:
        header["typ"] = form.typ
    if form.kid != NO_KID and (kid := key.thumbprint if form.kid == THUMBPRINT else form.kid):
        header["kid"] = kid
    if form.x5t != "none" and form.certificate:
        name, digest = certificate_mark(form.certificate, form.x5t)
        header[name] = digest
    issued = int((now - form.backdate).timestamp())
    claims: dict[str, Any] = {
        "iss": form.issuer or form.client_id,
        "sub": form.client_id,
        "aud": form.audience,
        "jti": jti,
        "iat": issued,
        "exp": int(expires_at.timestamp()),
    }
    if form.backdate:
        claims["nbf"] = issued
    return Assertion(header, claims)


async def signed(assertion: Assertion, signer: Signer) -> Secret:
    """The signed assertion. Raises UnusableKey when its algorithm does not fit the signer's key, Transient when that
    key changed meanwhile."""
    message = assertion.message()
    algorithm = Algorithm(assertion.header["alg"])
    key = await key_of(signer)
    key.check(algorithm)  # before Transit is asked, which signs with a key whatever it is
    signature = await signer.sign(algorithm, message)
    if not key.verifies(algorithm, message, signature):
        raise Transient("the signature is not the present key's: was the key rotated at this moment?")
    return Secret(f"{message.decode()}.{unpadded(signature)}")


def read(value: Secret, key: SigningKey) -> Assertion | None:
    """Read an assertion; None when this key did not sign it."""
    parts = value.reveal().split(".")
    try:
        header, claims, signature = map(_decoded, parts)
        found = Assertion(json.loads(header), json.loads(claims))
        algorithm = Algorithm(found.header["alg"])
        complete = isinstance(found.claims["iat"], int) and isinstance(found.claims["exp"], int)
    except (ValueError, KeyError, TypeError):
        return None
    message = ".".join(parts[:2]).encode()
    fits = complete and algorithm in key.algorithms
    return found if fits and key.verifies(algorithm, message, signature) else None


def forged(value: Secret, other: Secret) -> Secret:
    """The claims of one with the signature of the other: well-formed and invalid."""
    return Secret(f"{value.reveal().rpartition('.')[0]}.{other.reveal().rpartition('.')[2]}")


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
