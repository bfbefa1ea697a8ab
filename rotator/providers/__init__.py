"""The list of kinds: which targets and credentials there are, and the keys of their settings sections.

Importing it is cheap; each kind's implementation, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from rotator.ports import Clock, Provider
from rotator.providers import plugins
from rotator.providers.base import Kind, Server
from rotator.providers.config import LAST_USE_STEP, HaloCmsTargetConfig, HaloPatOptions, TargetConfig
from rotator.providers.halo_itsm.kinds import APPLICATION_KINDS, open_server
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.providers.manual.kinds import MANUAL_KINDS
from rotator.providers.oauth.kinds import OAUTH_KINDS
from rotator.rotation.credential import Credential

__all__ = ["KINDS", "Kind", "Server", "default_kind", "kind_of"]

_LONG_LIFE = timedelta(days=90)
_HALO_UNBAKED = frozenset({"probe", "description"})


def _open_halo(name: str, keys: TargetConfig, minter: Minter, secret_resolver: SecretResolver, clock: Clock) -> Server:
    from rotator.providers.halo_cms.client import HaloCmsServer
    from rotator.providers.http.client import HttpClient

    assert isinstance(keys, HaloCmsTargetConfig)
    return HaloCmsServer(HttpClient(name, keys, clock, fetch=secret_resolver.fetch), keys, minter, clock)


def _bind_halo(server: Server, credential: Credential) -> Provider:
    from rotator.providers.halo_cms.client import HaloCmsServer
    from rotator.providers.halo_cms.provider import HaloPat

    assert isinstance(server, HaloCmsServer)
    return HaloPat(server, msgspec.convert(dict(credential.options), HaloPatOptions))


def _halo_warnings(credential: Credential, keys: TargetConfig) -> list[str]:
    del keys  # nothing about a Halo target weakens one credential
    options = msgspec.convert(dict(credential.options), HaloPatOptions)
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


KINDS: dict[str, Kind] = {
    "halo-pat": Kind(
        "halo-pat",
        "halo-cms",
        HaloCmsTargetConfig,
        HaloPatOptions,
        _open_halo,
        _bind_halo,
        _HALO_UNBAKED,
        _halo_warnings,
        last_use_resolution=LAST_USE_STEP,
        end_by_hand="in the user centre of {url} under personal access tokens, as its owner, or with PUT "
        "{url}/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{id}/actions/revocation",
    ),
    # one server may have credentials of both: what opens it has to know applications
    **{name: replace(kind, open_target=open_server) for name, kind in OAUTH_KINDS.items()},
    **APPLICATION_KINDS,
    **MANUAL_KINDS,
}


def default_kind(family: str) -> Kind | None:
    """The first kind of credential that lives on this family of targets."""
    return next((kind for kind in KINDS.values() if kind.family == family), None)


def kind_of(name: str) -> Kind:
    """The kind of this name, built in or from a package that settings have named. Raises KeyError."""
    return KINDS.get(name) or plugins.loaded[name]
