"""A clock for tests: sleeping moves it, and nothing else does unless asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """Time by hand. `slept` holds every sleep, in seconds."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(seconds)

    def move(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
