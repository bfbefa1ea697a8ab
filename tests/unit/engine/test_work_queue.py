"""The work queue: one line per target, the emptiest target first, requested names first in their line."""

from __future__ import annotations

from collections import Counter

from rotator.engine.work_queue import WorkQueue


def queue(**lines: str) -> WorkQueue:
    """Lines by target; each letter is a name."""
    made = WorkQueue()
    for target, names in lines.items():
        for name in names:
            made.join(name, target)
    return made


def taken(made: WorkQueue, load: Counter[str], limit: int) -> str:
    """Everybody who gets in, in order."""
    names = ""
    while name := made.take(load, lambda target: load[target] < limit):
        names += name
        load["x" if name in "abcdef" else "y"] += 1
    return names


def test_a_line_keeps_its_order_and_a_name_stands_in_it_once() -> None:
    made = queue(x="abca")
    assert len(made) == 3
    assert taken(made, Counter(), 9) == "abc"


def test_targets_take_turns_however_long_the_line_of_one_is() -> None:
    assert taken(queue(x="abcdef", y="uv"), Counter(), 9) == "aubvcdef"


def test_a_target_without_room_holds_nobody_else_up() -> None:
    made = queue(x="abc", y="uv")
    assert taken(made, Counter(x=2), 2) == "uv"
    assert len(made) == 3


def test_who_is_asked_for_goes_before_the_others_even_when_standing_there_already() -> None:
    made = queue(x="abc")
    made.join("c", "x", asked=True)
    made.join("d", "x", asked=True)
    made.join("c", "x")
    assert taken(made, Counter(), 9) == "cdab"


def test_an_emptied_queue_says_who_stood_there() -> None:
    made = queue(x="ab", y="u")
    assert made.empty() == ("a", "b", "u")
    assert len(made) == 0
