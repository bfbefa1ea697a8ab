"""Owns the kinds that live on OAuth servers: opening a server, binding a credential to it, warnings without a call.

Each implementation, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Site
from rotator.providers.config import TargetKeys
from rotator.providers.http.auth import Keyring, Minter
from rotator.providers.oauth.config import (
    UNBAKED,
    AccessTokenKeys,
    AssertionKeyKeys,
    AssertionKeys,
    OAuthTargetKeys,
    misfits,
)
from rotator.rotation.credential import Credential


def open_oauth(name: str, keys: TargetKeys, minter: Minter, keyring: Keyring, clock: Clock) -> Site:
    """A server by its name and keys, for all that lives there."""
    from rotator.providers.halo_itsm.server import ApplicationSite
    from rotator.providers.http.client import Http

    del minter  # every client proves itself
    assert isinstance(keys, OAuthTargetKeys)
    return ApplicationSite(Http(name, keys, clock, fetch=keyring.fetch), keys, keyring, clock)


def _bind_assertion(site: Site, credential: Credential) -> Provider:
    from rotator.providers.oauth.client_assertion import ClientAssertion
    from rotator.providers.oauth.server import OAuthSite

    assert isinstance(site, OAuthSite)
    return ClientAssertion(site, msgspec.convert(dict(credential.options), AssertionKeys))


def _bind_access_token(site: Site, credential: Credential) -> Provider:
    from rotator.providers.oauth.access_token import AccessToken
    from rotator.providers.oauth.refresh_token import RefreshedToken
    from rotator.providers.oauth.server import OAuthSite

    assert isinstance(site, OAuthSite)
    options = msgspec.convert(dict(credential.options), AccessTokenKeys)
    return (RefreshedToken if options.refresh_token else AccessToken)(site, options)


def _bind_assertion_key(site: Site, credential: Credential) -> Provider:
    from rotator.providers.oauth.assertion_key import AssertionKey
    from rotator.providers.oauth.server import OAuthSite

    assert isinstance(site, OAuthSite)
    return AssertionKey(site, msgspec.convert(dict(credential.options), AssertionKeyKeys))


def _claims(credential: Credential) -> frozenset[str]:
    """The Transit key that it makes versions of: another credential would take them for its own."""
    key = credential.options.get("transit_key")
    return frozenset({f"Transit key {key}"} if key else ())


def _assertion_misfits(credential: Credential, keys: TargetKeys, longest: timedelta) -> str:
    assert isinstance(keys, OAuthTargetKeys)
    return misfits(keys, msgspec.convert(dict(credential.options), AssertionKeys), credential.lifetime, longest)


def _access_token_misfits(credential: Credential, keys: TargetKeys, longest: timedelta) -> str:
    del keys, longest  # the server decides how long it lives
    return 'cannot be "none": every access token expires' if credential.lifetime is None else ""


def _oauth_warnings(credential: Credential, keys: TargetKeys) -> list[str]:
    assert isinstance(keys, OAuthTargetKeys)
    found = []
    if not credential.options.get("scopes"):
        found.append("no scopes: HaloITSM issues such a token, and then refuses it everywhere")
    if credential.kind == "client-assertion":
        found += _pool_warnings(int(str(credential.options.get("pool", 1))), once=keys.single_use)
    if credential.kind == "oauth-token" and credential.options.get("grant") == "password":
        found.append("the password grant is gone from OAuth 2.1: prefer client_credentials wherever the server has it")
    return found


def _pool_warnings(pool: int, *, once: bool) -> list[str]:
    if once and pool == 1:
        return [
            "this server takes an assertion once: what is published serves one exchange by one consumer; for several"
            " consumers publish the access token (kind oauth-token), let each one sign (kind assertion-key), or set"
            " pool to their number"
        ]
    if once:
        return [f"each of the {pool} assertions serves one exchange: give every consumer a slot of its own"]
    return ["this server takes an assertion again and again: a pool is of no use here"] if pool > 1 else []


OAUTH_KINDS: dict[str, Kind] = {
    "client-assertion": Kind(
        name="client-assertion",
        family="oauth",
        target=OAuthTargetKeys,
        options=AssertionKeys,
        open=open_oauth,
        bind=_bind_assertion,
        unbaked=UNBAKED,
        warnings=_oauth_warnings,
        misfits=_assertion_misfits,
        minter=False,
        expires=True,
        by_hand="nobody can end it before its date; take its key from the application at {url}, or disable that",
        key="client_assertion",
        lifetime=timedelta(minutes=5),
    ),
    "assertion-key": Kind(
        name="assertion-key",
        family="oauth",
        target=OAuthTargetKeys,
        options=AssertionKeyKeys,
        open=open_oauth,
        bind=_bind_assertion_key,
        unbaked=UNBAKED,
        warnings=_oauth_warnings,
        minter=False,
        key="private_key",
        key_in_transit="public_key",
        claims=_claims,
        lifetime=None,
        grace=lambda options: options.assertion_life,
        spread=lambda options: options.jwks_cache,
    ),
    "oauth-token": Kind(
        name="oauth-token",
        family="oauth",
        target=OAuthTargetKeys,
        options=AccessTokenKeys,
        open=open_oauth,
        bind=_bind_access_token,
        unbaked=UNBAKED,
        warnings=_oauth_warnings,
        misfits=_access_token_misfits,
        minter=False,
        expires=True,
        by_hand="nobody can end it before its date, unless the server at {url} can; disable the application there",
        key="access_token",
        lifetime=timedelta(hours=1),
    ),
}
