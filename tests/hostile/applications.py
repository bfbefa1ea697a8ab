"""The call sites of HaloITSM's application kinds: what they ask of its Application API and of its probe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import replace as replace_keys

from rotator.ports import Minted
from rotator.providers.halo_itsm.server import HaloItsmServer
from rotator.providers.http.client import HttpClient
from rotator.rotation.secret import Secret
from tests.hostile.server import Hostile
from tests.hostile.sites import Site
from tests.hostile.targets import SHORT, from_now_on
from tests.hostile.wire import Asked
from tests.kit.clock import HandClock
from tests.unit.providers.back_office import KINDS_HERE, Office, running

API_KEY, CLIENT_SECRET, KEY_PAIR = KINDS_HERE
NAME = "rotator-lab1-crm-c0ffee-r2-a1"
BROUGHT = Secret("canary-brought-value-77")  # not in a line of code that a traceback would show
APPLICATION = "/api/Application"
CALLS = 6  # token, look, change, look, change back, look


@dataclass
class OfficeCell:
    """An office that we reach through the bad server. `old` is in use; `new` was made, and the office knows it not."""

    office: Office
    provider: Any
    old: Minted
    new: Minted
    posing: bool  # somebody else's word, which nobody can tell from the office's own

    @property
    def applications(self) -> Any:
        return self.office.server.applications

    def alive(self, minted: Minted) -> bool:
        return self.office.accepts(minted.secret)

    def dead(self, got: object) -> bool:
        """Whether a word about `old` is against the truth."""
        return got is True and not self.posing

    async def supplied(self) -> Minted:
        """What a person brings."""
        made: Minted = await self.provider.receive(NAME, BROUGHT, None, (self.old.token,))
        return made


def on_office(kind: str, *, two: bool = False, spares: Callable[[], Callable[[Asked], bool]] | None = None) -> Any:
    """`two`: applications that take turns. `spares`: which requests are answered honestly."""

    @asynccontextmanager
    async def setup(hostile: Hostile, ca_file: str) -> AsyncIterator[OfficeCell]:
        clock = HandClock()
        async with running(clock, kind, ca_file=ca_file) as world:
            wishes = {"identity": {"isagent": False}}
            honest = world.bound(kind, two=two, **wishes)
            old = await honest.mint(NAME.replace("r2", "r1"), None)
            old = replace(old, token=await honest.install(old))
            new = await honest.mint(NAME, None, (old.token,))
            keys = replace_keys(
                world.server.config, url=hostile.url, audience=world.server.config.aud, ca_file=ca_file, **SHORT
            )
            site = HaloItsmServer(HttpClient("desk", keys, clock, world.keys.fetch), keys, world.keys, clock)
            site.applications._granted = world.server.applications._granted
            through = replace(world, server=site)
            hostile.spares = spares() if spares else hostile.spares
            async with from_now_on(hostile, world.itsm.url, site):
                yield OfficeCell(through, through.bound(kind, two=two, **wishes), old, new, hostile.posing)

    return setup


def _change(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.startswith(APPLICATION)


def but_the_change() -> Callable[[Asked], bool]:
    """The Application API's POST alone is answered badly."""
    return lambda asked: not _change(asked)


def but_the_look_after() -> Callable[[Asked], bool]:
    """All is well until a change was made, and so is the change."""
    changed = False

    def spares(asked: Asked) -> bool:
        nonlocal changed
        before, changed = not changed, changed or _change(asked)
        return before or _change(asked)

    return spares


def but_the_login() -> Callable[[Asked], bool]:
    """The token endpoint alone answers badly."""
    return lambda asked: asked.path.startswith("/api/")


async def _entered(cell: OfficeCell) -> Any:
    cell.applications._granted = None
    return await cell.applications.get(cell.office.crm.id)


def installing(kind: str, **how: Any) -> Site[OfficeCell]:
    """The new value goes into its slot, and a token says that it is there."""
    site = on_office(kind, **how)
    return Site(site, lambda it: it.provider.install(it.new), lambda it, got: it.alive(it.new), calls=CALLS)


def ending(kind: str, **how: Any) -> Site[OfficeCell]:
    """The value in use is given up; where dates are made up it is not recognised, and only its proof of death tells."""
    site = on_office(kind, **how)
    return Site(
        site,
        lambda it: it.provider.revoke(it.old.token),
        lambda it, got: it.posing or not it.alive(it.old),
        calls=CALLS,
    )


def minting(kind: str, **how: Any) -> Site[OfficeCell]:
    """A slot is chosen, and never the one in use where there are two."""
    return Site(
        on_office(kind, **how),
        lambda it: it.provider.mint(NAME, None, (it.old.token,)),
        lambda it, got: (
            len(it.provider.slots) == 1 or it.provider.slot_of(got.token) != it.provider.slot_of(it.old.token)
        ),
        calls=3,
    )


def proving(kind: str) -> Site[OfficeCell]:
    """What is in use; its identity is asked for, so nothing but an honest answer proves it."""
    return Site(on_office(kind), lambda it: it.provider.verify(it.old.token, it.old.secret), proof=True, calls=2)


def burying(kind: str) -> Site[OfficeCell]:
    """What is in use is not dead."""
    return Site(
        on_office(kind), lambda it: it.provider.is_dead(it.old.token, it.old.secret), lambda it, got: not it.dead(got)
    )


APPLICATIONS: dict[str, Site[Any]] = {
    "halo-api-key mint": minting(API_KEY),
    "halo-api-key receive": Site(on_office(API_KEY), lambda it: it.supplied(), calls=3),
    "halo-api-key install": installing(API_KEY),
    "halo-api-key install, the change": installing(API_KEY, spares=but_the_change),
    "halo-api-key install, the look after it": installing(API_KEY, spares=but_the_look_after),
    "halo-api-key verify": proving(API_KEY),
    "halo-api-key is_dead": burying(API_KEY),
    "halo-api-key is_dead by record": Site(
        on_office(API_KEY), lambda it: it.provider.is_dead(it.old.token, None), lambda it, got: not it.dead(got)
    ),
    "halo-api-key inspect": Site(
        on_office(API_KEY), lambda it: it.provider.inspect(it.old.token), lambda it, got: got.exists or it.posing
    ),
    "halo-api-key revoke": ending(API_KEY),
    "halo-client-secret mint": minting(CLIENT_SECRET, two=True),
    "halo-client-secret install": installing(CLIENT_SECRET),
    "halo-client-secret install, the change": installing(CLIENT_SECRET, spares=but_the_change),
    "halo-client-secret verify": proving(CLIENT_SECRET),
    "halo-client-secret is_dead": burying(CLIENT_SECRET),
    "halo-client-secret revoke": ending(CLIENT_SECRET, two=True),
    "halo-assertion-key install": installing(KEY_PAIR),
    "halo-assertion-key install, the look after it": installing(KEY_PAIR, spares=but_the_look_after),
    "halo-assertion-key verify": proving(KEY_PAIR),
    "halo-assertion-key revoke": ending(KEY_PAIR, two=True),
    "halo application by a fresh login": Site(
        on_office(API_KEY, spares=but_the_login), _entered, lambda it, got: got.id == it.office.crm.id, proof=True
    ),
    "halo application control": Site(
        on_office(API_KEY), lambda it: it.office.server.control(it.office.credential(API_KEY)), calls=3
    ),
    "halo application preview": Site(
        on_office(API_KEY),
        lambda it: it.office.server.preview(it.office.credential(API_KEY), (it.old.token,)),
        lambda it, got: got or it.posing,  # an honest one has a role that is warned of
        calls=4,
    ),
    "halo applications browse": Site(
        on_office(API_KEY),
        lambda it: it.office.server.browse(),
        lambda it, got: it.posing or it.office.crm.id in [row["id"] for row in got[0].rows],
        calls=3,
    ),
}
