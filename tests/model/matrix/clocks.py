"""True time and what is to happen later in it, and the clocks of processes, which may be wrong."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Time:
    """True time, in seconds since EPOCH. `struck` is called whenever something has happened by itself."""

    seconds: float = 0.0
    struck: Callable[[], None] = lambda: None
    _later: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _dated: float = 0.0
    _date: datetime = EPOCH
    _number: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        """True time as a date."""
        if self.seconds != self._dated:
            self._dated, self._date = self.seconds, EPOCH + timedelta(seconds=self.seconds)
        return self._date

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do it in a while."""
        heapq.heappush(self._later, (self.seconds + seconds, next(self._number), act))

    @property
    def quiet(self) -> bool:
        """Whether nothing is to happen any more."""
        return not self._later

    def move(self, seconds: float) -> None:
        """Time passes, and what was to happen meanwhile happens."""
        end = self.seconds + max(0.0, seconds)
        while self._later and self._later[0][0] <= end:
            self.seconds, _, act = heapq.heappop(self._later)
            act()
            self.struck()
        self.seconds = end


@dataclass(slots=True)
class HostClock:
    """One host's clocks; `ahead`: seconds by which its wall clock is wrong."""

    time: Time
    ahead: float = 0.0

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self.time.now() + timedelta(seconds=self.ahead) if self.ahead else self.time.now()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.time.seconds

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        raise AssertionError("a visit never sleeps: it says when to come again")
