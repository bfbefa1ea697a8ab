"""A brute-force reading of cron: every minute of UTC, its wall time, and a matcher of its own.

`python -m tests.tools.cron_walk` holds it against the product in every zone of the tz database for ten years.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from rotator.host.cron import Cron

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EXPRESSIONS = ("0 0 * * *", "0 0 * * 1", "30 2 * * *", "15,30 2,3 * * *", "*/20 0-3 * * *", "45 23 * * 0", "0 0 1 * *")


def matches(expression: str, wall: datetime) -> bool:
    """Whether cron(5) names this minute of wall time; knows numbers, `*`, `,`, `-` and `*/n`."""
    values = (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7)
    return all(_names(field, value) for field, value in zip(expression.split(), values, strict=True))


def _names(field: str, value: int) -> bool:
    if field.startswith("*"):
        return value % int(field[2:] or 1) == 0
    spans = (item.partition("-") for item in field.split(","))
    return any(int(low) <= value <= int(high or low) for low, _, high in spans)


def walk(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every fire from `start` up to `end` (UTC), in order.

    A wall time that comes twice fires at its first coming; one that is left out fires as much later as the clocks
    went forward, and once with the wall time that it falls on.
    """
    highest = (start - DAY).astimezone(zone).replace(tzinfo=None)
    late: set[datetime] = set()
    moment = start - DAY
    while moment < end:
        moment += MINUTE
        wall = moment.astimezone(zone).replace(tzinfo=None)
        left_out = highest + MINUTE
        while left_out < wall:
            if matches(expression, left_out):
                late.add(moment + (left_out - highest - MINUTE))
            left_out += MINUTE
        fires = moment in late or (wall > highest and matches(expression, wall))
        highest = max(highest, wall)
        if fires and moment >= start:
            yield moment


def changes(zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The hours (UTC) in which the clocks of a zone change."""
    found, moment = [], start
    while moment < end:
        if moment.astimezone(zone).utcoffset() != (moment + HOUR).astimezone(zone).utcoffset():
            found.append(moment)
        moment += HOUR
    return found


def differences(expression: str, name: str, start: datetime, end: datetime) -> list[str]:
    """Where the product and the walk disagree between two times, in words."""
    cron, at, found = Cron(expression, name), start - MINUTE, []
    for fire in walk(expression, ZoneInfo(name), start, end):
        at = cron.due("", at, None)
        if at != fire:
            found.append(f"{name} {expression!r}: {fire:%F %H:%M}Z expected, {at:%F %H:%M}Z found")
            at = fire
    return found


def main() -> int:
    """Every zone, ten years: minute by minute around each change of its clocks. Zones that change alike count once."""
    start, wrong, walks = datetime(2025, 1, 1, tzinfo=UTC), 0, 0
    walked: set[tuple[object, ...]] = set()
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in changes(zone, start, start + 3653 * DAY):
            clocks = change, *(moment.astimezone(zone).utcoffset() for moment in (change, change + HOUR))
            if clocks in walked:
                continue
            walked.add(clocks)
            for expression in EXPRESSIONS:
                walks += 1
                for words in differences(expression, name, change - 26 * HOUR, change + 26 * HOUR):
                    wrong += 1
                    sys.stdout.write(f"{words}\n")
    sys.stdout.write(f"{len(available_timezones())} zones, {walks} walks, {wrong} wrong\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
