"""A handle that no later question could name is a refused answer, and what was made is burned by the name we chose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.ports import Minted
from rotator.rotation.answers import read_staged
from rotator.rotation.record import Phase
from tests.kit.provider import FakeProvider
from tests.unit.engine.world import SLOT, Actor, World

pytestmark = pytest.mark.anyio


class Boasting(FakeProvider):
    """Its first answers name the token as nobody could."""

    boasts = 1
    what = "id"

    async def mint(self, *args, **more) -> Minted:
        minted = await super().mint(*args, **more)
        if not self.boasts:
            return minted
        self.boasts -= 1
        return replace(minted, token=replace(minted.token, **{self.what: "a" * 65 * 1024}))


def boasting(world: World, what: str, times: int) -> Actor:
    actor = world.actor()
    provider = Boasting(world.target)
    provider.what, provider.boasts = what, times
    actor.dependencies = replace(actor.dependencies, provider=provider)
    return actor


@pytest.mark.parametrize("what", ["id", "serial", "name"])
async def test_the_token_is_burned_and_the_next_attempt_succeeds(world: World, what: str) -> None:
    actor = boasting(world, what, 1)
    await actor.reconcile()
    assert actor.events[:3] == ["Requested", "MintLost", "Burned"]
    record = await world.record()
    assert (record.phase, record.attempt) == (Phase.SETTLED, 2)
    assert [each.id for each in world.target.living()] == [record.current.token.id]
    assert world.healthy


async def test_a_target_that_never_does_better_leaves_nothing_alive(world: World) -> None:
    actor = boasting(world, "id", 9)
    for _ in range(6):
        await actor.reconcile()
        world.clock.move(3600)
    assert world.target.living() == ()
    assert "cannot be used" in str((await world.record()).failure)


async def test_a_staged_document_with_such_a_handle_is_no_candidate(world: World) -> None:
    token = {"id": "a" * 70_000, "name": "rotator-home-bot-r1-a1", "serial": ""}
    world.vault.put(SLOT, {"value": "secret", "token": token}, None)
    assert read_staged(world.vault.get(SLOT)) is None
    world.vault.put(SLOT, {"value": "secret", "token": {**token, "id": "t1"}}, None)
    assert read_staged(world.vault.get(SLOT)) is not None
