"""The count of mint requests: how many count today, and what changes when one more may leave. Pure.

What the schedule asks for and what an emergency asks for are counted apart, so that a credential that failed all day
can still be revoked. What a person asked for does not count once it is published.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rotator.rotation.credential import Credential
from rotator.rotation.record import Record, Trigger

_DAY = timedelta(hours=24)


def authorise(
    record: Record, at: datetime, *, sends: int, emergency: bool, since: datetime | None = None
) -> dict[str, Any]:
    """What changes when one more request may leave. Those before `since` (None: a day ago) are forgotten."""
    budget = _budget(emergency)
    mints = (*(x for x in getattr(record, budget) if x > (since or at - _DAY)), at)
    return {"sends": sends, "sent_at": at, "uncertain": False, budget: mints}


def unsent(record: Record) -> dict[str, Any]:
    """What changes when the last request was not sent after all, or made nothing."""
    last = max((*record.mints, *record.emergency_mints), default=None)
    return {name: _without(getattr(record, name), last) for name in ("mints", "emergency_mints")}


def well_ended(record: Record, at: datetime) -> dict[str, Any]:
    """What changes when a rotation that a person asked for is published, at that time: its requests count no longer.

    What was sent later, by a clock that was ahead, is another rotation's. A rollback sends none.
    """
    begun = record.requested_at
    if begun is None or record.undo or not (record.why is Trigger.ASKED or record.emergency):
        return {}
    return {
        "mints": tuple(x for x in record.mints if not begun <= x <= at),
        "emergency_mints": tuple(x for x in record.emergency_mints if not begun <= x <= at),
    }


def may_mint(credential: Credential, record: Record, now: datetime) -> bool:
    """Whether this rotation may send another request."""
    limits = credential.limits
    counted = minted(credential, record, now, emergency=record.emergency)
    return record.sends < limits.mints_per_rotation and counted < limits.mints_per_day


def minted(credential: Credential, record: Record, now: datetime, *, emergency: bool) -> int:
    """How many requests count today."""
    return sum(at > now - credential.limits.day for at in getattr(record, _budget(emergency)))


def _budget(emergency: bool) -> str:
    return "emergency_mints" if emergency else "mints"


def _without(mints: tuple[datetime, ...], last: datetime | None) -> tuple[datetime, ...]:
    return mints[:-1] if mints and mints[-1] == last else mints
