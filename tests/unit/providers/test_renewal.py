"""Whole rotations by refresh token: every place in which its successor could be lost, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import Refused, StoreRefused
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.record import Phase
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.shelf import HandShelf
from tests.unit.engine.world import SLOT, Actor, Crash, World
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

KEPT = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")


@dataclass
class Renewal:
    """A world whose target is a service desk; actors come and go, the desk and the documents stay."""

    world: World
    desk: desk.Desk

    @property
    def document_store(self) -> HandShelf:
        return self.desk.keys.document_store(KEPT.name)

    def authorise(self) -> None:
        self.document_store.put(refresh_token=self.desk.itsm.model.authorise(self.desk.client))

    def actor(self, holder: str = "host-a") -> Actor:
        made = self.world.actor(holder, retire=Retirement(after=timedelta(0)), limits=Limits(mints_per_day=100))
        provider = self.desk.bound("oauth-token", grant="refresh_token", refresh_token=KEPT)
        made.dependencies = replace(made.dependencies, provider=provider)
        return made

    async def rest(self, actor: Actor) -> Phase:
        """Visit, with the waits that are asked for, until it rests."""
        self.world.clock.move(1)
        wish = RotationRequest(self.world.clock.now(), "ada")
        for _ in range(30):
            seen = await actor.reconcile(wish)
            assert seen.record
            if seen.record.phase in (Phase.SETTLED, Phase.AWAITING, Phase.HELD) and not seen.record.retry_at:
                assert seen.record.held is None, seen.record.held
                return seen.record.phase
            wait = seen.wait.until - self.world.clock.now() if seen.wait.until else timedelta(seconds=40)
            self.world.clock.move(max(wait, timedelta(seconds=1)))
        raise AssertionError("it does not come to rest")

    @property
    def whole(self) -> bool:
        """Whether consumers hold a token that is accepted, and the refresh token that is kept would be taken."""
        published = self.world.consumer.secret("token")
        kept = str(self.document_store.values.get("refresh_token", ""))
        model = self.desk.itsm.model
        return bool(published and model.accepts_token(published)) and model.refreshes.takes(kept)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def renewal(world: World) -> AsyncIterator[Renewal]:
    clock: Any = world.clock
    async with desk.running("keycloak", clock) as running:
        made = Renewal(world, running)
        made.authorise()
        yield made


async def test_each_rotation_spends_one_refresh_token_and_keeps_the_next(renewal: Renewal) -> None:
    one = renewal.actor()
    for _ in range(3):
        assert await renewal.rest(one) is Phase.SETTLED
        assert renewal.whole
    assert renewal.document_store.version == 4
    assert renewal.world.vault.get(SLOT).values is None  # nothing is left in the staged slot


@pytest.mark.parametrize("after", ["Staged", "Installed", "Verified", "Published"])
async def test_whoever_takes_over_after_a_crash_has_lost_nothing(renewal: Renewal, after: str) -> None:
    one = renewal.actor()

    def die(label: str) -> None:
        if any(type(transition.event).__name__ == after for transition in one.told):
            raise Crash(after)

    assert await renewal.rest(one) is Phase.SETTLED
    one.told.clear()
    one.hook = die
    with pytest.raises(Crash):
        await renewal.rest(one)
    spent = renewal.desk.exchanges()
    renewal.world.clock.move(60)
    assert await renewal.rest(renewal.actor("host-b")) is Phase.SETTLED
    assert renewal.whole
    assert renewal.desk.exchanges() >= spent
    assert renewal.desk.itsm.model.refreshes.ended == set()


async def test_an_attempt_that_dies_between_answer_and_staging_is_a_lost_answer(renewal: Renewal) -> None:
    one = renewal.actor()
    assert await renewal.rest(one) is Phase.SETTLED
    began = renewal.desk.exchanges()

    def die(label: str) -> None:
        if renewal.desk.exchanges() > began:
            raise Crash(label)

    one.hook = die
    with pytest.raises(Crash):
        await renewal.rest(one)
    renewal.world.clock.move(60)
    two = renewal.actor("host-b")
    assert await renewal.rest(two) is Phase.AWAITING
    record = await renewal.world.record()
    assert "Authorise client" in record.awaiting
    published = renewal.world.consumer.secret("token")
    assert published
    assert renewal.desk.itsm.model.accepts_token(published)
    renewal.authorise()
    assert await renewal.rest(two) is Phase.SETTLED
    assert renewal.whole


async def test_a_refused_write_keeps_the_staged_one_until_it_can_be_written(renewal: Renewal) -> None:
    one = renewal.actor()
    renewal.document_store.refuse(StoreRefused("the policy lacks it"), Refused("sealed"), StoreRefused("still"))
    assert await renewal.rest(one) is Phase.SETTLED
    assert renewal.whole
    assert one.events.count("Staged") == 1
    assert one.events.count("Faulted") == 3


async def test_nobody_sees_the_refresh_token_in_journal_or_consumer_document(renewal: Renewal) -> None:
    one = renewal.actor()
    assert await renewal.rest(one) is Phase.SETTLED
    kept = Secret(str(renewal.document_store.values["refresh_token"]))
    seen = repr(renewal.world.consumer.values) + repr(await renewal.world.record())
    assert kept.reveal() not in seen


@pytest.mark.parametrize(
    ("preset", "ends", "status"), [("hydra", True, 401), ("hydra", True, 400), ("keycloak", False, 403)]
)
async def test_a_refresh_that_ends_the_token_before_it_is_a_cut_over_proven_at_once(
    world: World, preset: str, ends: bool, status: int
) -> None:
    clock: Any = world.clock
    async with desk.running(preset, clock) as running:
        running.itsm.model.refuses_with = status
        renewal = Renewal(world, running)
        renewal.authorise()
        one = renewal.actor()
        assert await renewal.rest(one) is Phase.SETTLED
        old = renewal.world.consumer.secret("token")
        assert old
        one.told.clear()
        assert await renewal.rest(one) is Phase.SETTLED
        events = {type(transition.event).__name__: transition for transition in one.told}
        cut_over = events["Installed"].after.cut_over_at
        assert cut_over is not None
        assert events["Published"].event.at - cut_over < timedelta(seconds=5)  # settle is a minute here
        record = await world.record()
        assert running.itsm.model.accepts_token(old) is not ends
        assert record.live == (1 if ends else 2)
        assert ("Retired" in events) is ends
        assert (record.ends_at is None) is ends
        assert renewal.whole


async def test_a_server_that_is_said_to_keep_the_token_before_it_is_waited_for(world: World) -> None:
    clock: Any = world.clock
    async with desk.running("keycloak", clock) as running:
        renewal = Renewal(world, running)
        renewal.authorise()
        one = renewal.actor()
        kept = running.bound("oauth-token", grant="refresh_token", refresh_token=KEPT, refresh_ends_access=False)
        one.dependencies = replace(one.dependencies, provider=kept)
        assert await renewal.rest(one) is Phase.SETTLED
        installed = next(each for each in one.told if type(each.event).__name__ == "Installed")
        assert installed.after.cut_over_at is None
        assert installed.after.ready_at is not None
