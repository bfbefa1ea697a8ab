"""Requests for a rotation: whether a record answers one, how one changes the record, and when one is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rotator.rotation import events as ev
from rotator.rotation import left_to_date, retirement
from rotator.rotation.admission import by_calendar
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.events import Released
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.pause import on_at, pause_on, words
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Unended


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """A request for a new value. `emergency`: the predecessor is revoked as soon as the successor is proven."""

    at: datetime
    by: str
    emergency: bool = False
    patient: bool = False  # waits until the current grace is over
    live: tuple[str, ...] = ()  # ids of tokens published or in grace when it was asked; empty: not known
    id: str = ""  # of the operator's request in Vault; empty: it is in no Vault


class RequestAnswer(StrEnum):
    """What became of a request."""

    OPEN = "open"  # not answered yet: keep going
    PUBLISHED = "published"  # the new value is live; its predecessor is in grace
    DONE = "done"  # the new value is live and its predecessor is dead
    IN_GRACE = "in_grace"  # refused: the predecessor of an earlier rotation is still in grace
    FAILED = "failed"  # tried, and given up for now
    HELD = "held"
    AWAITING = "awaiting"  # a person must act first
    PAUSED = "paused"  # an operator paused the credential
    NOT_OPEN = "not_open"  # refused: the calendar does not let a rotation begin now


AT_REST = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED})  # here only a new rotation answers a request


def as_rotation_request(request: OperatorRequest) -> RotationRequest:
    """The request for a rotation that is in an operator's request."""
    return RotationRequest(request.at, request.by, request.emergency, request.patient, request.live, request.id)


def foremost(*asks: RotationRequest | None) -> RotationRequest | None:
    """The request to work for: an emergency first, then the latest; None if there is none."""
    return max((each for each in asks if each), key=lambda ask: (ask.emergency, ask.at), default=None)


def fresh(record: Record, ask: RotationRequest) -> bool:
    """Whether a new value was published since the request. If it names the tokens of its time, no clock is asked."""
    current = record.current
    if current is None or current.reused:
        return False
    return current.token.id not in ask.live if ask.live else current.at >= ask.at


def answer(record: Record, ask: RotationRequest, paused: Pause | None = None) -> RequestAnswer:
    """What became of the request, by the record. `paused`: a pause that the record does not know, e.g. of the fleet."""
    if record.phase is Phase.HELD:
        return RequestAnswer.HELD
    if record.phase is Phase.AWAITING:
        return RequestAnswer.AWAITING
    if fresh(record, ask) and not (ask.emergency and record.refused_at):
        ended = (record.predecessor is None or record.ends_at is not None) and not left_to_person(record, ask)
        ended = ended and not any(each.again for each in record.left)
        return RequestAnswer.DONE if record.phase is Phase.SETTLED and ended else RequestAnswer.PUBLISHED
    if (paused or on_at(record.paused, ask.at)) and record.phase in AT_REST and not ask.emergency:
        return RequestAnswer.PAUSED
    if record.phase is Phase.PUBLISHED and not ask.emergency and not ask.patient:
        return RequestAnswer.IN_GRACE
    failure = record.failure
    if record.phase is Phase.SETTLED and failure and failure.at >= ask.at and record.retry_at and not record.failures:
        return RequestAnswer.FAILED  # a single failed step is tried again, which is no answer
    return RequestAnswer.OPEN


def left_to_person(record: Record, ask: RotationRequest) -> tuple[Unended, ...]:
    """Values that were alive at the request and wait for a person to end them."""
    return tuple(each for each in record.unended if not ask.live or each.value.token.id in ask.live)


def dooms(record: Record, ask: RotationRequest) -> bool:
    """Whether the request makes the rotation under way an emergency: it ends or replaces a value alive at the request.

    A value published since the request has its ordinary grace, even while an older one waits for a person.
    """
    at_stake = (each for each in (record.current, record.predecessor) if each)
    return ask.emergency and (not fresh(record, ask) or any(_lived(each, ask) for each in at_stake))


def _lived(value: PublishedValue, ask: RotationRequest) -> bool:
    return value.token.id in ask.live if ask.live else value.at < ask.at


def emergency_to_come(record: Record) -> bool:
    """Whether an emergency was asked for whose new value is not published yet."""
    asked = record.asked
    return asked is not None and asked.emergency and not fresh(record, as_rotation_request(asked))


def wanted(record: Record, ask: RotationRequest | None) -> bool:
    """Whether the request still needs a new rotation. An emergency begins anew after a failed one."""
    if ask is None:
        return False
    said = answer(record, ask)
    return said is RequestAnswer.OPEN or (said is RequestAnswer.FAILED and ask.emergency)


NOTHING_LIVES = ("",)  # no token has this id, so the first published value answers the request
REMEMBERED = 16  # requests per record: one that stays in Vault, or arrives there late, is recognised
_PASSED = frozenset({HoldReason.MINT_BUDGET, HoldReason.STILL_USED})  # holds that do not stop an emergency


def objection(credential: Credential, record: Record, request: OperatorRequest, now: datetime) -> str:
    """Why the request is declined, in words; empty: it is taken up. An emergency is always taken up."""
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
    return "" if request.patient or record.phase not in AT_REST else not_open(credential, record, now)


def not_open(credential: Credential, record: Record, now: datetime) -> str:
    """Why and until when the calendar does not let a rotation begin, and what does, in words; empty: it may begin."""
    no = by_calendar(credential, record, now)
    until = f", so not before {no.until:%F %T}Z" if no and no.until else ""
    return f"{no.reason}{until}; --wait waits for that and rotates then, --emergency does not wait" if no else ""


def in_grace(credential: Credential, record: Record, now: datetime) -> str:
    """Until when the grace lasts, and how to end it or wait for it, in words."""
    end = grace_ends(credential, record)
    until = f" until {end:%F %T}Z at the earliest" if end else ""
    if end and end <= now:
        stands, hurried = "'s grace is over, and its end comes first", "does not wait"
    else:
        stands, hurried = f" is in grace{until}", "ends the grace"
    return f"the predecessor{stands}; --wait waits for that and rotates then, --emergency {hurried}"


def grace_ends(credential: Credential, record: Record) -> datetime | None:
    """The earliest end of the predecessor. Before it only an emergency begins a rotation. None: no grace is on."""
    if record.phase is not Phase.PUBLISHED or record.current is None:
        return None
    since, promised = retirement.grace_from(record, record.current), record.grace_ends
    return retirement.earliest(credential.retire, since, emergency=record.emergency, promised=promised)


def live_at(record: Record | None) -> tuple[str, ...]:
    """The ids of tokens alive when a request is typed. Never empty, so that no clock has to answer the request."""
    return live_values(record) or NOTHING_LIVES


def live_values(record: Record | None) -> tuple[str, ...]:
    """The ids of tokens that are published or in grace or could not be revoked, without what nobody can revoke."""
    if record is None:
        return ()
    by_date = [each.value for each in record.left if not each.reason]
    by_date += [record.predecessor] if record.predecessor and record.ends_at else []
    return tuple(each.token.id for each in record.published if each not in by_date)


def find(record: Record, request_id: str) -> TakenUp | None:
    """What became of a request, by its id; None if the record does not know it."""
    return next((each for each in record.taken if each.id == request_id), None)


def unless_declined(record: Record, ask: RotationRequest | None) -> RotationRequest | None:
    """The request, or None if the record has declined it. Whoever still waits for that one brings nothing about."""
    known = find(record, ask.id) if ask else None
    return None if known and known.refused else ask


def hurried(record: Record, asked: RotationRequest | None) -> Record:
    """The record without its back-off, if the request wants what waits. A later failure backs off again."""
    return replace(record, retry_at=None) if record.retry_at and wanted(record, asked) else record


def taken(record: Record, event: ev.RequestTaken) -> Record:
    """The record with the request in it, so that it survives this process. An emergency is never displaced."""
    request, before = event.request, record.asked
    if request.verb is not RequestVerb.ROTATE:
        return record
    record = hurried(record, as_rotation_request(request))
    record = left_to_date.leaked(record, event.at) if request.emergency else record
    if before and (before.emergency, before.at) > (request.emergency, request.at):
        return record
    live = (*before.live, *(each for each in request.live if each not in before.live)) if before else request.live
    record = replace(record, asked=replace(request, live=live))
    if not request.emergency or record.held is None or record.held.reason not in _PASSED:
        return record
    return replace(record, state=record.reached, failures=0, retry_at=None)


def declined(record: Record, event: ev.RequestDeclined) -> Record:
    """The record is unchanged; `noted` remembers the request."""
    return record


def noted(record: Record, event: ev.Event) -> Record:
    """The record after an event: remembers the request that the event took up, and drops one that is over."""
    match event:
        case ev.RequestTaken(at, request):
            record = _remember(record, TakenUp(request.id, at))
        case ev.RequestDeclined(at, request, reason):
            record = _remember(record, TakenUp(request.id, at, reason))
        case ev.Paused() | ev.Unpaused() | ev.UndoBegun() | Released() if event.request:
            record = _remember(record, TakenUp(event.request, event.at))
    if record.asked and record.asked.at > event.at:  # its clock was ahead: a request precedes what follows it
        record = replace(record, asked=replace(record.asked, at=event.at))
    return _closed(record)


def _remember(record: Record, taken_up: TakenUp) -> Record:
    return replace(record, taken=(*record.taken, taken_up)[-REMEMBERED:])


def _closed(record: Record) -> Record:
    """Drop a request that is over. An emergency is over when the old values are dead."""
    if record.asked is None:
        return record
    said = answer(record, as_rotation_request(record.asked))
    over = said is RequestAnswer.DONE or (
        not record.asked.emergency and said in (RequestAnswer.PUBLISHED, RequestAnswer.FAILED)
    )
    return replace(record, asked=None) if over else record
