"""One reconcile: a whole rotation, journalled before every effect, and the time of the next look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.ports import MinterRefused, Refused, Transient
from rotator.rotation.credential import OnForeign, Retirement
from rotator.rotation.procedures import operators
from rotator.rotation.record import HoldReason, Phase
from rotator.rotation.rotation_request import RotationRequest
from tests.unit.engine.world import JOURNAL, PLACE, SLOT, Actor, World

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
FIRST = ["Requested", "Staged", "Verified", "Published", "Swept"]
SECOND = ["Requested", "Staged", "Verified", "Published"]
LAST = ["Condemned", "Retired", "Swept"]


async def rotated(world: World, **changes) -> Actor:
    """An actor in a world in which the first rotation is over, and forgotten."""
    actor = world.actor(**changes)
    await actor.reconcile()
    actor.told.clear()
    world.target.calls.clear()
    return actor


def asked(world: World, *, emergency: bool = False) -> RotationRequest:
    """Somebody asks, a second later."""
    world.clock.move(1)
    return RotationRequest(world.clock.now(), "ada", emergency)


async def test_the_first_visit_publishes_a_value_that_the_target_accepts_and_empties_the_slot(world: World) -> None:
    actor = world.actor()
    seen = await actor.reconcile()
    assert actor.events == FIRST
    assert world.healthy
    assert world.vault.get(SLOT).deleted
    assert seen.record == await world.record()
    assert seen.wait.until == world.clock.now() + timedelta(days=30)


async def test_what_is_published_says_where_it_comes_from(world: World) -> None:
    await world.actor().reconcile()
    values, token = world.consumer.values, (await world.record()).current.token
    assert (values["rotation"], values["provider_id"]) == ("1", token.id)
    assert values["issued_at"] == token.issued_at.isoformat()
    assert values["expires_at"] == token.expires_at.isoformat()


async def test_a_second_visit_with_nothing_to_do_writes_nothing_and_calls_nobody(world: World) -> None:
    actor = await rotated(world)
    before = list(world.vault.history)
    await actor.reconcile()
    assert world.vault.history == before
    assert world.target.calls == []


async def test_a_rotation_leaves_the_predecessor_its_grace_then_ends_it_and_proves_it_dead(world: World) -> None:
    actor = await rotated(world)
    old = world.consumer.secret("token")
    seen = await actor.reconcile(asked(world))
    assert actor.events == SECOND
    assert seen.wait.until == world.clock.now() + HOUR
    assert world.target.accepts(old)
    world.clock.move(HOUR)
    await actor.reconcile()
    assert actor.events == SECOND + LAST
    assert not world.target.accepts(old)
    assert world.healthy
    assert len(world.target.living()) == 1


async def test_an_emergency_ends_the_predecessor_in_the_same_visit(world: World) -> None:
    actor = await rotated(world)
    await actor.reconcile(asked(world, emergency=True))
    assert actor.events == SECOND + LAST
    assert len(world.target.living()) == 1


async def test_a_predecessor_in_use_stays_until_it_was_quiet_long_enough(world: World) -> None:
    quiet = Retirement(after=HOUR, quiet=timedelta(minutes=15), deadline=timedelta(days=1))
    actor = await rotated(world, retire=quiet)
    old = world.consumer.secret("token")
    await actor.reconcile(asked(world))
    world.clock.move(HOUR)
    world.target.use(old)
    seen = await actor.reconcile()
    assert actor.events == [*SECOND, "Deferred"]
    assert seen.wait.until == world.clock.now() + timedelta(minutes=15)
    world.clock.move(timedelta(minutes=15))
    await actor.reconcile()
    assert actor.events[-3:] == LAST


async def test_every_effect_is_journalled_before_the_request_leaves(world: World) -> None:
    actor, phases = await rotated(world), {}

    def look(label: str) -> None:
        values = world.vault.get(JOURNAL).values
        phases.setdefault(label, (values["phase"], values["lease"]["holder"]))

    actor.hook = look
    await actor.reconcile(asked(world, emergency=True))
    assert phases["mint: sent"] == ("requested", "host-a")
    assert phases[f"before write {SLOT}"] == ("requested", "host-a")
    assert phases[f"before write {PLACE}"] == ("verified", "host-a")
    assert phases["revoke: sent"] == ("condemned", "host-a")
    assert phases[f"before destroy {SLOT}"] == ("condemned", "host-a")


async def test_each_transition_is_told_once_after_it_was_saved(world: World) -> None:
    actor = world.actor()
    saved = []
    actor.reconciler.tell = lambda transition: saved.append((transition, world.vault.get(JOURNAL).values["phase"]))
    await actor.reconcile()
    assert [phase for _, phase in saved] == [transition.after.phase for transition, _ in saved]
    assert [transition.before for transition, _ in saved[1:]] == [transition.after for transition, _ in saved[:-1]]


async def test_the_lease_is_given_back_when_there_is_only_waiting_left(world: World) -> None:
    actor = await rotated(world)
    assert (await world.entry()).lease.holder == ""
    await actor.reconcile(asked(world))
    assert (await world.record()).phase is Phase.PUBLISHED
    assert (await world.entry()).lease.holder == ""


async def test_a_stop_ends_the_visit_between_two_steps_and_gives_the_lease_back(world: World) -> None:
    actor = world.actor()
    actor.reconciler.stopping = lambda: len(actor.told) == 2
    seen = await actor.reconcile()
    assert actor.events == ["Requested", "Staged"]
    assert seen.wait.reason == "stopping"
    assert (await world.entry()).lease.holder == ""
    actor.reconciler.stopping = lambda: False
    await actor.reconcile()
    assert actor.events == FIRST


async def test_a_minter_the_target_refuses_is_reported_and_the_target_left_alone(world: World) -> None:
    world.target.fail("mint", MinterRefused("the minter is refused (401)"))
    actor = world.actor()
    seen = await actor.reconcile()
    assert seen.refused.reason == "the minter is refused (401)"
    assert actor.events == ["Requested", "MintRefused"]
    assert world.target.calls == ["mint"]
    assert seen.record.phase is Phase.SETTLED
    assert (await world.entry()).lease.holder == ""


async def test_a_minter_refused_elsewhere_than_at_minting_is_reported_and_the_step_tried_again(world: World) -> None:
    actor = await rotated(world)
    world.target.fail("revoke", MinterRefused("the minter is refused (401)"))
    seen = await actor.reconcile(asked(world, emergency=True))
    assert seen.refused
    assert actor.events[-2:] == ["Condemned", "Faulted"]
    assert seen.record.phase is Phase.CONDEMNED
    world.clock.move(60)
    await actor.reconcile()
    assert actor.events[-2:] == ["Retired", "Swept"]


async def test_a_target_that_does_not_answer_a_proof_is_asked_again_after_a_pause(world: World) -> None:
    world.target.fail("verify")
    actor = world.actor()
    seen = await actor.reconcile()
    assert actor.events == ["Requested", "Staged", "Faulted"]
    assert world.clock.now() < seen.wait.until <= world.clock.now() + timedelta(seconds=1)
    world.clock.move(1)
    await actor.reconcile()
    assert actor.events[3:] == FIRST[2:]


async def test_a_value_of_somebody_else_on_the_consumer_path_is_held_not_overwritten(world: World) -> None:
    actor = await rotated(world)
    world.vault.overwrite(PLACE, {"token": "canary-foreign"})
    seen = await actor.reconcile(asked(world))
    assert seen.record.held.reason is HoldReason.FOREIGN_WRITE
    assert seen.wait.until is None
    assert world.consumer.values == {"token": "canary-foreign"}
    assert "mint" not in world.target.calls


async def test_keys_of_others_in_the_consumer_document_survive(world: World) -> None:
    world.vault.overwrite(PLACE, {"url": "https://blog.example"})
    await world.actor().reconcile()
    assert world.consumer.values["url"] == "https://blog.example"
    assert world.healthy


@pytest.mark.parametrize("fault", [Transient("Vault is sealed"), Refused("a newer schema")])
async def test_without_a_journal_a_visit_does_nothing(world: World, fault) -> None:
    actor = world.actor()
    actor.journal.store.fail("read", fault, place=JOURNAL)
    with pytest.raises(type(fault), match=fault.reason):
        await actor.reconcile()
    assert world.vault.history == []
    assert world.target.calls == []


async def after_its_grace(world: World) -> Actor:
    """An actor at the end of the grace of a second rotation."""
    actor = world.actor(retire=Retirement(HOUR))
    await actor.reconcile()
    await actor.reconcile(asked(world))
    world.clock.move(HOUR)
    actor.told.clear()
    return actor


async def released(actor: Actor) -> None:
    """A person lets us write over what is there."""
    actor.credential = replace(actor.credential, on_foreign=OnForeign.OVERWRITE)
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    await actor.reconcile()


async def test_where_the_published_value_is_lost_a_person_may_let_the_predecessor_go_for_a_new_one(
    world: World,
) -> None:
    actor = await after_its_grace(world)
    world.vault.forget(PLACE)
    await actor.reconcile()
    held = (await world.record()).held
    assert held
    assert 'or set on_foreign = "overwrite": a new one follows once the predecessor is dead' in held.text
    assert held.text.endswith("; then `rotate release blog/bot`")
    assert len(world.target.living()) == 2
    await released(actor)
    assert actor.events == ["PutOnHold", "Released", *LAST]
    await actor.reconcile(asked(world))
    assert actor.events[5:] == SECOND
    assert world.healthy


async def test_a_predecessor_that_somebody_put_back_is_not_ended_whatever_may_be_written_over(world: World) -> None:
    actor = await after_its_grace(world)
    first = world.vault.get(PLACE, 1)
    world.vault.put(PLACE, first.values or {}, cas=world.consumer.version)
    await actor.reconcile()
    await released(actor)
    assert actor.events == ["PutOnHold", "Released", "PutOnHold"]
    assert world.healthy
