"""Weekly windows in a time zone: when they are open, and the longest time that they are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from rotator.host.time_zones import check_timezone, moment

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_BEFORE, _AHEAD = (
    9,
    24,
)  # days looked at around a moment: a week and more, also where a change of clocks eats an opening
_SURVEYED = date(2024, 1, 1)  # where measuring the gaps of a window starts; any day will do
_SURVEY = 3 * 366
_HORIZON = 20_000  # lists of openings that are kept: one a day for each window that settings name

Opening = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a window: on these days (0 is Monday), from `begin` to `end` in minutes after that day's midnight.

    An `end` past 24 hours lies on the next day; the opening belongs to the day on which it begins. Of a wall time that
    occurs twice, the first opens and the second closes; one that is left out counts as the first moment after the gap.
    Raises ValueError for an unknown time zone.
    """

    days: tuple[int, ...]
    begin: int
    end: int
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        check_timezone(self.timezone)

    def __str__(self) -> str:
        return f"{_days(self.days)} {_clock(self.begin)}-{_clock(self.end)} {self.timezone}"

    def openings(self, first: date, days: int) -> Iterator[Opening]:
        """The openings that begin on so many days from the first on, in order."""
        zone = ZoneInfo(self.timezone)
        for day in (first + number * _DAY for number in range(days)):
            if day.weekday() in self.days:
                midnight = datetime.combine(day, datetime.min.time())
                opens = moment(midnight + timedelta(minutes=self.begin), zone)
                closes = moment(midnight + timedelta(minutes=self.end), zone, second=True)
                if opens < closes:
                    yield opens, closes


@dataclass(frozen=True, slots=True)
class Weekly:
    """A window that is open in each of its spans. Times are UTC; see `rotation.change_calendar.Window`."""

    spans: tuple[Span, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.spans))

    def opened_at(self, now: datetime) -> datetime | None:
        """Since when it is open; None: it is closed. What is open for longer than a week is so since nine days ago."""
        return next((opens for opens, closes in _around(self, now) if opens <= now < closes), None)

    def next_open(self, now: datetime) -> datetime:
        """When it is open next; `now`, if it is."""
        return next(max(opens, now) for opens, closes in _around(self, now) if now < closes)

    def longest_gap(self) -> timedelta:
        """The longest time that it is closed, found by looking at three years."""
        return _measured(self)[0]

    def shortest_opening(self) -> timedelta:
        """The shortest time that it is open."""
        return _measured(self)[1]


def _around(window: Weekly, now: datetime) -> tuple[Opening, ...]:
    return _openings(window, now.astimezone(UTC).date() - _BEFORE * _DAY, _BEFORE + _AHEAD)


@lru_cache(maxsize=_HORIZON)
def _openings(window: Weekly, first: date, days: int) -> tuple[Opening, ...]:
    """The openings of all spans, in order; those that touch are one."""
    joined: list[Opening] = []
    for opens, closes in sorted(each for span in window.spans for each in span.openings(first, days)):
        if joined and opens <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(closes, joined[-1][1])
        else:
            joined.append((opens, closes))
    return tuple(joined)


@lru_cache(maxsize=1024)
def _measured(window: Weekly) -> tuple[timedelta, timedelta]:
    found = _openings.__wrapped__(window, _SURVEYED, _SURVEY)
    found = found[1:-1] or found  # what the survey cuts off is no measure
    gaps = (later[0] - earlier[1] for earlier, later in pairwise(found))
    return max(gaps, default=timedelta(0)), min(closes - opens for opens, closes in found)


def _days(days: tuple[int, ...]) -> str:
    """Days in words, as in `mon-fri` and `mon,wed`."""
    if len(days) == len(DAYS):
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)


def _clock(minutes: int) -> str:
    hours, left = divmod(minutes if minutes == 24 * 60 else minutes % (24 * 60), 60)
    return f"{hours:02}:{left:02}"
