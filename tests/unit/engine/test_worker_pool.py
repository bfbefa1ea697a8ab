"""The worker pool: every due name is reconciled again and again, limits hold, and no name in trouble delays another."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest

from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Conflict, MinterRefused, OwnTokenRefused, Refused, StoreRefused, Transient
from rotator.rotation import events as ev
from rotator.rotation.record import Phase
from rotator.rotation.steps import Wait
from tests.kit.clock import StillClock
from tests.unit.engine.pools import at_work, bots, elsewhere, hang, settled
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, SECOND, ask, record

pytestmark = pytest.mark.anyio

RECONCILE = 300.0  # seconds


def failing(fault: Exception, *names: str):
    """Visits of these names fail, all when none is given; others find nothing to do."""

    async def visiting(wanted, ask):
        if not names or wanted.name in names:
            raise fault
        return record(Phase.SETTLED)

    return visiting


# --- that every name comes again ------------------------------------------------------------------------------------


async def test_a_name_comes_again_when_its_visit_said_so() -> None:
    async def in_a_minute(wanted, ask):
        return Wait(stage.clock.now() + MINUTE, "in grace")

    async with at_work(bots("bot"), in_a_minute) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(59)
        assert stage.reconciler.names == ["bot"]
        await stage.after(1)
        assert stage.reconciler.names == ["bot", "bot"]


@pytest.mark.parametrize(
    ("visiting", "within"),
    [
        (failing(Conflict("overtaken")), 1),
        (failing(Transient("sealed")), 1),
        (failing(StoreRefused("denied")), 60),
        (failing(Refused("its journal was deleted")), 60),
        (failing(ZeroDivisionError()), 60),
    ],
    ids=["conflict", "transient", "denied", "refused", "bug"],
)
async def test_whatever_ends_a_visit_the_name_comes_again(visiting, within: float) -> None:
    async with at_work(bots("bot"), visiting) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(within)
        assert stage.reconciler.names == ["bot", "bot"]


@pytest.mark.parametrize("wait", [Wait(None, "held"), Wait(NOW + 700 * HOUR, "due")], ids=["held", "far"])
async def test_every_name_is_looked_at_again_within_the_reconcile_time(wait: Wait) -> None:
    async def visiting(wanted, ask):
        return wait

    async with at_work(bots("bot"), visiting) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(0.7 * RECONCILE)
        assert stage.reconciler.names == ["bot"]
        await stage.after(0.3 * RECONCILE)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_looks_that_began_together_drift_apart() -> None:
    names = [f"bot-{number}" for number in range(400)]
    async with at_work(bots(*names)) as stage:
        stage.worker_pool.look_at(*names)
        await stage.rest()
        counts = []
        for _ in range(75, 101):
            before = len(stage.reconciler.visits)
            await stage.after(RECONCILE / 100 if counts else 0.75 * RECONCILE)
            counts.append(len(stage.reconciler.visits) - before)
        assert sum(counts) == 400
        assert max(counts) < 60


async def test_a_visit_that_wants_to_come_again_at_once_does_not_spin() -> None:
    async def at_once(wanted, ask):
        return Wait(stage.clock.now(), "now")

    async with at_work(bots("bot"), at_once) as stage:
        stage.worker_pool.look_at("bot")
        for _ in range(10):
            await stage.after(0.01)
        assert stage.reconciler.names == ["bot"]


async def test_a_wish_during_a_visit_is_not_lost() -> None:
    over = anyio.Event()
    async with at_work(bots("bot"), hang(over)) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        stage.worker_pool.look_at("bot")
        over.set()
        await stage.rest()
        assert stage.reconciler.names == ["bot", "bot"]


async def test_a_clock_set_back_puts_nobody_off() -> None:
    async with at_work(bots("bot")) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        stage.clock.wall -= timedelta(days=365)
        await stage.after(RECONCILE)
        assert stage.reconciler.names == ["bot", "bot"]


# --- limits, and who is held up -------------------------------------------------------------------------------------


async def test_no_more_visits_at_once_than_there_are_workers_and_than_a_target_may_have() -> None:
    names = [f"{target}:{number}" for target in ("blog", "shop", "wiki") for number in range(5)]
    async with at_work(bots(*names), hang(anyio.Event()), per_target={"blog": 2, "shop": 1, "wiki": 9}, workers=5) as s:
        s.worker_pool.look_at(*names)
        await s.rest()
        assert len(s.reconciler.inside) == 5
        assert (s.reconciler.most["blog"], s.reconciler.most["shop"]) == (2, 1)


async def test_targets_that_hang_and_fill_every_place_delay_another_by_no_more_than_a_tick() -> None:
    hung = [f"ill-{target}:{number}" for target in range(8) for number in range(5)]
    never = anyio.Event()

    async def visiting(wanted, ask):
        if wanted.target != "well":
            await never.wait()
        return record(Phase.SETTLED)

    limits = {f"ill-{target}": 2 for target in range(8)} | {"well": 2}
    async with at_work(bots(*hung, "well:1", "well:2"), visiting, per_target=limits, workers=8) as stage:
        stage.worker_pool.look_at(*hung)
        await stage.rest()
        assert len(stage.reconciler.inside) == 8
        stage.worker_pool.look_at("well:1")
        await stage.after(1.0)
        assert "well:1" in stage.reconciler.names
        await stage.after(1.0)
        assert all(stage.reconciler.most[target] == 2 for target in limits if target != "well")
        stage.worker_pool.look_at("well:2")
        await stage.after(1.0)
        assert "well:2" in stage.reconciler.names


async def test_a_broken_credential_pauses_neither_vault_nor_its_target() -> None:
    visiting = failing(StoreRefused("its journal is denied"), "ill")
    async with at_work(bots("ill", "well"), visiting) as stage:
        for _ in range(100):
            stage.worker_pool.look_at("ill", "well")
            await stage.after(10)
        assert stage.reconciler.names.count("well") >= 100
        assert stage.worker_pool.broken == {"ill": "its journal is denied"}
        assert stage.troubles == [("ill", "its journal is denied")]


async def test_while_vault_does_not_answer_one_visit_at_a_time_finds_out() -> None:
    names = [f"bot-{number}" for number in range(100)]
    async with at_work(bots(*names), failing(Transient("sealed")), workers=1) as stage:
        stage.worker_pool.look_at(*names)
        await stage.rest()
        assert len(stage.reconciler.visits) == 1
        for _ in range(20):
            await stage.after(1)
        assert len(stage.reconciler.visits) == 5  # after pauses of 1, 2, 4 and 8 seconds
        assert all(seen.wait.reason == "sealed" for seen in stage.worker_pool.seen.values())


async def test_who_asks_for_what_cannot_be_worked_on_is_told_so_at_once() -> None:
    async with at_work(bots("ill"), failing(Refused("written by a newer rotator"))) as stage:
        asked = stage.worker_pool.ask("ill", ask(), patient=False)
        await stage.rest()
        assert asked.done.is_set()
        assert (asked.hopeless, asked.closed) == (True, "written by a newer rotator")
        assert not stage.worker_pool.asks


async def test_a_name_that_is_well_again_is_no_longer_broken() -> None:
    ill = [Refused("unreadable")]

    async def visiting(wanted, ask):
        if ill:
            raise ill.pop()
        return record(Phase.SETTLED)

    async with at_work(bots("bot"), visiting) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        assert stage.worker_pool.broken == {"bot": "unreadable"}
        await stage.after(60)
        assert not stage.worker_pool.broken
        assert stage.worker_pool.idle


async def test_a_bug_is_told_and_ends_neither_the_crew_nor_the_credential() -> None:
    async with at_work(bots("ill", "well"), failing(ZeroDivisionError(), "ill")) as stage:
        stage.worker_pool.look_at("ill", "well")
        await stage.rest()
        assert [(name, type(bug)) for name, bug in stage.bugs] == [("ill", ZeroDivisionError)]
        assert stage.worker_pool.broken == {"ill": "a bug: ZeroDivisionError"}
        assert "well" in stage.reconciler.names


# --- minters and controls -------------------------------------------------------------------------------------------


async def refused_minter(wanted, ask):
    fault = MinterRefused("the minter's token is refused")
    return ReconcileResult(record(Phase.SETTLED), Wait(None, fault.reason), fault)


async def test_a_refused_minter_stops_every_call_for_its_credentials_and_for_no_others() -> None:
    async with at_work(bots("a", "b", "shop:c"), refused_minter, workers=1) as stage:
        stage.worker_pool.look_at("a", "b", "shop:c")
        await stage.rest()
        assert stage.reconciler.names == ["a", "shop:c"]
        assert stage.worker_pool.seen["b"].wait.reason == "the minter's token is refused"
        stage.worker_pool.look_at("a", "b")
        await stage.after(59)
        assert stage.reconciler.names == ["a", "shop:c"]
        await stage.after(1)
        assert stage.reconciler.names.count("a") + stage.reconciler.names.count("b") == 2


async def test_a_credential_that_mints_its_own_successor_and_is_refused_stops_nobody_else() -> None:
    async with at_work(bots("a", "b"), refused_minter, workers=1, minter=lambda wanted: wanted.name) as stage:
        stage.worker_pool.look_at("a", "b")
        await stage.rest()
        assert stage.reconciler.names == ["a", "b"]


@pytest.mark.parametrize("phase", [Phase.SETTLED, Phase.PUBLISHED])
async def test_a_published_token_that_is_refused_as_the_minter_is_a_refused_value(phase: Phase) -> None:
    """`status` showed one living value until the next probe, which such a minter's pause put off."""
    fault, obeyed = OwnTokenRefused("the published token is refused"), []

    async def refused(wanted, ask):
        return ReconcileResult(record(phase), Wait(None, fault.reason), fault)

    async def obey(wanted, dependencies, word):
        obeyed.append(wanted.name)
        if len(obeyed) > 1:
            raise Transient("Vault is away")
        return replace(record(phase), refused_at=NOW)

    async with at_work(bots("a"), refused, workers=1) as stage:
        stage.reconciler.obey = obey
        stage.worker_pool.look_at("a")
        await stage.rest()
        seen = stage.worker_pool.seen["a"].record
        assert seen
        assert bool(seen.refused_at) is bool(obeyed) is (phase is Phase.SETTLED), "in a grace the predecessor may mint"
        await stage.after(3600)
        assert stage.worker_pool.seen["a"].wait.reason == fault.reason


async def test_new_settings_end_the_pause_of_a_refused_minter_at_once() -> None:
    async with at_work(bots("a", "b"), refused_minter, workers=1) as stage:
        stage.worker_pool.look_at("a", "b")
        await stage.rest()
        stage.reconciler.visiting = settled
        stage.worker_pool.take(bots("a", "b"), set())
        await stage.rest()
        assert sorted(stage.reconciler.names) == ["a", "a", "b"]


async def test_each_probe_is_controlled_once_and_again_when_its_target_changed() -> None:
    same = bots("a", "b")
    other = bots("c", options={"probe": "/c"})
    async with at_work(same | other, workers=1) as stage:
        stage.worker_pool.look_at("a", "b", "c", "a")
        await stage.rest()
        assert stage.controls == ["a", "c"]
        stage.worker_pool.take(same | other, {"blog"})
        await stage.rest()
        assert sorted(stage.controls) == ["a", "a", "c", "c"]


async def test_a_probe_that_accepts_anyone_stops_its_own_credential_only() -> None:
    async def control(wanted):
        if wanted.name == "open":
            raise Refused("this probe accepts anyone")

    credentials = bots("well") | bots("open", options={"probe": "/public"})
    async with at_work(credentials, control=control) as stage:
        stage.worker_pool.look_at("open", "well")
        await stage.after(600)
        assert set(stage.reconciler.names) == {"well"}
        assert stage.worker_pool.broken == {"open": "this probe accepts anyone"}


async def test_a_control_with_a_bug_or_without_an_answer_does_not_end_the_crew() -> None:
    async def control(wanted):
        raise {"a": Transient("no answer"), "b": OSError("no such file")}[wanted.name]

    async with at_work(bots("a") | bots("b", options={"x": 1}), control=control) as stage:
        stage.worker_pool.look_at("a", "b")
        await stage.rest()
        assert [name for name, _ in stage.bugs] == ["b"]
        await stage.after(60)
        assert stage.controls.count("a") >= 2
        assert stage.controls.count("b") == 2


async def test_transitions_tell_how_target_and_minter_are_doing() -> None:
    async with at_work(bots("a", "b", "c")) as stage:
        guard = stage.worker_pool.guard
        for wanted in stage.worker_pool.credentials.values():
            guard.observe(wanted, ev.Faulted(NOW, "verify", "no answer"))
        assert guard.pause(stage.worker_pool.credentials["a"])[1] == "no answer"
        stage.clock.move(2)
        guard.observe(stage.worker_pool.credentials["a"], ev.Verified(NOW, 1))
        assert not stage.worker_pool.health.target("blog").trips


async def test_a_proof_that_is_missing_is_no_fault_of_a_target_that_answers() -> None:
    async with at_work(bots("a", "b", "c")) as stage:
        guard = stage.worker_pool.guard
        for wanted in stage.worker_pool.credentials.values():
            guard.observe(wanted, ev.Faulted(NOW, "revoke", "cannot be proven dead yet", of_target=False))
        assert guard.pause(stage.worker_pool.credentials["a"]) == (0.0, "")


# --- stop and reload ------------------------------------------------------------------------------------------------


async def test_a_stop_with_names_still_waiting_ends_when_the_last_visit_does() -> None:
    names, over = [f"bot-{number}" for number in range(50)], anyio.Event()
    async with at_work(bots(*names), hang(over), workers=2) as stage:
        stage.worker_pool.look_at(*names)
        await stage.rest()
        stage.worker_pool.stop()
        assert not stage.worker_pool.idle
        over.set()
        await stage.rest()
        assert stage.worker_pool.idle
        assert len(stage.reconciler.visits) == 2


async def test_a_credential_that_left_the_settings_leaves_nothing_behind() -> None:
    over = anyio.Event()
    async with at_work(bots("gone", "busy", "staying"), hang(over)) as stage:
        stage.worker_pool.look_at("busy")
        await stage.rest()
        stage.worker_pool.timers.put("gone", NOW + HOUR, NOW, stage.clock.monotonic())
        stage.worker_pool.take(bots("staying"), set())
        over.set()
        await stage.rest()
        await stage.after(3600)
        assert "gone" not in stage.reconciler.names
        assert stage.reconciler.names.count("busy") == 1
        assert stage.worker_pool.seen.keys() == {"staying"} - (
            stage.worker_pool.credentials.keys() - stage.worker_pool.seen.keys()
        )
        assert sorted(stage.reconciler.forgotten) == ["busy", "gone"]
        assert len(stage.worker_pool.timers) == len(stage.worker_pool.seen)


async def test_new_settings_have_those_looked_at_that_they_change_and_no_others() -> None:
    before = bots("same", "moved", "shop:old")
    async with at_work(before) as stage:
        after = elsewhere(before, "moved", "wiki") | bots("new")
        stage.worker_pool.take(after, {"shop"})
        await stage.rest()
        assert sorted(stage.reconciler.names) == ["moved", "new", "shop:old"]


async def test_who_waits_for_the_visits_of_a_target_waits_for_those_under_way_only() -> None:
    over, waited = anyio.Event(), anyio.Event()

    async def wait() -> None:
        await stage.worker_pool.finished({"blog"})
        waited.set()

    async with at_work(bots("bot", "shop:bot"), hang(over)) as stage:
        stage.worker_pool.look_at("bot", "shop:bot")
        await stage.rest()
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not waited.is_set()
            over.set()
    assert waited.is_set()


# --- scale ----------------------------------------------------------------------------------------------------------


class QuickClock(StillClock):
    """The real monotonic clock, so that slow visits are seen to be slow."""

    def monotonic(self) -> float:
        return time.monotonic()


async def test_ten_thousand_names_due_at_once_are_drained_without_a_long_pause_of_the_loop() -> None:
    names = [f"t{number % 20}:{number}" for number in range(10_000)]
    hung = [f"hung:{number}" for number in range(100)]
    never, nothing_to_do, pauses = anyio.Event(), record(Phase.SETTLED), []

    async def visiting(wanted, ask):
        if wanted.target == "hung":
            await never.wait()
        await anyio.lowlevel.checkpoint()
        return nothing_to_do

    async def watch() -> None:
        while True:  # in processor time: this machine may be busy with other things
            before = time.process_time()
            await anyio.lowlevel.checkpoint()
            pauses.append(time.process_time() - before)

    limits = {f"t{number}": 2 for number in range(20)} | {"hung": 2}
    gc.freeze()  # what other tests of this process left behind is not collected in the midst of it
    async with at_work(bots(*hung, *names), visiting, per_target=limits, clock=QuickClock()) as stage:
        for name in (*hung, *names):
            stage.worker_pool.timers.put(name, stage.clock.now() - SECOND, stage.clock.now(), stage.clock.monotonic())
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            while len(stage.worker_pool.seen) < len(names):
                stage.worker_pool.tick()
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    gc.unfreeze()
    assert sorted(set(stage.reconciler.names) - set(hung)) == sorted(names)
    assert max(stage.reconciler.most.values()) <= 2
    # The agenda is emptied in one go, a tenth of all work at most; the rest is cut small.
    assert max(pauses) < max(0.2, sum(pauses) / 8)
    assert sorted(pauses)[len(pauses) * 99 // 100] < 0.02


async def test_of_many_that_are_refused_for_one_reason_the_first_is_told() -> None:
    many = bots("a", "b", "c", "odd")
    reasons = {**dict.fromkeys("abc", "the minter's secret cannot be read"), "odd": "its record was deleted"}

    async def visiting(wanted, ask):
        raise Refused(reasons[wanted.name])

    async with at_work(many, visiting) as stage:
        stage.worker_pool.look_at(*many)
        await stage.after(10)
        assert stage.worker_pool.broken == reasons
        assert sorted(reason for _, reason in stage.troubles) == sorted(set(reasons.values()))
