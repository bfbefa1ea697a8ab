"""The times of a record as they can be at most, for whoever has watched it unchanged for a while. Pure.

A wall clock that was ahead leaves times in a record that are still to come. Nothing that a record says has happened
can have happened after the moment since which it is known, so such a time is moved back to that moment, and what was
promised from it moves with it: no grace, no pause and no interval of a schedule lasts longer than its own length,
however far ahead the clock was that began it. None is made shorter: the moment is not before the truth.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rotator.rotation.record import Record

# What happened, and what was to last from then on. The end of a life is no such time: it is the target's.
_LASTING = (("retry_from", "retry_at"), ("installed_at", "ready_at"), ("requested_at", "ready_at"))
_HAPPENED = ("sent_at", "verified_at", "reminded_at", "condemned_at", "settled_at")


def as_watched(record: Record, now: datetime, rested: timedelta) -> Record:
    """The record as it is known at `now`, having been watched for `rested` by a clock that only goes forward."""
    latest = now - rested
    changes: dict[str, Any] = {}
    for began, ends in _LASTING:
        since, until = getattr(record, began), getattr(record, ends)
        if until and since and since > latest and ends not in changes:
            changes |= {ends: until - (since - latest)} | ({} if began == "requested_at" else {began: latest})
    changes |= {name: latest for name in _HAPPENED if (at := getattr(record, name)) and at > latest}
    if record.asked and record.asked.at > latest:
        changes["asked"] = replace(record.asked, at=latest)
    if record.current and record.current.at > latest:
        promised, ahead = record.grace_ends, record.current.at - latest
        changes |= {"current": replace(record.current, at=latest), "grace_ends": promised and promised - ahead}
    return replace(record, **changes) if changes else record
