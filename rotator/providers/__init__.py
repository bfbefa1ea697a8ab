"""Owns the list of kinds: which targets and credentials there are, and the keys of their settings sections.

Importing it is cheap; each kind's implementation, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import msgspec

from rotator.ports import Clock, Provider
from rotator.providers.auth import Keyring, Minter
from rotator.providers.keys import HaloPatKeys, HaloTargetKeys, TargetKeys
from rotator.providers.oauth_keys import UNBAKED, AccessTokenKeys, AssertionKeys, OAuthTargetKeys, misfits
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token

_LONG_LIFE = timedelta(days=90)
_HALO_UNBAKED = frozenset({"probe", "description"})


class Site(Protocol):
    """One target, shared by all its credentials: one client, one request budget, one listing."""

    def minted_by(self, minter: Minter) -> Site:
        """The same target and budget, seen through another minter."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """Every living token that bears a mark of ours, from one listing; a sweep shares it among credentials."""
        ...

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Delete long-revoked tokens whose mint name `owns` claims; returns how many went."""
        ...

    async def control(self, credential: Credential) -> None:
        """The negative control: what proves this credential must fail for a broken secret. Raises Refused."""
        ...

    async def audit(self, credentials: tuple[Credential, ...]) -> list[str]:
        """Live warnings for `rotate check`: what the minter may do beyond what these credentials need."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def _fits(credential: Credential, keys: TargetKeys, longest: timedelta) -> str:
    """`longest`: the time between two publications, at most."""
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of credential, and the family of targets it lives on."""

    name: str  # `kind` of a credential
    family: str  # `kind` of a target
    target: type[TargetKeys]  # the target section's own keys
    options: type[msgspec.Struct]  # the credential section's own keys
    open: Callable[[str, TargetKeys, Minter, Keyring, Clock], Site]  # the target's name and keys, who mints, where
    bind: Callable[[Site, Credential], Provider]  # one credential on an opened target
    unbaked: frozenset[str]  # options that do not change the token itself
    warnings: Callable[[Credential, TargetKeys], list[str]]  # for `rotate check`, without a call
    misfits: Callable[[Credential, TargetKeys, timedelta], str] = _fits  # why its lifetime cannot hold on that target
    minter: bool = True  # whether one identity mints for all credentials of a target
    expires: bool = False  # its tokens end by their date alone, so there is no grace to grant
    key: str = "token"  # under which its value is published, unless settings say otherwise
    lifetime: timedelta = timedelta(days=90)  # unless settings say otherwise


def _open_halo(name: str, keys: TargetKeys, minter: Minter, keyring: Keyring, clock: Clock) -> Site:
    from rotator.providers.halo_site import HaloSite
    from rotator.providers.http import Http

    del keyring  # the minter is all a Halo CMS asks for
    assert isinstance(keys, HaloTargetKeys)
    return HaloSite(Http(name, keys, clock), keys, minter, clock)


def _bind_halo(site: Site, credential: Credential) -> Provider:
    from rotator.providers.halo_cms import HaloPat
    from rotator.providers.halo_site import HaloSite

    assert isinstance(site, HaloSite)
    return HaloPat(site, msgspec.convert(dict(credential.options), HaloPatKeys))


def _halo_warnings(credential: Credential, keys: TargetKeys) -> list[str]:
    del keys  # nothing about a Halo target weakens one credential
    options = msgspec.convert(dict(credential.options), HaloPatKeys)
    found = []
    if credential.lifetime is None:
        found.append("the tokens never expire: a lost one stays valid until somebody revokes it")
    elif credential.lifetime > _LONG_LIFE:
        found.append(f"the tokens live for {credential.lifetime.days} days; {_LONG_LIFE.days} or less is advised")
    if "super-role" in options.roles:
        found.append("the tokens carry super-role: they can do everything, shutting the server down included")
    if not options.roles:
        found.append("no roles: such a token still manages every personal access token of its user")
    return found


def _open_oauth(name: str, keys: TargetKeys, minter: Minter, keyring: Keyring, clock: Clock) -> Site:
    from rotator.providers.http import Http
    from rotator.providers.oauth_site import OAuthSite

    del minter  # every client proves itself
    assert isinstance(keys, OAuthTargetKeys)
    return OAuthSite(Http(name, keys, clock), keys, keyring, clock)


def _bind_assertion(site: Site, credential: Credential) -> Provider:
    from rotator.providers.client_assertion import ClientAssertion
    from rotator.providers.oauth_site import OAuthSite

    assert isinstance(site, OAuthSite)
    return ClientAssertion(site, msgspec.convert(dict(credential.options), AssertionKeys))


def _bind_access_token(site: Site, credential: Credential) -> Provider:
    from rotator.providers.oauth_site import OAuthSite
    from rotator.providers.oauth_token import AccessToken

    assert isinstance(site, OAuthSite)
    return AccessToken(site, msgspec.convert(dict(credential.options), AccessTokenKeys))


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
    if credential.kind == "client-assertion" and keys.single_use:
        found.append(
            "this server takes an assertion once: what is published serves one exchange by one consumer; for several"
            " consumers publish the access token instead (kind oauth-token)"
        )
    return found


KINDS: dict[str, Kind] = {
    "halo-pat": Kind(
        "halo-pat", "halo-cms", HaloTargetKeys, HaloPatKeys, _open_halo, _bind_halo, _HALO_UNBAKED, _halo_warnings
    ),
    "client-assertion": Kind(
        name="client-assertion",
        family="oauth",
        target=OAuthTargetKeys,
        options=AssertionKeys,
        open=_open_oauth,
        bind=_bind_assertion,
        unbaked=UNBAKED,
        warnings=_oauth_warnings,
        misfits=_assertion_misfits,
        minter=False,
        expires=True,
        key="client_assertion",
        lifetime=timedelta(minutes=5),
    ),
    "oauth-token": Kind(
        name="oauth-token",
        family="oauth",
        target=OAuthTargetKeys,
        options=AccessTokenKeys,
        open=_open_oauth,
        bind=_bind_access_token,
        unbaked=UNBAKED,
        warnings=_oauth_warnings,
        misfits=_access_token_misfits,
        minter=False,
        expires=True,
        key="access_token",
        lifetime=timedelta(hours=1),
    ),
}


def default_kind(family: str) -> Kind | None:
    """The first kind of credential that lives on this family of targets."""
    return next((kind for kind in KINDS.values() if kind.family == family), None)
