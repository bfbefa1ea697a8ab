"""How the seconds of a stop are shared out: all parts together end within them."""

from __future__ import annotations

import pytest

from rotator.host.shutdown import Part, StopBudget


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 3600.0])
def test_each_part_ends_before_the_next_and_the_last_within_the_whole(seconds: float) -> None:
    clock = Clock()
    budget, begun = StopBudget(seconds, clock), clock.now
    for part in Part:
        assert budget.begin(part) > 0, "each has some time, also when those before took all of theirs"
        assert budget.part is part
        clock.now += budget.left(part)
        assert budget.left(part) == 0
    assert clock.now == pytest.approx(begun + seconds)


def test_what_a_part_does_not_need_is_the_next_ones() -> None:
    budget = StopBudget(30, Clock())
    assert budget.begin(Part.STEPS) == 20
    assert budget.begin(Part.OBSERVERS) == 25.5


def test_who_asks_twice_waits_for_no_step() -> None:
    budget = StopBudget(30, Clock())
    budget.hurry()
    assert budget.begin(Part.STEPS) == 0
    assert budget.begin(Part.LOGIN) == 27
