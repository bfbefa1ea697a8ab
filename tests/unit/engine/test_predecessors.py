"""What is said for the end of a predecessor, and what keeps it alive, when its successor is not what consumers read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.engine.context import RotationContext
from rotator.engine.procedure_driver import run
from rotator.ports import CannotPresent, Minted, Rejected, Verdict
from rotator.rotation.credential import Limits, OnForeign, Retirement
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.phases import PublishedState
from rotator.rotation.procedures import operators
from rotator.rotation.procedures.consumer_path import look
from rotator.rotation.procedures.publish import judged
from rotator.rotation.record import HoldReason, Phase, Token
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from tests.kit.provider import FakeProvider
from tests.kit.slots import SlotProvider, Slots
from tests.unit.engine.world import PLACE, SLOT, Actor, World

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
ENDS = ["Condemned", "Retired", "Swept"]
LOST = "settings have no `transit_key` any more"
ALLOWED = "not proven: the path holds another's value, and on_foreign allows it"


class Unshown(FakeProvider):
    """Of a target whose values cannot be shown from here any more."""

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        raise CannotPresent(LOST)


async def after_its_grace(world: World, **changes: object) -> Actor:
    """An actor at the end of the grace of a second rotation."""
    actor = world.actor(retire=Retirement(HOUR), **changes)
    await actor.reconcile()
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(HOUR)
    actor.told.clear()
    return actor


async def held(world: World) -> str:
    record = await world.record()
    assert record.held
    assert record.held.reason is HoldReason.FOREIGN_WRITE
    return record.held.text


# what cannot be shown


async def test_a_published_value_that_cannot_be_shown_neither_holds_its_predecessor_up_nor_counts_as_refused(
    world: World,
) -> None:
    actor = await after_its_grace(world)
    actor.dependencies = replace(actor.dependencies, provider=Unshown(world.target))
    await actor.reconcile()
    record = await world.record()
    assert actor.events == ENDS
    assert f"not proven: the value cannot be shown from here ({LOST}), 1:00:00 since" in record.evidence
    assert "successor proven" not in record.evidence
    assert (record.phase, record.refused_at) == (Phase.SETTLED, None)


async def test_a_candidate_that_cannot_be_shown_is_given_up_and_not_waited_for(world: World) -> None:
    actor = world.actor()
    actor.dependencies = replace(actor.dependencies, provider=Unshown(world.target))
    await actor.reconcile()
    assert actor.events[:4] == ["Requested", "Staged", "CandidateRejected", "Burned"]
    record = await world.record()
    assert (record.failure.step, record.slot_full, record.retry_at > world.clock.now()) == ("verify", False, True)
    kept = [number for number in range(1, record.slot_version + 1) if world.vault.get(SLOT, number).values]
    assert (record.slot_version, kept) == (3, []), "the values of all three attempts are destroyed, before the pause"
    context = RotationContext(actor.dependencies, actor.credential)
    verdict = await run(context, judged("blog", Token("1"), Secret("canary-unshown")))
    assert verdict == Rejected(LOST, final=True)


class Moved(SlotProvider):
    """Of a target with one place, where the value of `lost` cannot be shown from here."""

    lost: Secret | None = None

    async def install(self, minted: Minted) -> Token:
        self._shown(minted.secret)
        return await super().install(minted)

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        self._shown(secret)
        return await super().verify(token, secret)

    def _shown(self, secret: Secret) -> None:
        if self.lost and self.lost.matches(secret):
            raise CannotPresent(LOST)


async def test_where_the_old_value_cannot_be_shown_to_be_put_back_a_new_one_is_told_instead(world: World) -> None:
    target = Slots(world.clock.now, 1)
    provider = Moved(target)
    limits = Limits(settle=timedelta(0), mints_per_rotation=1)
    actor = world.actor(retire=Retirement(timedelta(0)), lifetime=None, limits=limits)
    actor.dependencies = replace(actor.dependencies, provider=provider)
    await actor.reconcile()
    provider.lost, target.refuses = world.consumer.secret("token"), True
    actor.told.clear()
    world.clock.move(1)
    for wish in (RotationRequest(world.clock.now(), "ada"), *[None] * 6):
        await actor.reconcile(wish)
        world.clock.move(60)
    assert actor.events[3:9] == ["CandidateRejected", *["Faulted"] * 4, "Burned"]
    secret = world.consumer.secret("token")
    assert secret
    assert target.accepts(secret)


# under on_foreign = "overwrite"


@pytest.mark.parametrize("step", ["Condemn", "Revoke"])
async def test_a_deleted_path_holds_the_predecessor_whatever_may_be_written_over(world: World, step: str) -> None:
    actor = await after_its_grace(world, on_foreign=OnForeign.OVERWRITE)
    begin_with(world, actor, step, lambda: world.vault.delete(PLACE))
    await actor.reconcile()
    assert "undelete its newest version, or, where that was destroyed" in await held(world)
    assert len(world.target.living()) == 2
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile(RotationRequest(world.clock.now(), "ada", emergency=True))
    await held(world)
    world.vault.undelete(PLACE, world.consumer.version)
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile()
    record = await world.record()
    assert record.phase is Phase.SETTLED
    assert "successor proven" in record.evidence
    assert world.healthy


async def test_a_destroyed_version_has_a_way_out_too(world: World) -> None:
    actor = await after_its_grace(world, on_foreign=OnForeign.OVERWRITE)
    world.vault.destroy(PLACE, (world.consumer.version,))
    world.vault.delete(PLACE)
    await actor.reconcile()
    assert "delete the path's metadata" in await held(world)
    world.vault.forget(PLACE)
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile()
    assert "not proven: the path holds no value, and on_foreign" in (await world.record()).evidence
    await actor.reconcile(RotationRequest(world.clock.now() + timedelta(seconds=1), "ada"))
    assert world.healthy


@pytest.mark.parametrize("step", ["Condemn", "Revoke"])
async def test_where_another_value_may_be_written_over_nothing_is_said_to_be_proven(world: World, step: str) -> None:
    actor = await after_its_grace(world, on_foreign=OnForeign.OVERWRITE)
    begin_with(world, actor, step, lambda: world.vault.overwrite(PLACE, {"token": "canary-foreign"}))
    await actor.reconcile()
    evidence = (await world.record()).evidence
    assert actor.events == ENDS
    assert ALLOWED in evidence
    assert ("(when it was condemned: successor proven" if step == "Revoke" else "1:00:00 since") in evidence
    assert evidence.count("successor proven") == (step == "Revoke")


def begin_with(world: World, actor: Actor, step: str, happens: object) -> None:
    """Let it happen right before this step looks."""
    assert callable(happens)
    if step == "Condemn":
        happens()
        return
    once = [happens]

    def hook(label: str) -> None:
        if actor.events[-1:] == ["Condemned"] and once:
            once.pop()()

    actor.hook = hook


# a key that settings name anew


async def moved(world: World, to: str) -> Actor:
    """Rotated under another key than the one before, and at the end of the grace."""
    actor = world.actor(retire=Retirement(HOUR), on_foreign=OnForeign.OVERWRITE)
    await actor.reconcile()
    actor.credential = replace(actor.credential, key=to)
    world.clock.move(1)
    await actor.reconcile()
    world.clock.move(HOUR)
    actor.told.clear()
    return actor


async def test_a_predecessor_that_was_put_back_under_its_own_key_is_not_ended(world: World) -> None:
    actor = await moved(world, "password")
    world.vault.overwrite(PLACE, world.vault.get(PLACE, 1).values or {})
    await actor.reconcile()
    assert "put our value back; then `rotate release blog/bot`" in await held(world)
    assert len(world.target.living()) == 2


async def test_a_predecessor_that_was_put_back_under_the_new_key_is_not_ended(world: World) -> None:
    actor = await moved(world, "password")
    world.vault.overwrite(PLACE, {"password": (world.vault.get(PLACE, 1).values or {})["token"]})
    await actor.reconcile()
    assert "put our value back; then `rotate release blog/bot`" in await held(world)
    assert len(world.target.living()) == 2


async def test_what_others_keep_under_a_key_that_settings_name_in_the_grace_is_in_the_way_of_the_next_one_only(
    world: World,
) -> None:
    actor = await after_its_grace(world)
    world.vault.overwrite(PLACE, {**(world.consumer.values or {}), "password": "canary-theirs"})
    actor.credential = replace(actor.credential, key="password")
    await actor.reconcile()
    assert actor.events == [*ENDS, "PutOnHold"]
    assert "holds a value that we did not write" in await held(world)
    assert "successor proven" in (await world.record()).evidence
    bench = RotationContext(actor.dependencies, actor.credential)
    _, content = await run(bench, look(bench.observed(), replace(await world.record(), state=PublishedState())))
    assert content is ConsumerContent.CURRENT
