"""The event by which a record takes up what an operator asked for, or declines it."""

from __future__ import annotations

from datetime import datetime

from rotator.engine.calls import run
from rotator.engine.context import RotationContext
from rotator.ports import Refused
from rotator.rotation import events as ev
from rotator.rotation import rollback as undone
from rotator.rotation import rotation_request as rules
from rotator.rotation.observation import number
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.procedures.consumer_path import look
from rotator.rotation.procedures.rollback import impossible
from rotator.rotation.record import Phase, Record


async def take_up(context: RotationContext, record: Record, request: OperatorRequest) -> ev.Event | None:
    """None: it was taken up before. Raises Transient when what decides cannot be read just now."""
    if rules.find(record, request.id):
        return None
    try:
        return await _event(context, record, request)
    except Refused as fault:
        return ev.RequestDeclined(context.at, request, fault.reason)


async def _event(context: RotationContext, record: Record, request: OperatorRequest) -> ev.Event:
    at, by, taken = context.at, request.by, ev.RequestTaken(context.at, request)
    match request.verb:
        case RequestVerb.PAUSE:
            return ev.Paused(at, by, request.reason, request.until, request.id)
        case RequestVerb.RESUME:
            return ev.Unpaused(at, by, request.id) if record.paused else taken
        case RequestVerb.RELEASE:
            return ev.Released(at, by, request.id) if record.phase is Phase.HELD else taken
        case RequestVerb.UNDO:
            return await _undo(context, record, request)
        case RequestVerb.ROTATE:
            objection = rules.objection(context.credential, record, request, context.now)
            return ev.RequestDeclined(at, request, objection) if objection else taken


async def _undo(context: RotationContext, record: Record, request: OperatorRequest) -> ev.Event:
    """Nothing more when one is under way already."""
    if record.undo:
        return ev.RequestTaken(context.at, request)
    if reason := await run(context, impossible(context.observed(), record)):
        return ev.RequestDeclined(context.at, request, reason)
    doc, _ = await run(context, look(context.observed(), record, again=False))
    place, above = context.credential.place, number(doc)
    return ev.UndoBegun(
        context.at, request.by, request.emergency, place, _quiet_at(context, record), above, request=request.id
    )


def _quiet_at(context: RotationContext, record: Record) -> datetime:
    """When no revocation of the value before can be on its way any more."""
    if not undone.ended(record):
        return context.at
    last = context.at if record.predecessor else (record.settled_at or context.at)
    return last + context.credential.limits.settle
