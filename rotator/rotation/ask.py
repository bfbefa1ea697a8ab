"""Owns `rotate now`: what somebody asked for, and whether a record answers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.rotation.pause import pause_on
from rotator.rotation.record import Phase, Record


@dataclass(frozen=True, slots=True)
class Ask:
    """A person or a machine wants a new value. `emergency`: the predecessor dies as soon as the successor is proven."""

    at: datetime
    by: str
    emergency: bool = False


class Answer(StrEnum):
    """What has become of an ask."""

    OPEN = "open"  # not yet: keep going
    PUBLISHED = "published"  # the new value is live; its predecessor is in grace
    DONE = "done"  # the new value is live and its predecessor is dead
    IN_GRACE = "in_grace"  # an earlier rotation waits for its predecessor's end
    FAILED = "failed"  # tried and given up for now
    HELD = "held"
    AWAITING = "awaiting"  # a person must act first
    PAUSED = "paused"  # an operator wants nothing to begin or end


_AT_REST = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED})  # from here only a new rotation would help


def answer(record: Record, ask: Ask) -> Answer:
    """What the record says to the ask."""
    if record.phase is Phase.HELD:
        return Answer.HELD
    if record.phase is Phase.AWAITING:
        return Answer.AWAITING
    fresh = record.current is not None and record.current.at >= ask.at and not record.current.reused
    if fresh:
        return Answer.DONE if record.phase is Phase.SETTLED else Answer.PUBLISHED
    if pause_on(record, ask.at) and record.phase in _AT_REST and not ask.emergency:
        return Answer.PAUSED
    if record.phase is Phase.PUBLISHED and not ask.emergency:
        return Answer.IN_GRACE
    if record.phase is Phase.SETTLED and record.failure and record.failure.at >= ask.at and record.retry_at:
        return Answer.FAILED
    return Answer.OPEN


def wanted(record: Record, ask: Ask | None) -> bool:
    """Whether the ask still calls for a new rotation."""
    return ask is not None and answer(record, ask) is Answer.OPEN
