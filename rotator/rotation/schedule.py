"""When a published value is due for a successor, and the back-off after failures. For cron see host/cron.py."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Schedule(Hashable, Protocol):
    """A pure rule that computes when a successor is due from the time of publication."""

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime | None:
        """When the successor of a value published at `published_at` is due, with jitter; None: never."""
        ...


@lru_cache(maxsize=10_000)
def share(name: str) -> float:
    """A number in [0, 1) hashed from the name, so that every replica has the same jitter."""
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

    By this rule a value without an expiry is never due; the settings refuse that combination.
    """

    fraction: float
    jitter: float = 0.1

    def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime | None:
        """See `Schedule.due`."""
        if expires_at is None:
            return None
        life = expires_at - published_at
        return published_at + life * self.fraction * (1 - self.jitter * share(name))


STEP_CAP = timedelta(seconds=30)
ROTATION_CAP = timedelta(hours=1)
_PROOF_CAP = timedelta(minutes=5)
_RETRY_AFTER_CAP = timedelta(hours=1)


def step_pause(failures: int, name: str, retry_after: float | None) -> timedelta:
    """The pause after a failed step: 1 s, doubling to 30 s, and never shorter than the other side asked for."""
    delay = min(STEP_CAP, timedelta(seconds=2 ** min(failures, 10)) / 2)
    asked = min(_RETRY_AFTER_CAP, timedelta(seconds=retry_after or 0))
    return max(_spread(delay, failures, name), asked)


def retry_room(life: timedelta) -> timedelta:
    """The time of a value's life that is left for trying a rotation again. It must fit into short lives as well."""
    return min(ROTATION_CAP, life / 10)


def proof_room(life: timedelta) -> timedelta:
    """The time of a value's life that is left for the proof before publishing."""
    return min(_PROOF_CAP, life / 100)


def rotation_pause(failures: int, name: str) -> timedelta:
    """The pause after a given-up rotation: 30 s, doubling to an hour."""
    return _spread(min(ROTATION_CAP, timedelta(seconds=15 * 2 ** min(failures, 12))), failures, name)


def _spread(delay: timedelta, failures: int, name: str) -> timedelta:
    """Shorten a pause by up to a third, hashed from the name, so that credentials do not retry together."""
    return delay * (1 - share(f"{name}/{failures}") / 3)
