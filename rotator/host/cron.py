"""Cron expressions, alarms and the system's clock. The only import of apscheduler.

An alarm only says "look now"; rotation and engine decide what is due.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import anyio
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from rotator.host.time_zones import check_timezone
from rotator.rotation.schedule import share

_SETTLED = datetime(2024, 1, 1, tzinfo=UTC)  # where measuring the gaps of an expression starts; any time will do
_SURVEY = timedelta(days=3 * 366)
_FIRES = 1500  # a day of minutes, and the gap behind it
_LONGEST_GAP = timedelta(days=1)  # the longest that a zone ever skipped: Samoa's 30 December 2011
_JUMP = 1.0  # seconds that the wall clock may be set back without a new alarm

# Suspended time counts where the system can tell: a lease does run out while a laptop sleeps.
_TICKING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The real time; see `ports.Clock`. `monotonic` counts from the start of the machine, see `_TICKING`."""

    now = staticmethod(partial(datetime.now, UTC))
    monotonic = staticmethod(partial(time.clock_gettime, _TICKING))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


# --- cron -----------------------------------------------------------------------------------------------------------

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = re.compile(r"[0-9*,/-]+")
_NAMES = re.compile(r"[0-9a-z*,/-]+")
_RANGE = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>[1-9]\d?))?")


@dataclass(frozen=True, slots=True)
class Cron:
    """Due at the next time of the expression, plus a share of `splay` hashed from the name.

    The five fields mean what cron(5) says; Sunday is 0 or 7. A wall time that occurs twice in autumn fires once, the
    first time. A wall time that is skipped in spring fires once, later by as much as the clocks went forward.
    Raises ValueError with a remedy for an invalid expression or time zone.
    """

    expression: str
    timezone: str = "UTC"
    splay: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        check_timezone(self.timezone)
        if _next_fire(self.expression, self.timezone, _SETTLED) is None:
            raise ValueError("names a day that never comes")

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime:
        """See `Schedule.due`: strictly after `published_at`."""
        fire = _next_fire(self.expression, self.timezone, published_at)
        assert fire is not None  # __post_init__ saw one, and cron repeats
        return fire + self.splay * share(name)

    def spacing(self) -> tuple[timedelta, timedelta]:
        """The shortest and the longest time between two fires, found by looking at three years, splay left out."""
        return _spacing(self.expression, self.timezone)


@lru_cache(maxsize=1024)
def _trigger(expression: str) -> CronTrigger:
    fields = expression.lower().split()
    if len(fields) != 5:
        raise ValueError(f"needs five fields, minute hour day month weekday, such as `0 3 * * 1`; it has {len(fields)}")
    if not (all(map(_NUMBERS.fullmatch, fields[:3])) and all(map(_NAMES.fullmatch, fields[3:]))):
        raise ValueError("may hold numbers, `*`, `,`, `-` and `/`, and names of months and weekdays in their places")
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError("names both a day of the month and a weekday, which crons read differently; use one of them")
    fields[4] = _weekdays(fields[4])
    try:
        return CronTrigger.from_crontab(" ".join(fields), timezone=UTC)
    except ValueError as fault:
        raise ValueError(f"is no cron expression: {fault}") from None


def _weekdays(field: str) -> str:
    """Spell weekdays by name: apscheduler 3 counts them from Monday, cron(5) from Sunday."""
    if field == "*":
        return field
    chosen: set[int] = set()
    for item in field.split(","):
        part = _RANGE.fullmatch(item)
        if not part:
            raise ValueError(f"`{item}` is no weekday: write 0 to 7 (Sunday is both) or mon, tue, ...")
        low = _weekday(part["low"]) if part["low"] else 0
        high = _weekday(part["high"]) if part["high"] else 6 if part["step"] or not part["low"] else low
        if high < low:
            raise ValueError(f"`{item}` runs backwards; name the days one by one")
        chosen.update(day % 7 for day in range(low, high + 1, int(part["step"] or 1)))
    return ",".join(_DAYS[day] for day in sorted(chosen))


def _weekday(word: str) -> int:
    if word in _DAYS:
        return _DAYS.index(word)
    if not re.fullmatch("[0-7]", word):
        raise ValueError(f"`{word}` is no weekday: write 0 to 7 (Sunday is both) or mon, tue, ...")
    return int(word)


def _next_fire(expression: str, timezone: str, after: datetime) -> datetime | None:
    """The first fire strictly after `after`, in UTC; None: never.

    The trigger sees wall time as if it were UTC: across a change of the clocks its own arithmetic skips days
    (measured with apscheduler 3.11.3). Each fire is then converted with the time zone.
    """
    trigger, zone = _trigger(expression), ZoneInfo(timezone)
    offsets = [moment.astimezone(zone).utcoffset() for moment in (after - _LONGEST_GAP, after)]
    wall = after.astimezone(UTC) + min(offset for offset in offsets if offset is not None)
    earliest: datetime | None = None
    limit: datetime | None = None  # wall time from which no fire can come before `earliest`
    while True:
        fire: datetime | None = trigger.get_next_fire_time(None, wall + timedelta(microseconds=1))
        if fire is None or (limit and fire >= limit):
            return earliest
        wall = fire
        moment = fire.replace(tzinfo=zone).astimezone(
            UTC
        )  # fold 0: its first occurrence; a skipped time becomes that much later
        if moment > after and (earliest is None or moment < earliest):
            earliest = moment
            limit = moment.astimezone(zone).replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _spacing(expression: str, timezone: str) -> tuple[timedelta, timedelta]:
    fires = [_SETTLED]
    while len(fires) < 4 or (len(fires) < _FIRES and fires[-1] < _SETTLED + _SURVEY):
        following = _next_fire(expression, timezone, fires[-1])
        assert following is not None  # the caller holds a Cron, which fires
        fires.append(following)
    gaps = [later - earlier for earlier, later in pairwise(fires[1:])]
    return min(gaps), max(gaps)


# --- alarms ---------------------------------------------------------------------------------------------------------


class Alarms:
    """A handful of interval alarms on one scheduler; each calls a plain, quick function on the event loop.

    There is never an alarm per credential: a burst of due jobs would freeze the loop (100,000 at once: six seconds,
    measured with apscheduler 3.11.3). A lost or doubled alarm harms nothing, since what is due is decided from records.
    """

    def __init__(self) -> None:
        # DebugExecutor calls in place; the usual one takes plain functions to a thread, where no event may be set.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._guard: asyncio.TimerHandle | None = None
        self._lead = 0.0
        self._on = False

    def every(self, interval: timedelta, name: str, ring: Callable[[], object]) -> None:
        """Call `ring` at this interval. It must not wait and must not work: set an event, or send without waiting."""

        def ring_while_on() -> None:
            if self._on:
                ring()

        self._scheduler.add_job(ring_while_on, "interval", seconds=interval.total_seconds(), id=name, name=name)

    def start(self) -> None:
        """Begin; needs a running asyncio loop."""
        self._on = True
        self._lead = _lead()
        self._scheduler.start()
        self._watch()

    def stop(self) -> None:
        """End at once; no alarm rings afterwards. Stopping twice is no fault."""
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        if self._on:
            self._on = False
            self._scheduler.shutdown(wait=False)  # takes effect at the loop's next turn

    def ring_all(self) -> None:
        """Ring everything now, and count the intervals from now."""
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=now)

    def _watch(self) -> None:
        """Notice a wall clock that was set back, for which every alarm would otherwise be late by that much.

        Clocks set forward and suspended time need no care: the alarms are overdue then, and ring at the next tick.
        """
        lead = _lead()
        if lead < self._lead - _JUMP:
            self.ring_all()
        self._lead = lead
        self._guard = asyncio.get_running_loop().call_later(1.0, self._watch)


def _lead() -> float:
    return time.time() - time.clock_gettime(_TICKING)
