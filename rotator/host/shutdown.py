"""The end of a command (SIGTERM, SIGINT: within ten seconds, at a safe point) and of the daemon (within `drain`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum

import anyio

SAFE = 8.0  # seconds until work that has not come to a safe point is cancelled, as if the process were killed
_VERDICTS = 2.0  # seconds before that, in which the outcome is printed
LAST = 9.5  # seconds after which the process ends in any case
_LONGEST_TAIL = 10.0  # seconds kept for what follows the steps; at most half of the whole


@dataclass(slots=True)
class Interruption:
    """The interruption of one command. `heeded`: the work is brought to a safe point; else it is cancelled at once."""

    asked: anyio.Event = field(default_factory=anyio.Event)
    signal: str = ""
    heeded: bool = False
    since: float = 0.0  # monotonic seconds
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # cancelled at once

    def ask(self, signal: str) -> None:
        """A signal came."""
        self.signal, self.since = signal, time.monotonic()
        self.asked.set()


_current: ContextVar[Interruption | None] = ContextVar("interruption", default=None)


def expect() -> Interruption:
    """Prepare for an interruption of this command."""
    made = Interruption()
    _current.set(made)
    return made


def heed() -> Interruption | None:
    """This command's interruption, for code that brings its work to a safe point; None where no signal is expected."""
    current = _current.get()
    if current is not None:
        current.heeded = True
    return current


def interrupted() -> str:
    """The signal that interrupted this command; empty if none did."""
    current = _current.get()
    return current.signal if current else ""


def patience(otherwise: float) -> float:
    """The seconds that a call may take: `otherwise`, or what an interruption leaves of them."""
    current = _current.get()
    if current is None or not current.signal:
        return otherwise
    return min(otherwise, max(0.1, SAFE - (time.monotonic() - current.since)))


def out_of_time() -> bool:
    """Whether verdicts must be printed now, because unfinished work will be cancelled in a moment."""
    return patience(SAFE) <= _VERDICTS


class Part(Enum):
    """The parts of a stop, in order. The value: the share of the tail that must be left when the part ends."""

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
    """One stop. Time that a part does not use is left for the next."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._tail = min(_LONGEST_TAIL, seconds / 2)
        self._hurried = False
        self.part = Part.STEPS  # the part under way

    def hurry(self) -> None:
        """Stop waiting for steps: a second signal came."""
        self._hurried = True

    def begin(self, part: Part) -> float:
        """Begin a part. Returns its seconds."""
        self.part = part
        return self.left(part)

    def left(self, part: Part) -> float:
        """Seconds until a part has to be over."""
        if self._hurried and part is Part.STEPS:
            return 0.0
        return max(0.0, self._end - self._tail * part.value - self._monotonic())
