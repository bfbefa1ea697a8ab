"""An undo: whether the last rotation can be taken back, and how an undo changes a record.

The value before becomes the candidate of a new rotation with a number of its own. It is proven and published like any
other, and the value that it replaces is retired like any other. Until it is published it stays the predecessor, so that
nothing ends it early. If the undo fails, the record is as before.

    [published] --UndoBegun--> [undoing] --Restored--> [staged] -> [verified] --Published--> [published]
         ^                         |                       |            |
         +------- UndoFailed ------+------- Rejected ------+-- Fenced --+

A failed undo that began in `condemned` or later goes back to `condemned`: the restored value is ended again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.rotation import events as ev
from rotator.rotation import left_to_date
from rotator.rotation.credential import Credential
from rotator.rotation.phases import CondemnedState, PublishedState, SettledState, StagedState, UndoingState
from rotator.rotation.record import Failure, HoldReason, Phase, PublishedValue, Record, Trigger, Undo

_FROM = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED})
_ENDED_BY_IT = frozenset({HoldReason.STILL_USED, HoldReason.MINT_BUDGET})  # holds that an undo lifts


def before(record: Record) -> PublishedValue | None:
    """The value that an undo publishes again: the predecessor, one left to its date, or the one retired last."""
    left = left_to_date.before(record)
    return record.predecessor or (left.value if left else None) or record.retired


def where(record: Record) -> Phase:
    """The phase; below a hold that an undo lifts, the phase that was held."""
    return record.reached.phase if record.held and record.held.reason in _ENDED_BY_IT else record.phase


def ended(record: Record) -> bool:
    """Whether the value before may be dead at the target."""
    if where(record) is Phase.CONDEMNED:
        return True
    return record.predecessor is None and left_to_date.before(record) is None


def objection(credential: Credential, record: Record, now: datetime) -> str:
    """Why the last rotation cannot be taken back, in words for a person; empty: it can."""
    old = before(record)
    if record.held and where(record) is Phase.HELD:
        return f"it is held ({record.held.reason.value}): {record.held.text}"
    if where(record) not in _FROM:
        return f"rotation {record.rotation} is under way ({record.phase.value}); wait until it is published or given up"
    if old is None and record.unended:
        return "a person was asked to end the value before; if it lives, it can be handed over anew: rotate supply"
    if record.current is None or old is None:
        return "there is no rotation to take back, or it was an emergency: no value before this one is known"
    if record.emergency or (record.asked and record.asked.emergency):
        return "its rotation is an emergency, so the value before counts as leaked; rotate now makes a new one"
    if (old.place, old.target) != (credential.place, credential.target) or old.place != record.current.place:
        return f"the value before was published at {old.place}, of target {old.target}: settings name others"
    if old.policy != credential.policy:
        return "settings want other roles or options than the value before has; put the settings back first, then undo"
    if old.token.expires_at and old.token.expires_at <= now:
        return f"the value before expired at {old.token.expires_at:%F %T}Z"
    return ""


def begun(record: Record, event: ev.UndoBegun) -> Record:
    """The record at the begin of an undo: the value before is its predecessor, dead or alive."""
    old = before(record)
    if old is None:
        raise ValueError("nothing to go back to")
    back, left = Phase.CONDEMNED if ended(record) else where(record), left_to_date.before(record)
    return replace(
        record,
        state=UndoingState(Undo(event.by, event.at, back), event.ready_at),
        rotation=max(record.rotation, event.above) + 1,
        attempt=1,
        why=Trigger.UNDO,
        asked_by=event.by,
        emergency=event.emergency,
        place=event.place,
        target=old.target,
        policy=old.policy,
        requested_at=event.at,
        predecessor=old,
        ends_at=left.until if left and left.value is old else record.ends_at,
        left=left_to_date.without(record, old.token.id),
        failures=0,
        failure=None,
        retry_at=None,
        asked=None,
    )


def restored(record: Record, event: ev.Restored) -> Record:
    """The record with the value before as its candidate; the value is in its own version of the consumer document."""
    state = StagedState(event.candidate, installed_at=event.at, undo=record.undo)
    return replace(record, state=state, retry_at=None)


def failed(record: Record, at: datetime, reason: str) -> Record:
    """The record as it was before the undo. The predecessor keeps its grace."""
    return replace(
        record,
        state=_back(record.undo) if record.undo else SettledState(),
        emergency=False,
        failures=0,
        failure=Failure("undo", reason, at),
        retry_at=None,
    )


def _back(undo: Undo) -> SettledState | PublishedState | CondemnedState:
    if undo.back is Phase.CONDEMNED:
        return CondemnedState(undo.at)
    return PublishedState() if undo.back is Phase.PUBLISHED else SettledState()


def given_up(record: Record, event: ev.UndoFailed) -> Record:
    """The record after an undo whose value could not be proven."""
    return failed(record, event.at, event.reason)
