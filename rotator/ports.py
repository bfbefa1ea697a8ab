"""Owns the ports: what the engine asks of the world, and the three faults the world may raise.

The edges (vault/, providers/, clockwork.py) implement them; the engine sees nothing else of the outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from rotator.rotation.credential import Place
from rotator.rotation.record import Record, Token
from rotator.rotation.secret import Secret


class Fault(Exception):  # noqa: N818 (the design's word; "error" would say whose it is)
    """Something the world did to us. `reason` is a short sentence without secrets; it is logged and journalled."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after  # seconds the other side asked us to wait


class Transient(Fault):
    """Undecided: the effect may or may not have happened; look before doing it again."""


class Refused(Fault):
    """The other side understood and said no; the same request will be refused again."""


class Duplicate(Refused):
    """The target says that the chosen name is taken: an earlier mint of ours, or a stranger's."""


class MinterRefused(Refused):
    """The target refuses the identity that mints: stop every call to it."""


class Elsewhere(Refused):
    """A token lives on a target that the settings no longer name."""


class StoreRefused(Refused):
    """Vault refuses us: our login is dead and cannot be renewed, or its policy withholds a right."""


class Conflict(Fault):
    """A check-and-set lost: somebody else wrote in between."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of target can do; declared, not discovered by failure."""

    named_mint: bool = False  # the target takes a name we choose
    lists: bool = False  # tokens can be listed, so strays can be found
    overlap: bool = True  # the predecessor stays valid while the successor is published
    revokes: bool = True
    restores: bool = False  # a revocation can be taken back
    reports_last_use: bool = False
    old_is_safe_to_present: bool = True  # showing a revoked secret to the target harms nothing


@dataclass(frozen=True, slots=True)
class Minted:
    """A fresh token: its handle, its value, and further fields to publish beside the value."""

    token: Token
    secret: Secret
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The target accepted the secret, and identity and rights are as wanted."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The target refused the secret, or it is not what was asked for. `final`: waiting will not mend it."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The target did not say."""

    reason: str
    retry_after: float | None = None


Verdict = Accepted | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the target knows of a token. `last_used` None means unknown, never unused."""

    exists: bool
    revoked: bool = False
    last_used: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Outcome(StrEnum):
    """The end of a revocation, restoration or deletion. There is no word for unknown: that is a Transient."""

    DONE = "done"
    ALREADY = "already"


class Provider(Protocol):
    """One credential's view of its target. Every verb may raise Transient, Refused or MinterRefused."""

    @property
    def capabilities(self) -> Capabilities:
        """What this target can do."""
        ...

    async def mint(self, name: str, expires_at: datetime | None) -> Minted:
        """Mint a token under `name`. Raises Duplicate when the target says the name is taken."""
        ...

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Our tokens, alive or not, whose mint name starts with `prefix`, revoked ones excluded."""
        ...

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Prove the secret with a call that fails for anybody else: identity and scope, not just a 2xx."""
        ...

    async def inspect(self, token: Token) -> Inspection:
        """What the target knows of this token."""
        ...

    async def revoke(self, token: Token) -> Outcome:
        """End the token. Ending it twice is ALREADY, and so is ending one that is gone."""
        ...

    async def restore(self, token: Token) -> Outcome:
        """Take a revocation back, where the target can."""
        ...

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the target positively refuses the token; None when it does not say. The secret may be unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a KV document. `version` 0: it never existed. `deleted`: the newest version was deleted."""

    version: int
    values: Mapping[str, object] | None = field(default=None, repr=False)
    deleted: bool = False

    def secret(self, key: str) -> Secret | None:
        """The value under `key`, when it is non-empty text."""
        value = (self.values or {}).get(key)
        return Secret(value) if isinstance(value, str) and value else None

    def text(self, key: str) -> str:
        """The text under `key`, or an empty one."""
        value = (self.values or {}).get(key)
        return value if isinstance(value, str) else ""


class SecretStore(Protocol):
    """KV version 2 documents. Every verb may raise Transient or StoreRefused."""

    async def read(self, place: Place, *, version: int | None = None, strong: bool = False) -> Document:
        """The newest version, or the given one. `strong`: not from a lagging standby."""
        ...

    async def write(self, place: Place, values: Mapping[str, object], *, cas: int) -> int:
        """Write over version `cas` and return the new version; `Secret` values are revealed on the wire only.

        An unknown outcome is resolved by repeating the identical write and a strong read. Raises Conflict when
        somebody else wrote.
        """
        ...

    async def destroy(self, place: Place, versions: tuple[int, ...]) -> None:
        """Destroy these versions for good; destroying twice is no fault."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a record. An empty holder means that anybody may start."""

    holder: str = ""
    seq: int = 0
    ttl: float = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal document as read or written: `version` fences every further write. `record` None: there is none yet."""

    name: str
    version: int
    record: Record | None
    lease: Lease = Lease()
    server_time: datetime | None = None  # Vault's clock at the answer, when it told
    foreign: Mapping[str, object] = field(default_factory=dict)  # keys of a journal document that we do not know


class Journal(Protocol):
    """Record and lease of each credential, in one document. Every verb may raise Transient or StoreRefused."""

    async def load(self, name: str) -> Entry:
        """The newest entry, read strongly. Raises Refused when it is unreadable or of a newer schema."""
        ...

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """Write over the entry that was read. Raises Conflict when somebody else wrote in between."""
        ...

    async def names(self) -> tuple[str, ...]:
        """Every credential that has a journal document."""
        ...


class Clock(Protocol):
    """Time. Nothing else in the house reads a clock."""

    def now(self) -> datetime:
        """Wall-clock time, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """What sets this installation apart from others that share a target: made once, kept in Vault."""

    lineage: str
    fingerprint_key: bytes = field(repr=False)
    prefix: str = "rotator"
