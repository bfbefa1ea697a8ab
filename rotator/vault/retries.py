"""Doubling pauses between tries of one request to Vault, and the time after which it is given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from rotator.ports import Clock, Fault, Transient

READ_PATIENCE = 3.0  # seconds of trying again before a read, or a login, gives up
LAG_PATIENCE = 10.0  # the same where no node forwards for one that lags behind
WRITE_PATIENCE = 25.0  # the same for a write
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between tries, doubling

T = TypeVar("T")


class Pauses:
    """Pauses between the tries of one request, for `patience` seconds at most."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + patience
        self._next = FIRST_PAUSE

    @property
    def spent(self) -> bool:
        """Whether there is no time left."""
        return self._clock.monotonic() >= self._end

    async def over(self, fault: Fault) -> bool:
        """Pause, at least as long as the server asked; returns True at once when there is no time for another try.

        The last pause ends with the patience: a leader may be found in the last second.
        """
        left = self._end - self._clock.monotonic()
        asked = fault.retry_after or 0.0
        if left <= max(0.0, asked):
            return True
        await self._clock.sleep(min(max(self._next, asked), left))
        self._next = min(self._next * 2, LONGEST_PAUSE)
        return False


async def patiently(
    clock: Clock, patience: float, request: Callable[[], Awaitable[T]], missed: Callable[[str], None] | None = None
) -> T:
    """Repeat a request that may be repeated without harm. `missed` gets each new reason for a failed try.

    Raises Transient when the patience is used up, any other fault at once.
    """
    pauses, told = Pauses(clock, patience), ""
    while True:
        try:
            return await request()
        except Transient as fault:
            if missed and fault.reason != told:
                told = fault.reason
                missed(told)
            if await pauses.over(fault):
                raise
