"""Every history with one fault, of every sort of target; and the bugs that a walk must find."""

from __future__ import annotations

import pytest

from tests.model.walk import values
from tests.model.walk.planted import BUGS, Bug
from tests.model.walk.target import FAMILIES
from tests.model.walk.walk import KINDS, Rules, Walk

SHORT = tuple(kind for kind in KINDS if kind not in ("late", "stall", "lost"))  # the others: make campaign-walk


@pytest.mark.parametrize("family", FAMILIES)
def test_no_history_without_a_fault_breaks_a_promise(family: str) -> None:
    walk = Walk(Rules(FAMILIES[family]), 0).run()
    assert not walk.violations
    assert walk.transitions > len(walk.came) > 200, "two actors, two rotations"


@pytest.mark.parametrize(("family", "kinds"), [("named", SHORT), ("one-slot", SHORT), ("registered", ("crash",))])
def test_no_history_with_one_fault_breaks_a_promise(family: str, kinds: tuple[str, ...]) -> None:
    walk = Walk(Rules(FAMILIES[family], kinds), 1).run()
    assert not walk.violations
    assert not walk.unwalked


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.promise}, {bug.words}")
def test_a_planted_bug_is_found(bug: Bug) -> None:
    walk = bug.walk()
    assert [text for text in walk.violations if text.startswith(f"{bug.promise}:")], walk.violations
    assert all(len(history) > 5 for history in walk.violations.values()), "a history in words"


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.faults < 2], ids=lambda bug: f"{bug.promise}, {bug.words}")
def test_without_the_bug_the_same_walk_finds_nothing(bug: Bug) -> None:
    assert not Bug(bug.promise, bug.words, list, bug.faults, bug.kinds, bug.family, bug.mints).walk().violations


def test_a_walk_comes_to_the_same_each_time() -> None:
    one, other = (Walk(Rules(FAMILIES["named"], ("verb",)), 1).run() for _ in range(2))
    assert (len(one.came), one.transitions, one.depth) == (len(other.came), other.transitions, other.depth)


def test_time_moves_everything_and_what_is_long_ago_stays_so() -> None:
    then = values.kept((values.NOW, values.LONG_AGO, "text", (values.NOW,)))
    moved = values.moved(then, -30.0)
    assert moved[0] == moved[3][0] < values.NOW
    assert moved[1:3] == (values.LONG_AGO, "text")
    assert values.moved(moved, -500.0)[0] == values.LONG_AGO
