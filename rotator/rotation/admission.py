"""Whether a rotation that is due may begin now.

The first of RULES that objects decides. An emergency asks none of them, and what has begun goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.credential import Credential
from rotator.rotation.pause import pause_on, words
from rotator.rotation.record import Record, Trigger


@dataclass(frozen=True, slots=True)
class NotNow:
    """It may not begin before `until` (UTC); None: not until somebody or something changes that. `reason`: in words."""

    until: datetime | None
    reason: str


Rule = Callable[[Credential, Record, datetime, Trigger], NotNow | None]


def paused(credential: Credential, record: Record, now: datetime, trigger: Trigger) -> NotNow | None:
    """An operator paused it."""
    pause = pause_on(credential, record, now)
    return NotNow(pause.until, words(pause)) if pause else None


RULES: tuple[Rule, ...] = (paused,)


def not_now(credential: Credential, record: Record, now: datetime, trigger: Trigger) -> NotNow | None:
    """Why a rotation that is due because of `trigger` may not begin at `now` (UTC); None: it may."""
    return next((no for rule in RULES if (no := rule(credential, record, now, trigger))), None)
