"""Counts and times in words."""

from __future__ import annotations

from rotator.rotation.wording import counted, when
from tests.unit.rotation.builders import NOW


def test_one_is_not_many() -> None:
    assert [counted(number, "target") for number in (0, 1, 2)] == ["0 targets", "1 target", "2 targets"]


def test_a_time_is_written_in_one_way() -> None:
    assert when(NOW) == "2026-03-01 12:00:00Z"
    assert when(None) == "an unknown time"
