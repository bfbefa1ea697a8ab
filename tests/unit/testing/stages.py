"""The kit on every built-in kind: each on a sandbox of its own, with the clock in our hands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rotator.providers import KINDS
from rotator.providers.halo_cms.config import HaloCmsTargetConfig
from rotator.providers.http.auth import Auth
from rotator.providers.manual.config import ManualTargetConfig
from rotator.rotation.credential import Credential, Limits
from rotator.testing.conformance import RULES, Rule, tried
from rotator.testing.kit import Kit, Row, RuleVerdict
from tests.kit.clock import HandClock
from tests.unit.providers import back_office, desk, halo
from tests.unit.providers.test_manual import credential as by_hand

Stage = Callable[[Path], AbstractAsyncContextManager[Kit]]
LIMITS = Limits(settle=timedelta(seconds=5))


def settled(credential: Credential, **changes: Any) -> Credential:
    return replace(credential, limits=replace(LIMITS, **changes))


@asynccontextmanager
async def halo_pat(folder: Path, release: str = "2.26.0") -> AsyncIterator[Kit]:
    clock = HandClock()
    async with halo.running(release, clock) as world:
        keys = HaloCmsTargetConfig(url=world.halo.url, calls=10_000)

        async def minter() -> Auth:
            return world.auth

        kind, ring = KINDS["halo-pat"], desk.Keys()
        yield Kit(kind, settled(halo.credential()), lambda: kind.open_target("blog", keys, minter, ring, clock), clock)


@asynccontextmanager
async def expiring(folder: Path, name: str, preset: str, **target: Any) -> AsyncIterator[Kit]:
    clock = HandClock()
    async with desk.running(preset, clock, calls=10_000, **target) as world:
        world.itsm.model.token_life = timedelta(seconds=60)
        credential = replace(settled(world.credential(name)), lifetime=timedelta(minutes=5))
        yield Kit(KINDS[name], credential, partial(_reopened, world, name), clock)


@asynccontextmanager
async def assertion_key(folder: Path) -> AsyncIterator[Kit]:
    clock, file = HandClock(), folder / "jwks.json"
    async with desk.running("keycloak", clock, calls=10_000) as world:
        given = {"algorithm": "ES256", "jwks_file": str(file), "signing_key": None}
        credential = settled(world.credential("assertion-key", **given), spread=timedelta(minutes=5))
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: file.read_text() if file.exists() else ""
        world.itsm.model.change(jwks_cache=300, jwks_asks_again=False)  # as long as `spread` says
        yield Kit(KINDS["assertion-key"], credential, partial(_reopened, world, "assertion-key"), clock)


@asynccontextmanager
async def application(folder: Path, name: str, *, two: bool = False) -> AsyncIterator[Kit]:
    clock = HandClock()
    async with back_office.running(clock, name, calls=10_000) as world:
        credential = settled(world.credential(name, two=two))
        lifetime = timedelta(days=90) if name == "halo-api-key" else None
        # A key is left alone for an hour after its making, unless we know that we gave it up.
        rest = 3700.0 if name == "halo-api-key" else 1.0
        yield Kit(
            KINDS[name], replace(credential, lifetime=lifetime), partial(_reopened, world, name), clock, rest=rest
        )


@asynccontextmanager
async def manual(folder: Path) -> AsyncIterator[Kit]:
    clock, kind = HandClock(), KINDS["manual"]
    async with halo.running("2.26.0", clock) as world:
        keys: Any = ManualTargetConfig(url=world.halo.url)
        nobody: Any = None
        yield Kit(kind, settled(by_hand()), lambda: kind.open_target("tool", keys, nobody, desk.Keys(), clock), clock)


def _reopened(world: Any, name: str) -> Any:
    nobody: Any = None
    return KINDS[name].open_target("desk", world.server.config, nobody, world.keys, world.clock)


STAGES: dict[str, Stage] = {
    "halo-pat": halo_pat,
    "halo-pat on 2.20.18": partial(halo_pat, release="2.20.18"),
    "client-assertion": partial(expiring, name="client-assertion", preset="halo"),
    "client-assertion, single use": partial(expiring, name="client-assertion", preset="keycloak"),
    "oauth-token": partial(expiring, name="oauth-token", preset="oidc-provider"),
    "oauth-token, revoked": partial(expiring, name="oauth-token", preset="keycloak", revocation_url="/auth/revoke"),
    "assertion-key": assertion_key,
    "halo-api-key": partial(application, name="halo-api-key"),
    "halo-client-secret": partial(application, name="halo-client-secret"),
    "halo-client-secret, two applications": partial(application, name="halo-client-secret", two=True),
    "halo-assertion-key": partial(application, name="halo-assertion-key"),
    "manual": manual,
}


async def verdicts(kit: Kit, rules: Iterable[Rule] = RULES) -> list[Row]:
    """The whole table; the kit is closed."""
    try:
        return [row async for row in tried(kit, tuple(rules))]
    finally:
        await kit.aclose()


def broken(rows: list[Row]) -> dict[str, str]:
    """The rules that failed, and why."""
    return {row.rule: row.text for row in rows if row.verdict is RuleVerdict.FAILED}


def keep(rows: list[Row]) -> set[str]:
    """The rules that say nothing about the kind."""
    return {row.rule for row in rows if row.verdict is RuleVerdict.NOT_APPLICABLE}
