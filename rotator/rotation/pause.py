"""Owns a pause: whether one is on, what it says, and how it changes a record. What it stops is decide.py's.

It stops what begins and what ends: no rotation begins, no predecessor is condemned or revoked. A rotation that has
begun goes on to its publication, as a candidate must not be left hanging, nor consumers cut off.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.rotation import commands as cmd
from rotator.rotation.record import Pause, Record


def pause_on(record: Record, now: datetime) -> Pause | None:
    """The pause that is on now."""
    pause = record.paused
    return pause if pause and (pause.until is None or now < pause.until) else None


def words(pause: Pause) -> str:
    """Who paused it, until when, and why."""
    until = f" until {pause.until:%F %T}Z" if pause.until else " until somebody resumes it"
    why = f": {pause.reason}" if pause.reason else ""
    return f"paused by {pause.by} since {pause.at:%F %T}Z{until}{why}"


def paused(record: Record, event: cmd.Paused) -> Record:
    """A later word replaces an earlier one."""
    return replace(record, paused=Pause(event.by, event.at, event.reason, event.until))


def unpaused(record: Record, event: cmd.Unpaused) -> Record:
    """It goes on."""
    return replace(record, paused=None)
