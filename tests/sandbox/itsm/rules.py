"""The rules by which a server judges a client assertion, and the presets of servers that were measured.

Applying them is left to `assertions`.

    keycloak       Keycloak 26.4.0: one use, 60 s after `iat` at most, one audience as a string, no clock tolerance; a
                   key set is read anew for a key that it lacks, at most every 10 s, and for nothing else
    oidc-provider  node oidc-provider 9.13.3: one use, any age, several audiences, drops unknown scopes silently and
                   names what is left, if anything is; a key set as Keycloak, at most once a minute
    hydra          Ory Hydra 2.3.0: refuses a key that is not in the set in the word for a malformed request, and
                   breaks at one that has expired or comes from the future; a refresh ends the access token before it
    spring         Spring Authorization Server 1.4.1: takes an assertion again, and an expired one for 60 s; a refresh
                   ends the access token before it, where tokens are opaque
    halo           a guess at Halo 2.218, whose rules nobody has published: PS256 only, secret and assertion together
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

RSA_AND_EC = tuple(f"{family}{bits}" for family in ("PS", "RS", "ES") for bits in (256, 384, 512))


@dataclass(frozen=True, slots=True)
class Rules:
    """One server's rules. Times are seconds; None: no such limit. `status` is that of most refusals."""

    algorithms: tuple[str, ...] = RSA_AND_EC
    hashes: tuple[str, ...] = ("HS256", "HS384", "HS512")  # of clients whose secret signs
    audiences: tuple[str, ...] = ("token_url", "issuer")  # or auth_url; empty: any
    several_audiences: bool = False
    resources: tuple[str, ...] | None = None  # for which it gives tokens (RFC 8707); None: it takes no notice
    single_use: bool = True
    max_age: float | None = 60.0
    tolerance: float = 0.0  # for which an expired one is still taken
    ahead: float = 15.0  # by which `iat` and `nbf` may lie in the future
    untimely_crashes: bool = False  # the answer to an expired one, or to one from the future, is a 500
    needs_jti: bool = True
    needs_kid: bool = False
    with_secret: bool = False  # the secret is asked for as well
    binds_tokens: bool = True  # to the certificate of a client that proves itself by one
    drops_scopes: bool = False  # an unknown scope is ignored, not refused
    tells_scope: bool = True  # the answer names the granted scope
    jwks_cache: float = 300.0  # for which a client's key set is believed
    jwks_asks_again: bool = False  # ... unless it lacks the key ...
    jwks_rests: float = 0.0  # ... and has not read the set for so long
    rotates_refresh: bool = True  # a refresh token is used once, and the answer has the next
    refresh_leeway: float = 0.0  # for which a spent one is still taken
    refresh_ends_access: bool = False  # a refresh ends the client's access tokens at once
    ends_family: bool = True  # after that, it ends all that descend from the same authorisation
    revocation: str = "one"  # what a revocation ends: one, nothing, family
    revocation_refused: str = ""  # the word with which each is refused
    own_audience: bool = False  # other endpoints want their own URL in an assertion, not the token endpoint's
    introspection: str = "truth"  # or everything, nothing, silence: what is called active
    status: int = 400
    badly_proven: str = "invalid_client"  # the word for a wrong secret, and for a missing one
    nobody: int = 401  # the status when `iss` or `sub` is missing
    unknown_key: tuple[int, str] | None = None  # when a set lacks the key; None: as most refusals
    other_client: tuple[int, str] = (401, "invalid_client")  # when the form names another client than the assertion


PRESETS = {
    "keycloak": Rules(
        algorithms=(*RSA_AND_EC, "EdDSA", "Ed25519"),
        jwks_cache=inf,
        jwks_asks_again=True,
        jwks_rests=10.0,
        badly_proven="unauthorized_client",
    ),
    "oidc-provider": Rules(
        several_audiences=True,
        max_age=None,
        tolerance=15.0,
        drops_scopes=True,
        jwks_cache=inf,
        jwks_asks_again=True,
        jwks_rests=60.0,
        status=401,
        other_client=(400, "invalid_request"),
    ),
    "hydra": Rules(
        several_audiences=True,
        max_age=None,
        jwks_cache=inf,
        jwks_asks_again=True,
        unknown_key=(400, "invalid_request"),
        refresh_ends_access=True,
        ahead=0.0,
        untimely_crashes=True,
    ),
    "spring": Rules(
        single_use=False,
        max_age=None,
        tolerance=60.0,
        ahead=60.0,
        status=401,
        refresh_ends_access=True,
        own_audience=True,
    ),
    "halo": Rules(
        algorithms=("PS256",),
        audiences=("token_url", "auth_url", "issuer"),
        several_audiences=True,
        single_use=False,
        max_age=None,
        needs_jti=False,
        with_secret=True,
        status=401,
    ),
}
