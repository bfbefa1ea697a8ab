"""Windows and freezes together: what is closed, since when it is open, and when it opens next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rotator.rotation.change_calendar import ALWAYS, Calendar, Freeze

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Hours:
    """Open in the first of every `period` hours since T0."""

    period: int = 10

    def __str__(self) -> str:
        return f"1 of {self.period} hours"

    def opened_at(self, now: datetime) -> datetime | None:
        into = (now - T0) % (self.period * HOUR)
        return now - into if into < HOUR else None

    def next_open(self, now: datetime) -> datetime:
        return now if self.opened_at(now) else now + self.period * HOUR - (now - T0) % (self.period * HOUR)

    def longest_gap(self) -> timedelta:
        return (self.period - 1) * HOUR

    def shortest_opening(self) -> timedelta:
        return HOUR


def freeze(name: str, begins: float, until: float) -> Freeze:
    return Freeze(name, T0 + begins * HOUR, T0 + until * HOUR, "year's end")


def test_without_a_window_and_a_freeze_nothing_is_ever_closed() -> None:
    assert not ALWAYS.closed(T0)
    assert ALWAYS.next_open(T0) == T0
    assert ALWAYS.opened_at(T0) is None


def test_outside_a_window() -> None:
    calendar = Calendar(Hours())
    assert calendar.closed(T0 + 2 * HOUR) == "outside its window 1 of 10 hours"
    assert calendar.next_open(T0 + 2 * HOUR) == T0 + 10 * HOUR
    assert calendar.opened_at(T0 + 2 * HOUR) is None
    assert not calendar.closed(T0 + 10.5 * HOUR)
    assert calendar.opened_at(T0 + 10.5 * HOUR) == T0 + 10 * HOUR


def test_in_a_freeze_from_its_first_moment_up_to_its_end() -> None:
    calendar = Calendar(freezes=(freeze("xmas", 1, 5),))
    assert calendar.closed(T0 + HOUR) == "freeze xmas until 2026-01-01 05:00:00Z: year's end"
    assert not calendar.closed(T0 + 5 * HOUR)
    assert calendar.next_open(T0 + HOUR) == T0 + 5 * HOUR
    assert calendar.opened_at(T0) is None
    assert calendar.opened_at(T0 + 6 * HOUR) == T0 + 5 * HOUR


def test_the_next_opening_is_inside_the_window_and_outside_every_freeze() -> None:
    """The second freeze covers the opening after the first one; the third begins when that one ends."""
    calendar = Calendar(Hours(), (freeze("late", 19.5, 30), freeze("first", 1, 12), freeze("third", 30, 31)))
    assert calendar.next_open(T0 + 2 * HOUR) == T0 + 40 * HOUR
    assert calendar.next_open(T0 + 0.5 * HOUR) == T0 + 0.5 * HOUR


def test_of_two_freezes_the_one_that_ends_later_is_told() -> None:
    calendar = Calendar(Hours(), (freeze("short", 0, 2), freeze("long", 0, 3)))
    assert calendar.closed(T0).startswith("freeze long")


def test_a_freeze_covers_all_who_carry_its_labels() -> None:
    labelled = Freeze("shop", T0, T0 + HOUR, "sale", {"team": "shop"})
    assert labelled.covers({"team": "shop", "tier": "1"})
    assert not labelled.covers({"team": "web"})
    assert freeze("all", 0, 1).covers({})
    assert str(labelled) == "freeze shop from 2026-01-01 00:00:00Z until 2026-01-01 01:00:00Z: sale"
