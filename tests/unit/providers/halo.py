"""A Halo CMS to test against: the sandbox on loopback, its minter, and our site and provider on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rotator.providers import KINDS
from rotator.providers.halo_cms.client import HaloCmsServer
from rotator.providers.halo_cms.config import HaloCmsTargetConfig, HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http.auth import Auth, Basic, Bearer
from rotator.providers.http.client import HttpClient
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.sandbox.halo_cms import HaloCms

ROLE = "role-template-view-posts"
OPTIONS: dict[str, Any] = {"roles": [ROLE]}
VERSIONS = ("2.26.0", "2.20.18", "2.20.2", "2.19.3")


def credential(**options: Any) -> Credential:
    return Credential(
        "blog", "halo-pat", "blog", VaultPath("secret", "blog"), options=HaloPatOptions(**{**OPTIONS, **options})
    )


@dataclass
class World:
    """A running sandbox, and what calls it."""

    halo: HaloCms
    server: HaloCmsServer
    auth: Auth
    clock: HandClock

    def pat(self, **options: Any) -> HaloPat:
        bound = KINDS["halo-pat"].bind(self.server, credential(**options))
        assert isinstance(bound, HaloPat)
        return bound

    def listings(self) -> int:
        calls = self.halo.calls.since(0)
        return sum(call.method == "GET" and call.path.endswith("/personalaccesstokens") for call in calls)


@asynccontextmanager
async def running(release: str, clock: HandClock, *, by_token: bool | None = None, **keys: Any) -> AsyncIterator[World]:
    """A sandbox of this version; the minter is a PAT where that can mint (since 2.20.3), else Basic Auth."""
    password = Secret("canary-password-of-the-minter-7f3a")
    halo = HaloCms(release, basic_auth=True, clock=clock.now)
    async with halo.running():
        halo.model.add_user("minter", password, ["super-role"])
        if by_token is None:
            by_token = release in ("2.26.0", "2.20.18")
        if by_token:
            auth: Auth = Bearer(halo.model.mint("minter", name="minter-pat", roles=["super-role"]))
        else:
            auth = Basic("minter", password)
        world = World(halo, await open_site(halo.url, auth, clock, **keys), auth, clock)
        try:
            yield world
        finally:
            await world.server.aclose()


async def open_site(url: str, auth: Auth, clock: HandClock, transport: Any = None, **keys: Any) -> HaloCmsServer:
    async def minter() -> Auth:
        return auth

    target = HaloCmsTargetConfig(url=url, **{"timeout": timedelta(seconds=5), "deadline": timedelta(seconds=5), **keys})
    return HaloCmsServer(HttpClient("blog", target, clock, no_password, transport), target, minter, clock)
