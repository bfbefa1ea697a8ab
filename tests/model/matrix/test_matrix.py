"""The whole table: every step and each of its calls, times every fault, comes to what the rules say."""

from __future__ import annotations

import pytest

from rotator.rotation.steps import Act
from tests.model.matrix.pairs import campaign
from tests.model.matrix.run import rehearsal
from tests.model.matrix.stories import STORIES
from tests.model.matrix.table import FILE, Table, run

pytestmark = pytest.mark.timeout(400)  # whichever test comes first pays for the table
CELLS = 416  # steps by faults of the plan; the table has a row for every call of every step


@pytest.fixture(scope="module")
def table() -> Table:
    return run()


def test_every_cell_comes_to_what_its_rule_says(table: Table) -> None:
    assert table.wrong == []
    assert len(table.found) >= CELLS


def test_every_rule_decides_a_cell(table: Table) -> None:
    from tests.model.matrix.rules import RULES

    assert [rule.why for rule in RULES if not table.used[rule]] == []


def test_the_table_in_the_repository_is_the_one_that_was_run(table: Table) -> None:
    assert FILE.read_text("utf-8") == table.text(), "renew it: python -m tests.model.matrix --write"


def test_every_step_and_every_port_has_rows() -> None:
    points = {point for story in STORIES for point in rehearsal(story).calls}
    aside = {"LookWhetherEnded", "Reopen"}  # they change nothing at the target: unit/engine/test_expiry.py
    assert {step.__name__ for step in Act.__args__} - aside == {point.step for point in points} - {"Visit"} - aside
    calls = {point.call for point in points}
    vault = {"read journal", "write journal", "read staged", "write staged", "destroy staged", "read consumer"}
    target = {"mint", "install", "find", "verify", "inspect", "revoke", "restore", "is_dead"}
    assert calls >= vault | target | {"write consumer", "read consumer, an older version"}


def test_a_few_pairs_of_faults_break_no_promise() -> None:
    summary = campaign(seed=1, limit=60, minutes=1.0)
    assert summary.broken == []
    assert summary.both
