"""How targets answer to invalid proofs, so that the answer to a dead value can be recognised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

_HOUR = 3600.0  # seconds; a replaced server may answer differently
_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0  # seconds

A = TypeVar("A")


@dataclass(slots=True)
class Strangers(Generic[A]):
    """The answers of one target to invalid proofs, by the way of proving.

    A gateway in trouble gives the same answer to everybody. So the answer is not fetched when it is needed for a
    verdict: an answer fetched right after a valid proof was accepted comes from the target itself, and replaces the
    one of the negative control, never the other way round.
    """

    monotonic: Callable[[], float]
    _answers: dict[Hashable, A] = field(default_factory=dict)
    _fresh_until: dict[Hashable, float] = field(default_factory=dict)

    def answer(self, way: Hashable) -> A | None:
        """The known answer; None before the negative control."""
        return self._answers.get(way)

    def own_word(self, way: Hashable) -> A | None:
        """The answer that was heard right after a sound proof had been accepted; None: none was."""
        return self._answers.get(way) if way in self._fresh_until else None

    def controlled(self, way: Hashable, answer: A) -> None:
        """Store the answer to the negative control."""
        if way not in self._fresh_until:
            self._answers[way] = answer

    async def accepted(self, way: Hashable, ask: Callable[[], Awaitable[A]]) -> None:
        """A valid proof has just been accepted: `ask` again, once an hour. Raises the faults of asking."""
        if self.monotonic() >= self._fresh_until.get(way, -inf):
            self._answers[way] = await ask()
            self._fresh_until[way] = self.monotonic() + _HOUR


@dataclass(slots=True)
class Throttle:
    """Pauses between presentations of the same value, each twice as long as the one before."""

    monotonic: Callable[[], float]
    _next: dict[Hashable, tuple[Hashable, float, float]] = field(default_factory=dict)

    def due(self, what: Hashable, about: Hashable) -> bool:
        """Whether it may be presented now; then it counts as presented. A different `about` starts again."""
        known, at, pause = self._next.get(what, (about, -inf, _PAUSE))
        if known != about:
            at, pause = -inf, _PAUSE
        if self.monotonic() < at:
            return False
        self._next[what] = about, self.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE)
        return True
