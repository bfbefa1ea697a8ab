"""Corrects times in a record that a clock wrote while it was ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from rotator.rotation.phases import AwaitingState, CondemnedState, PhaseState, VerifiedState
from rotator.rotation.record import Record
from rotator.rotation.retirement import grace_from

# The time of publication is not among them: it is compared with requests, and the same clock told both.
_HAPPENED = ("requested_at", "sent_at", "settled_at")
_MINTS = ("mints", "emergency_mints")
_WAITED_BY = ("grace_from", "retry_from", "sent_at")


def put_right(record: Record, seen: datetime) -> Record:
    """The record with no time later than `seen`, the latest clock's time since which it has been known unchanged.

    So no grace and no back-off lasts longer than its own length, however far ahead the clock was that began it, and
    however often processes restart. None is made shorter.
    """
    changes: dict[str, Any] = {name: seen for name in _HAPPENED if (at := getattr(record, name)) and at > seen}
    if (state := _right(record.reached, seen)) is not record.reached:
        changes["state"] = replace(record.held, state=state) if record.held else state
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


def _right(state: PhaseState, seen: datetime) -> PhaseState:
    match state:
        case AwaitingState(reminded_at=at) if at > seen:
            return replace(state, reminded_at=seen)
        case VerifiedState(verified_at=at) if at > seen:
            return replace(state, verified_at=seen)
        case CondemnedState(condemned_at=at) if at > seen:
            return replace(state, condemned_at=seen)
    return state


def waits_otherwise(found: Record, right: Record) -> bool:
    """Whether the correction changed a wait. If it is not saved, the next process corrects later and waits again."""
    return any(getattr(found, name) != getattr(right, name) for name in _WAITED_BY)
