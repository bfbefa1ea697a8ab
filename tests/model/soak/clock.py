"""Virtual time: it stands still until it is moved, and nobody sleeps in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2031, 1, 1, tzinfo=UTC)


class VirtualClock:
    """See `ports.Clock`. `seconds`: how far it has been moved."""

    def __init__(self) -> None:
        self.move(0.0)

    def move(self, seconds: float) -> None:
        """So far from the beginning it is now."""
        self.seconds, self._now = seconds, BEGIN + timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a visit never sleeps: it says when to come again")
