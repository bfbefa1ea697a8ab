"""The call sites at targets: each verb of each kind as one line, against a sandbox that knows the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rotator.ports import Accepted, Minted
from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.discovery import Endpoints
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.hostile.server import Hostile
from tests.hostile.sites import DEADLINE, Site
from tests.hostile.wire import forwarded_to
from tests.kit.clock import HandClock
from tests.unit.providers import desk, halo


class Closing(Protocol):
    async def aclose(self) -> None: ...


Client = TypeVar("Client", bound=Closing)
STEM = "rotator-lab1-blog-c0ffee"
LISTING = 160  # MiB: a listing may have 32, and is held twice for a moment
SHORT: dict[str, Any] = {"timeout": timedelta(seconds=DEADLINE), "deadline": timedelta(seconds=DEADLINE)}


@asynccontextmanager
async def from_now_on(hostile: Hostile, url: str, ours: Client) -> AsyncIterator[Client]:
    """Ours knows the bad server's address alone, which from now on stands in front of `url`, and is bad."""
    hostile.upstream = forwarded_to(url)
    hostile.armed = True
    try:
        yield ours
    finally:
        await ours.aclose()


@dataclass
class HaloCell:
    """A Halo CMS that we reach through the bad server; `token` lives, `ended` was revoked long ago."""

    world: halo.World
    server: Any
    pat: Any
    token: Token
    secret: Secret
    ended: Token
    dead: Secret

    def lives(self) -> bool:
        return self.world.halo.model.accepts(self.secret)

    def listed(self, tokens: Any) -> bool:
        return self.token.id in {each.id for each in tokens}


@asynccontextmanager
async def on_halo(hostile: Hostile, ca_file: str) -> AsyncIterator[HaloCell]:
    clock = HandClock()
    async with halo.running("2.26.0", clock, ca_file=ca_file) as world:
        honest = world.pat()
        old = await honest.mint(f"{STEM}-r1-a1", None)
        await honest.revoke(old.token)
        clock.move(9 * 86400)
        new = await honest.mint(f"{STEM}-r2-a1", clock.now() + timedelta(days=9))
        site = await halo.open_site(hostile.url, world.auth, clock, ca_file=ca_file, **SHORT)
        pat = halo.KINDS["halo-pat"].bind(site, halo.credential())
        async with from_now_on(hostile, world.halo.url, site):
            yield HaloCell(world, site, pat, new.token, new.secret, old.token, old.secret)


def _minted(cell: HaloCell, got: Minted) -> bool:
    return cell.world.halo.model.accepts(got.secret)


def _gone(cell: HaloCell, _: object) -> bool:
    return not cell.lives()


def _pruned(cell: HaloCell, got: int) -> bool:
    """As many are gone as it says: none, where Halo calls them young."""
    old = [record for record in cell.world.halo.model.records.all() if record.name == cell.ended.id]
    return got == sum(record.deleted_at is not None for record in old) and cell.lives()


HALO: dict[str, Site[HaloCell]] = {
    "halo-pat mint": Site(on_halo, lambda it: it.pat.mint(f"{STEM}-r3-a1", None), _minted, calls=2),
    "halo-pat find": Site(on_halo, lambda it: it.pat.find(STEM), lambda it, got: it.listed(got), memory=LISTING),
    "halo-pat find one": Site(
        on_halo, lambda it: it.pat.find(it.token.name), lambda it, got: it.listed(got), calls=2, memory=LISTING
    ),
    "halo-pat verify": Site(
        on_halo,
        lambda it: it.pat.verify(it.token, it.secret),
        lambda it, got: True,
        proof=True,
    ),
    "halo-pat verify a dead one": Site(
        on_halo, lambda it: it.pat.verify(it.ended, it.dead), lambda it, got: not isinstance(got, Accepted)
    ),
    "halo-pat inspect": Site(
        on_halo, lambda it: it.pat.inspect(it.token), lambda it, got: got.exists and not got.revoked
    ),
    "halo-pat revoke": Site(on_halo, lambda it: it.pat.revoke(it.token), _gone, calls=10),
    "halo-pat restore": Site(
        on_halo, lambda it: it.pat.restore(it.ended), lambda it, got: it.world.halo.model.accepts(it.dead), calls=10
    ),
    "halo-pat delete": Site(on_halo, lambda it: it.pat.delete(it.token), _gone, calls=5),
    "halo-pat is_dead": Site(on_halo, lambda it: it.pat.is_dead(it.token, it.secret), lambda it, got: got is not True),
    "halo-pat is_dead by record": Site(
        on_halo, lambda it: it.pat.is_dead(it.token, None), lambda it, got: got is not True, calls=2, memory=LISTING
    ),
    "halo list_tokens": Site(
        on_halo, lambda it: it.server.list_tokens(), lambda it, got: it.listed(got), memory=LISTING
    ),
    "halo prune": Site(
        on_halo, lambda it: it.server.prune(lambda _: True, timedelta(days=1)), _pruned, calls=6, memory=LISTING
    ),
    # What it wants is a refusal: the status is all that counts, whatever the body is.
    "halo control": Site(on_halo, lambda it: it.server.control(halo.credential()), calls=3),
    "halo preview": Site(on_halo, lambda it: it.server.preview(halo.credential(), ()), proof=True, calls=2),
    "halo browse": Site(on_halo, lambda it: it.server.browse(), proof=True, calls=3),
    "halo audit": Site(on_halo, lambda it: it.server.audit((halo.credential(),)), proof=True),
}


@dataclass
class DeskCell:
    """A service desk that we reach through the bad server."""

    world: desk.Desk
    server: OAuthServer


@dataclass
class UsedDeskCell(DeskCell):
    """One that has exchanged before, honestly, and what that gave."""

    assertion: Minted
    access: Minted

    def bound(self, kind: str) -> Any:
        return desk.KINDS[kind].bind(self.server, self.world.credential(kind, **PROBED))


PROBED: dict[str, Any] = {}  # the kinds have a probe of their own


@asynccontextmanager
async def through_bad_company(hostile: Hostile, world: desk.Desk, ca_file: str) -> AsyncIterator[OAuthServer]:
    """The desk's site once more."""
    target = OAuthTargetConfig(
        url=hostile.url, audience=world.server.config.aud, tenant="acme", ca_file=ca_file, **SHORT
    )
    site = OAuthServer(HttpClient("desk", target, world.clock, world.keys.fetch), target, world.keys, world.clock)
    async with from_now_on(hostile, world.itsm.url, site):
        yield site


@asynccontextmanager
async def on_desk(hostile: Hostile, ca_file: str) -> AsyncIterator[UsedDeskCell]:
    clock = HandClock()
    async with desk.running("keycloak", clock, ca_file=ca_file) as world:
        end = clock.now() + timedelta(minutes=5)
        assertion = await world.bound().mint("a-r1-a1", end)
        access = await world.bound("oauth-token").mint("a-r1-a1", end)
        async with through_bad_company(hostile, world, ca_file) as site:
            yield UsedDeskCell(world, site, assertion, access)


def _issued(hostile: Hostile) -> dict[SecretRef, Secret]:
    pem = Path(hostile.authority.issue("crm")).read_text()
    certificate, armour, key = pem.partition("-----BEGIN PRIVATE KEY")
    return {CERTIFICATE: Secret(certificate.strip()), ITS_KEY: Secret(f"{armour}{key.strip()}")}


CERTIFICATE, ITS_KEY = (SecretRef(SecretSource.FILE, f"/desk/tls-{name}") for name in ("certificate", "key"))


@asynccontextmanager
async def on_certified(hostile: Hostile, ca_file: str) -> AsyncIterator[DeskCell]:
    """A client whose connections present a certificate beside its proof, to a server that asks for one."""
    async with desk.running("keycloak", HandClock(), ca_file=ca_file) as world:
        world.keys.held |= _issued(hostile)
        async with through_bad_company(hostile, world, ca_file) as site:
            yield DeskCell(world, site)


async def _certified(cell: DeskCell) -> Minted:
    shown = cell.world.credential("oauth-token", tls_certificate=CERTIFICATE, tls_key=ITS_KEY)
    minted: Minted = await desk.KINDS["oauth-token"].bind(cell.server, shown).mint("a-r2-a1", None)
    return minted


@asynccontextmanager
async def on_issuer(hostile: Hostile, ca_file: str) -> AsyncIterator[DeskCell]:
    """The issuer is the bad server; its honest document names no other place."""
    clock = HandClock()
    async with desk.running("keycloak", clock, ca_file=ca_file) as world:
        world.itsm.model.discovery = True
        world.itsm.model.says = {"issuer": hostile.url, "token_endpoint": f"{hostile.url}/auth/token"}
        target = OAuthTargetConfig(url=hostile.url, issuer=hostile.url, ca_file=ca_file, **SHORT)
        site = OAuthServer(HttpClient("desk", target, clock, world.keys.fetch), target, world.keys, clock)
        async with from_now_on(hostile, world.itsm.url, site):
            yield DeskCell(world, site)


def _where_it_is(cell: DeskCell, got: Endpoints) -> bool:
    return got.token == f"{cell.server.config.url}/auth/token"


def _granted(cell: DeskCell, got: Minted) -> bool:
    return cell.world.itsm.model.accepts_token(got.secret)


# No proofs: a 2xx opens the probe where no `identity` is asked for, and any 4xx of a token endpoint is a refusal.
DESK: dict[str, Site[UsedDeskCell]] = {
    "client-assertion verify": Site(
        on_desk,
        lambda it: it.bound("client-assertion").verify(it.assertion.token, it.assertion.secret),
        lambda it, got: True,
        proof=True,
        calls=2,
    ),
    "oauth-token mint": Site(
        on_desk, lambda it: it.bound("oauth-token").mint("a-r2-a1", it.world.clock.now()), _granted
    ),
    "oauth-token verify": Site(
        on_desk,
        lambda it: it.bound("oauth-token").verify(it.access.token, it.access.secret),
        lambda it, got: True,
        calls=3,  # what is refused is compared with another one
    ),
    "oauth control by assertion": Site(on_desk, lambda it: it.server.control(it.world.credential(**PROBED)), calls=3),
    "oauth control by secret": Site(
        on_desk,
        lambda it: it.server.control(it.world.credential("oauth-token", signing_key=None, **PROBED)),
        calls=3,
    ),
    "oauth audit": Site(on_desk, lambda it: it.server.audit((it.world.credential(),)), calls=8),
}

ISSUER: dict[str, Site[DeskCell]] = {
    "oauth-token mint with a certificate": Site(on_certified, _certified, _granted),
    "oauth discovery": Site(
        on_issuer, lambda it: it.server.endpoints(it.world.credential().options), _where_it_is, calls=2
    ),
}

TARGETS: dict[str, Site[Any]] = {**HALO, **DESK, **ISSUER}
