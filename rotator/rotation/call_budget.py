"""How many calls a target gets in an hour at least, by what they are for: while nothing fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CallsOfCredential:
    """What one credential asks of its target. `interval`: between two rotations, on average; None: never."""

    interval: timedelta | None
    rotation: int  # calls of a rotation, at least
    proof: int  # calls of a look whether the target accepts a value, at least


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Calls in an hour, on average; what one process may send; and what it asks at its start, once."""

    credentials: int
    rotations: float
    probes: float
    listings: float
    allowed: float
    start: int

    @property
    def together(self) -> float:
        """All calls in an hour."""
        return self.rotations + self.probes + self.listings

    @property
    def fits(self) -> bool:
        """Whether they may be sent."""
        return self.together <= self.allowed


def planned_calls(
    credentials: Iterable[CallsOfCredential],
    *,
    probe: timedelta | None,
    sweep: timedelta,
    calls: int,
    period: timedelta,
) -> PlannedCalls:
    """The calls to one target. `probe`, `sweep`: between two probes of a value and two listings; `calls` in `period`
    may be sent. A start proves each value once and compares it with an invented one.
    """
    found = list(credentials)
    return PlannedCalls(
        credentials=len(found),
        rotations=sum(each.rotation * (_HOUR / each.interval) for each in found if each.interval),
        probes=sum(each.proof * (_HOUR / probe) for each in found) if probe else 0.0,
        listings=_HOUR / sweep if found else 0.0,
        allowed=calls * (_HOUR / period),
        start=sum(2 * each.proof for each in found) if probe else 0,
    )
