"""The events in which a person has a part: what waits for them, and what they decide. events.py has the rest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.record import HoldReason


@dataclass(frozen=True, slots=True)
class Escalated:
    """The rotation in flight became an emergency."""

    at: datetime
    asked_by: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """Only a person can go on; `text` tells them how. Nothing was minted or installed."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Polled:
    """The person has not done it yet; look again at `until`. `since`: as in Faulted."""

    at: datetime
    until: datetime
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reminded:
    """The person was told once more."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class PutOnHold:
    """A person must act."""

    at: datetime
    reason: HoldReason
    text: str


@dataclass(frozen=True, slots=True)
class Released:
    """A person lifted the hold. `request`: the id of the operator's request that this takes up."""

    at: datetime
    by: str
    request: str = ""
