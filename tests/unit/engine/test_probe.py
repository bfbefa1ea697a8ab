"""The continuous probe: it calls rarely, ignores answers that prove nothing; a refused credential is due at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest

from rotator.engine.circuit_breakers import Guard
from rotator.engine.probe import Prober
from rotator.engine.worker_pool import WorkerPool
from rotator.ports import Refused, Rejected, StoreRefused, Transient, Unknown
from rotator.rotation.phases import StagedState
from rotator.rotation.record import Held, HoldReason
from rotator.rotation.rotation_request import RotationRequest
from tests.unit.engine.world import PLACE, Actor, World
from tests.unit.rotation.builders import candidate

pytestmark = pytest.mark.anyio

EVERY = timedelta(minutes=15)
SETTLE = 11.0  # seconds: a little more than the default


@dataclass
class Watch:
    """A prober over the crew of one actor, whose visits are made by hand."""

    world: World
    actor: Actor
    every: timedelta | None = EVERY
    said: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    worker_pool: WorkerPool = field(init=False)
    prober: Prober = field(init=False)

    def __post_init__(self) -> None:
        async def control(wanted: object) -> None:
            pass

        credential, clock = self.actor.credential, self.world.clock
        guard = Guard(
            reconciler=self.actor.reconciler,
            dependencies=lambda wanted: self.actor.dependencies,
            clock=clock,
            unforeseen=lambda name, bug: None,
            troubled=lambda wanted, reason: self.troubles.append(reason),
            control=control,
            minter=lambda wanted: wanted.target,
        )
        names = {credential.name: credential}
        self.worker_pool = WorkerPool(guard=guard, clock=clock, credentials=names, per_target={}, workers=1)
        self.prober = Prober(self.worker_pool, lambda: self.every, lambda target, verdict: self.said.append(verdict))

    async def reconcile(self, ask: RotationRequest | None = None) -> None:
        self.worker_pool.seen["blog/bot"] = await self.actor.reconcile(ask)

    async def after(self, seconds: float) -> list[str]:
        """Time passes and a turn is taken; what the target said then."""
        self.said.clear()
        self.world.clock.move(seconds)
        await self.prober.turn()
        return list(self.said)


async def watching(world: World) -> Watch:
    watch = Watch(world, world.actor())
    await watch.reconcile()
    await watch.prober.turn()  # the first round
    world.clock.move(1)
    watch.actor.told.clear()
    watch.worker_pool.guard.accepted.clear()
    watch.said.clear()
    return watch


async def test_it_asks_once_in_its_time_and_remembers_when_the_value_was_accepted(world: World) -> None:
    watch = await watching(world)
    before = list(world.vault.history)
    assert await watch.after(EVERY.total_seconds()) == ["accepted"]
    assert watch.worker_pool.accepted == {"blog/bot": world.clock.now()}
    assert await watch.after(EVERY.total_seconds() - 1) == []
    assert await watch.after(1) == ["accepted"]
    assert world.vault.history == before  # no transition, and nothing written


async def test_switched_off_it_asks_nobody(world: World) -> None:
    watch = await watching(world)
    watch.every = None
    assert await watch.after(3600) == []


async def test_a_refusal_counts_once_it_is_heard_twice_and_the_credential_is_due_at_once(world: World) -> None:
    watch = await watching(world)
    world.target.revoke((await world.record()).current.token)
    assert await watch.after(EVERY.total_seconds()) == ["refused"]
    assert watch.actor.events == []
    assert await watch.after(1) == []
    assert await watch.after(SETTLE) == ["refused"]
    assert watch.actor.events == ["Disproved"]
    await watch.reconcile()
    assert world.healthy
    assert (await world.record()).rotation == 2


async def test_one_refusal_between_acceptances_is_forgotten(world: World) -> None:
    watch = await watching(world)
    token = (await world.record()).current.token
    world.target.revoke(token)
    assert await watch.after(EVERY.total_seconds()) == ["refused"]
    world.target.restore(token)
    assert await watch.after(SETTLE) == ["accepted"]
    world.target.revoke(token)
    await watch.after(EVERY.total_seconds())
    assert watch.actor.events == []


async def test_a_final_refusal_counts_at_once(world: World) -> None:
    watch = await watching(world)
    world.target.judge = lambda token, secret: Rejected("not a token at all", final=True)
    assert await watch.after(EVERY.total_seconds()) == ["refused"]
    assert watch.actor.events == ["Disproved"]


async def test_a_target_that_does_not_say_proves_nothing(world: World) -> None:
    watch = await watching(world)
    world.target.fail("verify")
    assert await watch.after(EVERY.total_seconds()) == ["unknown"]
    world.vault.sealed = True
    assert await watch.after(EVERY.total_seconds()) == ["unknown"]
    assert watch.actor.events == []
    assert watch.worker_pool.accepted == {}


async def test_a_refusal_that_cannot_be_written_down_is_asked_again_soon(world: World) -> None:
    watch = await watching(world)
    world.target.revoke((await world.record()).current.token)
    await watch.after(EVERY.total_seconds())
    entry = await watch.actor.journal.load("blog/bot")
    other = world.actor("host-b").reconciler.leases
    await watch.actor.journal.save(entry, entry.record, other.stamp(entry))
    assert await watch.after(SETTLE) == ["refused"]
    assert watch.actor.events == []
    assert await watch.after(SETTLE) == ["refused"]


async def _foreign(watch: Watch) -> None:
    watch.world.vault.put(PLACE, {"token": "by hand"}, None)


async def _in_flight(watch: Watch) -> None:
    watch.worker_pool.seen["blog/bot"] = replace(
        watch.worker_pool.seen["blog/bot"], record=_with(watch, state=StagedState(candidate()))
    )


async def _unseen(watch: Watch) -> None:
    watch.worker_pool.seen.clear()


async def _refused_already(watch: Watch) -> None:
    refused = _with(watch, refused_at=watch.world.clock.now())
    watch.worker_pool.seen["blog/bot"] = replace(watch.worker_pool.seen["blog/bot"], record=refused)


async def _other_settings(watch: Watch) -> None:
    wanted = replace(watch.actor.credential, rotating_options={"roles": ["other"]})
    watch.worker_pool.credentials = {"blog/bot": wanted}


async def _paused_target(watch: Watch) -> None:
    for name in ("a", "b", "c"):
        watch.worker_pool.health.target("blog").faulted(
            watch.world.clock.monotonic() + EVERY.total_seconds(), name, "503"
        )


def _with(watch: Watch, **changes: object):
    record = watch.worker_pool.seen["blog/bot"].record
    assert record
    return replace(record, **changes)


@pytest.mark.parametrize("trouble", [_foreign, _in_flight, _unseen, _refused_already, _other_settings, _paused_target])
async def test_what_does_not_rest_as_settings_want_it_is_not_asked(
    world: World, trouble: Callable[[Watch], object]
) -> None:
    watch = await watching(world)
    await trouble(watch)
    world.target.calls.clear()
    assert await watch.after(EVERY.total_seconds()) == []
    assert world.target.calls == []


async def test_an_expired_value_and_one_that_left_the_settings_are_not_asked(world: World) -> None:
    watch = await watching(world)
    assert await watch.after(timedelta(days=91).total_seconds()) == []
    watch.worker_pool.credentials = {}
    assert await watch.after(EVERY.total_seconds()) == []


async def test_while_an_operator_has_the_word_nobody_visits_and_then_it_is_looked_at(world: World) -> None:
    watch = await watching(world)
    worker_pool = watch.worker_pool
    async with anyio.create_task_group() as group:
        group.start_soon(worker_pool.run)
        await anyio.lowlevel.checkpoint()
        async with worker_pool.aside("blog/bot"):
            moved = worker_pool.moved
            worker_pool.look_at("blog/bot")
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            assert worker_pool.moved == moved
        for _ in range(200):
            await anyio.lowlevel.checkpoint()
        assert worker_pool.seen["blog/bot"].record == await world.record()
        worker_pool.stop()


async def test_the_first_round_begins_at_the_start_and_until_it_came_a_value_is_not_proven(world: World) -> None:
    watch = Watch(world, world.actor())
    await watch.reconcile()
    world.target.fail("verify")
    await watch.prober.turn()
    assert watch.said == ["unknown"]
    assert watch.worker_pool.unproven == {"blog/bot": world.clock.now()}
    assert await watch.after(EVERY.total_seconds()) == ["accepted"]
    assert watch.worker_pool.unproven == {}


async def test_a_record_that_was_not_read_yet_is_asked_for_as_soon_as_it_is(world: World) -> None:
    watch = Watch(world, world.actor())
    await watch.prober.turn()
    assert watch.said == []
    await watch.reconcile()
    assert await watch.after(2) == ["accepted"]


async def test_after_a_seal_all_are_shown_anew_once_a_minute_at_most(world: World) -> None:
    watch = await watching(world)
    vault = watch.worker_pool.health.vault
    for expected in (["accepted"], []):
        vault.faulted(world.clock.monotonic(), "blog/bot", "sealed", patience=1)
        assert await watch.after(5) == []
        vault.worked(world.clock.monotonic())
        assert await watch.after(5) == expected
    assert await watch.after(50) == ["accepted"], "the second is put off, and not forgotten"


async def test_a_seal_that_no_visit_met_is_told_and_all_are_shown_anew(world: World) -> None:
    """Between two visits a Vault may be sealed, restored and opened again."""
    watch = await watching(world)
    guard, vault = watch.worker_pool.guard, watch.worker_pool.health.vault
    with guard.asking_vault("heartbeat"):
        raise Transient("sealed")
    assert (vault.trips, vault.reason) == (1, "sealed")
    world.clock.move(0.5)
    with guard.asking_vault("heartbeat"):
        pass
    assert vault.trips == 1, "an answer during the pause proves nothing"
    world.clock.move(2)
    with guard.asking_vault("requests"):
        pass
    assert vault.trips == 1, "another question was answered"
    with guard.asking_vault("heartbeat"):
        pass
    assert vault.trips == 0
    assert await watch.after(1) == ["accepted"]


async def test_what_vault_denies_beside_the_visits_is_no_outage(world: World) -> None:
    watch = await watching(world)
    guard, vault = watch.worker_pool.guard, watch.worker_pool.health.vault
    for _ in range(5):
        with guard.asking_vault("heartbeat"):
            raise StoreRefused("denied")
    assert vault.trips == 0
    with guard.asking_vault("requests"):
        raise Refused("unreadable")
    for name in ("a", "b"):
        vault.faulted(world.clock.monotonic(), name, "denied")
    world.clock.move(5)
    assert vault.trips == 1
    with guard.asking_vault("requests"):
        pass
    assert vault.trips == 1, "records may be denied where requests are not"


async def test_a_record_that_went_back_is_shown_at_once(world: World) -> None:
    """What a snapshot brings back may be long dead."""
    watch = await watching(world)
    old = watch.worker_pool.seen["blog/bot"]
    world.clock.move(60)
    await watch.reconcile(RotationRequest(world.clock.now(), "ada"))
    watch.worker_pool._note("blog/bot", old)
    world.vault.put(PLACE, world.vault.get(PLACE, 1).values or {}, None)
    assert watch.worker_pool.guard.reverted
    assert await watch.after(1) == ["accepted"]
    assert not watch.worker_pool.guard.reverted


async def test_where_vault_went_back_all_is_read_and_shown_at_once(world: World) -> None:
    watch = await watching(world)
    watch.worker_pool.guard.others.take("blog", ())
    watch.worker_pool.vault_went_back()
    assert not watch.worker_pool.guard.others.listed("blog")
    assert not watch.worker_pool.idle
    assert await watch.after(1) == ["accepted"]


async def test_without_a_probe_targets_are_listed_anew_all_the_same(world: World) -> None:
    watch = await watching(world)
    watch.every = None
    watch.worker_pool.guard.others.take("blog", ())
    watch.worker_pool.guard.reverted = True
    assert await watch.after(1) == []
    assert not watch.worker_pool.guard.others.listed("blog")


async def test_a_target_that_fell_silent_is_noticed_and_heard_again(world: World) -> None:
    watch = await watching(world)

    async def control(wanted: object) -> None:
        raise Transient("nothing listens there")

    judge, passes = world.target.judge, watch.worker_pool.guard.control
    watch.worker_pool.guard.neighbours = lambda target: 1
    world.target.judge = lambda token, secret: Unknown("nothing listens there")
    watch.worker_pool.guard.control = control
    assert await watch.after(EVERY.total_seconds()) == ["unknown"]
    assert "nothing listens there" in watch.worker_pool.guard.pause(watch.actor.credential)[1]
    world.target.judge, watch.worker_pool.guard.control = judge, passes
    assert await watch.after(60) == ["accepted"]
    assert watch.worker_pool.guard.pause(watch.actor.credential) == (0.0, "")


async def test_what_was_held_is_shown_soon_after_its_release(world: World) -> None:
    watch = await watching(world)
    seen = watch.worker_pool.seen["blog/bot"]
    held = replace(seen.record, state=Held(HoldReason.PERSON, "look", world.clock.now(), seen.record.state))
    watch.worker_pool.guard.unproven["blog/bot"] = world.clock.now()
    watch.worker_pool.seen["blog/bot"] = replace(seen, record=held)
    watch.prober.ask_soon(["blog/bot"])
    assert await watch.after(1) == []
    watch.worker_pool.seen["blog/bot"] = seen
    assert await watch.after(5) == ["accepted"]


async def test_what_was_accepted_before_another_process_published_is_not_said_of_its_value(world: World) -> None:
    watch = await watching(world)
    guard, credential = watch.worker_pool.guard, watch.actor.credential
    await guard.attend(credential, None)
    assert await watch.after(EVERY.total_seconds()) == ["accepted"]
    await guard.attend(credential, None)
    assert set(watch.worker_pool.accepted) == {"blog/bot"}
    await world.actor("other").reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(60)
    await guard.attend(credential, None)
    assert watch.worker_pool.accepted == {}


async def test_a_listing_that_comes_first_puts_the_proof_off_by_seconds(world: World) -> None:
    watch = await watching(world)

    async def listing(wanted: object) -> tuple[()]:
        return ()

    watch.worker_pool.guard.listing = listing
    watch.worker_pool.vault_went_back()
    assert await watch.after(1) == []
    assert await watch.after(5) == ["accepted"]


async def test_a_slow_target_leaves_the_turn_to_others(world: World) -> None:
    watch = await watching(world)
    names = [f"blog/{number}" for number in range(4)]
    watch.worker_pool.credentials = {name: replace(watch.actor.credential, name=name) for name in names}
    watch.worker_pool.seen = dict.fromkeys(names, watch.worker_pool.seen["blog/bot"])
    slow = world.target.judge

    def judge(token: object, secret: object) -> None:
        world.clock.move(3)
        return slow(token, secret) if slow else None  # type: ignore[arg-type]  # as it was

    world.target.judge = judge
    assert len(await watch.after(1)) == 2
    assert len(await watch.after(1)) == 2


async def test_a_target_that_refuses_everybody_is_told_once_and_nothing_is_done(world: World) -> None:
    watch = await watching(world)
    before, judge = list(world.vault.history), world.target.judge
    world.target.judge = lambda token, secret: Unknown("everybody is refused")
    for _ in range(3):
        assert await watch.after(EVERY.total_seconds()) == ["unknown"]
    assert watch.troubles == ["whether the published value works is not known: everybody is refused"]
    assert list(world.vault.history) == before
    world.target.judge = judge
    assert await watch.after(EVERY.total_seconds()) == ["accepted"]
    world.target.judge = lambda token, secret: Unknown("everybody is refused")
    await watch.after(EVERY.total_seconds())
    assert len(watch.troubles) == 2
