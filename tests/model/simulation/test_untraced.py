"""A telling that left no trace: its answer was lost, and Vault was not reached to note that. It may land late.

Whoever goes on finds the lease not given back, and takes it that there was one. Found by seed 941223.
"""

from __future__ import annotations

from collections.abc import Callable

from rotator.ports import Refused, Transient
from rotator.rotation.procedures import operators
from tests.kit.kinds import Kind
from tests.model.simulation.campaign import run_seed
from tests.model.simulation.stage import NAME, Stage, Visit, rejected_after_the_cut_over
from tests.model.simulation.swarm import plain


def test_it_is_waited_for_when_its_value_is_gone():
    assert run_seed(941223, plain(941223))[1] == ""


def test_it_is_waited_for_when_the_next_telling_is_refused():
    stage, late = told_the_next_value()
    stage.sleep(2)
    again = stage.until(stage.begin("A"), "target.install")
    stage.fail(again, Refused("not today"))
    stage.finish(again)
    late()
    ends_well(stage)


def test_it_is_waited_for_when_the_next_telling_succeeds_and_another_rotation_is_asked_for():
    stage, late = told_the_next_value()
    stage.sleep(1)
    stage.reconcile("A")
    assert stage.record.rotation == 2
    assert stage.record.phase == "settled"
    stage.sleep(1)
    stage.reconcile("A", emergency=True)
    late()
    ends_well(stage)


def test_an_old_value_that_was_put_back_does_not_land_over_the_next_one():
    stage = rejected_after_the_cut_over()
    stage.sleep(11)
    late = told_without_a_trace(stage, stage.begin("A"))
    stage.sleep(2)
    again = stage.until(stage.begin("A"), "target.install")
    stage.step(again)
    stage.cut_off(again)  # it is back, which leaves no trace either
    stage.sleep(2)
    stage.reconcile("A")
    late()
    ends_well(stage)


def test_an_old_value_that_is_not_taken_back_is_not_given_up_while_a_telling_of_it_may_land():
    stage = rejected_after_the_cut_over()
    stage.sleep(11)
    late = told_without_a_trace(stage, stage.begin("A"))
    for _ in range(8):
        stage.sleep(1)
        again = stage.until(stage.begin("A", ask=True), "target.install")
        stage.fail(again, Refused("used before"))
        stage.finish(again)
        assert stage.record.attempt == 1
    late()
    ends_well(stage)


def test_a_word_that_is_said_right_after_it_does_not_hide_it():
    stage, late = told_the_next_value()
    stage.say("A", operators.pause("person", "", None))
    stage.people.slot_metadata(NAME)
    stage.sleep(2)
    stage.reconcile("A")
    late()
    stage.say("A", operators.resume("person"))
    ends_well(stage)


def ends_well(stage: Stage) -> None:
    """It settles, with a value that is accepted."""
    stage.sleep(20)
    stage.settle()
    assert stage.target.accepts(stage.published().value)


def told_the_next_value() -> tuple[Stage, Callable[[], object]]:
    """One slot, whose candidate was told without a trace."""
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    return stage, told_without_a_trace(stage, stage.begin("A", ask=True))


def told_without_a_trace(stage: Stage, visit: Visit) -> Callable[[], object]:
    """The target is told and its answer is lost, and so is what would note it. Returns the late effect."""
    late = stage.until(visit, "target.install").thread.wire
    stage.lose(visit)
    stage.cut_off(visit)
    assert isinstance(visit.end, Transient)
    return late
