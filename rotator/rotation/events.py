"""What may have happened: the outcomes that advance a record, those by people first. Each carries its time, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.record import Candidate, HoldReason, PublishedValue, Token, Trigger


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
    since: datetime | None = None  # mints before this no longer count
    told: datetime | None = None  # the time by Vault's clock alone, where it told
    value: str = ""  # what became of the published value until now: accepted, refused, unknown, lost; empty: none is


@dataclass(frozen=True, slots=True)
class Resumed:
    """The record was read back: whatever was authorised may have been done. Never journalled by itself.

    `untraced`: now, by Vault's clock, if its lease was not given back: what was done last may have left no trace in it.
    `rested`: for how long it has been known as it is, by a clock that only goes forward.
    """

    at: datetime
    untraced: datetime | None = None
    rested: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Staged:
    """The candidate is durable in the private slot. `supplied`: by a person, so that nothing was minted."""

    at: datetime
    candidate: Candidate
    supplied: bool = False


@dataclass(frozen=True, slots=True)
class MintLost:
    """A token may exist under the attempt's name, but its secret is gone."""

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
    """The target was told the staged value. `cut_over_at`: since then it may refuse what is published."""

    at: datetime
    token: Token
    ready_at: datetime | None
    cut_over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The staged value was proven; it may be published over `expected_version`, for at least this grace."""

    at: datetime
    expected_version: int
    grace: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The candidate was refused or is unusable."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The consumer path moved on with our own value in it: publish over the new version."""

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
    """The consumer path was rewritten unchanged; no older authorisation can publish any more."""

    at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """The predecessor may not go yet; look again at `until`. `since`: as in Faulted."""

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
    """The predecessor cannot be revoked: it ends by its own date, and is dead at `until`."""

    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class LeftToPerson:
    """Only a person can end the predecessor: it is looked at again and again, and nothing waits for that."""

    at: datetime
    to_do: str


@dataclass(frozen=True, slots=True)
class NotEnded:
    """What a person has to end is not proven dead yet."""

    at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What a person had to end is dead; `proof` says how we know."""

    at: datetime
    token: str
    proof: str


@dataclass(frozen=True, slots=True)
class Disproved:
    """The target refuses what is published now."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The consumer path holds another value than the published one (foreign_write), or none (deleted_by_operator)."""

    at: datetime
    reason: HoldReason
    place: VaultPath
    text: str = ""  # what is there and what to do, for a person


@dataclass(frozen=True, slots=True)
class Returned:
    """The consumer path holds the published value again."""

    at: datetime
    place: VaultPath


@dataclass(frozen=True, slots=True)
class Retired:
    """The predecessor is dead; `proof` says how we know."""

    at: datetime
    proof: str


@dataclass(frozen=True, slots=True)
class Burned:
    """Nothing lives under the attempt's name any more. `lost`: why what is published could not be put back."""

    at: datetime
    tokens: tuple[str, ...]
    give_up: bool
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Swept:
    """The slot is empty and no stray of this credential is left."""

    at: datetime
    strays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reaped:
    """A token under a name of ours was revoked that no record accounts for, or no settings claim. `by`: who asked."""

    at: datetime
    stray: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Faulted:
    """A step did not get through; it is tried again."""

    at: datetime
    step: str
    reason: str
    retry_after: float | None = None  # seconds, when the other side asked for it
    since: datetime | None = None  # what the deciding clock showed, when that was not `at`: the pause counts from there
    unanswered: datetime | None = None  # when, by Vault's clock, the target was told a value that it may heed later
    of_target: bool = True  # false where the target answered as it should, and only did not say what was wanted


_Minting = Requested | Resumed | Staged | MintLost | NotMinted | MintRefused | Installed
_Publishing = Verified | Rejected | Overtaken | Published | Fenced
_Retiring = Deferred | Condemned | LeftToExpire | LeftToPerson | NotEnded | Ended | Disproved | Retired
_Tidying = Lost | Returned | Burned | Swept | Reaped | Faulted
_Personal = Escalated | Awaited | Polled | Reminded | PutOnHold | Released
_Commanded = RequestTaken | RequestDeclined | Paused | Unpaused | UndoBegun | Restored | UndoFailed | Adopted | Claimed
Event = _Minting | _Publishing | _Retiring | _Tidying | _Personal | _Commanded
