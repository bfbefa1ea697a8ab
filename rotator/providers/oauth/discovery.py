"""The endpoints of an authorisation server, and what it says of itself (RFC 8414, OpenID Connect Discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rotator.providers.oauth.config import OAuthTargetConfig


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses, each "" where there is none, and what the server supports, each None where it does not tell.

    `mtls`: for clients that prove themselves by a certificate, the other addresses of the same endpoints, by the names
    of these fields (RFC 8705, section 5).
    """

    token: str
    revocation: str = ""  # RFC 7009
    introspection: str = ""  # RFC 7662
    jwks: str = ""  # the server's own keys
    registration: str = ""  # RFC 7591
    issuer: str = ""
    auth_methods: frozenset[str] | None = None  # of clients at the token endpoint
    revocation_auth_methods: frozenset[str] | None = None
    introspection_auth_methods: frozenset[str] | None = None
    algorithms: frozenset[str] | None = None  # of client assertions
    grants: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    mtls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def stated(config: OAuthTargetConfig) -> Endpoints:
    """What the settings say."""
    return Endpoints(
        token=config.endpoint,
        revocation=config.revocation_url,
        introspection=config.introspection_url,
        jwks=config.jwks_url,
        registration=config.registration_url,
        issuer=config.issuer,
    )
