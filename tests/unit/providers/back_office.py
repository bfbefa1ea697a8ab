"""The back office of the tests of application kinds: a sandbox HaloITSM with a management application, the
applications that are rotated, and a provider of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from rotator.providers import KINDS
from rotator.providers.halo_itsm.server import HaloItsmServer
from rotator.providers.http.client import HttpClient
from rotator.providers.keys.signing import public_key
from rotator.providers.oauth.config import ManagementClientConfig, OAuthTargetConfig
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.itsm.applications import Application
from tests.unit.providers.desk import Keys
from tests.unit.providers.keys import private_pem, public_pem, rsa_key

SECRET, KEY, CHIEF = (SecretRef(SecretSource.FILE, f"/office/{name}") for name in ("secret", "key", "chief"))
FIRST = Secret("canary-office-secret-4d7a")
KINDS_HERE = ("halo-api-key", "halo-client-secret", "halo-assertion-key")


@dataclass
class Office:
    """A running sandbox, and what calls it. `crm` and `spare` are rotated, `chief` manages."""

    itsm: HaloItsm
    server: HaloItsmServer
    keys: Keys
    clock: HandClock
    crm: Application
    spare: Application
    chief: Application

    def credential(self, kind: str, *, two: bool = False, **options: Any) -> Credential:
        chosen: dict[str, Any] = {"client_id": self.crm.client_id, "application": self.crm.id, "scopes": ("all",)}
        chosen |= {"client_secret": SECRET} if kind == "halo-assertion-key" else {}
        chosen |= {"algorithm": "ES256"} if kind == "halo-assertion-key" else {}  # made in no time, unlike RSA keys
        chosen |= {"signing_key": KEY} if kind == "halo-client-secret" else {}
        chosen |= {"second_application": self.spare.id, "second_client_id": self.spare.client_id} if two else {}
        given = {name: value for name, value in {**chosen, **options}.items() if value is not None}
        return Credential("crm", kind, "desk", VaultPath("secret", "crm"), options=KINDS[kind].options(**given))

    def bound(self, kind: str, *, two: bool = False, **options: Any) -> Any:
        return KINDS[kind].bind(self.server, self.credential(kind, two=two, **options))

    def accepts(self, secret: Secret) -> bool:
        """Whether anything here is opened by this value now; asking is no use."""
        model = self.itsm.model
        if secret.reveal().startswith("-----BEGIN PUBLIC"):
            kept = [each.public_key.strip() for each in (self.crm, self.spare) if not each.inactive]
            return secret.reveal().strip() in kept
        if secret.reveal().startswith("-----BEGIN"):
            from rotator.providers.keys.signing import LocalSigner

            pem = LocalSigner(secret)._public
            return any(not each.inactive and each.public_key == pem for each in (self.crm, self.spare))
        secrets = any(model.accepts_secret(each, secret) for each in (self.crm, self.spare))
        return secrets or model.accepts_key(secret)

    def elsewhere(self) -> Office:
        """The same office as another process sees it."""
        site = HaloItsmServer(self.server._http, self.server.config, self.keys, self.clock)
        return replace(self, server=site)

    def posts(self) -> int:
        return sum(each.method == "POST" and each.path == "/api/Application" for each in self.itsm.calls.since(0))


@asynccontextmanager
async def running(clock: HandClock, kind: str = "halo-client-secret", **keys: Any) -> AsyncIterator[Office]:
    """A sandbox whose applications demand what the kind needs them to."""
    itsm = HaloItsm("halo", clock=clock.now, tenant="acme", calls=0)
    async with itsm.running():
        pem = public_pem(rsa_key())
        kid = public_key(pem).thumbprint
        demands: dict[str, Any] = {} if kind == "halo-api-key" else {"public_key": pem, "kid": kid}
        model = itsm.model
        model.change(algorithms=("PS256", "ES256"))
        crm = model.add_application("crm", secret=FIRST, **demands)
        spare = model.add_application("spare", secret=FIRST, **demands)
        chief = model.add_application("chief", secret=FIRST)
        ring = Keys({SECRET: FIRST, KEY: private_pem(rsa_key()), CHIEF: FIRST})
        management = ManagementClientConfig(client_id=chief.client_id, client_secret=CHIEF, scopes=("admin",))
        wanted: dict[str, Any] = {"tenant": "acme", "calls": 1000}
        wanted |= {"manage_applications": True, "management": management, "timeout": timedelta(seconds=5)}
        target = OAuthTargetConfig(url=itsm.url, **{**wanted, **keys})
        site = HaloItsmServer(HttpClient("desk", target, clock, ring.fetch), target, ring, clock)
        try:
            yield Office(itsm, site, ring, clock, crm, spare, chief)
        finally:
            await site.aclose()
