"""`rotate now`: what somebody asked for, and whether a record answers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.rotation.credential import Pause
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.pause import on_at
from rotator.rotation.record import Phase, Record


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """A person or a machine wants a new value. `emergency`: the predecessor dies as soon as the successor is proven."""

    at: datetime
    by: str
    emergency: bool = False
    patient: bool = False  # a grace that is on is waited for
    live: tuple[str, ...] = ()  # tokens whose values were published, or in grace, at that time; empty: not known


class RequestAnswer(StrEnum):
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


def as_rotation_request(request: OperatorRequest) -> RotationRequest:
    """The ask in an operator's request."""
    return RotationRequest(request.at, request.by, request.emergency, request.patient, request.live)


def foremost(*asks: RotationRequest | None) -> RotationRequest | None:
    """The one to work for: an emergency before others, then the latest."""
    return max((each for each in asks if each), key=lambda ask: (ask.emergency, ask.at), default=None)


def fresh(record: Record, ask: RotationRequest) -> bool:
    """Whether a new value was published since. Where it is known what lived then, no clock has a say in it."""
    current = record.current
    if current is None or current.reused:
        return False
    return current.token.id not in ask.live if ask.live else current.at >= ask.at


def answer(record: Record, ask: RotationRequest, paused: Pause | None = None) -> RequestAnswer:
    """What the record says to the ask. `paused`: a pause that is on whatever the record says."""
    if record.phase is Phase.HELD:
        return RequestAnswer.HELD
    if record.phase is Phase.AWAITING:
        return RequestAnswer.AWAITING
    if fresh(record, ask):
        ended = record.predecessor is None or record.ends_at is not None
        return RequestAnswer.DONE if record.phase is Phase.SETTLED and ended else RequestAnswer.PUBLISHED
    if (paused or on_at(record.paused, ask.at)) and record.phase in AT_REST and not ask.emergency:
        return RequestAnswer.PAUSED
    if record.phase is Phase.PUBLISHED and not ask.emergency and not ask.patient:
        return RequestAnswer.IN_GRACE
    failure = record.failure
    if record.phase is Phase.SETTLED and failure and failure.at >= ask.at and record.retry_at and not record.failures:
        return RequestAnswer.FAILED  # a step that did not get through is tried again: that is no answer
    return RequestAnswer.OPEN


def wanted(record: Record, ask: RotationRequest | None) -> bool:
    """Whether the ask still calls for a new rotation. In an emergency one that failed is begun anew."""
    if ask is None:
        return False
    said = answer(record, ask)
    return said is RequestAnswer.OPEN or (said is RequestAnswer.FAILED and ask.emergency)
