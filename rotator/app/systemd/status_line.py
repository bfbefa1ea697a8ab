"""The fleet in one line, as `systemctl status` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rotator.rotation.state import Headline, Severity, State

_NAMED = 3  # names at most; the rest is counted
_WATCHED = (Headline.DOUBTED, Headline.PAUSED_BY_HAND, Headline.FAILING, Headline.LEFT_ALONE)
_UNDER_WAY = (Headline.ROTATING, Headline.IN_GRACE, Headline.RETIRING)


def status_line(states: Sequence[State], now: datetime) -> str:
    """How many there are, who needs a person or is to be watched, what is under way, and what is next."""
    count = len(states)
    parts = [f"{count} credential{'' if count == 1 else 's'}"]
    for word in Headline:
        found = [each for each in states if each.word is word]
        if found and (found[0].mark is Severity.ACT or word in _WATCHED):
            shown = word.upper() if found[0].mark is Severity.ACT else word
            parts.append(f"{len(found)} {shown} ({_some([each.name for each in found])})")
    under_way = sum(each.word in _UNDER_WAY for each in states)
    unseen = sum(not each.known for each in states)
    parts += [f"{under_way} under way"] if under_way else []
    parts += [f"{unseen} not looked at yet"] if unseen else []
    return ", ".join(parts) + _next(states, now)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _next(states: Iterable[State], now: datetime) -> str:
    ahead = [(each.next_at, each.name) for each in states if each.next_at]
    if not ahead:
        return ""
    until, name = min(ahead)
    return f"; next: {name} {_soon(until - now)}"


def _soon(left: timedelta) -> str:
    minutes = int(left.total_seconds() // 60)
    if minutes < 1:
        return "within a minute"
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= 2 * size:
            return f"in {minutes // size}{unit}"
    return f"in {minutes}m"
