"""Events: the outcomes that change a record, those caused by people first. Each has its time in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.credential import VaultPath
from rotator.rotation.left_to_date import Reopened as Reopened
from rotator.rotation.operator_request import RequestDeclined as RequestDeclined
from rotator.rotation.operator_request import RequestTaken as RequestTaken
from rotator.rotation.record import Candidate, HoldReason, PublishedValue, Token, Trigger


@dataclass(frozen=True, slots=True)
class Escalated:
    """The rotation under way became an emergency."""

    at: datetime
    asked_by: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """Only a person can continue; `text` tells them how. Nothing was minted or installed."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Polled:
    """The person has not acted yet; look again at `until`. `since`: as in Faulted."""

    at: datetime
    until: datetime
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reminded:
    """The person was reminded."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class PutOnHold:
    """The credential is held until a person acts."""

    at: datetime
    reason: HoldReason
    text: str


@dataclass(frozen=True, slots=True)
class Released:
    """A person lifted the hold. `request`: the id of the operator's request that asked for it."""

    at: datetime
    by: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """An operator paused it: no rotation begins and no predecessor ends before `until` or a resume."""

    at: datetime
    by: str
    reason: str
    until: datetime | None
    request: str = ""  # the id of the operator's request that asked for it; so below


@dataclass(frozen=True, slots=True)
class Unpaused:
    """An operator ended the pause."""

    at: datetime
    by: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class UndoBegun:
    """An undo began: the value before is to be published again. `ready_at`: until then a revocation may take effect."""

    at: datetime
    by: str
    emergency: bool
    place: VaultPath
    ready_at: datetime
    above: int = 0  # the rotation number found on the consumer path: ours must be greater
    request: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """The value before was read, and its revocation was taken back if it had been revoked."""

    at: datetime
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class UndoFailed:
    """The value before cannot be published again; the published value stays."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A value that somebody else wrote to the consumer path is ours to rotate from now on."""

    at: datetime
    by: str
    current: PublishedValue
    stem: str
    grace_ends: datetime  # of the value that we published before, if any


@dataclass(frozen=True, slots=True)
class Claimed:
    """A person said that this Vault is the only one. New names have this lineage of the record."""

    at: datetime
    by: str
    lineage: str


@dataclass(frozen=True, slots=True)
class Requested:
    """A rotation begins; one mint is authorised."""

    at: datetime
    why: Trigger
    detail: str
    asked_by: str
    emergency: bool
    stem: str
    place: VaultPath
    target: str
    policy: str
    above: int = 0  # the rotation number found on the consumer path: ours must be greater
    since: datetime | None = None  # earlier mints no longer count, by either clock
    told: datetime | None = None  # the time by Vault's clock, if it told the time
    value: str = ""  # the published value so far: accepted, refused, unknown, lost; empty: there is none
    in_spite_of: str = ""  # what the calendar says against it, and why it begins all the same


@dataclass(frozen=True, slots=True)
class Resumed:
    """The record was read: what it authorised may have been done. Never saved by itself."""

    at: datetime
    untraced: datetime | None = None  # Vault's time if the last holder kept its lease: the record may lack its last act
    rested: timedelta = timedelta()  # for how long this process has known the record unchanged, by a monotonic clock


@dataclass(frozen=True, slots=True)
class Staged:
    """The candidate is stored in the staged slot. `supplied`: by a person; nothing was minted."""

    at: datetime
    candidate: Candidate
    supplied: bool = False


@dataclass(frozen=True, slots=True)
class MintLost:
    """A token may exist under the attempt's name, but its value is lost."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class NotMinted:
    """Nothing was found under the attempt's name. `resend`: one more mint is authorised."""

    at: datetime
    resend: bool


@dataclass(frozen=True, slots=True)
class MintRefused:
    """The target refused to mint; nothing was made."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Installed:
    """The target was told the staged value. `cut_over_at`: since when it may refuse the published value."""

    at: datetime
    token: Token
    ready_at: datetime | None
    cut_over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The staged value was proven. It may be published over `expected_version`, with at least this grace."""

    at: datetime
    expected_version: int
    grace: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class CandidateRejected:
    """The candidate was refused or is unusable."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The consumer path has a newer version with our own value in it; publish over that one."""

    at: datetime
    expected_version: int


@dataclass(frozen=True, slots=True)
class Published:
    """The candidate is the newest version on the consumer path. The predecessor is promised its grace."""

    at: datetime
    version: int
    grace_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fenced:
    """The consumer path was rewritten unchanged, so that no delayed write can publish any more."""

    at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """The predecessor may not be ended yet; look again at `until`. `since`: as in Faulted."""

    at: datetime
    until: datetime
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condemned:
    """The predecessor will be revoked; `evidence` says what allowed it."""

    at: datetime
    evidence: str


@dataclass(frozen=True, slots=True)
class LeftToExpire:
    """The predecessor ends by its own date, expected at `until`. `reason`: why it is not revoked, if it could be."""

    at: datetime
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeftToPerson:
    """Only a person can end the predecessor. We look at it regularly, and no rotation waits for it."""

    at: datetime
    to_do: str


@dataclass(frozen=True, slots=True)
class NotEnded:
    """A value that a person or its date has to end is not proven dead yet."""

    at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A value that was left to a person or to its date is dead; `proof` says how we know."""

    at: datetime
    token: str
    proof: str


@dataclass(frozen=True, slots=True)
class Disproved:
    """The target refuses the published value."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The consumer path has another value than the published one (foreign_write) or none (deleted_by_operator)."""

    at: datetime
    reason: HoldReason
    place: VaultPath
    text: str = ""  # what is there and what to do, for a person


@dataclass(frozen=True, slots=True)
class Returned:
    """The consumer path has the published value again."""

    at: datetime
    place: VaultPath


@dataclass(frozen=True, slots=True)
class Retired:
    """The predecessor is dead; `proof` says how we know. `took`: how the target refuses the published value since."""

    at: datetime
    proof: str
    took: str = ""


@dataclass(frozen=True, slots=True)
class Burned:
    """Nothing is alive under the attempt's name, but what is `left` to its date, in words.

    `lost`: why the published value could not be put back, else empty.
    """

    at: datetime
    tokens: tuple[str, ...]
    give_up: bool
    lost: str = ""
    left: str = ""


@dataclass(frozen=True, slots=True)
class Swept:
    """The staged slot is empty, and no stray of this credential is left."""

    at: datetime
    strays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reaped:
    """A stray or unmanaged token of ours was revoked. `by`: who asked for it."""

    at: datetime
    stray: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Faulted:
    """A step failed and is tried again."""

    at: datetime
    step: str
    reason: str
    retry_after: float | None = None  # seconds, if the other side asked for a pause
    since: datetime | None = None  # the time by the deciding clock, if it differs from `at`; the pause counts from it
    unanswered: datetime | None = None  # Vault's time at which the target was told a value, without an answer
    of_target: bool = True  # false if the target answered properly, so that its circuit breaker does not count this
    in_vain: bool = False  # the target answered a revocation, and has not ended the value
    person: bool = False  # it is tried again in vain until a person has done what `reason` says


_Minting = Requested | Resumed | Staged | MintLost | NotMinted | MintRefused | Installed
_Publishing = Verified | CandidateRejected | Overtaken | Published | Fenced
_Retiring = Deferred | Condemned | LeftToExpire | Reopened | LeftToPerson | NotEnded | Ended | Disproved | Retired
_Tidying = Lost | Returned | Burned | Swept | Reaped | Faulted
_Personal = Escalated | Awaited | Polled | Reminded | PutOnHold | Released
_Commanded = RequestTaken | RequestDeclined | Paused | Unpaused | UndoBegun | Restored | UndoFailed | Adopted | Claimed
Event = _Minting | _Publishing | _Retiring | _Tidying | _Personal | _Commanded
