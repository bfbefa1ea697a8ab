"""What the matrix has found, each as the cell that shows it."""

from __future__ import annotations

from tests.matrix.faults import Cell, Trouble
from tests.matrix.kinds import Kind
from tests.matrix.run import outcome, perform
from tests.matrix.stories import STORIES
from tests.matrix.wire import Point

REFUSED = next(each for each in STORIES if each.kind is Kind.ONE_SLOT and each.name == "a candidate is refused")


def test_a_value_that_was_put_back_is_not_proven_again_before_the_time_that_the_target_asked_for():
    done = perform(REFUSED, Cell(Point("Burn", "verify", 2), Trouble.BUSY))
    assert not done.broken
    assert done.faults[-1].endswith(": 429")


def test_there_is_a_way_out_where_vault_has_lost_the_value_that_was_to_be_put_back():
    done = perform(REFUSED, Cell(Point("Burn", "read consumer, an older version"), Trouble.WIPED))
    assert not done.broken
    assert "no way out" not in outcome(done)
    assert done.events[-1] == "Swept"
