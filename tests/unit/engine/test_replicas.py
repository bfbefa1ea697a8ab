"""Several daemons share what they look at first; what one left is looked at by the others; none is ever forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rotator.engine.reconciler import ReconcileResult
from rotator.engine.replicas import Replicas
from rotator.rotation.record import Phase
from rotator.rotation.replica_share import Heartbeat, names_digest
from rotator.rotation.steps import Wait
from tests.unit.engine.pools import at_work, bots
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, SECOND, ask, record

pytestmark = pytest.mark.anyio
NAMES = {f"svc-{number}" for number in range(200)}
EVERY = timedelta(seconds=30)


def beat(
    instance: str, at: datetime, in_flight: tuple[str, ...] = (), holder: str = "", credentials: str = ""
) -> Heartbeat:
    """A heartbeat, of a daemon with the same credentials unless it is said."""
    return Heartbeat(instance, at, in_flight, holder=holder, credentials=credentials or names_digest(NAMES))


class Elsewhere(Replicas):
    """Another daemon looks first at everything."""

    def looks_first(self, name: str) -> bool:
        return False

    def works(self, holder: str) -> bool:
        return holder == "other/1"


def replicas(own: str = "me") -> Replicas:
    return Replicas(own, EVERY)


def test_alone_a_daemon_looks_first_at_everything() -> None:
    me = replicas()
    assert me.heard([beat("me", NOW)], NOW, NAMES) == (set(), set())
    assert all(map(me.looks_first, NAMES))


def test_of_two_daemons_each_name_has_one_that_looks_first() -> None:
    me, other = replicas(), replicas("other")
    beats = [beat("me", NOW), beat("other", NOW)]
    assert me.heard(beats, NOW, NAMES) == other.heard(beats, NOW, NAMES) == (set(), set())
    assert {name for name in NAMES if me.looks_first(name)} == {name for name in NAMES if not other.looks_first(name)}


def test_what_an_ended_daemon_worked_on_is_told_once_and_its_share_too() -> None:
    me = replicas()
    me.heard([beat("other", NOW, ("svc-3", "svc-4"))], NOW, NAMES)
    others = {name for name in NAMES if not me.looks_first(name)}
    later = NOW + 44 * SECOND
    assert me.heard([beat("other", NOW, ("svc-3", "svc-4"))], later, NAMES) == ({"svc-3", "svc-4"}, others)
    assert me.heard([], later, NAMES) == (set(), set())


def test_a_third_daemon_takes_its_share_and_gives_none() -> None:
    me = replicas()
    me.heard([beat("other", NOW)], NOW, NAMES)
    before = {name for name in NAMES if me.looks_first(name)}
    assert me.heard([beat("other", NOW), beat("third", NOW)], NOW, NAMES) == (set(), set())
    assert {name for name in NAMES if me.looks_first(name)} < before


async def due_in_a_minute(wanted, wish):
    return Wait(NOW + MINUTE, "due")


async def test_what_is_due_is_left_to_the_daemon_that_looks_first_for_a_while() -> None:
    async with at_work(bots("bot"), due_in_a_minute, replicas=Elsewhere(), later=EVERY) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(60)
        assert stage.reconciler.names == ["bot"]
        await stage.after(30)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_what_another_looks_at_first_is_looked_at_all_the_same() -> None:
    async def never(wanted, ask):
        return Wait(None, "held")

    async with at_work(bots("bot"), never, replicas=Elsewhere(), reconcile=MINUTE) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(60)
        assert stage.reconciler.names == ["bot"]
        await stage.after(840)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_a_rotation_under_way_is_not_left_to_another() -> None:
    async def failing(wanted, ask):
        return record(Phase.REQUESTED)

    async with at_work(bots("bot"), failing, replicas=Elsewhere(), reconcile=MINUTE) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(60)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_what_became_ours_is_looked_at_within_a_round() -> None:
    async def far(wanted, ask):
        return Wait(NOW + 700 * HOUR, "due")

    async with at_work(bots("bot", "tot"), far, replicas=Elsewhere(), reconcile=MINUTE) as stage:
        stage.worker_pool.look_at("bot", "tot")
        await stage.rest()
        stage.worker_pool.look_within_round({"bot", "stranger"})
        await stage.after(60)
        assert stage.reconciler.names == ["bot", "tot", "bot"]


async def test_what_a_living_daemon_works_on_is_left_to_it_for_longer() -> None:
    async def held(wanted, ask):
        return ReconcileResult(record(Phase.REQUESTED), Wait(NOW + 37 * SECOND, "held"), held_by="other/1")

    async with at_work(bots("bot"), held, replicas=Elsewhere(), reconcile=MINUTE) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(60)
        assert stage.reconciler.names == ["bot"]
        await stage.after(180)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_what_an_ended_process_holds_is_followed_at_the_usual_time() -> None:
    async def held(wanted, ask):
        return ReconcileResult(record(Phase.REQUESTED), Wait(NOW + 37 * SECOND, "held"), held_by="gone/7")

    async with at_work(bots("bot"), held, replicas=Elsewhere(), reconcile=MINUTE) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        await stage.after(37)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_what_a_caller_waits_for_here_is_not_left_to_another() -> None:
    async def under_way(wanted, ask):
        return Wait(stage.clock.now() + SECOND, "under way")

    async with at_work(bots("bot"), under_way, replicas=Elsewhere()) as stage:
        stage.worker_pool.ask("bot", ask(), patient=False)
        await stage.rest()
        await stage.after(1)
        assert stage.reconciler.names == ["bot", "bot"]


async def test_new_names_come_in_the_order_of_who_looks_first_and_theirs_are_looked_at_briefly() -> None:
    me = replicas()
    me.heard([beat("other", NOW)], NOW, NAMES)
    names = sorted(NAMES)[:20]
    async with at_work(bots(*names), replicas=me, workers=1) as stage:
        stage.worker_pool.meet(names)
        await stage.rest()
        ours = [name for name in names if me.looks_first(name)]
        theirs = [name for name in names if not me.looks_first(name)]
        assert stage.reconciler.names == ours + theirs
        assert ours
        assert stage.reconciler.brief == set(theirs)


def test_a_restarted_daemon_has_left_what_it_worked_on() -> None:
    me = replicas()
    me.heard([beat("other", NOW, ("svc-3",), holder="other/1")], NOW, NAMES)
    assert [me.works(holder) for holder in ("other/1", "other/2", "")] == [True, False, False]
    assert me.heard([beat("other", NOW, holder="other/2")], NOW, NAMES) == ({"svc-3"}, set())


def test_a_daemon_of_other_credentials_leaves_nothing_to_be_done_by_it() -> None:
    me = replicas()
    assert me.heard([beat("other", NOW, credentials="of others")], NOW, NAMES) == (set(), set())
    assert all(map(me.looks_first, NAMES))
