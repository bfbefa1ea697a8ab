"""Owns the kind of credential that a person brings, on any target that answers HTTP."""

from __future__ import annotations

import msgspec

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Site
from rotator.providers.config import TargetKeys
from rotator.providers.http.auth import Keyring, Minter
from rotator.providers.manual.config import UNBAKED, HttpTargetKeys, ManualKeys
from rotator.rotation.credential import Credential


def _open(name: str, keys: TargetKeys, minter: Minter, keyring: Keyring, clock: Clock) -> Site:
    from rotator.providers.http.client import Http
    from rotator.providers.manual.provider import HttpSite

    del minter  # people mint
    return HttpSite(Http(name, keys, clock, fetch=keyring.fetch))


def _bind(site: Site, credential: Credential) -> Provider:
    from rotator.providers.manual.provider import HttpSite, ManualToken

    assert isinstance(site, HttpSite)
    return ManualToken(site, msgspec.convert(dict(credential.options), ManualKeys), credential.name)


def _warnings(credential: Credential, keys: TargetKeys) -> list[str]:
    del keys  # nothing about the target matters here
    found = []
    if credential.lifetime is None:
        found.append("nobody knows when the token expires: set lifetime, and a person is asked in time")
    if not credential.options.get("ending"):
        found.append("no `ending`: the person who has to end the old token is not told where")
    return found


MANUAL_KINDS = {
    "manual": Kind(
        name="manual",
        family="http",
        target=HttpTargetKeys,
        options=ManualKeys,
        open=_open,
        bind=_bind,
        unbaked=UNBAKED,
        warnings=_warnings,
        minter=False,
        by_hand="where it was made, at {url}",
    ),
}
