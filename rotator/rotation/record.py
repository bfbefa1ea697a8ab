"""What is known to be true of a credential, changed in transitions.py, written down by vault/journal_codec.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation.credential import Pause as Pause
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest, TakenUp
from rotator.rotation.token_names import mint_name


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


class Trigger(StrEnum):
    """Why a rotation was requested: the check of triggers.py that hit."""

    ASKED = "asked"
    MISSING = "missing"
    MOVED = "moved"
    REFUSED = "refused"
    LOST = "lost"
    EXPIRING = "expiring"
    POLICY = "policy_changed"
    AGED = "aged"
    UNDO = "undo"  # no check: an operator took a rotation back


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
class PublishedValue:
    """A token whose value is, or was, on the consumer path."""

    token: Token
    fingerprint: str
    rotation: int
    version: int  # of the consumer document
    at: datetime
    place: VaultPath
    target: str
    policy: str
    beside: tuple[str, ...] = ()  # keys of what was published beside the value
    public: tuple[str, ...] = ()  # those of them that hold no secret
    key: str = ""  # of the value
    reused: bool = False  # adopted, or put back by an undo: not the new value that `rotate now` asks for
    refused_at: datetime | None = None  # of a predecessor: since when the target refuses it, if it is dead already


@dataclass(frozen=True, slots=True)
class Unended:
    """A predecessor that only a person can end, and that is not proven dead yet: what they have to do, since when."""

    value: PublishedValue
    to_do: str
    since: datetime
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class TokenAdoption:
    """A token that somebody else published and that became ours to end, and when."""

    token: Token
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A hold: its reason, a sentence for the person, and the phase to go back to."""

    reason: HoldReason
    text: str
    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True)
class LostValue:
    """What consumers read instead of the published value: another value, or nothing. Known since `at`."""

    reason: HoldReason
    place: VaultPath
    at: datetime
    text: str = ""  # what is there and what to do, for a person


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo under way, and the phase to go back to when it fails."""

    by: str
    at: datetime
    back: Phase


@dataclass(frozen=True, slots=True)
class Failure:
    """The last thing that went wrong, in words without secrets."""

    step: str
    reason: str
    at: datetime

    @property
    def said(self) -> str:
        """What failed, in words, and why."""
        return f"{_WORK.get(self.step, self.step)} failed: {self.reason}"


_WORK = {  # what the steps do
    "request": "the look at the consumer path",
    "mint": "making a new value",
    "look": "looking for what was made",
    "install": "telling the target the new value",
    "poll": "looking whether a person has done it",
    "verify": "proving the new value",
    "publish": "publishing the new value",
    "fence": "fencing the consumer path",
    "condemn": "proving the published value again",
    "revoke": "ending the old value",
    "burn": "ending what a failed attempt left",
    "sweep": "tidying up",
    "restore": "bringing the value before back",
    "undo": "the undo",
}


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known about one credential. It holds no secret."""

    lineage: str
    phase: Phase = Phase.SETTLED
    rotation: int = 0
    attempt: int = 0
    why: Trigger | None = None
    asked_by: str = ""
    emergency: bool = False
    place: VaultPath | None = None
    target: str = ""
    policy: str = ""
    stem: str = ""  # every mint name of this credential starts with it
    requested_at: datetime | None = None
    requested_told: datetime | None = None  # the same by Vault's clock alone, where it told
    sends: int = 0  # mint requests authorised in this rotation
    sent_at: datetime | None = None  # when the last of them was authorised, or was given up waiting for
    mints: tuple[datetime, ...] = ()  # mint requests authorised of late, over all rotations but emergencies
    emergency_mints: tuple[datetime, ...] = ()  # ... and in emergencies, which have a budget of their own
    uncertain: bool = False  # a mint may have been sent whose answer we do not have
    candidate: Candidate | None = None
    installed_at: datetime | None = None
    ready_at: datetime | None = None  # before, the target may not know of what was installed everywhere
    unanswered_at: datetime | None = None  # by Vault's clock: a value told without an answer may be heeded yet
    cut_over_at: datetime | None = None  # since when the target refuses what is published, for what is to come
    awaiting: str = ""  # what a person has to do
    awaiting_since: datetime | None = None
    reminded_at: datetime | None = None
    verified_at: datetime | None = None
    expected_version: int | None = None
    grace: timedelta = timedelta()  # as settings had it at that moment: publication may promise more, not less
    abandoned: str = ""
    current: PublishedValue | None = None
    predecessor: PublishedValue | None = None
    adopted: tuple[TokenAdoption, ...] = ()  # the last ones: what other records still say of them is over
    retired: PublishedValue | None = None  # the last predecessor that ended, until the next publication
    unended: tuple[Unended, ...] = ()  # predecessors that wait for a person to end them; nothing waits for that
    grace_ends: datetime | None = None  # as promised at publication; settings may only extend it
    grace_from: datetime | None = None  # when it began, if the clock that told the publication was ahead
    ends_at: datetime | None = None  # when the predecessor is dead by its own date, being of a kind nobody can revoke
    condemned_at: datetime | None = None
    evidence: str = ""
    slot_version: int = 0  # the staged slot's newest version that we know of
    slot_full: bool = False
    strays: bool = False  # something of ours may live that no field here names
    held: Held | None = None
    paused: Pause | None = None  # it may be over: pause.py says
    asked: OperatorRequest | None = None  # the rotation that an operator asked for, until it is over
    taken: tuple[TakenUp, ...] = ()  # the last requests that were taken up from Vault: none is taken up twice
    undo: Undo | None = None
    failures: int = 0  # of steps, since one got through that mattered
    given_up: int = 0  # rotations in a row
    retry_at: datetime | None = None
    retry_from: datetime | None = None  # when the latest pause after a failure began, by the clock that set its end
    failure: Failure | None = None
    refused_at: datetime | None = None  # the target refused the published value
    lost: LostValue | None = None  # the consumer path does not hold the published value
    settled_at: datetime | None = None

    @property
    def mint_name(self) -> str:
        """The name of the current attempt, known before anything is minted."""
        return mint_name(self.stem, self.rotation, self.attempt)

    @property
    def live(self) -> int:
        """How many tokens of ours we believe to be alive."""
        left = (each.value for each in self.unended)
        return len({x.token.id for x in (self.candidate, self.current, self.predecessor, *left) if x})

    @property
    def older(self) -> tuple[PublishedValue, ...]:
        """What was published before the published value, and is not proven dead: those that wait for a person, too."""
        left = tuple(each.value for each in self.unended)
        return (self.predecessor, *left) if self.predecessor else left

    @property
    def published(self) -> tuple[PublishedValue, ...]:
        """The published value, if there is one, and the older ones."""
        return (self.current, *self.older) if self.current else self.older

    def landing(self, settle: timedelta, shared: datetime) -> timedelta | None:
        """For how long what was told without an answer may still land; None: not any more. `shared`: Vault's clock."""
        told = self.unanswered_at
        if told is None or abs(shared - told) >= settle:  # Vault tells whole seconds: it may seem not to be told yet
            return None
        return told + settle - shared
