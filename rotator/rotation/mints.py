"""Owns the count of mint requests: how many count today, and what changes when one more may leave. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rotator.rotation.credential import Credential
from rotator.rotation.record import Record

_DAY = timedelta(hours=24)


def authorise(record: Record, at: datetime, *, sends: int, since: datetime | None = None) -> dict[str, Any]:
    """What changes when one more request may leave. Those before `since` (None: a day ago) are forgotten."""
    mints = (*(x for x in record.mints if x > (since or at - _DAY)), at)
    return {"sends": sends, "sent_at": at, "mints": mints, "uncertain": False}


def may_mint(credential: Credential, record: Record, now: datetime) -> bool:
    """Whether this rotation may send another request."""
    limits = credential.limits
    return record.sends < limits.mints_per_rotation and minted(credential, record, now) < limits.mints_per_day


def minted(credential: Credential, record: Record, now: datetime) -> int:
    """How many requests count today."""
    return sum(at > now - credential.limits.day for at in record.mints)
