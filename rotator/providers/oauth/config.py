"""The options of OAuth servers and of their credentials.

Facts that servers do not publish are options, whose defaults suit the strictest server that was measured.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import ClassVar, Literal
from urllib.parse import urlencode

from msgspec import field

from rotator.providers.base import TargetConfig, check_url
from rotator.providers.oauth.proof_options import MOUNT_AND_NAME, ProofOptions
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.rotation.wording import visible

_NONE = timedelta(0)
_LONGEST = timedelta(hours=24)  # of an assertion's life; no server was found that accepts more
_SLOTS = 64  # of a pool
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # RFC 6749, section 3.3
_PATH = re.compile(r"/(?!/)[!-\"$-~]*")
_PARAMETER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!\"$-~]+")
_RESERVED = {  # what rotator sends itself, and what must not stand in settings
    "grant_type": "`grant` is the option for it",
    "client_id": "it is an option of its own",
    "client_secret": "it is an option of its own, and refers to a secret",
    "client_assertion": "it is signed for each request",
    "client_assertion_type": "`send_assertion_type` is the option for it",
    "scope": "`scopes` is the option for it",
    "refresh_token": 'grant = "refresh_token" sends it',
    "username": 'grant = "password" sends it',
    "password": 'grant = "password" sends it',
    "tenant": "it is an option of the target",
} | dict.fromkeys(
    ("assertion", "code", "code_verifier", "redirect_uri", "device_code", "subject_token", "actor_token", "token"),
    "it belongs to another grant, and settings hold no secrets",
)
ENDPOINT_URLS = ("token_url", "revocation_url", "introspection_url", "jwks_url", "registration_url")
_SHOWN = 200  # characters of a foreign address
_TRANSIT_BITS = (2048, 3072, 4096)  # of the RSA keys that Vault Transit makes


class OAuthTargetConfig(TargetConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OAuth server with its resource server at `url`. Without further options it is a self-hosted HaloITSM.

    `issuer` tells where its endpoints are (see discovery.py); those that are named here win.
    """

    rests: ClassVar[bool] = True

    auth_url: str = ""  # the authorisation server; empty: <url>/auth
    token_url: str = ""  # empty: <auth_url>/token
    revocation_url: str = ""  # RFC 7009
    introspection_url: str = ""  # RFC 7662
    jwks_url: str = ""  # the server's own keys
    registration_url: str = ""  # RFC 7591
    issuer: str = ""  # the server's issuer identifier
    audience: str = "token_url"  # or auth_url, issuer, or any other text: `aud` of the assertions, always one string
    tenant: str = ""
    tenant_in: Literal["query", "form"] = "query"
    single_use: bool = True  # the server takes an assertion once
    max_age: timedelta | None = None  # the server refuses an assertion this long after `iat`
    leeway: timedelta = timedelta(seconds=30)  # for which an expired one may still be taken
    echoes_scope: bool = True  # the token answer names the granted scope; without it, it was not granted
    calls: int = 300  # Halo's own limit per instance, shared with all other integrations ...
    period: timedelta = timedelta(minutes=5)  # ... in any five minutes
    manage_applications: bool = False  # HaloITSM: API applications may be changed through its Application API ...
    management: ManagementClientConfig | None = None  # ... by this application, which is none of those that are rotated
    resend: tuple[str, ...] = ()  # properties of an application that the server drops unless they are sent along
    old_is_safe_to_present: bool = True  # a refused login does not lock a client out

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.manage_applications and self.management is None:
            raise ValueError("manage_applications = true needs the key management: who may change applications?")
        for option in ("auth_url", *ENDPOINT_URLS):
            if address := getattr(self, option):
                check_url(address, option, insecure=self.allow_insecure_http, query=option in ENDPOINT_URLS)
        if self.audience == "issuer" and not self.issuer:
            raise ValueError('audience = "issuer" needs the key issuer')
        if self.discovers:
            check_url(self.issuer, "issuer", insecure=self.allow_insecure_http)
            if self.audience == "auth_url":
                raise ValueError('audience = "auth_url" needs the key auth_url')
        if not self.audience.strip() or not self.audience.isprintable():
            raise ValueError("audience must not be empty, nor have control characters in it")
        if self.leeway < _NONE or (self.max_age is not None and self.max_age <= _NONE):
            raise ValueError("max_age must be longer than nothing, and leeway not negative")

    @property
    def discovers(self) -> bool:
        """Whether only the issuer's own document says where the token endpoint is: then `endpoint`,
        `token_request_url` and `aud` are unknown."""
        return bool(self.issuer) and not self.auth_url and not self.token_url

    @property
    def issuer_is_url(self) -> bool:
        """Whether the issuer is an address that may be asked for its document."""
        try:
            check_url(self.issuer, "issuer", insecure=self.allow_insecure_http)
        except ValueError:
            return False
        return True

    @property
    def endpoint(self) -> str:
        """The token URL, without the tenant."""
        return self.token_url or f"{self.authority}/token"

    @property
    def authority(self) -> str:
        """The authorisation server."""
        return self.auth_url.rstrip("/") or f"{self.url.rstrip('/')}/auth"

    @property
    def token_request_url(self) -> str:
        """The token URL for requests: with the tenant in the query, if it belongs there."""
        tenant = urlencode({"tenant": self.tenant}) if self.tenant and self.tenant_in == "query" else ""
        return self.endpoint + (("&" if "?" in self.endpoint else "?") + tenant if tenant else "")

    def question(self, endpoint: str, address: str) -> str:
        """What a person compares where no such `endpoint` (token, revocation, ...) answers at `address`: the option
        that named it, or the issuer's document."""
        if getattr(self, option := f"{endpoint}_url"):
            return f"is {option} right?"
        if endpoint == "token" and not self.discovers:
            return f"is {'auth_url' if self.auth_url else 'url'} right, or has the server another token_url?"
        said = visible(address, _SHOWN)
        return f"the discovery document of issuer {self.issuer} names {said}: is that right? If not, set {option}"

    @property
    def aud(self) -> str:
        """The audience of assertions."""
        known = {"token_url": self.endpoint, "auth_url": self.auth_url or self.authority, "issuer": self.issuer}
        return known.get(self.audience, self.audience)


class ClientOptions(ProofOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One client of an OAuth server: its identity, how it proves it, and how its tokens are proven."""

    client_id: str
    certificate: SecretRef | None = None  # PEM, for x5t
    assertion_issuer: str = ""  # `iss`; empty: the client id
    kid: str = "thumbprint"  # RFC 7638; or "none", or what the server calls the key
    x5t: Literal["none", "sha1", "sha256"] = "none"
    typ: str = "JWT"  # or "client-authentication+jwt"
    backdate: timedelta = _NONE  # of `iat` and `nbf`, up to 30 s; nothing: no `nbf`
    send_client_id: bool = True
    send_assertion_type: bool = True
    scopes: tuple[str, ...] = ()
    parameters: dict[str, str | tuple[str, ...]] = field(default_factory=dict)  # of every token request, as `audience`
    probe: str = "/api/Agent/me"  # a path that only an access token can read; empty: the exchange is the proof
    identity: dict[str, str | int | bool] = field(default_factory=dict)  # fields that the probe's answer must have

    def __post_init__(self) -> None:
        if not self.client_id.strip():
            raise ValueError("client_id must not be empty")
        for option in ("client_id", "assertion_issuer", "kid", "typ"):
            if not getattr(self, option).isprintable():
                raise ValueError(f"{option} must not have control characters in it")
        super().__post_init__()
        if (self.x5t != "none") is not (self.certificate is not None):
            raise ValueError("x5t and certificate go together")
        if not _NONE <= self.backdate <= timedelta(seconds=30):
            raise ValueError("backdate is from 0s to 30s")
        if unfit := [scope for scope in self.scopes if not _SCOPE.fullmatch(scope)]:
            raise ValueError(f"scopes: not the name of a scope: {unfit[0]!r}")
        for name, value in self.parameters.items():
            check_parameter(name, value)
        if self.probe and not _PATH.fullmatch(self.probe):
            raise ValueError("probe is a path on the target: it starts with one slash and holds no blanks")
        if self.identity and not self.probe:
            raise ValueError("identity needs a probe")


class ManagementClientConfig(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The client that may change API applications. It is as powerful as an administrator: for nothing else."""

    scopes: tuple[str, ...] = ("admin",)
    probe: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.asserts and self.client_secret is None:
            raise ValueError("client_secret, signing_key or transit_key is missing: how shall it prove itself?")
        if self.probe:
            raise ValueError("probe does nothing for the management client")

    def _foreign(self) -> str:
        option = self.certificate_option
        return f"{option} is no way into a HaloITSM: leave it out" if option else ""


class ClientAssertionOptions(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published client assertion, which consumers present."""

    rest: timedelta = timedelta(seconds=15)  # the published value always has at least this much life left
    pool: int = 1  # above 1: that many assertions, client_assertion_1 and on, one for each consumer

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.asserts:
            raise ValueError("signing_key or transit_key is missing: who shall sign?")
        if self.rest < _NONE:
            raise ValueError("rest must not be negative")
        if not 1 <= self.pool <= _SLOTS:
            raise ValueError(f"pool is from 1 to {_SLOTS}")

    def _foreign(self) -> str:
        if not (self.signs_by_secret or self.proves_by_tls):
            return ""
        return (
            f"auth_method {self.auth_method} is not for published assertions: sign them with a key (signing_key,"
            ' transit_key), or publish the access token (kind = "oauth-token")'
        )


class AssertionKeyOptions(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key pair: the private half for consumers that sign for themselves, the public half for a JWK Set.

    With `transit_key` = "transit/crm", each rotation makes a version of that key, which never leaves Vault, and
    consumers let Transit sign with that version. The key must belong to this credential alone, since others that
    sign with it would follow its newest version. Old versions stay in Transit, where nobody gets anything for what
    they sign; config/examples/assertion-key-transit.toml says how to trim them.
    """

    makes_key: ClassVar[bool] = True
    jwks_file: str = ""  # the file that a web server serves; and, or ...
    jwks: str = ""  # ... "secret/apps/crm/jwks": a Vault document with the set under the key `jwks`
    registration_client_uri: str = ""  # and, or ... the client's own registration (RFC 7592), changed ...
    registration_access_token: SecretRef | None = None  # ... with {vault = "..."}: each update may replace it there
    jwks_cache: timedelta | None = None  # a server may use a set that it read this long ago; None: see `cached`
    assertion_life: timedelta = timedelta(minutes=5)  # longest life of the assertions that consumers sign
    bits: int = 3072  # of an RSA key; in Transit 2048, 3072 or 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.signing_key:
            raise ValueError("signing_key does not belong here: the key pair is made, not given")
        if trouble := unfit_in_transit(self.transit_key, self.bits):
            raise ValueError(trouble)
        if self.kid != "thumbprint" or self.x5t != "none":
            raise ValueError("kid and x5t stay as they are: each new key needs a name of its own, its thumbprint")
        if not self.reads_set and not self.registration_client_uri:
            raise ValueError(
                "jwks_file, jwks or registration_client_uri is missing: where do servers have the public keys from?"
            )
        if bool(self.registration_client_uri) is not (self.registration_access_token is not None):
            raise ValueError("registration_client_uri and registration_access_token go together")
        if self.registration_client_uri:
            check_url(self.registration_client_uri, "registration_client_uri", insecure=True, query=True)
        if self.registration_access_token and self.registration_access_token.source is not SecretSource.VAULT:
            raise ValueError(
                "registration_access_token is kept in Vault, since each update may replace it: {vault = ...}"
            )
        if self.jwks and not MOUNT_AND_NAME.fullmatch(self.jwks):
            raise ValueError('jwks is a mount and a path, such as "secret/apps/crm/jwks"')
        if self.jwks_file and not self.jwks_file.startswith("/"):
            raise ValueError("jwks_file is an absolute path")
        if not _NONE <= self.cached <= _LONGEST:
            raise ValueError("jwks_cache is from 0s to 24h")
        if not _NONE < self.assertion_life <= _LONGEST:
            raise ValueError("assertion_life is from 1s to 24h")
        if not 2048 <= self.bits <= 8192:
            raise ValueError("bits is from 2048 to 8192")

    def _foreign(self) -> str:
        own = self.auth_method != "client_secret_post"  # with a secret beside its key, it is sent in the form
        return f"auth_method {self.auth_method} does not belong here: the key that is made is the proof" if own else ""

    @property
    def cached(self) -> timedelta:
        """How long ago a server may have read the set that it uses. Without `jwks_cache` it is an hour; a server that
        reads no set, since it has the keys by registration alone, knows them at once."""
        if self.jwks_cache is not None:
            return self.jwks_cache
        return timedelta(hours=1) if self.reads_set else _NONE

    @property
    def reads_set(self) -> bool:
        """Whether servers read a set that we keep."""
        return bool(self.jwks or self.jwks_file)


class AccessTokenOptions(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An access token, by one of three grants."""

    grant: Literal["client_credentials", "password", "refresh_token"] = "client_credentials"
    username: str = ""
    password: SecretRef | None = None
    refresh_token: SecretRef | None = None  # {vault = "..."}: the current one; each new one is written there
    refresh_ends_access: bool = True  # a refresh ends the previous access token: Hydra, Spring, DOT; not Keycloak

    def __post_init__(self) -> None:
        super().__post_init__()
        credentials = self.grant == "client_credentials"
        if credentials and not (self.asserts or self.client_secret or self.proves_by_tls):
            raise ValueError(self.unproven())
        if not self.probe:
            raise ValueError("probe must not be empty: there is no other proof of an access token")
        if (self.grant == "password") is not bool(self.username and self.password):
            raise ValueError('grant = "password" and the keys username and password go together')
        if (self.grant == "refresh_token") is not (self.refresh_token is not None):
            raise ValueError('grant = "refresh_token" and the key refresh_token go together')
        if self.refresh_token is not None and self.refresh_token.source is not SecretSource.VAULT:
            raise ValueError("refresh_token is kept in Vault, since each use may replace it: {vault = ...}")


def revokes(config: OAuthTargetConfig, options: AccessTokenOptions) -> bool:
    """Whether the server ends an access token before its date (RFC 7009). No predecessor is left where the refresh ends
    it: to revoke it would end the authorisation, and with it what is published."""
    return bool(config.revocation_url or config.discovers) and not (
        options.refresh_token and options.refresh_ends_access
    )


NON_ROTATING_OPTIONS = frozenset(  # options that change no assertion, token or key
    {"probe", "identity", "rest", "client_secret", "auth_method", "password", "refresh_token", "refresh_ends_access"}
    | {"jwks_file", "jwks", "jwks_cache", "assertion_life", "registration_client_uri", "registration_access_token"}
)


def check_parameter(name: str, value: str | tuple[str, ...]) -> None:
    """Raise ValueError unless this can be a further parameter of a token request (RFC 6749, section 8.2; RFC 8707)."""
    if not _PARAMETER.fullmatch(name):
        raise ValueError(f"parameters name {name!r}: no parameter of a token request is called so")
    if remedy := _RESERVED.get(name):
        raise ValueError(f"parameters hold no {name}: {remedy}")
    values = (value,) if isinstance(value, str) else value
    if not values or not all(each.strip() and each.isprintable() for each in values):
        raise ValueError(f"parameters give {name} no value: it is a text, or a list of them")
    if name != "resource":
        if len(values) > 1:
            raise ValueError(f"parameters give {name} several values, which only resource may have")
        return
    if unfit := next((each for each in values if not _ABSOLUTE.fullmatch(each)), ""):
        raise ValueError(f"parameters name {unfit!r}: a resource is an absolute address without a fragment (RFC 8707)")


def lifetime_conflict(
    config: OAuthTargetConfig, options: ClientAssertionOptions, lifetime: timedelta | None, longest: timedelta
) -> str:
    """Why this lifetime of an assertion cannot work on this target, or "". `longest`: time between publications."""
    if lifetime is None:
        return 'cannot be "none": an assertion always expires'
    if lifetime > _LONGEST:
        return "is more than 24h: no server takes such an assertion"
    if config.max_age is not None and lifetime + options.backdate > config.max_age:
        back = f" less the backdate of {_seconds(options.backdate)}" if options.backdate else ""
        return f"is longer than the target's max_age of {_seconds(config.max_age)}{back}: the rest of it would be dead"
    need = longest + lifetime / 10 + options.rest  # a tenth for retries
    if need > lifetime:
        return (
            f"{_seconds(lifetime)} is too short: a successor comes after {_seconds(longest)}, retries may take"
            f" {_seconds(lifetime / 10)}, and a rest of {_seconds(options.rest)} is promised; together {_seconds(need)}"
        )
    return ""


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


def unfit_in_transit(transit_key: str, bits: int) -> str:
    """Why Transit cannot make such a key, or ""."""
    known = ", ".join(map(str, _TRANSIT_BITS))
    return f"bits is one of {known} where transit_key is set" if transit_key and bits not in _TRANSIT_BITS else ""
