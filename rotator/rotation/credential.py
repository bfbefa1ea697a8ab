"""A credential as the settings want it; a reload replaces it. record.py has what is true of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from rotator.rotation.change_calendar import ALWAYS, Calendar
from rotator.rotation.schedule import Every, Schedule

if TYPE_CHECKING:
    Options = TypeVar("Options", covariant=True, default=Any)  # `Credential` alone is one of any kind
else:
    Options = TypeVar("Options", covariant=True)  # Python knows no default before 3.13
_NO_OPTIONS: Any = None


class VaultPath(NamedTuple):
    """The address of a document in a KV version 2 engine: the mount, and the path below it."""

    mount: str
    path: str

    def __str__(self) -> str:
        return f"{self.mount}/{self.path}"


class OnForeign(StrEnum):
    """What to do if somebody else overwrote or deleted the published value."""

    HOLD = "hold"
    OVERWRITE = "overwrite"


class AtDeadline(StrEnum):
    """What to do with a predecessor that is still used at the deadline."""

    REVOKE = "revoke"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Retirement:
    """When a predecessor may be ended: `after` publication, unused for `quiet`, at the latest at `deadline`."""

    after: timedelta = timedelta(hours=1)
    quiet: timedelta | None = None
    deadline: timedelta | None = None
    at_deadline: AtDeadline = AtDeadline.REVOKE
    gives_way: bool = False  # a predecessor that has not ended when the next rotation is due is left to its own date


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on minting and waiting. All are enforced from stored facts."""

    mints_per_rotation: int = 3
    mints_per_day: int = 6
    day: timedelta = timedelta(hours=24)  # shorter for values that live for minutes
    settle: timedelta = timedelta(seconds=10)  # how long the target may take to apply a change
    spread: timedelta = timedelta(0)  # how long it may use an older state after that (e.g. a cached key set)
    proof_life: timedelta = timedelta(seconds=60)  # an older proof is repeated before publishing
    poll: timedelta = timedelta(minutes=1)  # between two looks whether a person has acted
    remind: timedelta = timedelta(hours=24)  # between two reminders of what a person has to do


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause by an operator: no rotation begins, no predecessor ends. `until` None: until it is resumed."""

    by: str
    at: datetime
    reason: str = ""
    until: datetime | None = None
    scope: str = ""  # --all or --label KEY=VALUE for many credentials; empty: for one
    stop: bool = False  # nobody asked for it: too much failed there. It ends no deadline of a predecessor


@dataclass(frozen=True)  # no slots, because of the cached property
class Credential(Generic[Options]):
    """One credential as the operator wants it, with the options of its kind."""

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
    options: Options = _NO_OPTIONS  # the kind's own (roles, probe, ...), of the type that it declares
    # Those of them that go into a token and differ from their default, as plain values. Only these are in the policy:
    # a default that a later version adds must not rotate anything.
    rotating_options: Mapping[str, object] = field(default_factory=dict)
    identified: bool = True  # whether values of its kind say whose they are: only such a value can be adopted
    calendar: Calendar = ALWAYS  # when a rotation may begin
    paused: Pause | None = None  # a pause of many credentials, from its document in Vault

    @cached_property
    def policy(self) -> str:
        """A digest of the options that a token is minted with. When it changes, a rotation is due."""
        baked = {"kind": self.kind, "target": self.target, "options": dict(self.rotating_options)}
        text = json.dumps(baked, sort_keys=True, default=str, separators=(",", ":"))
        return "1:" + hashlib.sha256(text.encode()).hexdigest()[:16]
