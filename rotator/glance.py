"""Owns the fleet in one line, as `systemctl status` shows it; tables and sentences are rotation/summary.py's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from rotator.engine.visit import Seen
from rotator.rotation.record import Phase, Record

_NAMED = 3  # names at most; the rest is counted


def glance(names: Iterable[str], seen: Mapping[str, Seen], now: datetime) -> str:
    """How many there are, who needs a person or is failing, what is under way, and what is next."""
    wanted = list(names)
    records = {name: seen[name].record for name in wanted if name in seen}
    held = [name for name, record in records.items() if record and record.phase is Phase.HELD]
    failing = [name for name, record in records.items() if record and record.failure and name not in held]
    rotating = [name for name, record in records.items() if _under_way(record)]
    parts = [f"{len(wanted)} credential{'' if len(wanted) == 1 else 's'}"]
    parts += [f"{len(held)} HELD ({_some(held)})"] if held else []
    parts += [f"{len(failing)} failing ({_some(failing)})"] if failing else []
    parts += [f"{len(rotating)} under way"] if rotating else []
    parts += [f"{len(wanted) - len(records)} not looked at yet"] if len(records) < len(wanted) else []
    return ", ".join(parts) + _next(wanted, seen, now)


def _under_way(record: Record | None) -> bool:
    return record is not None and record.phase not in (Phase.SETTLED, Phase.HELD)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _next(names: Iterable[str], seen: Mapping[str, Seen], now: datetime) -> str:
    ahead = [(until, name) for name in names if name in seen and (until := seen[name].wait.until)]
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
