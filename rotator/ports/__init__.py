"""The ports: what the engine needs of the world.

vault/, providers/ and host/cron.py implement them. The engine sees nothing else of the outside.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from rotator.ports.store import Entry, Journal, Lease, NoRequests, Requests, SecretStore
from rotator.ports.target import InventoryItem, Provider, SupportsDiagnose, SupportsIdentify, SupportsSupply
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
from rotator.rotation.faults import (
    CannotPresent,
    Conflict,
    Duplicate,
    Fault,
    MinterRefused,
    NeedsPerson,
    OnlyLooks,
    OwnTokenRefused,
    Refused,
    StoreRefused,
    TargetNotConfigured,
    Transient,
    UnusableKey,
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
