"""What targets answer to proofs that nobody can have made. A dead proof is compared with that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

_HOUR = 3600.0  # seconds; a server that was replaced since may have other words
_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0  # seconds

A = TypeVar("A")


@dataclass(slots=True)
class Strangers(Generic[A]):
    """The answers of one target, by the way in which something is proven there.

    A gateway in trouble answers everybody alike. So the answer is never asked for at the moment at which something is
    judged by it; what is heard right after a sound proof was accepted is the target's own word, and replaces what the
    negative control has heard, never the other way round.
    """

    monotonic: Callable[[], float]
    _answers: dict[Hashable, A] = field(default_factory=dict)
    _fresh_until: dict[Hashable, float] = field(default_factory=dict)

    def answer(self, way: Hashable) -> A | None:
        """The answer that is known; None before the control."""
        return self._answers.get(way)

    def controlled(self, way: Hashable, answer: A) -> None:
        """The negative control heard this."""
        if way not in self._fresh_until:
            self._answers[way] = answer

    async def accepted(self, way: Hashable, ask: Callable[[], Awaitable[A]]) -> None:
        """A sound proof has just been accepted: `ask` anew, once an hour. Raises what that raises."""
        if self.monotonic() >= self._fresh_until.get(way, -inf):
            self._answers[way] = await ask()
            self._fresh_until[way] = self.monotonic() + _HOUR


@dataclass(slots=True)
class Pauses:
    """Pauses between showings of the same thing, each twice as long as the one before."""

    monotonic: Callable[[], float]
    _next: dict[Hashable, tuple[Hashable, float, float]] = field(default_factory=dict)

    def due(self, what: Hashable, about: Hashable) -> bool:
        """Whether it may be shown; then it counts as shown. Something else that it is `about` begins anew."""
        known, at, pause = self._next.get(what, (about, -inf, _PAUSE))
        if known != about:
            at, pause = -inf, _PAUSE
        if self.monotonic() < at:
            return False
        self._next[what] = about, self.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE)
        return True
