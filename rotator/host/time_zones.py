"""Time zones of the tz database, and the moments at which a wall clock there reads a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

_STEP = timedelta(seconds=1)


def check_timezone(name: str) -> str:
    """The name, when it is a time zone. Raises ValueError with a suggestion."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        near = get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean `{near[0]}`?" if near else "write it as Europe/Berlin, or UTC"
        raise ValueError(f"there is no such time zone; {hint}") from None
    return name


def moment(wall: datetime, zone: ZoneInfo, *, second: bool = False) -> datetime:
    """When (UTC) a clock in the zone reads the naive time `wall`.

    A time that occurs twice: the first time, or the second. A time that is left out: the first moment after the gap.
    """
    found = wall.replace(tzinfo=zone, fold=int(second)).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # Read with the offset of either side, a time that is left out lies just before the change of the clocks, or after.
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    before = early.astimezone(zone).utcoffset()
    while late - early > _STEP:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
