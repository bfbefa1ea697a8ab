"""Older values that are left to end by their own dates: kept until they are proven dead, revoked again if they leaked.

Nothing waits for such a value. Where it leaked, it is looked at regularly, as somebody may end it at its target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.rotation.phases import PublishedState
from rotator.rotation.record import LeftValue, PublishedValue, Record

KEPT = 64  # per record; of more than these, those that end first are forgotten
_LOOK = timedelta(seconds=90)  # between two looks whether it has ended


@dataclass(frozen=True, slots=True)
class Reopened:
    """An event: an emergency revokes a value once more that was left to its date."""

    at: datetime
    token: str


def kept(
    record: Record, value: PublishedValue, at: datetime, until: datetime, reason: str, *, again: bool = False
) -> tuple[LeftValue, ...]:
    """All that are left, with one more."""
    leaked = record.emergency or again
    here = LeftValue(value, until, reason, at, at, leaked=leaked, again=again)
    found = sorted((*record.left, here), key=lambda each: each.until)
    return tuple(found[-KEPT:])


def leaked(record: Record, at: datetime) -> Record:
    """The record at the request for an emergency: all that is left counts as leaked, and is revoked once more."""
    old = record.predecessor
    if old and record.ends_at and record.undo is None:
        left = kept(record, old, at, record.ends_at, "")
        record = replace(record, predecessor=None, ends_at=None, left=left)
    return replace(record, left=tuple(replace(each, leaked=True, again=True) for each in record.left))


def to_reopen(record: Record) -> LeftValue | None:
    """The next one that the emergency revokes once more. Before, the published value has to work."""
    if record.current is None or record.refused_at:
        return None
    return next((each for each in record.left if each.again), None)


def reopened(record: Record, event: Reopened) -> Record:
    """The record in which it is the predecessor again, without a grace."""
    here = next(each for each in record.left if each.value.token.id == event.token)
    rest = without(record, event.token)
    if record.predecessor and record.ends_at:
        rest = kept(replace(record, left=rest), record.predecessor, event.at, record.ends_at, "")
    return replace(
        record,
        state=PublishedState(),
        predecessor=here.value,
        left=rest,
        emergency=True,
        ends_at=None,
        evidence="",
        failures=0,
        failure=None,
        retry_at=None,
    )


def leaks(record: Record) -> tuple[LeftValue, ...]:
    """Those that an emergency was to end, and could have ended."""
    return tuple(each for each in record.left if each.leaked and each.reason)


def without(record: Record, token: str) -> tuple[LeftValue, ...]:
    """All that are left but one."""
    return tuple(each for each in record.left if each.value.token.id != token)


def look_at(each: LeftValue) -> datetime:
    """When to look next whether it has ended."""
    again = each.looked_at + _LOOK
    return again if each.leaked else max(again, each.until)


def before(record: Record) -> LeftValue | None:
    """The value that the published one replaced, if it is left and did not leak."""
    current = record.current
    return next((x for x in record.left if current and x.since >= current.at and not x.leaked), None)
