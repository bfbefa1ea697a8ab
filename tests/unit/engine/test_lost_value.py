"""What consumers no longer find is noticed by the next reconcile, told once, and dealt with as settings say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.ports import Transient, Unknown
from rotator.rotation.credential import OnForeign, Retirement
from rotator.rotation.procedures import operators
from rotator.rotation.record import HoldReason, Phase, Trigger
from rotator.rotation.rotation_request import RotationRequest
from tests.unit.engine.world import PLACE, Actor, World

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
OVERWRITE = OnForeign.OVERWRITE


async def resting(world: World, **changes) -> Actor:
    """An actor after the first rotation, with nothing to do for a month."""
    actor = world.actor(**changes)
    await actor.reconcile()
    actor.told.clear()
    world.clock.move(60)
    return actor


def lose(world: World, how: HoldReason) -> None:
    if how is HoldReason.DELETED:
        world.vault.delete(PLACE)
    else:
        world.vault.put(PLACE, {"token": "a stranger's"}, cas=world.consumer.version)


@pytest.mark.parametrize("how", [HoldReason.DELETED, HoldReason.FOREIGN_WRITE])
async def test_what_is_deleted_or_overwritten_holds_at_the_next_reconcile(world: World, how: HoldReason) -> None:
    actor = await resting(world)
    lose(world, how)
    written = world.consumer.version
    await actor.reconcile()
    await actor.reconcile()
    assert actor.events == ["Lost", "PutOnHold"]  # once
    record = await world.record()
    assert record.held
    assert (record.held.reason, record.held.state.phase) == (how, Phase.SETTLED)
    assert world.consumer.version == written  # I8: nothing of theirs is written over


async def test_a_path_whose_metadata_is_gone_is_lost_too(world: World) -> None:
    actor = await resting(world)
    world.vault.forget(PLACE)
    await actor.reconcile()
    record = await world.record()
    assert record.held
    assert record.held.reason is HoldReason.DELETED


@pytest.mark.parametrize("how", [HoldReason.DELETED, HoldReason.FOREIGN_WRITE])
async def test_where_settings_let_us_a_new_value_is_published_at_once(world: World, how: HoldReason) -> None:
    actor = await resting(world, on_foreign=OVERWRITE)
    lose(world, how)
    await actor.reconcile()
    assert actor.events[:2] == ["Lost", "Requested"]
    assert actor.told[1].told.said.endswith("; it replaces a value that consumers no longer find")
    assert world.healthy
    record = await world.record()
    assert (record.why, record.rotation, record.lost) == (Trigger.LOST, 2, None)


async def test_what_is_put_back_and_released_rests_again(world: World) -> None:
    actor = await resting(world)
    before = world.consumer.values or {}
    lose(world, HoldReason.FOREIGN_WRITE)
    await actor.reconcile()
    world.vault.put(PLACE, before, cas=world.consumer.version)
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile()
    assert actor.events == ["Lost", "PutOnHold", "Released"]
    assert (await world.record()).phase is Phase.SETTLED


async def test_what_is_released_and_still_missing_is_held_again(world: World) -> None:
    actor = await resting(world)
    lose(world, HoldReason.DELETED)
    await actor.reconcile()
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile()
    assert actor.events == ["Lost", "PutOnHold", "Released", "Lost", "PutOnHold"]


async def test_in_the_grace_of_a_predecessor_a_foreign_value_waits_for_its_end_and_is_then_replaced(
    world: World,
) -> None:
    actor = await resting(world, on_foreign=OVERWRITE, retire=Retirement(HOUR))
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    actor.told.clear()
    lose(world, HoldReason.FOREIGN_WRITE)
    await actor.reconcile()
    assert actor.events == ["Lost"]
    world.clock.move(HOUR)
    await actor.reconcile()
    await actor.reconcile()
    assert actor.events[:5] == ["Lost", "Condemned", "Retired", "Swept", "Requested"]
    assert world.healthy


async def test_a_deletion_that_is_taken_back_in_time_is_told_and_forgotten(world: World) -> None:
    actor = await resting(world, on_foreign=OVERWRITE, retire=Retirement(HOUR))
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    actor.told.clear()
    before = world.consumer.values or {}
    lose(world, HoldReason.FOREIGN_WRITE)
    await actor.reconcile()
    world.vault.put(PLACE, before, cas=world.consumer.version)
    await actor.reconcile()
    assert actor.events == ["Lost", "Returned"]
    assert (await world.record()).lost is None


async def test_a_lagging_node_is_not_believed_against_the_record(world: World) -> None:
    actor = await resting(world, retire=Retirement(HOUR))
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    actor.told.clear()
    actor.journal.store.stale(PLACE)  # it shows the predecessor
    await actor.reconcile()
    assert actor.events == []


async def test_a_look_that_fails_is_no_loss_and_keeps_no_lease(world: World) -> None:
    actor = await resting(world)
    actor.dependencies.store.fail("read", Transient("Vault is sealed"), place=PLACE)  # type: ignore[attr-defined]  # a fake
    with pytest.raises(Transient):
        await actor.reconcile()
    assert actor.events == []
    assert (await world.entry()).lease.holder == ""


async def test_a_look_costs_one_read_and_no_write(world: World) -> None:
    actor = await resting(world)
    reads: list[str] = []
    actor.hook = reads.append
    before = list(world.vault.history)
    await actor.reconcile()
    assert [label for label in reads if str(PLACE) in label and "before" in label] == [f"before read {PLACE}"]
    assert world.vault.history == before


async def test_a_rotation_says_whether_it_renews_a_good_value_or_replaces_a_dead_one(world: World) -> None:
    actor = await resting(world, retire=Retirement(timedelta(0)))
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert actor.told[0].told.said.endswith("; it renews a value that its target accepts")
    world.clock.move(60)
    await actor.reconcile()
    world.target.revoke((await world.record()).current.token)
    actor.told.clear()
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert actor.told[0].told.said.endswith("; it replaces a value that fails its proof at the target")
    world.clock.move(60)
    await actor.reconcile()
    actor.told.clear()
    world.target.fail("verify")
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert actor.told[0].told.said.endswith("; whether its target accepts the value until now is not known")


async def test_an_emergency_does_not_wait_for_a_proof_of_what_it_replaces(world: World) -> None:
    actor = await resting(world)
    world.target.calls.clear()
    await actor.reconcile(RotationRequest(world.clock.now(), "ada", emergency=True))
    assert world.target.calls.index("mint") < world.target.calls.index("verify")


async def test_a_value_known_to_be_refused_is_not_shown_again(world: World) -> None:
    actor = await resting(world)
    record = await world.record()
    entry = await actor.journal.load("blog/bot")
    await actor.journal.save(entry, replace(record, refused_at=world.clock.now()), entry.lease)
    world.target.calls.clear()
    await actor.reconcile()
    assert actor.told[0].told.said.endswith("; it replaces a value that fails its proof at the target")
    assert world.target.calls.index("mint") < world.target.calls.index("verify")


async def test_a_target_that_wants_to_be_called_later_is_not_told_to_mint(world: World) -> None:
    actor = await resting(world)
    world.target.judge = lambda token, secret: Unknown("429", 20.0)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert actor.events == ["Faulted"]
    assert "mint" not in world.target.calls[1:]
