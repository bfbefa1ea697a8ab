"""The check of a client assertion: signature, issuer, audience, times, replay, each by the server's rules.

What the rules are is left to `rules`, whose assertion it should be to `token_endpoint`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import OKPAlgorithm
from jwt.types import Options

from tests.sandbox.itsm.applications import Application
from tests.sandbox.itsm.key_sets import KeySets
from tests.sandbox.itsm.refusals import crash, oauth
from tests.sandbox.itsm.rules import Rules

# Claims are judged below, with the sandbox's own clock and the server's own rules.
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}

_JWT = jwt.PyJWT()
_JWT._jws.register_algorithm("Ed25519", OKPAlgorithm())  # by its name of RFC 9864; no other decoder knows it by that


def subject(assertion: str) -> str:
    """Whom an assertion speaks of, unchecked; empty when that cannot be read."""
    try:
        claims = jwt.decode(assertion, options={**_SIGNATURE_ONLY, "verify_signature": False})
    except jwt.PyJWTError:
        return ""
    return str(claims.get("sub") or "")


class Assertions:
    """Judges assertions and remembers those that were used."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Times are judged by `clock`."""
        self._clock = clock
        self.key_sets = KeySets(clock)
        self._used: dict[tuple[str, str], float] = {}

    def check(
        self, assertion: str, application: Application, rules: Rules, audiences: dict[str, str], *, use: bool = True
    ) -> None:
        """Raises Refusal. `audiences`: this server's own names by kind; `use` False leaves no trace."""
        claims = self._signed(assertion, application, rules)
        if not claims.get("sub") or not claims.get("iss"):
            raise oauth("invalid_client", "Issuer or subject missing", rules.nobody)
        if claims["sub"] != application.client_id or claims["iss"] != (application.issuer or application.client_id):
            raise oauth("invalid_client", "Issuer or subject is another", rules.status)
        _check_audience(claims.get("aud"), rules, audiences)
        self._check_times(claims, rules)
        self._check_replay(claims, application, rules, use=use)

    def _signed(self, assertion: str, application: Application, rules: Rules) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(assertion)
            key = self._key(application, header, rules)
            taken = rules.hashes if application.shared_secret else rules.algorithms
            claims = _JWT.decode(assertion, key, algorithms=list(taken), options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, ValueError, TypeError):  # the last for a key of another sort than the algorithm's
            raise oauth("invalid_client", "Unable to verify the assertion", rules.status) from None
        kid = header.get("kid")
        if kid is None and rules.needs_kid:
            raise oauth("invalid_client", "No kid", rules.status)
        if kid is not None and application.kid and kid != application.kid:
            raise oauth("invalid_client", "No key of this kid", rules.status)
        return claims

    def _key(self, application: Application, header: dict[str, Any], rules: Rules) -> Any:
        if application.jwks:
            return self.key_sets.key(application, header.get("kid"), rules)
        if application.shared_secret:
            return application.shared_secret
        return load_pem_public_key(application.public_key.encode())

    def _check_times(self, claims: dict[str, Any], rules: Rules) -> None:
        now, status = self._clock().timestamp(), rules.status
        expires, issued, from_ = (_number(claims.get(name)) for name in ("exp", "iat", "nbf"))
        if expires is None:
            raise oauth("invalid_client", "Expiration missing", status)
        if now >= expires + rules.tolerance or max(issued or 0.0, from_ or 0.0) > now + rules.ahead:
            raise crash() if rules.untimely_crashes else oauth("invalid_client", "Token is not active", status)
        if rules.max_age is None:
            return
        # Without `iat` the age is unknown: only a short life can vouch for it.
        if issued is None and expires > now + rules.max_age:
            raise oauth("invalid_client", "Issued-at missing", status)
        if issued is not None and now - issued > rules.max_age:
            raise oauth("invalid_client", "Token was issued too far in the past", status)

    def _check_replay(self, claims: dict[str, Any], application: Application, rules: Rules, *, use: bool) -> None:
        jti, now = claims.get("jti"), self._clock().timestamp()
        if not isinstance(jti, str) or not jti:
            if rules.needs_jti:
                raise oauth("invalid_client", "Token identifier missing", rules.status)
            return
        self._used = {key: until for key, until in self._used.items() if until > now}
        if rules.single_use and (application.client_id, jti) in self._used:
            raise oauth("invalid_client", "Token reuse detected", rules.status)
        if use:
            self._used[application.client_id, jti] = (_number(claims.get("exp")) or now) + rules.tolerance


def _check_audience(audience: object, rules: Rules, names: dict[str, str]) -> None:
    given = audience if isinstance(audience, list) else [audience] if audience else []
    if not given:
        raise oauth("invalid_client", "Audience missing", rules.status)
    if len(given) > 1 and not rules.several_audiences:
        raise oauth("invalid_client", "Multiple audiences not allowed", rules.status)
    if rules.audiences and not {names[kind] for kind in rules.audiences} & set(map(str, given)):
        raise oauth("invalid_client", "Invalid token audience", rules.status)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
