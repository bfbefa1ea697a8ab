"""Times that a clock which was ahead has left in a record. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from rotator.rotation.record import Record
from rotator.rotation.retirement import grace_from

# When the value was published is not among them: requests are compared with that, by the clock that told both.
_HAPPENED = ("requested_at", "sent_at", "reminded_at", "verified_at", "condemned_at", "settled_at")
_MINTS = ("mints", "emergency_mints")
_WAITED_BY = ("grace_from", "retry_from", "sent_at")


def put_right(record: Record, seen: datetime) -> Record:
    """The record, which has been known as it is since `seen` by the later of all clocks: nothing in it happened after.

    So no grace, and no pause after a failure, lasts longer than it is long, however far ahead the clock was that began
    it, and however often those who watch it are restarted; nor is one made shorter.
    """
    changes: dict[str, Any] = {name: seen for name in _HAPPENED if (at := getattr(record, name)) and at > seen}
    for name in _MINTS:
        if any(at > seen for at in getattr(record, name)):
            changes[name] = tuple(min(at, seen) for at in getattr(record, name))
    since, promised = record.current and grace_from(record, record.current), record.grace_ends
    if since and since > seen:
        changes |= {"grace_from": seen, "grace_ends": promised and promised - (since - seen)}
    began, until = record.retry_from, record.retry_at
    if began and until and began > seen:
        changes |= {"retry_from": seen, "retry_at": until - (began - seen)}
    return replace(record, **changes) if changes else record


def waits_otherwise(found: Record, right: Record) -> bool:
    """Whether what is waited by was put right: who takes the record up next would put it right later, and wait anew."""
    return any(getattr(found, name) != getattr(right, name) for name in _WAITED_BY)
