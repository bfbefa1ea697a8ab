"""Pauses by operators, of one credential or of many: whether one is on, its words, and how it changes a record.

During a pause no rotation begins and no predecessor is condemned or revoked. A rotation that has begun goes on to its
publication, so that no candidate is left over and no consumer is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True, slots=True)
class FleetPause:
    """A pause of every credential with these labels, or at this target; with neither, of every credential.

    It also covers credentials that are added to the settings later.
    """

    pause: Pause
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    def covers(self, credential: Credential) -> bool:
        """Whether it covers the credential."""
        there = not self.target or credential.target == self.target
        return there and all(credential.labels.get(key) == value for key, value in self.labels.items())


FleetPauses = tuple[FleetPause, ...]


def scope(labels: Mapping[str, str], target: str = "") -> str:
    """The option that is typed to pause or resume them."""
    if target:
        return f"--target {target}"
    return " ".join(f"--label {key}={value}" for key, value in sorted(labels.items())) or "--all"


def covered(credential: Credential, pauses: FleetPauses) -> Credential:
    """The credential with the longest of the pauses that cover it."""
    mine = later(each.pause for each in pauses if each.covers(credential))
    return credential if mine == credential.paused else replace(credential, paused=mine)


def with_pause(pauses: FleetPauses, pause: Pause, labels: Mapping[str, str], target: str = "") -> FleetPauses:
    """The pauses with one more. It replaces one of the same scope; pauses that are over are dropped."""
    wanted = FleetPause(replace(pause, scope=scope(labels, target)), labels, target)
    others = (each for each in pauses if each.pause.scope != wanted.pause.scope and on_at(each.pause, pause.at))
    return (*others, wanted)


def without_pause(pauses: FleetPauses, labels: Mapping[str, str], now: datetime, target: str = "") -> FleetPauses:
    """The pauses without that of this scope; `--all` ends every one."""
    kept: Iterable[FleetPause] = pauses if labels or target else ()
    return tuple(each for each in kept if each.pause.scope != scope(labels, target) and on_at(each.pause, now))
