"""Pauses by operators, of one credential or of many: whether one is on, its words, and how it changes a record.

During a pause no rotation begins and no predecessor is condemned or revoked. A rotation that has begun goes on to its
publication, so that no candidate is left over and no consumer is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.record import Record

_REMEMBERED = timedelta(hours=24)  # an ended stop


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
    if pause.stop:
        return f"stopped since {pause.at:%F %T}Z until somebody resumes it: {pause.reason}"
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

    With a `kind`, of that kind alone.

    It also covers credentials that are added to the settings later.
    """

    pause: Pause
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    kind: str = ""

    def covers(self, credential: Credential) -> bool:
        """Whether it covers the credential."""
        there = self.target in ("", credential.target) and self.kind in ("", credential.kind)
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
    others = (each for each in pauses if each.pause.stop or each.pause.scope != wanted.pause.scope)
    return (*_remembered(others, pause.at), wanted)


def without_pause(pauses: FleetPauses, labels: Mapping[str, str], now: datetime, target: str = "") -> FleetPauses:
    """The pauses without that of this scope; `--all` ends every one."""
    everything, ended = not labels and not target, scope(labels, target)
    over = (_over(each, now) if everything or each.pause.scope == ended else each for each in pauses)
    return _remembered(over, now)


def _over(each: FleetPause, now: datetime) -> FleetPause:
    until = min(each.pause.until or now, now)
    return replace(each, pause=replace(each.pause, until=until))


def _remembered(pauses: Iterable[FleetPause], now: datetime) -> FleetPauses:
    """Those that are on, and stops that ended lately: what failed before their end does not count any more."""
    return tuple(each for each in pauses if on_at(each.pause, now) or _ended_lately(each.pause, now))


def _ended_lately(pause: Pause, now: datetime) -> bool:
    return pause.stop and pause.until is not None and now - pause.until < _REMEMBERED


def with_stop(pauses: FleetPauses, target: str, kind: str, now: datetime, reason: str) -> FleetPauses:
    """The pauses, and a stop of this kind at this target, unless there is one."""
    there = (each.pause for each in pauses if (each.target, each.kind) == (target, kind))
    if any(each.stop and on_at(each, now) for each in there):
        return pauses
    stop = Pause("rotator", now, reason, scope=scope({}, target), stop=True)
    return (*_remembered(pauses, now), FleetPause(stop, target=target, kind=kind))


def resumed_at(pauses: FleetPauses, now: datetime) -> dict[tuple[str, str], datetime]:
    """When a person ended the last stop, by target and kind."""
    ended = (each for each in pauses if each.pause.stop and not on_at(each.pause, now))
    return {(each.target, each.kind): each.pause.until for each in ended if each.pause.until}
