"""A wall clock a hundred days ahead, and back; and what those who are restarted wait for."""

from __future__ import annotations

import pytest

from rotator.ports import Refused
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.rotation_request import RotationRequest
from tests.kit.kinds import Kind
from tests.model.simulation.stage import NAME, Stage, Visit
from tests.model.simulation.world import Thread

AHEAD = 100 * 86400.0  # seconds


def begun_by_a_clock_that_is_ahead() -> Stage:
    """A grace of five minutes begins on host A, whose clock is a hundred days ahead just then."""
    stage = Stage(options={"grace": 300.0})
    stage.settle()
    stage["A"].clock.skew = AHEAD
    stage.reconcile("A", ask=True)
    stage["A"].clock.skew = 0.0
    assert len(stage.alive()) == 2
    return stage


@pytest.mark.parametrize("host", ["A", "B"])
def test_a_grace_that_a_clock_days_ahead_began_lasts_as_long_as_it_is_and_no_shorter(host):
    stage = begun_by_a_clock_that_is_ahead()
    stage.reconcile(host)
    stage.sleep(298)
    stage.reconcile(host)
    assert len(stage.alive()) == 2
    stage.sleep(3)
    stage.reconcile(host)
    assert len(stage.alive()) == 1


def by_turns(stage: Stage, turns: int = 4) -> None:
    """Host B's process is restarted every half minute, and looks once in each of its lives."""
    for _ in range(turns):
        stage.reconcile("B")
        stage.sleep(30)
        stage["B"].kill()
        stage["B"].start()
        stage["B"].close()
    stage.reconcile("B")


def test_a_grace_that_a_clock_days_ahead_began_ends_although_whoever_watches_it_is_restarted():
    stage = begun_by_a_clock_that_is_ahead()
    by_turns(stage, 11)
    assert len(stage.alive()) == 1


def test_a_clock_days_ahead_that_begins_a_rotation_forgets_no_mint_of_the_day():  # seed 67652
    stage = Stage()
    stage.settle()
    stage["A"].clock.skew = AHEAD
    stage.until(stage.begin("A", ask=True), "target.mint")
    assert len(stage.record.mints) == 2


def test_what_is_asked_for_ends_well_and_takes_no_mint_along_that_was_sent_by_the_same_clock_days_ahead():
    stage = Stage()
    stage["A"].clock.skew = AHEAD
    stage.settle()  # by the schedule
    stage.until(stage.until(stage.begin("A", ask=True), "target.mint"), "target.verify")
    stage.take_over("B")  # both were sent at the same time now, as far as is known
    assert (stage.record.phase, stage.record.rotation) == ("published", 2)
    assert len(stage.record.mints) == 1


def test_a_clock_days_ahead_that_sends_a_mint_once_more_forgets_no_mint_of_the_day():
    stage = Stage(actors=1)
    stage.settle()
    stage.lose(visit := stage.until(stage.begin("A", ask=True), "target.mint"))
    stage.finish(visit)
    stage.sleep(20)
    stage["A"].clock.skew = AHEAD
    stage.until(stage.begin("A"), "target.mint")
    assert len(stage.record.mints) == 3


def test_what_is_asked_for_is_answered_once_although_a_clock_was_days_ahead():
    stage = begun_by_a_clock_that_is_ahead()
    for _ in range(60):
        for host in "AB":
            stage.reconcile(host)
        stage.sleep(30)
    assert stage.record.rotation == 4, "the first, what was asked for, and two by the schedule in half an hour"


def test_what_was_asked_for_by_a_clock_that_is_ahead_ends_one_pause_and_no_more():  # seed 29430
    stage = Stage(options={"settle": 1e6, "day": ("look",)})
    stage.reconcile("A")
    request = OperatorRequest("r1", RequestVerb.ROTATE, stage.world.date(AHEAD), "person", live=("",))
    stage.finish(Visit(stage["A"], Thread(stage["A"], NAME, stage["A"].requests.put(NAME, request))))
    tries = len([line for line in stage.world.lines if "journal" in line])
    for _ in range(100):
        stage.reconcile("A")
        stage.sleep(0.05)
    assert stage.record.asked
    assert len([line for line in stage.world.lines if "journal" in line]) - tries < 12


def test_what_a_dead_process_left_is_waited_for_once_however_often_those_who_follow_are_restarted():  # seed 30792
    stage = Stage(actors=1, options={"followed": True, "settle": 0.0})
    stage.until(stage.begin("A"), "target.mint")
    for _ in range(6):
        stage["A"].kill()
        stage["A"].start()
        stage["A"].close()
        stage.reconcile("A")
        stage.sleep(4)
        stage.reconcile("A")
    assert stage.record.phase == "settled"


def test_a_pause_that_a_clock_days_ahead_began_ends_although_whoever_watches_it_is_restarted():  # seed 51868
    stage = Stage()
    stage["A"].clock.skew = AHEAD
    visit = stage.until(stage.begin("A"), "target.mint")
    stage.fail(visit, Refused("the quota is used up"))
    stage.finish(visit)
    stage["A"].clock.skew = 0.0
    assert stage.record.retry_at > stage.world.date(AHEAD)
    by_turns(stage)
    assert stage.record.current


def test_a_mint_that_a_clock_days_ahead_sent_is_looked_for_although_whoever_waits_is_restarted():  # seed 45609
    stage = Stage()
    stage["A"].clock.skew = AHEAD
    stage.lose(visit := stage.until(stage.begin("A"), "target.mint"))
    stage.finish(visit)
    stage["A"].clock.skew = 0.0
    by_turns(stage)
    assert stage.record.current


def test_a_person_who_was_waited_for_is_told_once_although_a_clock_was_days_ahead_when_somebody_asked():  # seed 134756
    stage = Stage(actors=1, options={"kinds": (Kind.KEY_SET,), "by_hand": "mint"})
    stage.reconcile("A")
    stage["A"].clock.skew = AHEAD
    stage["A"].ask(NAME, emergency=False)
    ask = stage["A"].asks[NAME]
    stage["A"].clock.skew = 0.0
    for _ in range(3):
        stage.finish(Visit(stage["A"], Thread(stage["A"], NAME, asked_by(stage, ask))))
        stage.sleep(5)
    assert len([line for line in stage.world.lines if "Awaited" in line]) <= 3


async def asked_by(stage: Stage, ask: RotationRequest) -> None:
    """A look of A's process, where somebody waits."""
    await stage["A"].reconciler.reconcile(stage["A"].config[NAME], stage["A"].edges_of(NAME, stage["A"].clock), ask)
