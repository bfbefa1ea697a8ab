"""How an operator's request changes a record, and when what was asked for is over. Pure; the visit performs it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.rotation import command_events as cmd
from rotator.rotation import events as ev
from rotator.rotation import retirement
from rotator.rotation.credential import Credential
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.pause import pause_on, words
from rotator.rotation.person_events import Released
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.rotation.rotation_request import (
    AT_REST,
    RequestAnswer,
    RotationRequest,
    answer,
    as_rotation_request,
    fresh,
    wanted,
)

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
    held = (record.current, record.predecessor if record.ends_at is None else None) if record else ()
    return tuple(each.token.id for each in held if each)


def find(record: Record, request_id: str) -> TakenUp | None:
    """What became of a request; None when the record does not know it."""
    return next((each for each in record.taken if each.id == request_id), None)


def hurried(record: Record, asked: RotationRequest | None) -> Record:
    """The record without its pause, where somebody asks for what waits: once, as what fails then has its own."""
    return replace(record, retry_at=None) if record.retry_at and wanted(record, asked) else record


def taken(record: Record, event: cmd.RequestTaken) -> Record:
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


def declined(record: Record, event: cmd.RequestDeclined) -> Record:
    """Nothing comes of it."""
    return record


def noted(record: Record, event: ev.Event) -> Record:
    """The record after an event: which request it takes up is remembered, and what is over is no longer asked for."""
    match event:
        case cmd.RequestTaken(at, request):
            record = _remember(record, TakenUp(request.id, at))
        case cmd.RequestDeclined(at, request, reason):
            record = _remember(record, TakenUp(request.id, at, reason))
        case cmd.Paused() | cmd.Unpaused() | cmd.UndoBegun() | Released() if event.request:
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
