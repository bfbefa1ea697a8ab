"""Weekly windows: days, midnight, both changes of the clocks, and the longest time that they are closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rotator.host.windows import Span, Weekly
from tests.tools.cron_walk import HOUR, changes
from tests.tools.window_walk import EVERY_DAY, TIMES, differences

BERLIN = "Europe/Berlin"
NIGHT = Weekly((Span((0, 1, 2, 3, 4), 22 * 60, 28 * 60, BERLIN),))  # mon-fri 22:00-04:00
DAY = timedelta(days=1)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]  # the zone is not among the parts


def test_over_midnight_an_opening_belongs_to_the_day_on_which_it_begins() -> None:
    friday = _utc(2026, 6, 5, 20)  # 22:00 in Berlin
    assert NIGHT.opened_at(friday) == friday
    assert NIGHT.opened_at(friday + timedelta(hours=5, minutes=59)) == friday  # Saturday, 03:59
    assert NIGHT.opened_at(friday + timedelta(hours=6)) is None
    assert NIGHT.next_open(friday + timedelta(hours=6)) == _utc(2026, 6, 8, 20)  # Monday
    assert NIGHT.opened_at(friday - timedelta(seconds=1)) is None
    assert NIGHT.opened_at(_utc(2026, 6, 7, 23, 30)) is None  # Monday, 01:30: Sunday night is not in it


def test_a_time_that_is_left_out_in_spring_is_the_first_moment_after_the_gap() -> None:
    span = Span(EVERY_DAY, 150, 240, BERLIN)  # from 02:30, which is left out on 2026-03-29
    assert Weekly((span,)).next_open(_utc(2026, 3, 29)) == _utc(2026, 3, 29, 1)  # 03:00 in Berlin
    swallowed = Weekly((Span(EVERY_DAY, 130, 170, BERLIN),))
    assert swallowed.next_open(_utc(2026, 3, 29)) == _utc(2026, 3, 30, 0, 10)  # the next day's


def test_of_a_time_that_comes_twice_in_autumn_the_first_opens_and_the_second_closes() -> None:
    window = Weekly((Span(EVERY_DAY, 130, 150, BERLIN),))  # 02:10-02:30, twice on 2026-10-25
    opens, closes = _utc(2026, 10, 25, 0, 10), _utc(2026, 10, 25, 1, 30)
    assert window.next_open(_utc(2026, 10, 25)) == opens
    assert window.opened_at(closes - timedelta(seconds=1)) == opens
    assert window.opened_at(closes) is None


def test_spans_that_touch_are_one_opening() -> None:
    weekend = Weekly((Span((5,), 0, 1440), Span((6,), 0, 1440)))
    assert weekend.opened_at(_utc(2026, 6, 7, 12)) == _utc(2026, 6, 6)
    assert weekend.shortest_opening() == 2 * DAY
    assert weekend.longest_gap() == 5 * DAY
    always = Weekly((Span(EVERY_DAY, 0, 1440),))
    assert always.opened_at(_utc(2026, 6, 7, 12)) is not None
    assert always.longest_gap() == timedelta(0)


def test_the_longest_gap_counts_an_autumn_weekend() -> None:
    assert NIGHT.longest_gap() == timedelta(days=2, hours=18 + 1)
    assert NIGHT.shortest_opening() == timedelta(hours=6)
    assert Weekly((Span((6,), 0, 360, BERLIN),)).shortest_opening() == timedelta(hours=5)  # in spring


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (Span((0, 1, 2, 3, 4), 22 * 60, 28 * 60, BERLIN), "mon-fri 22:00-04:00 Europe/Berlin"),
        (Span(EVERY_DAY, 0, 1440), "daily 00:00-24:00 UTC"),
        (Span((0, 2, 5, 6), 9 * 60, 10 * 60 + 5), "mon,wed,sat-sun 09:00-10:05 UTC"),
    ],
)
def test_its_words(span: Span, words: str) -> None:
    assert str(Weekly((span, span))) == f"{words}, {words}"


def test_an_unknown_time_zone_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean `Europe/Berlin`"):
        Span((0,), 0, 60, "Europe/Berlim")


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
def test_around_each_change_of_the_clocks_every_minute_is_as_a_walk_finds_it(name: str) -> None:
    for change in changes(ZoneInfo(name), _utc(2026, 1, 1), _utc(2027, 1, 1)):
        for begin, end in TIMES[1:8:2]:
            assert differences([Span(EVERY_DAY, begin, end, name)], change - 5 * HOUR, change + 5 * HOUR) == []


def test_days_and_spans_are_as_a_walk_finds_them() -> None:
    spans = [Span((0, 4), 22 * 60, 28 * 60, BERLIN), Span((5,), 60, 1440, "America/New_York")]
    assert differences(spans, _utc(2026, 10, 23, 18), _utc(2026, 10, 26, 6)) == []


def test_a_day_that_a_zone_has_left_out() -> None:
    samoa = "Pacific/Apia"  # 30 December 2011
    assert differences([Span(EVERY_DAY, 600, 660, samoa)], _utc(2011, 12, 29, 18), _utc(2011, 12, 31, 0)) == []
    assert Weekly((Span((4,), 600, 660, samoa),)).next_open(_utc(2011, 12, 29, 18)) == _utc(2012, 1, 5, 20)
