"""A command that is asked to end (SIGTERM, SIGINT) and ends within ten seconds, at a safe point."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

import anyio

SAFE = 8.0  # seconds after which what has not come to a safe point is cancelled, as if the process were killed
_VERDICTS = 2.0  # seconds before that, in which what became of the work is told
LAST = 9.5  # seconds after which the process ends in any case


@dataclass(slots=True)
class Interruption:
    """Of one command. `heeded`: somebody brings its work to a safe point; else it is cancelled at once."""

    asked: anyio.Event = field(default_factory=anyio.Event)
    signal: str = ""
    heeded: bool = False
    since: float = 0.0  # monotonic seconds
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # of what is to be cancelled now

    def ask(self, signal: str) -> None:
        """A signal came."""
        self.signal, self.since = signal, time.monotonic()
        self.asked.set()


_current: ContextVar[Interruption | None] = ContextVar("interruption", default=None)


def expect() -> Interruption:
    """From now on this command may be interrupted."""
    made = Interruption()
    _current.set(made)
    return made


def heed() -> Interruption | None:
    """Who is interrupted here, by one who will bring its work to a safe point; None where nobody listens to signals."""
    current = _current.get()
    if current is not None:
        current.heeded = True
    return current


def interrupted() -> str:
    """By which signal; empty when by none."""
    current = _current.get()
    return current.signal if current else ""


def patience(otherwise: float) -> float:
    """The seconds that something may take: what is left of the time of an interruption, if there is one."""
    current = _current.get()
    if current is None or not current.signal:
        return otherwise
    return min(otherwise, max(0.1, SAFE - (time.monotonic() - current.since)))


def out_of_time() -> bool:
    """Whether verdicts are due now: what is still under way will be cancelled in a moment."""
    return patience(SAFE) <= _VERDICTS
