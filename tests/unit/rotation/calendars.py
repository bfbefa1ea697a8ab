"""Windows of the tests: open in the first of every so many hours since NOW."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.change_calendar import Freeze
from tests.unit.rotation.builders import HOUR, NOW


@dataclass(frozen=True)
class Hours:
    """Open in the first of every `period` hours since NOW."""

    period: int = 10

    def __str__(self) -> str:
        return f"1 of {self.period} hours"

    def opened_at(self, now: datetime) -> datetime | None:
        into = (now - NOW) % (self.period * HOUR)
        return now - into if into < HOUR else None

    def next_open(self, now: datetime) -> datetime:
        return now if self.opened_at(now) else now + self.period * HOUR - (now - NOW) % (self.period * HOUR)

    def longest_gap(self) -> timedelta:
        return (self.period - 1) * HOUR

    def shortest_opening(self) -> timedelta:
        return HOUR


def freeze(name: str, begins: float, until: float) -> Freeze:
    """A freeze of everything, in hours since NOW."""
    return Freeze(name, NOW + begins * HOUR, NOW + until * HOUR, "year's end")
