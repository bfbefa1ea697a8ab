"""The seconds of a daemon's stop, shared out among its parts, so that all of them together end within `drain`."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

_LONGEST_TAIL = 10.0  # seconds kept for what follows the steps; at most half of the whole


class Part(Enum):
    """The parts of a stop, in their order. The value: which share of the tail is left when it ends, at the latest."""

    STEPS = 1.0
    CALLERS = 0.85
    OBSERVERS = 0.45
    LOGIN = 0.3
    LOG = 0.0


WORDS = {
    Part.STEPS: "a step under way",
    Part.CALLERS: "the last answers to callers",
    Part.OBSERVERS: "the last heartbeat, receipts and hooks",
    Part.LOGIN: "the end of our login to Vault",
    Part.LOG: "the last lines of the log",
}


class StopBudget:
    """One stop. What a part does not need is the next one's."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._tail = min(_LONGEST_TAIL, seconds / 2)
        self._hurried = False
        self.part = Part.STEPS  # what is under way

    def hurry(self) -> None:
        """Do not wait for steps any longer: somebody has asked twice."""
        self._hurried = True

    def begin(self, part: Part) -> float:
        """Go on to a part. Returns its seconds."""
        self.part = part
        return self.left(part)

    def left(self, part: Part) -> float:
        """Seconds until a part has to be over."""
        if self._hurried and part is Part.STEPS:
            return 0.0
        return max(0.0, self._end - self._tail * part.value - self._monotonic())
