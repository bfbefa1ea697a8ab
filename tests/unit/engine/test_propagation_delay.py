"""A target that goes on with what it read before: a new value is proven late, and an old one is not called alive."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.record import Phase
from rotator.rotation.rotation_request import RotationRequest
from tests.kit.slots import SlotProvider, Slots
from tests.unit.engine.world import Actor, World

pytestmark = pytest.mark.anyio
SPREAD = timedelta(hours=3)


@pytest.fixture
def actor(world: World) -> Actor:
    limits = Limits(settle=timedelta(seconds=10), spread=SPREAD)
    made = world.actor(retire=Retirement(after=timedelta(0)), lifetime=None, limits=limits)

    async def pause(label: str) -> None:
        made.hook(label)

    made.dependencies = replace(made.dependencies, provider=SlotProvider(Slots(world.clock.now, 2), pause, ""))
    return made


async def test_a_new_value_is_proven_when_caches_have_passed_and_not_before(world: World, actor: Actor) -> None:
    began = world.clock.now()
    seen = await actor.reconcile()
    assert actor.events[-1] == "Installed"
    assert seen.wait.until == began + SPREAD
    world.clock.move(SPREAD - timedelta(seconds=1))
    await actor.reconcile()
    assert actor.events[-1] == "Installed"
    world.clock.move(1)
    await actor.reconcile()
    assert "Published" in actor.events


async def test_an_old_value_that_is_still_taken_is_looked_at_again_when_caches_have_passed(
    world: World, actor: Actor
) -> None:
    await actor.reconcile()
    world.clock.move(SPREAD)
    await actor.reconcile()
    provider = actor.dependencies.provider
    assert isinstance(provider, SlotProvider)
    provider.lazy = True
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(SPREAD)
    seen = await actor.reconcile()
    assert actor.events[-2:] == ["Condemned", "Deferred"]
    assert seen.wait.until == world.clock.now() + SPREAD
    provider.lazy = False
    world.clock.move(SPREAD)
    await actor.reconcile()
    assert "Faulted" not in actor.events
    assert (await world.record()).phase is Phase.SETTLED
