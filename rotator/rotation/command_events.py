"""The events that an operator causes: pause, undo, adopt; events.py has the rest, and release is in
person_events.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.record import Candidate, PublishedValue


@dataclass(frozen=True, slots=True)
class RequestTaken:
    """An operator's request was taken up from Vault: from here on it is the record that remembers it."""

    at: datetime
    request: OperatorRequest


@dataclass(frozen=True, slots=True)
class RequestDeclined:
    """An operator's request was read, and nothing comes of it."""

    at: datetime
    request: OperatorRequest
    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """No rotation begins and no predecessor ends, until `until` or until somebody resumes it."""

    at: datetime
    by: str
    reason: str
    until: datetime | None
    request: str = ""  # the id of the operator's request that this takes up; so below


@dataclass(frozen=True, slots=True)
class Unpaused:
    """It goes on."""

    at: datetime
    by: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class UndoBegun:
    """The value before is to be published again, under a new number. `ready_at`: a revocation may land until then."""

    at: datetime
    by: str
    emergency: bool
    place: VaultPath
    ready_at: datetime
    above: int = 0  # the rotation number found on the consumer path: ours must be greater
    request: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """The value before is in hand, and no revocation of it is in force that the target could take back."""

    at: datetime
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class UndoFailed:
    """The value before cannot be published again; what is published stays."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the consumer path holds, and we did not write, is ours to rotate from now on."""

    at: datetime
    by: str
    current: PublishedValue
    stem: str
    grace_ends: datetime  # of what we had published before, if anything


@dataclass(frozen=True, slots=True)
class Claimed:
    """A person says that this Vault is the only one: names begin anew, with this lineage of the record."""

    at: datetime
    by: str
    lineage: str
