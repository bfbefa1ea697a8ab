"""The Provider port for kinds whose tokens end by expiry alone: what the engine may rely on, whatever the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotator.ports import Accepted, Inspection, Outcome, Provider, Refused, Rejected, Unknown
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

NAME = "rotator-lab1-crm-c0ffee-r1-a1"
LIFE = timedelta(seconds=60)
KINDS = ("client-assertion", "oauth-token")


@dataclass
class Bench:
    """A provider under test, with the truth about its target."""

    provider: Provider
    world: desk.Desk
    accepts: Callable[[Secret], bool]

    @property
    def clock(self) -> HandClock:
        return self.world.clock

    @property
    def end(self) -> datetime:
        return self.clock.now() + LIFE


@pytest.fixture(params=[f"{kind} on {preset}" for kind in KINDS for preset in desk.PRESETS])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    kind, _, preset = request.param.partition(" on ")
    async with desk.running(preset, HandClock()) as world:
        world.itsm.model.token_life = LIFE
        model = world.itsm.model
        accepts: Any = model.accepts_assertion if kind == "client-assertion" else model.accepts_token
        yield Bench(world.bound(kind), world, accepts)


async def test_what_is_minted_is_accepted_until_the_expiry_that_is_told(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    assert bench.accepts(minted.secret)
    assert minted.token.name == NAME
    assert minted.token.issued_at == bench.clock.now()
    assert minted.token.expires_at == bench.end
    bench.clock.move(59)
    assert bench.accepts(minted.secret)
    bench.clock.move(31)
    assert not bench.accepts(minted.secret)


async def test_no_two_mints_are_alike(bench: Bench) -> None:
    one, two = await bench.provider.mint(NAME, bench.end), await bench.provider.mint(NAME, bench.end)
    assert not one.secret.matches(two.secret)


async def test_the_proof_accepts_what_was_minted_and_does_not_use_it_up(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    for _ in range(2):
        assert await bench.provider.verify(minted.token, minted.secret) == Accepted()
    assert bench.accepts(minted.secret)


async def test_the_proof_rejects_what_the_server_would_not_take(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    bench.clock.move(120)
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Rejected)


async def test_the_proof_rejects_junk(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    verdict = await bench.provider.verify(minted.token, Secret("canary-junk-9f"))
    assert isinstance(verdict, Rejected)
    assert "canary" not in verdict.reason


@pytest.mark.parametrize("after", [False, True])
async def test_a_proof_without_an_answer_is_unknown(bench: Bench, after: bool) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    bench.world.itsm.faults.add("drop", when="after" if after else "before")
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Unknown)
    assert await bench.provider.verify(minted.token, minted.secret) == Accepted()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_or_broken_server_decides_nothing(bench: Bench, status: int) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    bench.world.itsm.faults.add("status", status=status, retry_after=7)
    verdict = await bench.provider.verify(minted.token, minted.secret)
    assert isinstance(verdict, Unknown)
    assert verdict.retry_after == 7


async def test_nothing_is_found_and_nothing_can_be_revoked_before_it_ends(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    can = bench.provider.capabilities
    assert (can.can_revoke, can.can_list, can.takes_token_name, can.can_restore, can.old_is_safe_to_present) == (
        False,
    ) * 5
    assert await bench.provider.find("rotator-lab1") == ()
    with pytest.raises(Refused, match="expiry"):
        await bench.provider.revoke(minted.token)
    assert bench.accepts(minted.secret)


async def test_it_is_dead_by_its_date_and_the_leeway_and_not_before(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, bench.end)
    assert await bench.provider.is_dead(minted.token, None) is False
    leeway = timedelta(seconds=30 if minted.token.serial else 0)
    assert await bench.provider.inspect(minted.token) == Inspection(True, expires_at=bench.end + leeway)
    bench.clock.move(60 + 30)
    assert await bench.provider.is_dead(minted.token, minted.secret) is True
    assert not bench.accepts(minted.secret)
    assert await bench.provider.revoke(minted.token) is Outcome.ALREADY
    assert not (await bench.provider.inspect(minted.token)).exists
    with pytest.raises(Refused):
        await bench.provider.restore(minted.token)


async def test_without_a_date_nobody_can_say_whether_it_is_dead(bench: Bench) -> None:
    assert await bench.provider.is_dead(Token("x"), None) is None


async def test_the_negative_control_passes_on_an_honest_server(bench: Bench) -> None:
    kind = "client-assertion" if type(bench.provider).__name__ == "ClientAssertion" else "oauth-token"
    await bench.world.server.control(bench.world.credential(kind))
