"""Whole rotations of a kind whose tokens nobody can revoke: the same engine, by capability alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import Capabilities, Inspection, NeedsPerson, Outcome, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.procedures.operators import take_word
from rotator.rotation.record import Phase, Token
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import FractionOfLife
from rotator.rotation.secret import Secret
from tests.kit.provider import LEEWAY, ExpiringProvider
from tests.unit.engine.world import PLACE, Actor, Crash, World, crash_at

pytestmark = pytest.mark.anyio

LIFE, REST = timedelta(seconds=60), timedelta(seconds=15)
BEGUN = ["Requested", "Staged", "Verified", "Published"]


class ByHand(ExpiringProvider):
    """A target that people tend: they end what is old, and nobody knows a date."""

    down, looks = False, 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(can_revoke=False)

    async def inspect(self, token: Token) -> Inspection:
        return Inspection(exists=True)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        raise NeedsPerson("click on Revoke")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        self.looks += 1
        if self.down:
            raise Transient("timed out")
        return not self._target.accepts(secret) if secret else None


def actor(world: World, holder: str = "host-a", **changes: Any) -> Actor:
    wanted = {
        "schedule": FractionOfLife(0.6, jitter=0),
        "lifetime": LIFE,
        "retire": Retirement(after=timedelta(0)),
        "limits": Limits(day=timedelta(minutes=2), settle=timedelta(seconds=1)),
    }
    world.target.named = False  # nothing is kept there under any name
    made = world.actor(holder, **{**wanted, **changes})
    made.dependencies = replace(made.dependencies, provider=ExpiringProvider(world.target))
    return made


async def test_the_first_rotation_publishes_and_settles(world: World) -> None:
    one = actor(world)
    await one.reconcile()
    assert one.events == [*BEGUN, "Swept"]
    assert world.healthy


async def test_a_predecessor_is_left_to_expire_and_its_end_is_written_down(world: World) -> None:
    one = actor(world, schedule=FractionOfLife(0.9, jitter=0))
    await one.reconcile()
    world.clock.move(54)
    await one.reconcile()
    assert one.events[5:] == [*BEGUN, "LeftToExpire", "Swept"]
    record = await world.record()
    assert record.phase is Phase.SETTLED
    assert record.predecessor
    assert record.predecessor.token.expires_at
    assert record.ends_at == record.predecessor.token.expires_at + LEEWAY
    world.clock.move(36)
    await one.reconcile()
    assert one.events[11:] == ["Retired"]
    assert "expired at" in one.told[-1].event.proof  # type: ignore[union-attr]  # it is a Retired
    assert (await world.record()).predecessor is None


async def test_what_a_person_has_to_end_is_left_to_them_and_proven_dead(world: World) -> None:
    one = actor(world, schedule=FractionOfLife(0.9, jitter=0))
    provider = ByHand(world.target)
    one.dependencies = replace(one.dependencies, provider=provider)
    await one.reconcile()
    old = (await world.record()).current
    world.clock.move(54)
    await one.reconcile()
    assert one.events[5:] == [*BEGUN, "Condemned", "LeftToPerson", "Swept"]
    assert one.told[-2].told.said.endswith("published before: click on Revoke")
    assert world.healthy
    assert old
    world.clock.move(54)  # the next value does not wait for the person
    await one.reconcile()
    assert one.events[12:] == [*BEGUN, "Condemned", "LeftToPerson", "Swept"]
    assert len((await world.record()).unended) == 2
    world.target.revoke(old.token)
    world.clock.move(36)
    await one.reconcile()
    assert one.events[-1] == "Ended"
    assert "ended by a person" in one.told[-1].event.proof  # type: ignore[union-attr]  # it is an Ended
    assert len((await world.record()).unended) == 1


async def test_vain_looks_are_kept_in_memory_and_a_persons_word_ends_them(world: World) -> None:
    one = actor(world, lifetime=timedelta(hours=24))
    provider = ByHand(world.target)
    one.dependencies = replace(one.dependencies, provider=provider)
    await one.reconcile()
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    [left] = (await world.record()).unended
    provider.looks, provider.down, before = 0, True, await world.entry()  # that is no fault of any rotation
    told = len(one.told)
    for _ in range(6):
        world.clock.move(50)
        await one.reconcile()
    assert (len(one.told), await world.entry()) == (told, before), "a look that finds nothing ended is no transition"
    assert provider.looks == 3, "one every 90 s"
    token = left.value.token.id
    for _ in range(2):
        await one.reconciler.obey(one.credential, one.dependencies, take_word("ada"))
    proof = f"{token} is not proven dead: ada says that it was ended"
    assert [each.event for each in one.told[told:]] == [ev.Ended(world.clock.now(), token, proof)]
    assert (await world.record()).unended == ()


async def test_a_rotation_that_is_asked_for_does_not_wait_for_the_predecessors_end(world: World) -> None:
    one = actor(world, lifetime=timedelta(hours=24))
    for _ in range(3):
        world.clock.move(1)
        await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert one.events.count("Published") == 3
    assert world.healthy


async def test_a_rejected_candidate_is_burned_without_a_call(world: World) -> None:
    one = actor(world)
    world.target.settle = timedelta(hours=1)
    await one.reconcile()
    world.clock.move(5)
    await one.reconcile()
    assert "Burned" in one.events
    assert "revoke" not in world.target.calls


@pytest.mark.parametrize("label", ["mint: sent", "mint: done"])
async def test_a_mint_that_died_with_its_process_is_made_again(world: World, label: str) -> None:
    one, two = actor(world), actor(world, "host-b")

    async def pause(here: str) -> None:
        crash_at(label)(here)

    one.dependencies = replace(one.dependencies, provider=ExpiringProvider(world.target, pause))
    with pytest.raises(Crash):
        await one.reconcile()
    await two.reconcile()
    world.clock.move(40)
    await two.reconcile()
    world.clock.move(2)
    await two.reconcile()
    assert two.events[-5:] == ["NotMinted", "Staged", "Verified", "Published", "Swept"]
    assert world.healthy


async def test_two_hours_of_one_minute_values_none_late_none_expired_and_a_record_that_does_not_grow(
    world: World,
) -> None:
    one = actor(world)
    end = world.clock.now() + timedelta(hours=2)
    while world.clock.now() < end:
        seen = await one.reconcile()
        record = await world.record()
        assert record.current
        assert record.current.token.expires_at
        assert world.healthy
        assert seen.wait.until
        left = record.current.token.expires_at - seen.wait.until
        assert left >= REST
        assert len(record.mints) <= 6
        world.clock.move(max(seen.wait.until - world.clock.now(), timedelta(milliseconds=1)))
    assert 195 <= one.events.count("Published") <= 205
    assert not {"Faulted", "PutOnHold", "Condemned"} & set(one.events)


async def test_a_value_that_grew_old_before_it_could_be_published_never_is(world: World) -> None:
    limits = Limits(day=timedelta(minutes=2), proof_life=timedelta(seconds=6), settle=timedelta(seconds=1))
    one, two = actor(world, limits=limits), actor(world, "host-b", limits=limits)
    one.hook = crash_at(f"before write {PLACE}")
    with pytest.raises(Crash):
        await one.reconcile()
    assert (await world.record()).phase is Phase.VERIFIED
    await two.reconcile()
    world.clock.move(61)
    await two.reconcile()
    assert two.events[:5] == ["CandidateRejected", "Fenced", "Burned", "Staged", "Verified"]
    assert two.events[-2:] == ["Published", "Swept"]
    assert world.healthy
