"""Pauses of the whole installation, of all credentials with certain labels, or of all on a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.rotation.credential import Credential, Pause
from rotator.rotation.pause import later, on_at


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


def over(credential: Credential, pauses: FleetPauses) -> Credential:
    """The credential with the longest of the pauses that cover it."""
    mine = later(each.pause for each in pauses if each.covers(credential))
    return credential if mine == credential.paused else replace(credential, paused=mine)


def paused(pauses: FleetPauses, pause: Pause, labels: Mapping[str, str], target: str = "") -> FleetPauses:
    """The pauses with one more. It replaces one of the same scope; pauses that are over are dropped."""
    wanted = FleetPause(replace(pause, scope=scope(labels, target)), labels, target)
    others = (each for each in pauses if each.pause.scope != wanted.pause.scope and on_at(each.pause, pause.at))
    return (*others, wanted)


def resumed(pauses: FleetPauses, labels: Mapping[str, str], now: datetime, target: str = "") -> FleetPauses:
    """The pauses without that of this scope; `--all` ends every one."""
    kept: Iterable[FleetPause] = pauses if labels or target else ()
    return tuple(each for each in kept if each.pause.scope != scope(labels, target) and on_at(each.pause, now))
