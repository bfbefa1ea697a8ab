"""The ports to Vault: documents, and the journal with its leases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rotator.rotation.answers import Document
from rotator.rotation.credential import VaultPath
from rotator.rotation.faults import Refused
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.record import Record


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
    lock: str = ""  # with it other processes of the host prove that the holder has ended, see engine/process_lock.py


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
