"""The service desk of the provider tests: a sandbox HaloITSM, one client with secret and key, and its kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rotator.ports import MinterRefused
from rotator.providers import KINDS
from rotator.providers.http.client import HttpClient
from rotator.providers.keys.signing import Signer, public_key
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.kit.shelf import HandShelf
from tests.kit.transit_key import HandTransitKey
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.itsm.applications import Application
from tests.unit.providers.keys import private_pem, public_pem, rsa_key

PRESETS = ("keycloak", "oidc-provider", "halo")
SECRET, KEY = SecretRef(SecretSource.FILE, "/desk/secret"), SecretRef(SecretSource.FILE, "/desk/key")


@dataclass
class Keys:
    """A keyring in memory."""

    held: dict[SecretRef, Secret] = field(default_factory=dict)
    remote: dict[str, Any] = field(default_factory=dict)
    shelves: dict[str, HandShelf] = field(default_factory=dict)

    async def fetch(self, ref: SecretRef) -> Secret:
        if ref not in self.held:
            raise MinterRefused(f"{ref} holds nothing")
        return self.held[ref]

    def transit(self, key: str) -> Signer:
        found: Signer = self.remote[key]
        return found

    def versions(self, key: str) -> HandTransitKey:
        return self.remote.setdefault(key, HandTransitKey())

    def document_store(self, path: str) -> HandShelf:
        return self.shelves.setdefault(path, HandShelf(path))


@dataclass
class Desk:
    """A running sandbox, and what calls it."""

    itsm: HaloItsm
    server: OAuthServer
    keys: Keys
    clock: HandClock
    client: Application

    def credential(self, kind: str = "client-assertion", **options: Any) -> Credential:
        chosen = {"client_id": self.client.client_id, "client_secret": SECRET, "signing_key": KEY, "scopes": ("all",)}
        given = {name: value for name, value in {**chosen, **options}.items() if value is not None}
        return Credential("crm", kind, "desk", VaultPath("secret", "crm"), options=KINDS[kind].options(**given))

    def bound(self, kind: str = "client-assertion", **options: Any) -> Any:
        return KINDS[kind].bind(self.server, self.credential(kind, **options))

    def exchanges(self) -> int:
        return sum(call.path.startswith("/auth/token") for call in self.itsm.calls.since(0))


@asynccontextmanager
async def running(preset: str, clock: HandClock, **keys: Any) -> AsyncIterator[Desk]:
    """A sandbox that judges by this preset, with one client that demands secret and assertion. In `keys`, the options
    of the target, URL stands for its address."""
    itsm = HaloItsm(preset, clock=clock.now, tenant="acme", calls=0)
    async with itsm.running():
        pem, secret = public_pem(rsa_key()), Secret("canary-5d1c-7e42-desk-b3")
        kid = public_key(pem).thumbprint
        client = itsm.model.add_application("crm", secret=secret, public_key=pem, kid=kid)
        ring = Keys({SECRET: secret, KEY: private_pem(rsa_key())})
        keys = {name: each.replace("URL", itsm.url) if isinstance(each, str) else each for name, each in keys.items()}
        wanted = {"tenant": "acme", "timeout": timedelta(seconds=5)}
        given = {name: f"{itsm.url}{each}" if str(each).startswith("/auth") else each for name, each in keys.items()}
        target = OAuthTargetConfig(url=itsm.url, **{**wanted, **given})
        site = OAuthServer(HttpClient("desk", target, clock, ring.fetch), target, ring, clock)
        try:
            yield Desk(itsm, site, ring, clock, client)
        finally:
            await site.aclose()
