"""A short ordinary day: whatever is done to it, consumers notice nothing and people are told the truth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.day import day

pytestmark = pytest.mark.system


@pytest.mark.timeout(300)
def test_an_ordinary_day_breaks_nothing(figures: Callable[[str], None]) -> None:
    work, said = day(40, seed=2)
    figures(f"day: {said}")
    assert work.errors == []
    assert work.prober.probes >= 200
    assert sum(work.counts.values()) >= 10
