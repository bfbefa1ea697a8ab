"""Cron expressions mean what cron(5) says, through both changes of the clocks."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.host.cron import Cron, check_timezone
from rotator.rotation.schedule import share
from tests.tools.cron_walk import EXPRESSIONS, HOUR, changes, differences

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


def _fires(cron: Cron, start: datetime, count: int) -> list[str]:
    found, at = [], start
    for _ in range(count):
        at = cron.due("web", at, None)
        found.append(f"{at:%m-%dT%H:%M}")
    return found


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("1", "Mon"), ("0", "Sun"), ("7", "Sun"), ("5", "Fri"), ("1-5", "Mon Tue Wed Thu Fri"), ("6,0", "Sat Sun"),
        ("*/2", "Sun Tue Thu Sat"), ("mon-wed", "Mon Tue Wed"), ("SUN", "Sun"), ("5-7", "Fri Sat Sun"),
        ("1-5/2", "Mon Wed Fri"), ("0-6", "Sun Mon Tue Wed Thu Fri Sat"),
    ],
)  # fmt: skip
def test_weekdays_count_from_sunday(field: str, days: str) -> None:
    cron, at, seen = Cron(f"0 3 * * {field}"), _utc(2026, 11, 1), []
    while (at := cron.due("web", at, None)) < _utc(2026, 11, 8):
        seen.append(f"{at:%a}")
    assert sorted(seen) == sorted(days.split())


def test_the_next_time_is_strictly_later() -> None:
    cron = Cron("0 3 * * *")
    assert cron.due("web", _utc(2026, 5, 1, 3), None) == _utc(2026, 5, 2, 3)
    assert cron.due("web", _utc(2026, 5, 1, 3) - timedelta(microseconds=1), None) == _utc(2026, 5, 1, 3)


def test_the_answer_is_in_utc_whatever_the_zone_of_the_question() -> None:
    cron = Cron("0 3 * * *", BERLIN)
    asked = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
    due = cron.due("web", asked, None)
    assert due == _utc(2026, 7, 2, 1)
    assert due.tzinfo is UTC


# In 2026 New York goes forward on March 8 (07:00Z) and back on November 1 (06:00Z), Berlin on March 29 and October 25
# (both 01:00Z).
@pytest.mark.parametrize(
    ("expression", "zone", "start", "fires"),
    [
        ("30 1 * * *", NEW_YORK, _utc(2026, 10, 31, 6), ["11-01T05:30", "11-02T06:30", "11-03T06:30"]),
        ("30 2 * * *", BERLIN, _utc(2026, 10, 24, 1), ["10-25T00:30", "10-26T01:30"]),
        ("0 2,3 * * *", BERLIN, _utc(2026, 10, 24, 12), ["10-25T00:00", "10-25T02:00", "10-26T01:00"]),
        ("*/30 * * * *", BERLIN, _utc(2026, 10, 24, 23, 59), ["10-25T00:00", "10-25T00:30", "10-25T02:00"]),
        ("30 2 * * *", NEW_YORK, _utc(2026, 3, 7, 8), ["03-08T07:30", "03-09T06:30"]),
        ("30 2 * * *", BERLIN, _utc(2026, 3, 28, 2), ["03-29T01:30", "03-30T00:30"]),
        ("30 2,3 * * *", BERLIN, _utc(2026, 3, 28, 12), ["03-29T01:30", "03-30T00:30", "03-30T01:30"]),
        ("0 3 * * 0", BERLIN, _utc(2026, 10, 24, 12), ["10-25T02:00", "11-01T02:00"]),
    ],
    ids=[
        "a time twice in New York", "a time twice in Berlin", "a time twice and the one after it",
        "every half hour in autumn",
        "a time left out in New York", "a time left out in Berlin", "a time left out and the one it falls on",
        "weekly over autumn",
    ],
)  # fmt: skip
def test_changes_of_the_clocks(expression: str, zone: str, start: datetime, fires: list[str]) -> None:
    assert _fires(Cron(expression, zone), start, len(fires)) == fires


@pytest.mark.parametrize("start", [_utc(2026, 11, 1, 5, 29), _utc(2026, 11, 1, 5, 31), _utc(2026, 11, 1, 6, 29)])
def test_published_within_the_doubled_hour_it_is_due_once(start: datetime) -> None:
    due = Cron("30 1 * * *", NEW_YORK).due("web", start, None)
    assert due == (_utc(2026, 11, 1, 5, 30) if start.minute == 29 and start.hour == 5 else _utc(2026, 11, 2, 6, 30))


def test_the_splay_is_drawn_from_the_name() -> None:
    cron, published = Cron("0 3 * * *", splay=timedelta(hours=2)), _utc(2026, 5, 1, 12)
    for name in ("web", "search/indexer", "a"):
        assert cron.due(name, published, None) == _utc(2026, 5, 2, 3) + timedelta(hours=2) * share(name)


def test_published_within_its_splay_it_is_not_due_again_the_same_night() -> None:
    cron = Cron("0 3 * * *", splay=timedelta(hours=2))
    first = cron.due("web", _utc(2026, 5, 1, 12), None)
    assert cron.due("web", first, None) - first == timedelta(days=1)


def test_the_spacing_is_the_shortest_and_the_longest_gap() -> None:
    day = timedelta(days=1)
    assert Cron("0 3 * * 1").spacing() == (7 * day, 7 * day)
    assert Cron("0 3 1 * *").spacing() == (28 * day, 31 * day)
    assert Cron("0 3 * * 1,2").spacing() == (day, 6 * day)
    assert Cron("0 3 29 2 *").spacing()[1] > 1400 * day
    assert Cron("* * * * 1").spacing() == (timedelta(minutes=1), 6 * day + timedelta(minutes=1))
    assert Cron("0 3 * * *", BERLIN).spacing() == (timedelta(hours=23), timedelta(hours=25))


def test_two_of_the_same_are_equal_and_hash_alike() -> None:
    assert {Cron("0 3 * * 1", BERLIN), Cron("0 3 * * 1", BERLIN)} == {Cron("0 3 * * 1", BERLIN)}


@pytest.mark.parametrize(
    "expression", ["", "x", "0 3 * *", "0 3 * * 1-x", "60 * * * *", "0 3 1 * 1", "0 3 30 2 *", "0 3 last * *"]
)
def test_what_cannot_be_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Cron(expression)


@pytest.mark.parametrize("zone", ["Europe", "Europe/Berlni", "", "/etc/passwd", "../x", "a\x00b"])
def test_no_such_zone(zone: str) -> None:
    with pytest.raises(ValueError, match="there is no such time zone"):
        check_timezone(zone)


def test_a_host_without_zone_data_knows_every_zone() -> None:
    code = "from rotator.host.cron import check_timezone as c; print(c('Europe/Berlin'), c('UTC'))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONTZPATH": ""}, cwd=Path.cwd(), capture_output=True, text=True
    )
    assert ran.stdout.split() == ["Europe/Berlin", "UTC"], ran.stderr


@given(
    st.sampled_from(["30 1 * * *", "0 3 * * 1", "*/20 2 * * *", "15 */6 1 * *"]),
    st.sampled_from([NEW_YORK, BERLIN, "UTC", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
)
@settings(max_examples=200, deadline=None)
def test_no_wall_time_fires_twice(expression: str, zone: str, start: datetime) -> None:
    cron, at = Cron(expression, zone), start.replace(tzinfo=UTC)
    walls = []
    for _ in range(8):
        following = cron.due("web", at, None)
        assert following > at
        at = following
        walls.append(at.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
    assert len(set(walls)) == len(walls)


# Santiago, Havana, Beirut and Cairo change at midnight, Lord Howe by half an hour; Apia left out a day.
ZONES = {
    BERLIN: 2026, NEW_YORK: 2026, "Europe/London": 2026, "US/Pacific": 2026, "America/Sao_Paulo": 2018,
    "America/Santiago": 2026, "America/Havana": 2026, "Asia/Beirut": 2026, "Africa/Cairo": 2026,
    "Australia/Lord_Howe": 2026, "Pacific/Chatham": 2026, "Pacific/Apia": 2011, "Africa/Casablanca": 2026,
}  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_around_each_change_of_the_clocks_every_minute_is_as_a_walk_finds_it(zone: str, expression: str) -> None:
    start, found = _utc(ZONES[zone], 1, 1), []
    for change in changes(ZoneInfo(zone), start, start + HOUR * 24 * 365):
        found += differences(expression, zone, change - HOUR * 26, change + HOUR * 26)
    assert found == []


def test_the_week_after_the_clocks_went_forward_is_not_left_out() -> None:
    assert _fires(Cron("0 0 * * 1", BERLIN), _utc(2027, 3, 27, 12), 2) == ["03-28T22:00", "04-04T22:00"]
    assert _fires(Cron("0 0 * * *", "US/Pacific"), _utc(2026, 3, 8, 1), 3) == [
        "03-08T08:00",
        "03-09T07:00",
        "03-10T07:00",
    ]
