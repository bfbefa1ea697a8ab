"""What is true of a credential in each phase, and in no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, get_args


class Phase(StrEnum):
    """A fact that is already true, and journalled."""

    SETTLED = "settled"
    UNDOING = "undoing"  # an operator takes the last rotation back
    REQUESTED = "requested"
    AWAITING = "awaiting"  # a person has to act
    STAGED = "staged"
    INSTALLED = "installed"  # the target was told the value; without overlap, the old one is dead
    VERIFIED = "verified"
    PUBLISHED = "published"
    CONDEMNED = "condemned"
    REJECTED = "rejected"
    HELD = "held"


class HoldReason(StrEnum):
    """Why a credential waits for a person."""

    MINT_BUDGET = "mint_budget"
    FOREIGN_WRITE = "foreign_write"
    DELETED = "deleted_by_operator"
    STILL_USED = "predecessor_still_used"
    TARGET_CHANGED = "target_changed"
    PERSON = "needs_person"
    TWO_VAULTS = "two_vaults"  # another journal mints under our names: a restored Vault, or one of two


@dataclass(frozen=True, slots=True)
class Token:
    """The target's handle of a secret; safe to store and to log."""

    id: str
    name: str = ""  # the name we minted it under; empty when it is not ours by name
    serial: str = ""  # a second identifier, where the target has one (Halo CMS: tokenId)
    issued_at: datetime | None = None
    expires_at: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether its date has passed. One without a date never expires."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Candidate:
    """A minted token, durable in the staged slot, not yet published."""

    token: Token
    fingerprint: str
    slot_version: int
    pending: bool = False  # made here, and the target was not told of it yet
    beside: tuple[str, ...] = ()  # keys of what is published beside the value
    public: tuple[str, ...] = ()  # those of them that hold no secret; of an older record that does not say: none
    key: str = ""  # that the value is to be published under; empty, here and below: the one that settings name now


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo under way, and the phase to go back to when it fails."""

    by: str
    at: datetime
    back: Phase


@dataclass(frozen=True, slots=True)
class SettledState:
    """No rotation is under way."""

    phase: ClassVar[Phase] = Phase.SETTLED


@dataclass(frozen=True, slots=True)
class PublishedState:
    """The new value is on the consumer path; the predecessor, if there is one, is in its grace."""

    phase: ClassVar[Phase] = Phase.PUBLISHED


@dataclass(frozen=True, slots=True)
class CondemnedState:
    """The predecessor is being ended and proven dead."""

    phase: ClassVar[Phase] = Phase.CONDEMNED
    condemned_at: datetime
    in_vain: int = 0  # revocations that the target answered, without ending it


@dataclass(frozen=True, slots=True)
class UndoingState:
    """The value before is being brought back."""

    phase: ClassVar[Phase] = Phase.UNDOING
    undo: Undo
    ready_at: datetime | None = None  # before, a revocation of the value before may still be on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt under way: what holds in each of its stages."""

    cut_over_at: datetime | None = None  # since when the target refuses what is published, for what is to come


@dataclass(frozen=True, slots=True)
class RequestedState(Attempt):
    """The next mint is authorised under its name."""

    phase: ClassVar[Phase] = Phase.REQUESTED
    uncertain: bool = False  # a mint may have been sent whose answer we do not have


@dataclass(frozen=True, slots=True)
class AwaitingState(Attempt):
    """A person has to act: to make a value, or to tell the target the candidate."""

    phase: ClassVar[Phase] = Phase.AWAITING
    awaiting: str  # what they have to do
    awaiting_since: datetime
    reminded_at: datetime
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class StagedState(Attempt):
    """The candidate is durable in the private slot; that of an undo lies in its own version of the consumer path."""

    phase: ClassVar[Phase] = Phase.STAGED
    candidate: Candidate
    installed_at: datetime | None = None  # of an undo: since when the target accepts the value again
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class InstalledState(Attempt):
    """The target was told the candidate."""

    phase: ClassVar[Phase] = Phase.INSTALLED
    candidate: Candidate
    installed_at: datetime
    ready_at: datetime | None = None  # before, the target may not know of it everywhere


@dataclass(frozen=True, slots=True)
class VerifiedState(Attempt):
    """The candidate is proven and about to be published, or was given up since and is to be fenced off."""

    phase: ClassVar[Phase] = Phase.VERIFIED
    candidate: Candidate
    verified_at: datetime
    expected_version: int  # of the consumer document, which publication writes over
    grace: timedelta = timedelta()  # as settings had it at that moment: publication may promise more, not less
    abandoned: str = ""  # why it is not to be published after all
    installed_at: datetime | None = None
    ready_at: datetime | None = None
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class RejectedState(Attempt):
    """The attempt failed; what lives under its name is being ended."""

    phase: ClassVar[Phase] = Phase.REJECTED
    candidate: Candidate | None = None


PhaseState = (
    SettledState
    | UndoingState
    | RequestedState
    | AwaitingState
    | StagedState
    | InstalledState
    | VerifiedState
    | PublishedState
    | CondemnedState
    | RejectedState
)
WITH_CANDIDATE = AwaitingState | StagedState | InstalledState | VerifiedState | RejectedState
PHASE_STATES: dict[Phase, type[PhaseState]] = {each.phase: each for each in get_args(PhaseState)}


@dataclass(frozen=True, slots=True)
class Held:
    """A hold: its reason, a sentence for the person, and the state to go back to."""

    phase: ClassVar[Phase] = Phase.HELD
    reason: HoldReason
    text: str
    at: datetime
    state: PhaseState
