"""Owns the settings keys of OAuth servers, HaloITSM among them, and of the credentials that live there.

What nobody has published about Halo is a key here, with the strictest server that was measured as its default.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal
from urllib.parse import urlencode

import msgspec

from rotator.providers.keys import TargetKeys, check_url
from rotator.rotation.reference import SecretRef

_NONE = timedelta(0)
_LONGEST = timedelta(hours=24)  # of an assertion's life; no server was found that takes more
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # RFC 6749, section 3.3
_PATH = re.compile(r"/(?!/)[!-\"$-~]*")
_TRANSIT = re.compile(r"[A-Za-z0-9._/-]+/[A-Za-z0-9._-]+")


class OAuthTargetKeys(TargetKeys, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OAuth server with its resource server at `url`. Without further keys it is a HaloITSM of one's own."""

    auth_url: str = ""  # the authorisation server; empty: <url>/auth
    token_url: str = ""  # empty: <auth_url>/token
    issuer: str = ""  # the server's issuer identifier, for audience = "issuer"
    audience: str = "token_url"  # or auth_url, issuer, or any other text: `aud` of the assertions, always one string
    tenant: str = ""
    tenant_in: Literal["query", "form"] = "query"
    single_use: bool = True  # the server takes an assertion once
    max_age: timedelta | None = None  # the server refuses an assertion this long after `iat`
    leeway: timedelta = timedelta(seconds=30)  # for which an expired one may still be taken
    echoes_scope: bool = True  # the token answer names the granted scope; silence is then a refusal
    calls: int = 300  # Halo's own limit per instance, shared with all other integrations ...
    period: timedelta = timedelta(minutes=5)  # ... in any five minutes

    def __post_init__(self) -> None:
        super().__post_init__()
        for address in filter(None, (self.auth_url, self.token_url)):
            check_url(address, insecure=self.allow_insecure_http)
        if self.audience == "issuer" and not self.issuer:
            raise ValueError('audience = "issuer" needs the key issuer')
        if not self.audience.strip():
            raise ValueError("audience must not be empty")
        if self.leeway < _NONE or (self.max_age is not None and self.max_age <= _NONE):
            raise ValueError("max_age must be longer than nothing, and leeway not negative")

    @property
    def endpoint(self) -> str:
        """The token URL, without a query."""
        return self.token_url or f"{self.authority}/token"

    @property
    def authority(self) -> str:
        """The authorisation server."""
        return self.auth_url.rstrip("/") or f"{self.url.rstrip('/')}/auth"

    @property
    def query(self) -> str:
        """What a token request adds to the token URL."""
        return "?" + urlencode({"tenant": self.tenant}) if self.tenant and self.tenant_in == "query" else ""

    @property
    def aud(self) -> str:
        """The audience of assertions."""
        known = {"token_url": self.endpoint, "auth_url": self.authority, "issuer": self.issuer}
        return known.get(self.audience, self.audience)


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One client of an OAuth server: who it is, how it proves that, and how we prove what it got.

    A client with `client_secret` sends it; one with a key sends an assertion; one with both sends both, as HaloITSM
    seems to want it.
    """

    client_id: str
    client_secret: SecretRef | None = None
    signing_key: SecretRef | None = None  # PEM; or ...
    transit_key: str = ""  # ... "transit/crm": the mount and name of a key that never leaves Vault
    certificate: SecretRef | None = None  # PEM, for x5t
    algorithm: Literal["PS256", "RS256", "ES256"] = "PS256"
    assertion_issuer: str = ""  # `iss`; empty: the client id
    kid: str = "thumbprint"  # RFC 7638; or "none", or what the server calls the key
    x5t: Literal["none", "sha1", "sha256"] = "none"
    typ: str = "JWT"  # or "client-authentication+jwt"
    backdate: timedelta = _NONE  # of `nbf`, up to 30 s; nothing: no `nbf`
    send_client_id: bool = True
    send_assertion_type: bool = True
    scopes: tuple[str, ...] = ()
    probe: str = "/api/Agent/me"  # what only an access token can read; empty: the exchange is proof enough
    identity: dict[str, str | int | bool] = {}  # fields that the probe's answer must have

    def __post_init__(self) -> None:
        if not self.client_id.strip():
            raise ValueError("client_id must not be empty")
        if self.signing_key and self.transit_key:
            raise ValueError("signing_key and transit_key exclude each other")
        if self.transit_key and not _TRANSIT.fullmatch(self.transit_key):
            raise ValueError('transit_key is a mount and a name, such as "transit/crm"')
        if (self.x5t != "none") is not (self.certificate is not None):
            raise ValueError("x5t and certificate go together")
        if not _NONE <= self.backdate <= timedelta(seconds=30):
            raise ValueError("backdate is from 0s to 30s")
        if unfit := [scope for scope in self.scopes if not _SCOPE.fullmatch(scope)]:
            raise ValueError(f"scopes: not the name of a scope: {unfit[0]!r}")
        if self.probe and not _PATH.fullmatch(self.probe):
            raise ValueError("probe is a path on the target: it starts with one slash and holds no blanks")
        if self.identity and not self.probe:
            raise ValueError("identity needs a probe")

    @property
    def asserts(self) -> bool:
        """Whether it proves itself with an assertion."""
        return bool(self.signing_key or self.transit_key)


class AssertionKeys(ClientKeys, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client assertion that others present."""

    rest: timedelta = timedelta(seconds=15)  # what is published lives at least this long from any moment on

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.asserts:
            raise ValueError("signing_key or transit_key is missing: who shall sign?")
        if self.rest < _NONE:
            raise ValueError("rest must not be negative")


class AccessTokenKeys(ClientKeys, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An access token, by client credentials."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.asserts and self.client_secret is None:
            raise ValueError("client_secret, signing_key or transit_key is missing: how shall the client prove itself?")
        if not self.probe:
            raise ValueError("probe must not be empty: there is no other proof of an access token")


UNBAKED = frozenset({"probe", "identity", "rest", "client_secret"})  # what changes no assertion and no token


def misfits(keys: OAuthTargetKeys, options: AssertionKeys, lifetime: timedelta | None, longest: timedelta) -> str:
    """Why this lifetime of an assertion cannot hold on this target, or nothing. `longest`: between publications."""
    if lifetime is None:
        return 'cannot be "none": an assertion always expires'
    if lifetime > _LONGEST:
        return "is more than 24h: no server takes such an assertion"
    if keys.max_age is not None and lifetime > keys.max_age:
        return f"is longer than the target's max_age of {_seconds(keys.max_age)}: the rest of it would be dead"
    need = longest + lifetime / 10 + options.rest  # a tenth for retries
    if need > lifetime:
        return (
            f"{_seconds(lifetime)} is too short: a successor comes after {_seconds(longest)}, retries may take"
            f" {_seconds(lifetime / 10)}, and a rest of {_seconds(options.rest)} is promised; together {_seconds(need)}"
        )
    return ""


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"
