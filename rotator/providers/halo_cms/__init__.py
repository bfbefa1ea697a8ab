"""Personal access tokens of a Halo CMS: the kind. Its implementation, and httpx with it, is imported when needed."""

from __future__ import annotations

from datetime import timedelta

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Server
from rotator.providers.halo_cms.config import LAST_USE_STEP, HaloCmsTargetConfig, HaloPatOptions
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.rotation.credential import Credential

_LONG_LIFE = timedelta(days=90)
_NON_ROTATING = frozenset({"probe", "description"})


def _open_halo(
    name: str, config: HaloCmsTargetConfig, minter: Minter, secret_resolver: SecretResolver, clock: Clock
) -> Server:
    from rotator.providers.halo_cms.client import HaloCmsServer
    from rotator.providers.http.client import HttpClient

    return HaloCmsServer(HttpClient(name, config, clock, secret_resolver.fetch), config, minter, clock)


def _bind_halo(server: Server, credential: Credential[HaloPatOptions]) -> Provider:
    from rotator.providers.halo_cms.client import HaloCmsServer
    from rotator.providers.halo_cms.provider import HaloPat

    assert isinstance(server, HaloCmsServer)
    return HaloPat(server, credential.options)


def _halo_warnings(credential: Credential[HaloPatOptions], config: HaloCmsTargetConfig) -> list[str]:
    del config  # nothing about a Halo target weakens one credential
    found, roles = [], credential.options.roles
    if credential.lifetime is None:
        found.append("the tokens never expire: a lost one stays valid until somebody revokes it")
    elif credential.lifetime > _LONG_LIFE:
        found.append(f"the tokens live for {credential.lifetime.days} days; {_LONG_LIFE.days} or less is advised")
    if "super-role" in roles:
        found.append("the tokens carry super-role: they can do everything, shutting the server down included")
    if not roles:
        found.append("no roles: such a token still manages every personal access token of its user")
    return found


HALO_CMS_KINDS: dict[str, Kind] = {
    "halo-pat": Kind(
        "halo-pat",
        "halo-cms",
        HaloCmsTargetConfig,
        HaloPatOptions,
        _open_halo,
        _bind_halo,
        _NON_ROTATING,
        _halo_warnings,
        last_use_resolution=LAST_USE_STEP,
        calls_of_rotation=5,
        identifies=True,
        end_by_hand="in the user centre of {url} under personal access tokens, as its owner, or with PUT "
        "{url}/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{id}/actions/revocation",
    ),
}
