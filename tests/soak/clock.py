"""Owns virtual time: it stands still until it is moved, and nobody sleeps in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2031, 1, 1, tzinfo=UTC)


class VirtualClock:
    """See `ports.Clock`. `seconds`: how far it has been moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a visit never sleeps: it says when to come again")
