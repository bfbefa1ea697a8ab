"""Windows and freezes together: what is closed, since when it is open, and when it opens next."""

from __future__ import annotations

from rotator.rotation.change_calendar import ALWAYS, Calendar, Freeze
from tests.unit.rotation.builders import HOUR, NOW
from tests.unit.rotation.calendars import Hours, freeze


def test_without_a_window_and_a_freeze_nothing_is_ever_closed() -> None:
    assert not ALWAYS.closed(NOW)
    assert ALWAYS.next_open(NOW) == NOW
    assert ALWAYS.opened_at(NOW) is None


def test_outside_a_window() -> None:
    calendar = Calendar(Hours())
    assert calendar.closed(NOW + 2 * HOUR) == "outside its window 1 of 10 hours"
    assert calendar.next_open(NOW + 2 * HOUR) == NOW + 10 * HOUR
    assert calendar.opened_at(NOW + 2 * HOUR) is None
    assert not calendar.closed(NOW + 10.5 * HOUR)
    assert calendar.opened_at(NOW + 10.5 * HOUR) == NOW + 10 * HOUR


def test_in_a_freeze_from_its_first_moment_up_to_its_end() -> None:
    calendar = Calendar(freezes=(freeze("xmas", 1, 5),))
    assert calendar.closed(NOW + HOUR) == "freeze xmas until 2026-03-01 17:00:00Z: year's end"
    assert not calendar.closed(NOW + 5 * HOUR)
    assert calendar.next_open(NOW + HOUR) == NOW + 5 * HOUR
    assert calendar.opened_at(NOW) is None
    assert calendar.opened_at(NOW + 6 * HOUR) == NOW + 5 * HOUR


def test_the_next_opening_is_inside_the_window_and_outside_every_freeze() -> None:
    """The second freeze covers the opening after the first one; the third begins when that one ends."""
    calendar = Calendar(Hours(), (freeze("late", 19.5, 30), freeze("first", 1, 12), freeze("third", 30, 31)))
    assert calendar.next_open(NOW + 2 * HOUR) == NOW + 40 * HOUR
    assert calendar.next_open(NOW + 0.5 * HOUR) == NOW + 0.5 * HOUR


def test_of_two_freezes_the_one_that_ends_later_is_told() -> None:
    calendar = Calendar(Hours(), (freeze("short", 0, 2), freeze("long", 0, 3)))
    assert calendar.closed(NOW).startswith("freeze long")


def test_a_freeze_covers_all_who_carry_its_labels() -> None:
    labelled = Freeze("shop", NOW, NOW + HOUR, "sale", {"team": "shop"})
    assert labelled.covers({"team": "shop", "tier": "1"})
    assert not labelled.covers({"team": "web"})
    assert freeze("all", 0, 1).covers({})
    assert str(labelled) == "freeze shop from 2026-03-01 12:00:00Z until 2026-03-01 13:00:00Z: sale"
