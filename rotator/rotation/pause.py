"""A pause by an operator: whether one is on, its words, and how it changes a record.

During a pause no rotation begins and no predecessor is condemned or revoked. A rotation that has begun goes on to its
publication, so that no candidate is left over and no consumer is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.record import Record


def on_at(pause: Pause | None, when: datetime) -> Pause | None:
    """The pause if it is still on at `now`, else None."""
    return pause if pause and (pause.until is None or when < pause.until) else None


def pause_on(credential: Credential, record: Record, now: datetime) -> Pause | None:
    """The pause that is on now, of the credential or of many; of two, the one that ends later."""
    return later(each for each in (on_at(credential.paused, now), on_at(record.paused, now)) if each)


def later(pauses: Iterable[Pause]) -> Pause | None:
    """The pause that ends last."""
    return max(pauses, key=lambda each: (each.until is None, each.until or each.at), default=None)


def words(pause: Pause) -> str:
    """A pause in words: by whom, until when, and why."""
    until = f" until {pause.until:%F %T}Z" if pause.until else " until somebody resumes it"
    why = f": {pause.reason}" if pause.reason else ""
    scope = f" with {pause.scope}" if pause.scope else ""
    return f"paused{scope} by {pause.by} since {pause.at:%F %T}Z{until}{why}"


def ended_by(pause: Pause, name: str) -> str:
    """The command that ends it."""
    return f"rotate resume {pause.scope or name}"


def paused(record: Record, event: ev.Paused) -> Record:
    """The record with the new pause in place of an earlier one."""
    return replace(record, paused=Pause(event.by, event.at, event.reason, event.until))


def unpaused(record: Record, event: ev.Unpaused) -> Record:
    """The record without a pause."""
    return replace(record, paused=None)
