"""What the matrix has found, each as the cell that shows it."""

from __future__ import annotations

import pytest

from tests.model.matrix.faults import Cell, Trouble
from tests.model.matrix.kinds import Kind
from tests.model.matrix.run import outcome, perform
from tests.model.matrix.stories import STORIES
from tests.model.matrix.wire import Point

ONE_SLOT = {each.name: each for each in STORIES if each.kind is Kind.ONE_SLOT}
REFUSED, PLAIN = ONE_SLOT["a candidate is refused"], ONE_SLOT["a rotation"]


def test_a_value_that_was_put_back_is_not_proven_again_before_the_time_that_the_target_asked_for():
    done = perform(REFUSED, Cell(Point("Burn", "verify", 2), Trouble.BUSY))
    assert not done.broken
    assert done.faults[-1].endswith(": 429")


def test_an_old_value_that_was_put_back_without_an_answer_cannot_land_after_the_next_one():
    done = perform(REFUSED, Cell(Point("Burn", "install"), Trouble.LATE))
    assert not done.broken
    assert done.faults[-2:] == ["no answer", "what the target was told without an answer may land yet"]


def test_a_candidate_that_was_told_without_an_answer_cannot_land_after_the_old_value_is_back():
    late = Cell(Point("Install", "install"), Trouble.LATE)
    done = perform(PLAIN, late, Cell(Point("Verify", "verify"), Trouble.REFUSED))
    assert done.struck == 2
    assert not done.broken
    assert done.faults[-1] == "what the target was told without an answer may land yet"


def test_there_is_a_way_out_where_vault_has_lost_the_value_that_was_to_be_put_back():
    done = perform(REFUSED, Cell(Point("Burn", "read consumer, an older version"), Trouble.WIPED))
    assert not done.broken
    assert "no way out" not in outcome(done)
    assert done.events[-1] == "Swept"


@pytest.mark.parametrize("step", ["Condemn", "Revoke"])
def test_there_is_a_way_out_where_the_published_value_is_lost_while_the_one_before_lives(step: str):
    for story in STORIES:
        if story.name == "a rotation" and story.kind is not Kind.EXPIRING:
            done = perform(story, Cell(Point(step, "read consumer"), Trouble.WIPED))
            assert not done.broken
            assert outcome(done) == "held: foreign_write"
