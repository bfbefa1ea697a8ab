"""What operators asked for is in Vault: whoever visits next takes it up, once and whole, whatever crashes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.ports import Transient
from rotator.rotation.credential import Pause, Retirement
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import HoldReason, Phase
from rotator.rotation.rotation_request import as_rotation_request
from rotator.rotation.schedule import Every
from rotator.rotation.steps import Wait
from tests.kit.provider import When
from tests.kit.requests import FakeRequests
from tests.kit.store import FakeStore
from tests.unit.engine.test_foreign_journals import rounds_of
from tests.unit.engine.world import TTL, Actor, Crash, World

pytestmark = pytest.mark.anyio
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


async def actor_of(world: World, holder: str = "host-a", **changes) -> Actor:
    """A process that has looked for requests."""
    actor = world.actor(holder, **{"retire": Retirement(HOUR), **changes})
    actor.reconciler.requests = FakeRequests(actor.journal.store)
    await actor.reconciler.requests.look()
    return actor


async def wish(
    world: World, verb: RequestVerb = RequestVerb.ROTATE, request_id: str = "w1", **changes
) -> OperatorRequest:
    """What another process wrote down before it died."""
    request = OperatorRequest(request_id, verb, world.clock.now(), "ada", **changes)
    await FakeRequests(FakeStore(world.vault)).put("blog/bot", request)
    return request


async def waiting(world: World) -> frozenset[str]:
    return await FakeRequests(FakeStore(world.vault)).look()


async def in_grace(world: World) -> None:
    """Two values live: the second is published, the first in its grace."""
    actor = await actor_of(world)
    await actor.reconcile()
    world.clock.move(1)
    await wish(world, request_id="first")
    await actor.reconciler.requests.look()
    await actor.reconcile()
    world.clock.move(1)
    assert (await world.record()).phase is Phase.PUBLISHED
    assert len(world.target.living()) == 2


async def test_an_emergency_is_carried_out_by_whoever_comes_next_and_every_value_that_was_live_is_dead(
    world: World,
) -> None:
    await in_grace(world)
    leaked = {token.id for token in world.target.living()}
    await wish(world, emergency=True)
    actor = await actor_of(world, "host-b")
    await actor.reconcile()
    assert not leaked & {token.id for token in world.target.living()}
    assert world.healthy
    assert "RequestTaken" in actor.events
    assert (await world.record()).asked is None
    assert await waiting(world) == frozenset()


async def test_killed_anywhere_an_emergency_is_carried_out_once_and_whole(world: World) -> None:
    for number in range(200):
        world = World()
        await in_grace(world)
        leaked = {token.id for token in world.target.living()}
        await wish(world, emergency=True)
        rotation = (await world.record()).rotation
        if not await killed_at(world, number):
            break
        for _ in range(12):
            world.clock.move(TTL)
            await (await actor_of(world, "host-b")).reconcile()
        assert not leaked & {token.id for token in world.target.living()}, number
        assert len(world.target.living()) == 1
        assert world.healthy
        record = await world.record()
        assert (record.rotation, record.asked, record.phase) == (rotation + 1, None, Phase.SETTLED), number
        assert [each.id for each in record.taken] == ["first", "w1"]
        assert await waiting(world) == frozenset()
    assert number > 20


async def killed_at(world: World, number: int) -> bool:
    """A visit whose process dies at its n-th boundary; False when it has fewer."""
    actor, calls = await actor_of(world, "host-b"), 0

    def hook(label: str) -> None:
        nonlocal calls
        if calls == number:
            raise Crash(label)
        calls += 1

    actor.hook = hook
    try:
        await actor.reconcile()
    except Crash:
        return True
    return False


async def test_while_another_process_works_on_it_the_request_waits_and_its_check_and_set_holds(world: World) -> None:
    holder = await actor_of(world)
    await holder.reconcile()
    entry = await world.entry()
    entry = await holder.journal.save(entry, entry.record, holder.reconciler.leases.stamp(entry))
    await wish(world, emergency=True)
    other = await actor_of(world, "host-b")
    seen = await other.reconcile()
    assert "worked on by host-a" in seen.wait.reason
    assert await waiting(world) == {"blog/bot"}
    await holder.journal.save(entry, entry.record, holder.reconciler.leases.stamp(entry, release=True))
    await other.reconcile()
    assert other.events[0] == "RequestTaken"


async def test_one_that_lands_once_more_after_it_was_taken_up_is_removed_and_changes_nothing(world: World) -> None:
    actor = await actor_of(world)
    await actor.reconcile()
    world.clock.move(1)
    request = await wish(world, emergency=True)
    await (await actor_of(world)).reconcile()
    rotation = (await world.record()).rotation
    await FakeRequests(FakeStore(world.vault)).put("blog/bot", request)
    actor = await actor_of(world, "host-b")
    await actor.reconcile()
    assert actor.events == []
    assert (await world.record()).rotation == rotation
    assert await waiting(world) == frozenset()


async def test_a_plain_request_in_a_grace_is_declined_with_the_time_and_a_patient_one_waits_and_rotates(
    world: World,
) -> None:
    await in_grace(world)
    await wish(world)
    actor = await actor_of(world)
    await actor.reconcile()
    assert actor.events == ["RequestDeclined"]
    refused = (await world.record()).taken[-1].refused
    assert "in grace until 2026-03-01 13:00:01Z at the earliest; --wait waits for that" in refused
    await wish(world, request_id="w2", patient=True)
    await (await actor_of(world)).reconcile()
    assert (await world.record()).asked.id == "w2"
    world.clock.move(HOUR)
    late = await actor_of(world, "host-b")
    await late.reconcile()
    assert [each for each in late.events if each in ("Retired", "Published")] == ["Retired", "Published"]
    assert (await world.record()).asked is None


@pytest.mark.parametrize("late", [timedelta(0), MINUTE])
async def test_at_the_end_of_a_grace_what_is_declined_is_not_done_by_whoever_waits_for_it(
    world: World, late: timedelta
) -> None:
    """The visit that declines it ends the predecessor, and after that nothing stands in the way of a rotation."""
    await in_grace(world)
    world.clock.move((await world.record()).current.at + HOUR + late - world.clock.now())
    request = await wish(world)
    actor = await actor_of(world)
    await actor.reconcile(as_rotation_request(request))
    assert actor.events[0] == "RequestDeclined"
    assert "Retired" in actor.events
    assert "Requested" not in actor.events, "nothing comes of it, it was said"
    assert "grace is over, and its end comes first" in (await world.record()).taken[-1].refused


async def test_what_a_visit_declined_is_not_done_by_the_next_which_who_waits_brings_about(world: World) -> None:
    """A target whose tokens were not listed yet is listed by the first visit, and the record is read again."""
    await in_grace(world)
    world.clock.move((await world.record()).current.at + HOUR - world.clock.now())
    request = await wish(world)
    actor = await actor_of(world)
    guard = rounds_of(actor, world)
    seen = await guard.attend(actor.credential, as_rotation_request(request))
    assert "Retired" in actor.events
    assert "Requested" not in actor.events, "nothing comes of it, it was said"
    assert seen.record
    assert seen.record.taken[-1].refused


async def test_pause_resume_and_undo_are_taken_up_in_the_order_of_asking(world: World) -> None:
    await in_grace(world)
    await wish(world, RequestVerb.RESUME, "c", reason="nothing to resume")
    world.clock.move(1)
    await wish(world, RequestVerb.PAUSE, "b", reason="frozen")
    world.clock.move(1)
    await wish(world, RequestVerb.UNDO, "a")
    actor = await actor_of(world)
    await actor.reconcile()
    assert actor.events == ["RequestTaken", "Paused", "UndoBegun", "Restored", "Verified", "Published"]
    record = await world.record()
    assert [each.id for each in record.taken][-3:] == ["c", "b", "a"]
    assert record.paused.reason == "frozen"


async def test_an_undo_that_cannot_be_is_declined_and_one_whose_target_is_silent_waits(world: World) -> None:
    actor = await actor_of(world)
    await actor.reconcile()
    await wish(world, RequestVerb.UNDO)
    actor = await actor_of(world)
    await actor.reconcile()
    assert "no rotation to take back" in (await world.record()).taken[-1].refused
    world = World()
    await in_grace(world)
    world.clock.move(HOUR)
    await (await actor_of(world)).reconcile()
    await wish(world, RequestVerb.UNDO, "w2")
    world.target.fail("inspect", Transient("silence"))
    actor = await actor_of(world)
    await actor.reconcile()
    assert actor.events == []
    assert await waiting(world) == {"blog/bot"}


async def test_a_hold_for_a_foreign_value_names_its_command_and_the_emergency_goes_on_after_it(world: World) -> None:
    actor = await actor_of(world)
    await actor.reconcile()
    ours = world.consumer.values
    world.vault.put(actor.credential.place, {"token": "by hand"}, None)
    world.clock.move(1)
    await wish(world, emergency=True)
    await (await actor_of(world)).reconcile()
    record = await world.record()
    assert "`rotate adopt blog/bot` keeps it; else " in record.held.text
    assert record.held.text.endswith("put our value back; then `rotate release blog/bot`")
    leaked = record.current.token
    world.vault.put(actor.credential.place, ours, None)
    await wish(world, RequestVerb.RELEASE, "w2")
    actor = await actor_of(world)
    await actor.reconcile()
    assert leaked not in world.target.living()
    assert world.healthy


async def spent(world: World) -> Actor:
    """A credential whose schedule has used up its mints: the value is published, and due, and held."""
    actor = await actor_of(world, schedule=Every(HOUR, jitter=0), retire=Retirement(timedelta(0)))
    await actor.reconcile()
    while (await world.record()).phase is not Phase.HELD:
        world.target.fail("mint", Transient("no answer"), When.AFTER)
        world.clock.move(HOUR)
        await actor.reconcile()
    world.target.recover()
    return actor


async def test_an_emergency_has_mints_of_its_own_and_is_not_stopped_by_those_that_the_schedule_used_up(
    world: World,
) -> None:
    await spent(world)
    record = await world.record()
    assert record.held.reason is HoldReason.MINT_BUDGET
    assert "`rotate release blog/bot` begins the count anew" in record.held.text
    assert "for a leak `rotate revoke blog/bot`" in record.held.text
    leaked = record.current.token
    world.clock.move(1)
    await wish(world)
    actor = await actor_of(world)
    await actor.reconcile()
    assert (await world.record()).taken[-1].refused == record.held.text
    await wish(world, request_id="w2", emergency=True)
    actor = await actor_of(world)
    await actor.reconcile()
    assert world.healthy
    assert leaked not in world.target.living()


async def test_what_a_person_asked_for_and_ended_well_does_not_count(world: World) -> None:
    actor = await actor_of(world, retire=Retirement(timedelta(0)))
    await actor.reconcile()
    for number in range(20):
        world.clock.move(MINUTE)
        await wish(world, request_id=f"w{number}", emergency=number % 2 == 0)
        actor = await actor_of(world, retire=Retirement(timedelta(0)))
        await actor.reconcile()
        assert "Published" in actor.events, number
    record = await world.record()
    assert (len(record.mints), record.emergency_mints) == (1, ())


async def test_an_emergency_that_fails_is_tried_again_and_held_after_six_mints_of_its_own(world: World) -> None:
    actor = await actor_of(world)
    await actor.reconcile()
    world.clock.move(1)
    await wish(world, emergency=True)
    actor = await actor_of(world)
    for _ in range(60):
        world.target.fail("mint", Transient("no answer"), When.AFTER)
        await actor.reconcile()
        world.clock.move(HOUR / 4)
        if (record := await world.record()).phase is Phase.HELD:
            break
    assert record.held.text.startswith("6 mints in emergencies in 24 h, 6 allowed")
    assert len(record.mints) == 1
    await wish(world, RequestVerb.RELEASE, "w2")
    leaked = record.current.token
    actor = await actor_of(world)
    world.target.recover()
    await actor.reconcile()
    assert leaked not in world.target.living()
    assert (await world.record()).asked is None


async def test_what_the_installation_pauses_begins_no_rotation_and_an_emergency_passes(world: World) -> None:
    frozen = Pause("bob", world.clock.now(), "frozen")
    actor = await actor_of(world, paused=frozen)
    seen = await actor.reconcile()
    assert seen.wait == Wait(None, f"paused by bob since {world.clock.now():%F %T}Z until somebody resumes it: frozen")
    await wish(world)
    actor = await actor_of(world, paused=frozen)
    await actor.reconcile()
    assert actor.events == ["RequestDeclined"]
    world.clock.move(1)
    await wish(world, request_id="w2", emergency=True)
    actor = await actor_of(world, paused=frozen)
    await actor.reconcile()
    assert world.healthy
