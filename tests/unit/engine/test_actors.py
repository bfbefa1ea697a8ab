"""Several actors and several clocks: takeover, renewal, conflicts, crashes, skew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.engine.lease import LEAVE, RENEW, TAKE_OVER
from rotator.ports import Conflict, Lease
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.record import Phase
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from tests.unit.engine.world import JOURNAL, PLACE, SLOT, TTL, Actor, Crash, World, crash_at

pytestmark = pytest.mark.anyio

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
PATIENCE = TTL * TAKE_OVER
SETTLE = Limits().settle.total_seconds()


async def crashed(world: World, label: str) -> Actor:
    """The actor host-a, dead at this point of its first visit."""
    dead = world.actor("host-a")
    dead.hook = crash_at(label)
    with pytest.raises(Crash):
        await dead.reconcile()
    return dead


async def test_another_takes_over_only_after_the_patience_on_its_own_monotonic_clock(world: World) -> None:
    await crashed(world, "mint: sent")
    world.target.calls.clear()
    other = world.actor("host-b")
    seen = await other.reconcile()
    until = world.clock.now() + timedelta(seconds=PATIENCE)
    assert seen.wait.reason == f"worked on by host-a, which is followed at {until:%T}Z unless it gives a sign"
    assert seen.wait.until == world.clock.now() + timedelta(seconds=PATIENCE)
    world.clock.wall += timedelta(days=1)
    world.clock.move(PATIENCE - 1)
    assert "worked on by host-a" in (await other.reconcile()).wait.reason
    assert world.target.calls == []
    world.clock.move(1)
    await other.reconcile()
    assert world.healthy
    assert len(world.target.living()) == 1


async def test_a_holder_that_goes_on_writing_is_never_taken_over(world: World) -> None:
    await crashed(world, "mint: sent")
    other = world.actor("host-b")
    for _ in range(5):
        assert "worked on by host-a" in (await other.reconcile()).wait.reason
        world.clock.move(PATIENCE - 1)
        entry = await world.entry()
        await other.journal.save(entry, entry.record, replace(entry.lease, seq=entry.lease.seq + 1))
    assert other.told == []


async def test_the_holder_itself_goes_on_at_once_after_a_restart(world: World) -> None:
    await crashed(world, f"after write {SLOT}")
    again = world.actor("host-a")
    assert (await again.reconcile()).wait.reason == "a mint may still be on its way"
    world.clock.move(SETTLE)
    await again.reconcile()
    assert again.events == ["Staged", "Verified", "Published", "Swept"]


async def test_a_holder_that_is_proven_to_have_ended_is_followed_at_once_and_its_last_request_waited_for(
    world: World,
) -> None:
    """A restart every half minute starved who waited for five quarters of a lease: no process lived long enough."""
    dead = world.actor("host-a")
    dead.reconciler.leases.lock, dead.hook = "lock-a", crash_at("mint: sent")
    with pytest.raises(Crash):
        await dead.reconcile()
    world.clock.move(TTL * LEAVE)  # the mint may have left as late as this, an instant ago
    other = world.actor("host-b")
    other.reconciler.leases.has_ended = lambda lock: lock == "lock-a"
    world.target.calls.clear()
    assert (await other.reconcile()).wait.reason == "a mint may still be on its way"
    world.clock.move(SETTLE - 1)
    await other.reconcile()
    assert world.target.calls == []
    world.clock.move(1)
    await other.reconcile()
    assert world.healthy
    assert len(world.target.living()) == 1


async def test_a_lock_that_proves_nothing_is_waited_for_like_none(world: World) -> None:
    dead = world.actor("host-a")
    dead.reconciler.leases.lock, dead.hook = "lock-a", crash_at(f"before write {PLACE}")
    with pytest.raises(Crash):
        await dead.reconcile()
    other = world.actor("host-b")
    other.reconciler.leases.has_ended = lambda lock: lock == "lock-b"
    assert (await other.reconcile()).wait.reason.startswith("worked on by host-a")


POINTS = [
    "mint: sent",
    "mint: done",
    f"before write {SLOT}",
    f"after write {SLOT}",
    "verify: sent",
    f"before write {PLACE}",
    f"after write {PLACE}",
    f"before destroy {SLOT}",
    f"after write {JOURNAL}",
]


@pytest.mark.parametrize("point", POINTS)
async def test_wherever_the_first_actor_dies_the_next_ends_with_one_living_token_that_is_published(world, point):
    await crashed(world, point)
    other = world.actor("host-b")
    for _ in range(6):
        await other.reconcile()
        world.clock.move(PATIENCE)
    assert (await world.record()).phase is Phase.SETTLED
    assert world.healthy
    assert [token.id for token in world.target.living()] == [world.consumer.text("provider_id")]


async def seqs(world: World, slowness: float) -> int:
    """How often the journal is written in a first visit that is slow after each step."""
    actor = world.actor()
    actor.reconciler.tell = lambda transition: world.clock.move(slowness)
    await actor.reconcile()
    return (await world.entry()).lease.seq


async def test_before_an_effect_the_lease_is_renewed_when_the_last_write_is_too_old() -> None:
    quick = await seqs(World(), TTL * RENEW)
    slow = await seqs(World(), TTL * RENEW + 1)
    assert slow == quick + 3  # before minting, publishing, sweeping; verifying has no effect


async def test_a_visit_that_begins_with_an_effect_claims_the_lease_first(world: World) -> None:
    dead = await crashed(world, f"before destroy {SLOT}")
    before, held = (await world.entry()).lease, []
    again, world_lease = world.actor("host-a"), lambda: world.vault.get(JOURNAL).values["lease"]
    again.hook = lambda label: held.append(world_lease()) if label == f"before destroy {SLOT}" else None
    await again.reconcile()
    assert dead.events[-1] == "Published"
    assert again.events == ["Swept"]
    assert [(lease["holder"], int(lease["seq"])) for lease in held] == [("host-a", before.seq + 1)]


async def test_whoever_loses_the_journal_to_another_has_no_effect_and_hears_of_it(world: World) -> None:
    loser, winner = world.actor("host-a"), world.actor("host-b")
    entry = await winner.journal.load("blog/bot")
    real = loser.journal.load

    async def late(name: str):
        found = await real(name)
        world.vault.overwrite(JOURNAL, {"winner": "host-b"})
        return found

    loser.journal.load = late
    with pytest.raises(Conflict):
        await loser.reconcile()
    assert entry.version == 0
    assert world.target.calls == []
    assert not world.consumer.version
    assert loser.told == []


async def test_an_overtaken_actor_publishes_nothing(world: World) -> None:
    slow, quick = world.actor("host-a"), world.actor("host-b")
    taken = []

    async def overtake() -> None:
        entry = await quick.journal.load("blog/bot")
        await quick.journal.save(entry, entry.record, Lease("host-b", entry.lease.seq + 1, TTL))
        taken.append(entry.version)

    real = slow.dependencies.provider.verify

    async def verify(token, secret):
        await overtake()
        return await real(token, secret)

    slow.dependencies.provider.verify = verify
    with pytest.raises(Conflict):
        await slow.reconcile()
    assert taken
    assert world.consumer.version == 0


@pytest.mark.parametrize("skew", [-30 * MINUTE, 30 * MINUTE])
async def test_grace_is_not_over_before_both_clocks_say_so(world: World, skew: timedelta) -> None:
    world.skew = skew
    actor = world.actor()
    await actor.reconcile()
    world.clock.move(HOUR)
    seen = await actor.reconcile(RotationRequest(world.clock.now() + max(skew, timedelta()), "ada"))
    assert actor.events[-1] == "Published"
    over = world.clock.now() + HOUR + abs(skew)
    assert seen.wait.until == over
    world.clock.move(over - world.clock.now() - SECOND)
    await actor.reconcile()
    assert actor.events[-1] == "Published"
    world.clock.move(SECOND)
    await actor.reconcile()
    assert actor.events[-1] == "Swept"


@pytest.mark.parametrize("skew", [-2 * SECOND, timedelta(), 2 * SECOND])
async def test_clocks_two_seconds_apart_count_as_the_same(world: World, skew: timedelta) -> None:
    world.skew = skew
    seen = await world.actor().reconcile()
    assert seen.record.current.at == world.clock.now()
    assert seen.wait.until == world.clock.now() + timedelta(days=30)


async def test_events_are_stamped_with_the_later_clock(world: World) -> None:
    world.skew = MINUTE
    seen = await world.actor().reconcile()
    assert seen.record.current.at == world.clock.now() + MINUTE


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
async def test_a_successor_is_not_late_on_a_host_whose_clock_is_wrong(world: World, skew: timedelta) -> None:
    right = world.actor(retire=Retirement(timedelta(0)), schedule=Every(2 * HOUR, jitter=0))
    world.skew = timedelta()
    await right.reconcile()
    due = world.clock.now() + 2 * HOUR
    world.clock.move(MINUTE)
    world.clock.wall -= skew  # Vault's clock is right, and by so much ahead of ours
    world.skew, due = skew, due - skew
    seen = await right.reconcile()
    assert seen.wait.until == due
    world.clock.move(due - world.clock.now())
    await right.reconcile()
    assert right.events.count("Requested") == 2
