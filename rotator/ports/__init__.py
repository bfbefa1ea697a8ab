"""The ports: what the engine needs of time, of Vault and of targets.

host/, vault/ and providers/ implement them. The engine sees nothing else of the outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from rotator.rotation.answers import (
    Accepted,
    Capabilities,
    Document,
    Inspection,
    Installation,
    Minted,
    Outcome,
    Rejected,
    Unknown,
    Verdict,
)
from rotator.rotation.credential import VaultPath
from rotator.rotation.faults import (
    CannotPresent,
    Conflict,
    Duplicate,
    Fault,
    MinterRefused,
    NeedsAccess,
    NeedsPerson,
    OnlyLooks,
    OwnTokenRefused,
    Refused,
    StoreRefused,
    TargetNotConfigured,
    Transient,
    UnusableKey,
)
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.record import Record, Token
from rotator.rotation.secret import Secret

__all__ = [
    "Accepted",
    "CannotPresent",
    "Capabilities",
    "Clock",
    "Conflict",
    "Document",
    "Duplicate",
    "Entry",
    "Fault",
    "Inspection",
    "Installation",
    "InventoryItem",
    "Journal",
    "Lease",
    "Minted",
    "MinterRefused",
    "NeedsAccess",
    "NeedsPerson",
    "NoRequests",
    "OnlyLooks",
    "Outcome",
    "OwnTokenRefused",
    "Provider",
    "Refused",
    "Rejected",
    "Requests",
    "SecretStore",
    "StoreRefused",
    "SupportsDiagnose",
    "SupportsIdentify",
    "SupportsSupply",
    "TargetNotConfigured",
    "Transient",
    "Unknown",
    "UnusableKey",
    "Verdict",
]


class Clock(Protocol):
    """Time. No other code reads a clock."""

    def now(self) -> datetime:
        """Wall-clock time, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


# --- Vault ------------------------------------------------------------------------------------------------------------


class SecretStore(Protocol):
    """KV version 2 documents. Every verb may raise Transient or StoreRefused."""

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """The newest version, or the given one. `strong`: not from a lagging standby."""
        ...

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """Write over version `cas` and return the new version; `Secret` values are revealed on the wire only.

        An unknown outcome is resolved by repeating the identical write and by a strong read. Raises Conflict when
        another process wrote.
        """
        ...

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """Destroy these versions for good; destroying twice is no fault."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a record. An empty holder means that any process may start."""

    holder: str = ""
    seq: int = 0
    ttl: float = 30.0  # seconds
    lock: str = ""  # with it other processes of the host prove that the holder has ended, see host/process.py


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal document as read or written: `version` fences every further write. `record` None: there is none yet."""

    name: str
    version: int
    record: Record | None
    lease: Lease = Lease()
    server_time: datetime | None = None  # Vault's clock at the answer, if known
    foreign: Mapping[str, object] = field(default_factory=dict)  # keys of a journal document that we do not know
    written_at: datetime | None = None  # when this version was written, by Vault's clock, if known
    vanishes_at: datetime | None = None  # when Vault deletes it by itself

    def is_fading(self, now: datetime) -> bool:
        """Whether it must be written again, because Vault will delete it and half of its time is over."""
        written, ends = self.written_at, self.vanishes_at
        return written is not None and ends is not None and now - written > (ends - written) / 2


class Journal(Protocol):
    """Record and lease of each credential, in one document. Every verb may raise Transient or StoreRefused."""

    async def load(self, name: str) -> Entry:
        """The newest entry, read strongly. Raises Refused when it is unreadable or of a newer schema."""
        ...

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """Write over the entry that was read. Raises Conflict when another process wrote in between."""
        ...

    async def names(self) -> tuple[str, ...]:
        """Every credential that has a journal document."""
        ...


class Requests(Protocol):
    """Requests of operators that no record has taken up yet. Every verb may raise Transient or StoreRefused."""

    async def waiting(self, name: str) -> tuple[OperatorRequest, ...]:
        """The requests for this credential, oldest first. Raises Refused when one is unreadable."""
        ...

    async def put(self, name: str, request: OperatorRequest) -> None:
        """Keep a request until it is removed. Putting it twice is like putting it once."""
        ...

    async def remove(self, name: str, request: OperatorRequest) -> None:
        """Remove a request that a record has taken up."""
        ...


class NoRequests:
    """A Requests port without requests."""

    async def waiting(self, name: str) -> tuple[OperatorRequest, ...]:
        """Nothing."""
        return ()

    async def put(self, name: str, request: OperatorRequest) -> None:
        """Raises Refused."""
        raise Refused("nobody takes requests up here")

    async def remove(self, name: str, request: OperatorRequest) -> None:
        """Do nothing."""


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """A living token on a target, ours or not. `mark`: its mint name. `last_used` None: unknown, never unused."""

    id: str
    mark: str = ""
    title: str = ""
    roles: tuple[str, ...] = ()
    created_at: datetime | None = None
    last_used: datetime | None = None
    expires_at: datetime | None = None


class Provider(Protocol):
    """One credential's view of its target. Every verb may raise Transient, Refused or MinterRefused."""

    @property
    def capabilities(self) -> Capabilities:
        """What this target can do."""
        ...

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Mint a token under `name`; the tokens in `keep` must live on. With `needs_install`, only make the value.

        Raises Duplicate when the target says the name is taken, NeedsPerson when a person has to supply the value.
        """
        ...

    async def install(self, minted: Minted) -> Token:
        """Put a value that was made here on the target; idempotent. Returns the token as it is there now.

        Raises NeedsPerson when a person has to do it.
        """
        ...

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Our tokens, alive or not, whose mint name starts with `prefix`, revoked ones excluded."""
        ...

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Prove the secret with a call that fails for any other identity: identity and scope, not only a 2xx.

        Raises CannotPresent when it cannot be shown from here, which is no verdict.
        """
        ...

    async def inspect(self, token: Token) -> Inspection:
        """What the target knows about this token."""
        ...

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """End the token; idempotent. ALREADY when it has ended before or does not exist.

        `secret`: its value, given where `revokes_by_value` is declared and Vault still has it. Raises Refused where the
        target does not end it by this request, NeedsPerson where only a person can end it, and NeedsAccess where a
        person has to let us first.
        """
        ...

    async def restore(self, token: Token) -> Outcome:
        """Take a revocation back, if the target can."""
        ...

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the target positively refuses the token; None when it does not say. The secret may be unknown.

        Raises CannotPresent when the secret is known and cannot be shown from here.
        """
        ...


@runtime_checkable
class SupportsSupply(Protocol):
    """The additional verb of a kind whose value a person may supply."""

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """Make a `Minted` of a value that a person supplies. Raises Refused when it cannot be used."""
        ...


@runtime_checkable
class SupportsIdentify(Protocol):
    """The additional verb of a provider that can find the token of a value: needed to adopt one made elsewhere."""

    async def identify(self, secret: Secret) -> Token:
        """The living token with this value. Raises Transient; Refused when it cannot be found or is not ours to manage.
        It proves nothing about the value: verify does.
        """
        ...


@runtime_checkable
class SupportsDiagnose(Protocol):
    """The additional verb of a provider that can find the cause of a refusal by further requests."""

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """What is wrong and what to do, found by more requests, only on an operator's command. Empty: nothing found.

        `secret`: the published value, if any; `before`: the value before it, if not expired. Raises NeedsPerson where
        the next rotation will wait for a person, Refused, Transient.
        """
        ...
