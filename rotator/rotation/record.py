"""What is known to be true of a credential, changed in transitions.py, written down by vault/journal_codec.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation.credential import Pause as Pause
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest, TakenUp
from rotator.rotation.phases import (
    WITH_CANDIDATE,
    Attempt,
    AwaitingState,
    InstalledState,
    PhaseState,
    RequestedState,
    SettledState,
    StagedState,
    UndoingState,
    VerifiedState,
)
from rotator.rotation.phases import Candidate as Candidate
from rotator.rotation.phases import Held as Held
from rotator.rotation.phases import HoldReason as HoldReason
from rotator.rotation.phases import Phase as Phase
from rotator.rotation.phases import Token as Token
from rotator.rotation.phases import Undo as Undo
from rotator.rotation.token_names import mint_name


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

    @property
    def life(self) -> timedelta | None:
        """How long it lives, from its making or its publication; None: it has no date."""
        if self.token.expires_at is None:
            return None
        began = min(self.at, self.token.issued_at or self.at)  # a clock may have been ahead
        return max(self.token.expires_at - began, timedelta())


@dataclass(frozen=True, slots=True)
class Unended:
    """A predecessor that only a person can end, and that is not proven dead yet: what they have to do, since when."""

    value: PublishedValue
    to_do: str
    since: datetime
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class LeftValue:
    """An older value that is left to end by its own date, not proven dead yet. See left_to_date.py."""

    value: PublishedValue
    until: datetime  # when it is expected to end
    reason: str  # why it was not revoked; empty: nobody could
    since: datetime
    looked_at: datetime
    leaked: bool = False  # an emergency was to end it
    again: bool = False  # the emergency that is under way revokes it once more


@dataclass(frozen=True, slots=True)
class TokenAdoption:
    """A token that somebody else published and that became ours to end, and when."""

    token: Token
    at: datetime


@dataclass(frozen=True, slots=True)
class LostValue:
    """What consumers read instead of the published value: another value, or nothing. Known since `at`."""

    reason: HoldReason
    place: VaultPath
    at: datetime
    text: str = ""  # what is there and what to do, for a person


@dataclass(frozen=True, slots=True)
class Failure:
    """The last thing that went wrong, in words without secrets."""

    step: str
    reason: str
    at: datetime
    person_since: datetime | None = None  # since when it fails for want of what a person has to do; None: it does not

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
class RecordFacts:
    """What may be known of a credential in every phase. It holds no secret."""

    lineage: str
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
    in_spite_of: str = ""  # what the calendar said against the latest rotation, and why it began all the same
    sends: int = 0  # mint requests authorised in this rotation
    sent_at: datetime | None = None  # when the last of them was authorised, or was given up waiting for
    mints: tuple[datetime, ...] = ()  # mint requests authorised of late, over all rotations but emergencies
    emergency_mints: tuple[datetime, ...] = ()  # ... and in emergencies, which have a budget of their own
    unanswered_at: datetime | None = None  # by Vault's clock: a value told without an answer may be heeded yet
    current: PublishedValue | None = None
    predecessor: PublishedValue | None = None
    adopted: tuple[TokenAdoption, ...] = ()  # the last ones: what other records still say of them is over
    retired: PublishedValue | None = None  # the last predecessor that ended, until the next publication
    unended: tuple[Unended, ...] = ()  # predecessors that wait for a person to end them; nothing waits for that
    left: tuple[LeftValue, ...] = ()  # what could not be revoked; nothing but an emergency waits for that
    grace_ends: datetime | None = None  # as promised at publication; settings may only extend it
    grace_from: datetime | None = None  # when it began, if the clock that told the publication was ahead
    ends_at: datetime | None = None  # when the predecessor is dead by its own date, being of a kind nobody can revoke
    evidence: str = ""
    ends_together: str = ""  # the target at which the end of a predecessor has ended the published value as well
    slot_version: int = 0  # the staged slot's newest version that we know of
    slot_full: bool = False
    strays: bool = False  # something of ours may live that no field here names
    paused: Pause | None = None  # it may be over: pause.py says
    asked: OperatorRequest | None = None  # the rotation that an operator asked for, until it is over
    taken: tuple[TakenUp, ...] = ()  # the last requests that were taken up from Vault: none is taken up twice
    failures: int = 0  # of steps, since one got through that mattered
    given_up: int = 0  # rotations in a row
    retry_at: datetime | None = None
    retry_from: datetime | None = None  # when the latest pause after a failure began, by the clock that set its end
    failure: Failure | None = None
    refused_at: datetime | None = None  # the target refused the published value
    lost: LostValue | None = None  # the consumer path does not hold the published value
    settled_at: datetime | None = None


_SETTLED = SettledState()


@dataclass(frozen=True, slots=True)
class Record(RecordFacts):
    """Everything known about one credential: the facts, and the state with what is true in its phase alone.

    What a state has not is None, false or empty; of a hold, it is asked of the state to go back to.
    """

    state: PhaseState | Held = _SETTLED
    phase: Phase = field(init=False, compare=False, repr=False)  # these follow from the state; a hold is a phase
    held: Held | None = field(init=False, compare=False, repr=False)  # the hold, if it is held
    reached: PhaseState = field(init=False, compare=False, repr=False)  # below a hold the state to go back to
    candidate: Candidate | None = field(init=False, compare=False, repr=False)  # minted, and not published
    undo: Undo | None = field(init=False, compare=False, repr=False)  # the undo under way

    def __post_init__(self) -> None:
        state = self.state
        held = state if isinstance(state, Held) else None
        reached = state.state if isinstance(state, Held) else state
        known = object.__setattr__  # the record is frozen
        known(self, "phase", state.phase)
        known(self, "held", held)
        known(self, "reached", reached)
        known(self, "candidate", reached.candidate if isinstance(reached, WITH_CANDIDATE) else None)
        known(self, "undo", reached.undo if isinstance(reached, UndoingState | StagedState | VerifiedState) else None)

    @property
    def in_hand(self) -> Candidate:
        """The candidate. Raises ValueError when there is none."""
        candidate = self.candidate
        if candidate is None:
            raise ValueError(f"{self.phase.value} without a candidate")
        return candidate

    @property
    def cut_over_at(self) -> datetime | None:
        """Since when the target refuses what is published, for what is to come."""
        state = self.reached
        return state.cut_over_at if isinstance(state, Attempt) else None

    @property
    def uncertain(self) -> bool:
        """Whether a mint may have been sent whose answer we do not have."""
        state = self.reached
        return isinstance(state, RequestedState) and state.uncertain

    @property
    def installed_at(self) -> datetime | None:
        """Since when the target knows the candidate, where it had to be told."""
        state = self.reached
        return state.installed_at if isinstance(state, StagedState | InstalledState | VerifiedState) else None

    @property
    def ready_at(self) -> datetime | None:
        """Until then the target may not know everywhere of what it was told."""
        state = self.reached
        return state.ready_at if isinstance(state, UndoingState | InstalledState | VerifiedState) else None

    @property
    def awaiting(self) -> str:
        """What a person has to do."""
        state = self.reached
        return state.awaiting if isinstance(state, AwaitingState) else ""

    @property
    def awaiting_since(self) -> datetime | None:
        """Since when a person has that to do."""
        state = self.reached
        return state.awaiting_since if isinstance(state, AwaitingState) else None

    @property
    def grace(self) -> timedelta:
        """What publication may promise at least."""
        state = self.reached
        return state.grace if isinstance(state, VerifiedState) else timedelta()

    @property
    def abandoned(self) -> str:
        """Why the proven candidate is not to be published."""
        state = self.reached
        return state.abandoned if isinstance(state, VerifiedState) else ""

    @property
    def mint_name(self) -> str:
        """The name of the current attempt, known before anything is minted."""
        return mint_name(self.stem, self.rotation, self.attempt)

    @property
    def live(self) -> int:
        """How many tokens of ours we believe to be alive."""
        return len({x.token.id for x in (self.candidate, *self.published) if x})

    @property
    def hampered(self) -> Failure | None:
        """The failure of the step that is tried again in vain until a person has acted; None: there is none."""
        failure = self.failure
        return failure if failure and failure.person_since and self.failures else None

    @property
    def lasting(self) -> tuple[Unended | LeftValue, ...]:
        """What waits for a person or for its date to end it."""
        return (*self.unended, *self.left)

    @property
    def older(self) -> tuple[PublishedValue, ...]:
        """What was published before the published value, and is not proven dead: also what waits for a person or for
        its date.
        """
        left = tuple(each.value for each in self.lasting)
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
