"""Pauses of the whole installation, of all credentials with certain labels, or of all on a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.rotation.credential import Credential, Pause
from rotator.rotation.pause import later, on_at


@dataclass(frozen=True, slots=True)
class FleetPause:
    """A pause of all that carry these labels, or of all on a target; with neither, of everything, whichever settings
    name it. Its scope is what `rotate pause` was told."""

    pause: Pause
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    def covers(self, credential: Credential) -> bool:
        """Whether it is about this credential."""
        there = not self.target or credential.target == self.target
        return there and all(credential.labels.get(key) == value for key, value in self.labels.items())


FleetPauses = tuple[FleetPause, ...]


def scope(labels: Mapping[str, str], target: str = "") -> str:
    """What is typed to pause or resume them."""
    if target:
        return f"--target {target}"
    return " ".join(f"--label {key}={value}" for key, value in sorted(labels.items())) or "--all"


def over(credential: Credential, pauses: FleetPauses) -> Credential:
    """The credential with the pause that is on longest of those that cover it."""
    mine = later(each.pause for each in pauses if each.covers(credential))
    return credential if mine == credential.paused else replace(credential, paused=mine)


def paused(pauses: FleetPauses, pause: Pause, labels: Mapping[str, str], target: str = "") -> FleetPauses:
    """With one more; a later word on the same scope replaces an earlier one, and what is over is forgotten."""
    wanted = FleetPause(replace(pause, scope=scope(labels, target)), labels, target)
    others = (each for each in pauses if each.pause.scope != wanted.pause.scope and on_at(each.pause, pause.at))
    return (*others, wanted)


def resumed(pauses: FleetPauses, labels: Mapping[str, str], now: datetime, target: str = "") -> FleetPauses:
    """Without that of this scope; `--all` ends every one."""
    kept: Iterable[FleetPause] = pauses if labels or target else ()
    return tuple(each for each in kept if each.pause.scope != scope(labels, target) and on_at(each.pause, now))
