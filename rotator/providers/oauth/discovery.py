"""Discovery of an authorisation server's endpoints (RFC 8414, OpenID Connect Discovery 1.0).

Whoever can change the document must not get a secret by it that the issuer would not get. So it is believed only if it
is the very issuer's, and an address in it only at the issuer's own scheme, host and port, or at those of an endpoint
that the settings name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import anyio

from rotator.ports import Clock, Fault, Refused, Transient
from rotator.providers.base import check_url
from rotator.providers.http.client import Broken, HttpClient
from rotator.providers.http.errors import place
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.rotation.wording import visible

_HOUR, _MINUTE = 3600.0, 60.0  # seconds
_CAP = 256 * 1024  # bytes of a document; Keycloak 26.5.1 has 7 KiB
_ADDRESS = re.compile(r"[!-~]{1,2048}")
_LONGEST = 200  # characters of a foreign text that is shown
_NAMES = {  # what the document calls them; the settings say revocation_url, and so on
    "token": "token_endpoint",
    "revocation": "revocation_endpoint",
    "introspection": "introspection_endpoint",
    "jwks": "jwks_uri",
    "registration": "registration_endpoint",
}
_LISTS = {
    "auth_methods": "token_endpoint_auth_methods_supported",
    "revocation_auth_methods": "revocation_endpoint_auth_methods_supported",
    "introspection_auth_methods": "introspection_endpoint_auth_methods_supported",
    "algorithms": "token_endpoint_auth_signing_alg_values_supported",
    "grants": "grant_types_supported",
    "scopes": "scopes_supported",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses, each "" where there is none, and what the server supports, each None where it does not tell.

    `mtls`: for clients that prove themselves by a certificate, the other addresses of the same endpoints, by the names
    of these fields (RFC 8705, section 5). `refused`: why an address of the document is not believed, by the same names.
    `unread`: why the document could not be read now.
    """

    token: str = ""
    revocation: str = ""  # RFC 7009
    introspection: str = ""  # RFC 7662
    jwks: str = ""  # the server's own keys
    registration: str = ""  # RFC 7591
    auth_methods: frozenset[str] | None = None  # of clients at the token endpoint
    revocation_auth_methods: frozenset[str] | None = None
    introspection_auth_methods: frozenset[str] | None = None
    algorithms: frozenset[str] | None = None  # of client assertions
    grants: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    mtls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unread: str = ""

    def need(self, name: str, *, with_certificate: bool = False) -> str:
        """The address of this endpoint, by the name of its field, `with_certificate` for a client that shows one.

        Raises Transient while it cannot be known, Refused when there is none.
        """
        if address := (with_certificate and self.mtls.get(name)) or getattr(self, name):
            return str(address)
        if self.unread:
            raise Transient(self.unread)
        remedy = f"set {name}_url at the target, if the server has one"
        raise Refused(self.refused.get(name) or f"the server names no {_NAMES[name]}", remedy=remedy)


class Unbelievable(Refused):
    """A discovery document that is not believed. Nothing is sent where it points to."""


def stated(config: OAuthTargetConfig) -> Endpoints:
    """What the settings say."""
    return Endpoints(**_stated(config))


def merged(config: OAuthTargetConfig, told: Endpoints) -> Endpoints:
    """What the settings say, and for the rest what the server says."""
    own: dict[str, Any] = {name: address for name, address in _stated(config).items() if address}
    mtls = {name: address for name, address in told.mtls.items() if name not in own}
    return replace(told, **own, mtls=MappingProxyType(mtls))


def unknown(config: OAuthTargetConfig, fault: Fault) -> Endpoints:
    """What the settings say, and why nothing else is known."""
    if isinstance(fault, Transient):
        return replace(stated(config), unread=fault.reason)
    return replace(stated(config), refused=MappingProxyType(dict.fromkeys(_NAMES, fault.reason)))


def _stated(config: OAuthTargetConfig) -> dict[str, Any]:
    token = "" if config.discovers else config.endpoint
    return {"token": token} | {name: getattr(config, f"{name}_url") for name in _NAMES if name != "token"}


class Discovery:
    """The document of one issuer: read when it is needed, and again an hour later or after an answer that came from no
    OAuth server, then once a minute at most."""

    def __init__(self, config: OAuthTargetConfig, clock: Clock) -> None:
        """`config.issuer` says whose. No call is made."""
        self._config = config
        self._clock = clock
        self._told: Endpoints | None = None
        self._again = 0.0  # monotonic seconds: when it is due to be read again
        self._tried = -_HOUR
        self._fault: Fault | None = None  # of the last try ...
        self._ended = 0.0  # ... which ended then ...
        self._by: HttpClient | None = None  # ... over these connections
        self._turn = anyio.Lock()

    async def read(self, http: HttpClient, *, anew: bool = False) -> Endpoints:
        """What the server says. While it cannot be reached, what it said last in this process holds.

        `http`: the connections of whoever asks. RFC 8414 wants no certificate for it; a gateway that wants one of every
        caller does.

        Raises Transient when it cannot be known now, Refused when there is no document, Unbelievable.
        """
        asked = self._clock.monotonic()
        async with self._turn:
            now = self._clock.monotonic()
            if self._told is not None and not anew and now < self._again:
                return self._told
            if self._fault is not None and asked < self._ended and self._by is http:  # others tried while we waited
                raise _again(self._fault)
            self._tried = now
            try:
                self._told = await self._look(http)
            except Fault as fault:
                if isinstance(fault, Unbelievable):  # what is said now counts
                    self._told = None
                self._fault, self._ended, self._again = fault, self._clock.monotonic(), now + _MINUTE
                self._by = http
                if self._told is None or anew:
                    raise
                return self._told
            self._fault, self._again = None, now + _HOUR
            return self._told

    @property
    def told(self) -> Endpoints | None:
        """What the server has said last; None: nothing yet."""
        return self._told

    def doubt(self) -> None:
        """An endpoint answered as no OAuth server does: it may have moved."""
        self._again = min(self._again, self._tried + _MINUTE)

    async def _look(self, http: HttpClient) -> Endpoints:
        faults: list[Fault] = []
        for address in documents_of(self._config.issuer):
            try:
                return believed(await _document(http, address), self._config)
            except (Refused, Broken) as fault:
                faults.append(fault)
            except Transient as fault:  # the other one is at the same place
                faults.append(fault)
                break
        undecided = next((each for each in faults if isinstance(each, Transient)), None)
        reasons = "; ".join(dict.fromkeys(each.reason for each in faults))
        if undecided is not None:
            said = f"where the endpoints of issuer {self._config.issuer} are cannot be read now: {reasons}"
            raise Transient(said, retry_after=undecided.retry_after)
        lie = next((each for each in faults if isinstance(each, Unbelievable)), None)
        if lie is not None:
            raise lie
        said = f"issuer {self._config.issuer} does not say where its endpoints are: {reasons}"
        raise Refused(said, remedy="compare issuer with what the server calls itself, or set token_url")


async def _document(http: HttpClient, address: str) -> Any:
    answer = await http.at(address).request("GET", "", cap=_CAP)
    if not 200 <= answer.status < 300 or answer.document is None:
        raise Refused(f"{answer.status} at {urlsplit(address).path}")
    return answer.document


def _again(fault: Fault) -> Fault:
    return type(fault)(fault.what, retry_after=fault.retry_after, remedy=fault.remedy)


def documents_of(issuer: str) -> tuple[str, str]:
    """The addresses of its document: by RFC 8414, section 3, and by OpenID Connect Discovery 1.0, section 4."""
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}{path}/.well-known/openid-configuration",
    )


def believed(document: Any, config: OAuthTargetConfig) -> Endpoints:
    """What a document says, less what is not believed. Raises Unbelievable when that is its issuer or, where the
    settings name none, its token endpoint."""
    told = document if isinstance(document, dict) else {}
    issuer = told.get("issuer")
    if issuer != config.issuer:
        raise Unbelievable(_of_another(issuer, config.issuer), remedy="nothing is sent anywhere; compare `issuer`")
    known = set(_origins(config))
    refused: dict[str, str] = {}

    def addresses(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        found = {}
        for name, key in _NAMES.items():
            if (address := part.get(key)) is None:
                continue
            if trouble := _trouble(address, key, known):
                refused[prefix + name] = f"the discovery document of issuer {config.issuer} is not believed: {trouble}"
            else:
                found[name] = str(address)
        return found

    own = addresses(told)
    if config.discovers and "token" not in own:
        said = f"the discovery document of issuer {config.issuer} names no token_endpoint"
        raise Unbelievable(refused.get("token", said), remedy="nothing is sent there; if it is right, set token_url")
    aliases = told.get("mtls_endpoint_aliases")
    mtls = addresses(aliases if isinstance(aliases, dict) else {}, "mtls ")
    lists: dict[str, Any] = {name: _listed(told.get(key)) for name, key in _LISTS.items()}
    return Endpoints(**own, **lists, mtls=MappingProxyType(mtls), refused=MappingProxyType(refused))


def _of_another(issuer: Any, asked: str) -> str:
    said = f"the discovery document of issuer {asked} is not believed: "
    if not isinstance(issuer, str) or not issuer:
        return f"{said}it does not say whose it is"
    slash = ", which differs by its closing slash" if issuer.rstrip("/") == asked.rstrip("/") else ""
    return f"{said}it is that of {visible(issuer, _LONGEST)}{slash}"


def _trouble(address: Any, key: str, known: set[str]) -> str:
    """Why this address may not be called, or ""."""
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        return f"its {key} is no address"
    try:
        check_url(address, f"its {key}", insecure=True, query=True)  # where plain http may go, `known` says
    except ValueError as fault:
        return str(fault)
    if (origin := place(urlsplit(address))) in known:
        return ""
    return (
        f"its {key} is at {visible(origin, _LONGEST)}, which is neither the issuer's place nor one that settings name"
    )


def _origins(config: OAuthTargetConfig) -> Iterator[str]:
    """Where secrets may go: the issuer, and the endpoints that the settings name."""
    named = (config.auth_url, *(getattr(config, f"{name}_url") for name in _NAMES if name != "jwks"))
    yield from (place(urlsplit(each)) for each in (config.issuer, *named) if each)


def _listed(told: Any) -> frozenset[str] | None:
    if not isinstance(told, list):
        return None
    return frozenset(each for each in told if isinstance(each, str))
