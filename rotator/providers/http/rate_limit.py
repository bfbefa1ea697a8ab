"""The rate limit of a target: calls per period, calls at once, and pauses that the target asks for.

All calls of a process to a target share one, whatever they are for. Where it is short, emergencies go first, then
rotations under way, then what is due, then the rest, which leaves the others half of what may go at once.
`RateLimit` is pure, with time as an argument; `RateLimiter` waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from rotator.ports import Clock, Transient
from rotator.ports.purpose import Purpose, current_purpose

_SHORTEST_REST, _LONGEST_REST = 30.0, 300.0  # seconds


class RateLimit:
    """At most `calls` in any `period` (seconds): a tenth of them at once, the others spread evenly."""

    def __init__(self, calls: int, period: float) -> None:
        """Raises ValueError when the limit allows no call."""
        if calls < 1 or period <= 0:
            raise ValueError("a budget allows at least one call in some time")
        burst = max(1, calls // 10)
        self._interval = period / (calls - burst + 1)
        self._slack = (burst - 1) * self._interval
        self.spare = burst // 2  # calls at once that the rest leaves to others
        self._due = float("-inf")  # when the next call would be due at an even rate
        self._quiet_until = float("-inf")

    def delay(self, now: float, ahead: int = 0) -> float:
        """Seconds until a call may go; 0: now. `ahead`: calls that go first."""
        return max(0.0, self._due + ahead * self._interval - self._slack - now, self._quiet_until - now)

    def spend(self, now: float) -> None:
        """Count a call that begins now."""
        self._due = max(self._due, now) + self._interval

    def hush(self, until: float) -> None:
        """Allow no call before `until`, as the target asked."""
        self._quiet_until = max(self._quiet_until, until)


class RateLimiter:
    """Delays calls as the limit requires."""

    def __init__(self, budget: RateLimit, concurrency: int, clock: Clock, patience: float = 10.0) -> None:
        """`patience`: a call that would wait longer than this (seconds) fails at once."""
        self._budget = budget
        self._places = anyio.Semaphore(concurrency, fast_acquire=True)
        self._places_of_rest = anyio.Semaphore(max(1, concurrency - 1), fast_acquire=True)
        self._waiting: Counter[Purpose] = Counter()
        self._clock = clock
        self._patience = patience
        self._wearied: tuple[int, float] = (0, 0.0)  # how many in a row, and until when

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One call. Raises Transient, before anything is sent, when the wait would be long."""
        purpose = current_purpose()
        async with AsyncExitStack() as places:
            if purpose is Purpose.REST:
                await places.enter_async_context(self._places_of_rest)
            await places.enter_async_context(self._places)
            await self._wait(purpose)
            yield

    async def _wait(self, purpose: Purpose) -> None:
        self._waiting[purpose] += 1
        try:
            while (delay := self._delay(purpose)) > 0:
                if delay > self._patience:
                    raise Transient("not sent: this target's request budget is spent", retry_after=delay)
                await self._clock.sleep(max(delay, 0.001))  # a shorter sleep may not move a coarse clock
            self._budget.spend(self._clock.monotonic())
        finally:
            self._waiting[purpose] -= 1

    def _delay(self, purpose: Purpose) -> float:
        ahead = sum(self._waiting[each] for each in Purpose if each < purpose)
        if purpose is Purpose.REST:
            ahead += self._budget.spare
        return self._budget.delay(self._clock.monotonic(), ahead)

    def weary(self) -> float:
        """Pause after a 429 without a time: 30 s, doubling to five minutes while it repeats. HaloITSM counts over five
        minutes, and shorter pauses were seen to be useless there."""
        times, until = self._wearied
        now = self._clock.monotonic()
        if now < until:  # a call that was under way at the same time
            return until - now
        times = times + 1 if now < until + _LONGEST_REST else 1
        rest = min(_SHORTEST_REST * 2.0 ** min(times - 1, 9), _LONGEST_REST)
        self._wearied = (times, now + rest)
        return rest

    def hush(self, seconds: float) -> None:
        """Pause as the target asked."""
        self._budget.hush(self._clock.monotonic() + seconds)
