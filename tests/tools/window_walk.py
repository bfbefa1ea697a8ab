"""A brute-force reading of weekly windows: every minute of UTC and its wall time.

`python -m tests.tools.window_walk` holds it against the product in every zone of the tz database for ten years.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from rotator.host.windows import Span, Weekly
from tests.tools.cron_walk import DAY, HOUR, MINUTE, changes

EVERY_DAY = tuple(range(7))
TIMES = (
    (0, 60),
    (120, 180),
    (150, 170),
    (90, 150),
    (150, 210),
    (180, 240),
    (22 * 60, 28 * 60),
    (0, 1440),
    (1430, 1570),
)


def walk(span: Span, start: datetime, end: datetime) -> set[datetime]:
    """The minutes from `start` up to `end` (UTC) at which the span is open.

    It opens at the first minute that reads `begin`, else at the first that reads later; it closes at the last minute
    that reads `end`, else at the first that reads later.
    """
    zone, moment = ZoneInfo(span.timezone), start - 3 * DAY
    minutes = []
    while moment < end + 3 * DAY:
        minutes.append((moment, moment.astimezone(zone).replace(tzinfo=None)))
        moment += MINUTE
    opened: set[datetime] = set()
    day = minutes[0][1].replace(hour=0, minute=0)
    while day < minutes[-1][1]:
        if day.weekday() in span.days:
            opens = _reads(minutes, day + span.begin * MINUTE, last=False)
            closes = _reads(minutes, day + span.end * MINUTE, last=True)
            opened.update(each for each, _ in minutes[opens:closes])
        day += DAY
    return {each for each in opened if start <= each < end}


def _reads(minutes: list[tuple[datetime, datetime]], wall: datetime, *, last: bool) -> int:
    exact = [number for number, (_, each) in enumerate(minutes) if each == wall]
    if exact:
        return exact[-1 if last else 0]
    return next((number for number, (_, each) in enumerate(minutes) if each > wall), len(minutes))


def differences(spans: Iterable[Span], start: datetime, end: datetime) -> list[str]:
    """Where the product and the walk disagree between two times, in words."""
    window, found, moment = Weekly(tuple(spans)), [], start
    opened = set().union(*(walk(each, start, end + DAY * 8) for each in window.spans))
    while moment < end:
        since, following = window.opened_at(moment), window.next_open(moment)
        expected = moment in opened
        if expected is not (since is not None) or (since and since > moment):
            found.append(f"{window}: {moment:%F %H:%M}Z open {expected} expected, since {since} found")
        if following != moment if expected else following != min(each for each in opened if each > moment):
            found.append(f"{window}: {moment:%F %H:%M}Z opens next at {following:%F %H:%M}Z")
        moment += MINUTE
    return found


def main() -> int:
    """Every zone, ten years: minute by minute around each change of its clocks. Zones that change alike count once."""
    start, wrong, walks = datetime(2025, 1, 1, tzinfo=UTC), 0, 0
    walked: set[tuple[object, ...]] = set()
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in changes(zone, start, start + 3653 * DAY):
            clocks = change, *(each.astimezone(zone).utcoffset() for each in (change, change + HOUR))
            if clocks in walked:
                continue
            walked.add(clocks)
            for begin, end in TIMES:
                walks += 1
                for words in differences([Span(EVERY_DAY, begin, end, name)], change - 26 * HOUR, change + 26 * HOUR):
                    wrong += 1
                    sys.stdout.write(f"{words}\n")
    sys.stdout.write(f"{len(available_timezones())} zones, {walks} walks, {wrong} wrong\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
