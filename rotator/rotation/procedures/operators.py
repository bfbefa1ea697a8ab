"""Requests of operators: whether one is taken up or declined, and the beginning of an undo."""

from __future__ import annotations

from datetime import datetime

from rotator.rotation import events as ev
from rotator.rotation import rollback
from rotator.rotation import rotation_request as rules
from rotator.rotation.calls import Procedure
from rotator.rotation.faults import Refused
from rotator.rotation.observation import Observation, number
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.procedures.consumer_path import look
from rotator.rotation.procedures.rollback import impossible
from rotator.rotation.record import Phase, Record


def take_up(seen: Observation, record: Record, request: OperatorRequest) -> Procedure[ev.Event | None]:
    """The event of a request; None: it was taken up before. Raises Transient if Vault or the target does not answer."""
    if rules.find(record, request.id):
        return None
    try:
        return (yield from _event(seen, record, request))
    except Refused as fault:
        return ev.RequestDeclined(seen.at, request, fault.reason)


def _event(seen: Observation, record: Record, request: OperatorRequest) -> Procedure[ev.Event]:
    at, by, taken = seen.at, request.by, ev.RequestTaken(seen.at, request)
    match request.verb:
        case RequestVerb.PAUSE:
            return ev.Paused(at, by, request.reason, request.until, request.id)
        case RequestVerb.RESUME:
            return ev.Unpaused(at, by, request.id) if record.paused else taken
        case RequestVerb.RELEASE:
            return ev.Released(at, by, request.id) if record.phase is Phase.HELD else taken
        case RequestVerb.UNDO:
            begun = yield from undo(seen, record, by, emergency=request.emergency, request=request.id)
            return begun or taken
    objection = rules.objection(seen.credential, record, request, seen.now)
    return ev.RequestDeclined(at, request, objection) if objection else taken


def undo(
    seen: Observation, record: Record, by: str, *, emergency: bool, request: str = ""
) -> Procedure[ev.UndoBegun | None]:
    """Begin an undo; None if one is under way. Raises Refused with the reason against it."""
    if record.undo:
        return None
    if reason := (yield from impossible(seen, record)):
        raise Refused(reason)
    doc, _ = yield from look(seen, record, again=False)
    place, ready_at = seen.credential.place, _quiet_at(seen, record)
    return ev.UndoBegun(seen.at, by, emergency, place, ready_at, number(doc), request=request)


def _quiet_at(seen: Observation, record: Record) -> datetime:
    """From when on no earlier revocation of the value before can still take effect."""
    if not rollback.ended(record):
        return seen.at
    last = seen.at if record.predecessor else (record.settled_at or seen.at)
    return last + seen.credential.limits.settle
