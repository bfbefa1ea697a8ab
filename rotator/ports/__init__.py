"""The ports: what the engine asks of the world, and the three faults the world may raise.

The edges (vault/, providers/, clock.py) implement them; the engine sees nothing else of the outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rotator.ports.faults import (
    CannotPresent,
    Conflict,
    Duplicate,
    Fault,
    MinterRefused,
    NeedsPerson,
    OnlyLooks,
    Refused,
    StoreRefused,
    TargetNotConfigured,
    Transient,
    UnusableKey,
)
from rotator.ports.store import Document, Entry, Journal, Lease, NoRequests, Requests, SecretStore
from rotator.ports.target import (
    Accepted,
    Capabilities,
    Inspection,
    InventoryItem,
    Minted,
    Outcome,
    Provider,
    Rejected,
    SupportsDiagnose,
    SupportsIdentify,
    SupportsSupply,
    Unknown,
    Verdict,
)

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
    "NeedsPerson",
    "NoRequests",
    "OnlyLooks",
    "Outcome",
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
