"""The clocks of the tests: by hand, or the real one with sleeps that cost no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

from rotator.host.cron import SystemClock

BEGUN = 1000.0  # what a monotonic clock shows at first


class HandClock:
    """Time by hand: sleeping moves it, and nothing else does unless asked. `slept` holds every sleep, in seconds."""

    def __init__(self, wall: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) -> None:
        self.wall = wall
        self.steady = BEGUN
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(seconds)

    @property
    def moved(self) -> float:
        """Seconds since it was made."""
        return self.steady - BEGUN

    def move(self, span: timedelta | float) -> None:
        """Time passes."""
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)


class StillClock(HandClock):
    """Nobody sleeps on it: a visit says when to come again."""

    def __init__(self, wall: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        super().__init__(wall)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a visit never sleeps: it says when to come again")


class QuickClock(SystemClock):
    """The real time; sleeping costs none but moves `monotonic`: patience ends without waiting. Sleeps are written down.

    After `naps` of them, `done` is set and the next one never ends.
    """

    def __init__(self, naps: int = 10**9) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []
        self.naps = naps
        self.done = anyio.Event()

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == self.naps:
            self.done.set()
            await anyio.sleep_forever()
        self.slept.append(seconds)
        self.ahead += seconds
        await anyio.lowlevel.checkpoint()
