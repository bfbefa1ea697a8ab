"""When a published value is due for a successor; cron expressions are read by clock.py."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Schedule(Hashable, Protocol):
    """A pure rule: from the time of publication to the time the successor is due."""

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime | None:
        """When the value published at `published_at` is due, jitter included; None: never."""
        ...


@lru_cache(maxsize=10_000)
def share(name: str) -> float:
    """A number in [0, 1) hashed from the name: every replica draws the same jitter."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


@dataclass(frozen=True, slots=True)
class Every:
    """Due a fixed interval after publication, up to `jitter` earlier (a share of the interval)."""

    interval: timedelta
    jitter: float = 0.1

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime:
        """See `Schedule.due`."""
        return published_at + self.interval * (1 - self.jitter * share(name))


@dataclass(frozen=True, slots=True)
class FractionOfLife:
    """Due when this fraction of the value's life is over, up to `jitter` earlier (a share of that time).

    A value without an expiry is never due by this rule; settings refuse that combination.
    """

    fraction: float
    jitter: float = 0.1

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime | None:
        """See `Schedule.due`."""
        if expires_at is None:
            return None
        life = expires_at - published_at
        return published_at + life * self.fraction * (1 - self.jitter * share(name))
