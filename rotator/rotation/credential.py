"""What is wanted of a credential (from settings, replaced on reload); record.py has what is true of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from rotator.rotation.schedule import Every, Schedule


class VaultPath(NamedTuple):
    """A document in a KV version 2 engine: the mount and the path below it."""

    mount: str
    path: str

    def __str__(self) -> str:
        return f"{self.mount}/{self.path}"


class OnForeign(StrEnum):
    """What to do when somebody else wrote, or deleted, the published value."""

    HOLD = "hold"
    OVERWRITE = "overwrite"


class AtDeadline(StrEnum):
    """What to do with a predecessor that is still in use at the deadline."""

    REVOKE = "revoke"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Retirement:
    """When a predecessor may go: `after` publication, unused for `quiet`, at the latest at `deadline`."""

    after: timedelta = timedelta(hours=1)
    quiet: timedelta | None = None
    deadline: timedelta | None = None
    at_deadline: AtDeadline = AtDeadline.REVOKE


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on minting and on patience, all enforced from stored facts."""

    mints_per_rotation: int = 3
    mints_per_day: int = 6
    day: timedelta = timedelta(hours=24)  # shorter for values that live for minutes
    settle: timedelta = timedelta(seconds=10)  # the target may take this long to accept, or to have done, a change
    spread: timedelta = timedelta(0)  # ... and may go on for this long with what it read before (a cached key set)
    proof_life: timedelta = timedelta(seconds=60)  # a proof older than this is made again before publishing
    poll: timedelta = timedelta(minutes=1)  # between two looks whether a person has done it
    remind: timedelta = timedelta(hours=24)  # between two reminders of what a person has to do


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's word that nothing is to begin or end. `until` None: until it is resumed."""

    by: str
    at: datetime
    reason: str = ""
    until: datetime | None = None
    scope: str = ""  # of many: --all, or --label KEY=VALUE; empty: of one credential


@dataclass(frozen=True)  # without slots, which leave no room for what is computed once
class Credential:
    """One credential as the operator wants it."""

    name: str
    kind: str
    target: str
    place: VaultPath
    key: str = "token"
    schedule: Schedule = field(default_factory=lambda: Every(timedelta(days=30)))
    lifetime: timedelta | None = timedelta(days=90)
    retire: Retirement = Retirement()
    limits: Limits = Limits()
    on_foreign: OnForeign = OnForeign.HOLD
    describe: bool = True  # publish rotation, provider_id, issued_at and expires_at beside the value
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)  # the kind's own settings (roles, probe, ...)
    paused: Pause | None = None  # with others of the installation, by the document that Vault has for that

    unbaked: frozenset[str] = frozenset()  # options that change how a token is proven or shown, not the token

    @cached_property
    def policy(self) -> str:
        """A digest of what is baked into a token when it is minted; when it changes, the token is due."""
        baked = {"kind": self.kind, "target": self.target, "options": self._baked()}
        text = json.dumps(baked, sort_keys=True, default=str, separators=(",", ":"))
        return "1:" + hashlib.sha256(text.encode()).hexdigest()[:16]

    def _baked(self) -> dict[str, object]:
        return {name: value for name, value in self.options.items() if name not in self.unbaked}
