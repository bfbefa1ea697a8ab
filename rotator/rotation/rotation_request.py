"""What operators ask for: whether a record answers it, how it changes the record, when it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rotator.rotation import events as ev
from rotator.rotation import retirement
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.events import Released
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.pause import on_at, pause_on, words
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Unended


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
        ended = (record.predecessor is None or record.ends_at is not None) and not left_to_person(record, ask)
        return RequestAnswer.DONE if record.phase is Phase.SETTLED and ended else RequestAnswer.PUBLISHED
    if (paused or on_at(record.paused, ask.at)) and record.phase in AT_REST and not ask.emergency:
        return RequestAnswer.PAUSED
    if record.phase is Phase.PUBLISHED and not ask.emergency and not ask.patient:
        return RequestAnswer.IN_GRACE
    failure = record.failure
    if record.phase is Phase.SETTLED and failure and failure.at >= ask.at and record.retry_at and not record.failures:
        return RequestAnswer.FAILED  # a step that did not get through is tried again: that is no answer
    return RequestAnswer.OPEN


def left_to_person(record: Record, ask: RotationRequest) -> tuple[Unended, ...]:
    """What lived when somebody asked, and waits for a person to end it."""
    return tuple(each for each in record.unended if not ask.live or each.value.token.id in ask.live)


def dooms(record: Record, ask: RotationRequest) -> bool:
    """Whether a rotation under way would end, or replace, what an emergency is about. A value that was published since
    has its grace, though the emergency is not over as long as an older one waits for a person."""
    at_stake = (each for each in (record.current, record.predecessor) if each)
    return ask.emergency and (not fresh(record, ask) or any(_lived(each, ask) for each in at_stake))


def _lived(value: PublishedValue, ask: RotationRequest) -> bool:
    return value.token.id in ask.live if ask.live else value.at < ask.at


def wanted(record: Record, ask: RotationRequest | None) -> bool:
    """Whether the ask still calls for a new rotation. In an emergency one that failed is begun anew."""
    if ask is None:
        return False
    said = answer(record, ask)
    return said is RequestAnswer.OPEN or (said is RequestAnswer.FAILED and ask.emergency)


NOTHING_LIVES = ("",)  # no token has this id: the first value that is published answers
REMEMBERED = 16  # requests: one that could not be removed from Vault, or lands there late, is known again
_PASSED = frozenset({HoldReason.MINT_BUDGET, HoldReason.STILL_USED})  # holds that do not stop an emergency


def objection(credential: Credential, record: Record, request: OperatorRequest, now: datetime) -> str:
    """Why no rotation comes of the request, in words; empty when it is taken up. An emergency is always taken up."""
    if request.emergency:
        return ""
    if record.held:
        return record.held.text
    if record.phase is Phase.PUBLISHED and fresh(record, as_rotation_request(request)):
        return ""
    if (pause := pause_on(credential, record, now)) and record.phase in AT_REST:
        return words(pause)
    if record.phase is Phase.PUBLISHED and not request.patient:
        return in_grace(credential, record, now)
    return ""


def in_grace(credential: Credential, record: Record, now: datetime) -> str:
    """Until when nothing begins because of a grace, and what ends it."""
    end = grace_ends(credential, record)
    until = f" until {end:%F %T}Z at the earliest" if end else ""
    stands = "'s grace is over, and it has not ended yet" if end and end <= now else f" is in grace{until}"
    return f"the predecessor{stands}; --wait waits for that and rotates then, --emergency ends the grace"


def grace_ends(credential: Credential, record: Record) -> datetime | None:
    """Before this time no predecessor ends, and so no rotation begins that nobody calls an emergency."""
    if record.phase is not Phase.PUBLISHED or record.current is None:
        return None
    since, promised = retirement.grace_from(record, record.current), record.grace_ends
    return retirement.earliest(credential.retire, since, emergency=record.emergency, promised=promised)


def live_at(record: Record | None) -> tuple[str, ...]:
    """What a request says of the values that live when it is typed: never empty, so that no clock has to answer it."""
    return live_values(record) or NOTHING_LIVES


def live_values(record: Record | None) -> tuple[str, ...]:
    """Tokens whose values are published or in grace, but for one that nobody can end before its date."""
    if record is None:
        return ()
    by_date = record.predecessor if record.ends_at is not None else None
    return tuple(each.token.id for each in record.published if each is not by_date)


def find(record: Record, request_id: str) -> TakenUp | None:
    """What became of a request; None when the record does not know it."""
    return next((each for each in record.taken if each.id == request_id), None)


def hurried(record: Record, asked: RotationRequest | None) -> Record:
    """The record without its pause, where somebody asks for what waits: once, as what fails then has its own."""
    return replace(record, retry_at=None) if record.retry_at and wanted(record, asked) else record


def taken(record: Record, event: ev.RequestTaken) -> Record:
    """A rotation is asked for, whatever becomes of the process that was told. An emergency is never set aside."""
    request, before = event.request, record.asked
    if request.verb is not RequestVerb.ROTATE:
        return record
    record = hurried(record, as_rotation_request(request))
    if before and (before.emergency, before.at) > (request.emergency, request.at):
        return record
    live = (*before.live, *(each for each in request.live if each not in before.live)) if before else request.live
    record = replace(record, asked=replace(request, live=live))
    if not request.emergency or record.held is None or record.held.reason not in _PASSED:
        return record
    return replace(record, phase=record.held.phase, held=None, failures=0, retry_at=None)


def declined(record: Record, event: ev.RequestDeclined) -> Record:
    """Nothing comes of it."""
    return record


def noted(record: Record, event: ev.Event) -> Record:
    """The record after an event: which request it takes up is remembered, and what is over is no longer asked for."""
    match event:
        case ev.RequestTaken(at, request):
            record = _remember(record, TakenUp(request.id, at))
        case ev.RequestDeclined(at, request, reason):
            record = _remember(record, TakenUp(request.id, at, reason))
        case ev.Paused() | ev.Unpaused() | ev.UndoBegun() | Released() if event.request:
            record = _remember(record, TakenUp(event.request, event.at))
    if (
        record.asked and record.asked.at > event.at
    ):  # by a clock that was ahead: it was asked for before what came after
        record = replace(record, asked=replace(record.asked, at=event.at))
    return _closed(record)


def _remember(record: Record, taken_up: TakenUp) -> Record:
    return replace(record, taken=(*record.taken, taken_up)[-REMEMBERED:])


def _closed(record: Record) -> Record:
    """An emergency is over when the old values are dead."""
    if record.asked is None:
        return record
    said = answer(record, as_rotation_request(record.asked))
    over = said is RequestAnswer.DONE or (
        not record.asked.emergency and said in (RequestAnswer.PUBLISHED, RequestAnswer.FAILED)
    )
    return replace(record, asked=None) if over else record
