"""Owns `rotate now`: what somebody asked for, and whether a record answers it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rotator.rotation.credential import Pause
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.pause import on_at
from rotator.rotation.record import Phase, Record


@dataclass(frozen=True, slots=True)
class Ask:
    """A person or a machine wants a new value. `emergency`: the predecessor dies as soon as the successor is proven."""

    at: datetime
    by: str
    emergency: bool = False
    patient: bool = False  # a grace that is on is waited for
    live: tuple[str, ...] = ()  # tokens whose values were published, or in grace, at that time; empty: not known


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


AT_REST = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED})  # from here only a new rotation would help


def as_ask(request: OperatorRequest) -> Ask:
    """The ask in an operator's request."""
    return Ask(request.at, request.by, request.emergency, request.patient, request.live)


def as_known(ask: Ask | None, record: Record, at: datetime) -> Ask | None:
    """The ask, where the clock that told its time was ahead: `at` is now, by the later of all clocks.

    What is asked for later than now would be newer than everything that fails, and no pause would ever be on.
    """
    if ask is None or ask.at <= at:
        return ask
    known = [each.at for each in (record.asked, record.failure) if each and each.at <= at]
    return replace(ask, at=max(known, default=at))


def foremost(*asks: Ask | None) -> Ask | None:
    """The one to work for: an emergency before others, then the latest."""
    return max((each for each in asks if each), key=lambda ask: (ask.emergency, ask.at), default=None)


def fresh(record: Record, ask: Ask) -> bool:
    """Whether a new value was published since. Where it is known what lived then, no clock has a say in it."""
    current = record.current
    if current is None or current.reused:
        return False
    return current.token.id not in ask.live if ask.live else current.at >= ask.at


def answer(record: Record, ask: Ask, paused: Pause | None = None) -> Answer:
    """What the record says to the ask. `paused`: a pause that is on whatever the record says."""
    if record.phase is Phase.HELD:
        return Answer.HELD
    if record.phase is Phase.AWAITING:
        return Answer.AWAITING
    if fresh(record, ask):
        ended = record.predecessor is None or record.ends_at is not None
        return Answer.DONE if record.phase is Phase.SETTLED and ended else Answer.PUBLISHED
    if (paused or on_at(record.paused, ask.at)) and record.phase in AT_REST and not ask.emergency:
        return Answer.PAUSED
    if record.phase is Phase.PUBLISHED and not ask.emergency and not ask.patient:
        return Answer.IN_GRACE
    failure = record.failure
    if record.phase is Phase.SETTLED and failure and failure.at >= ask.at and record.retry_at and not record.failures:
        return Answer.FAILED  # a step that did not get through is tried again: that is no answer
    return Answer.OPEN


def wanted(record: Record, ask: Ask | None) -> bool:
    """Whether the ask still calls for a new rotation. In an emergency one that failed is begun anew."""
    if ask is None:
        return False
    said = answer(record, ask)
    return said is Answer.OPEN or (said is Answer.FAILED and ask.emergency)
