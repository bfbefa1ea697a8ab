"""Windows and freezes of a history, and the invariant C: what begins, begins inside the one and outside the others.

It is judged by true time and with rules of its own, from the settings that the visit was begun with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from rotator.rotation.change_calendar import ALWAYS, Calendar, Freeze
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record
from tests.model.simulation.world import EPOCH

if TYPE_CHECKING:
    from tests.model.simulation.invariants import Checks

SLACK = 4.0  # seconds: Vault's clock is told in whole seconds
_STEP = 0.5  # seconds between two looks at a calendar


@dataclass(frozen=True, slots=True)
class Cycle:
    """A window that is open for `opening` of every `period` seconds, from `offset` seconds on."""

    period: float
    opening: float
    offset: float

    def opened_at(self, now: datetime) -> datetime | None:
        """See `Window`; so the others."""
        into = self._into(now)
        return now - timedelta(seconds=into) if into < self.opening else None

    def next_open(self, now: datetime) -> datetime:
        """The next beginning of a period."""
        into = self._into(now)
        return now if into < self.opening else now + timedelta(seconds=self.period - into)

    def longest_gap(self) -> timedelta:
        """The rest of a period."""
        return timedelta(seconds=self.period - self.opening)

    def shortest_opening(self) -> timedelta:
        """As long as any."""
        return timedelta(seconds=self.opening)

    def _into(self, now: datetime) -> float:
        return ((now - EPOCH).total_seconds() - self.offset) % self.period


def draw_calendar(rng: Random, active: float) -> Calendar:
    """A window, freezes, or both."""
    shape = rng.choice(("window", "freeze", "both"))
    window = Cycle(rng.choice((90.0, 200.0, 400.0)), rng.choice((10.0, 40.0)), rng.uniform(0.0, 90.0))
    begins = [rng.uniform(0.0, active) for _ in range(rng.choice((1, 2)))]
    freezes = tuple(_freeze(number, at, rng.choice((30.0, 150.0, active))) for number, at in enumerate(begins))
    return Calendar(None if shape == "freeze" else window, () if shape == "window" else freezes)


def _freeze(number: int, begins: float, length: float) -> Freeze:
    at = EPOCH + timedelta(seconds=begins)
    return Freeze(f"f{number}", at, at + timedelta(seconds=length), "the year ends")


def heeded(checks: Checks, name: str, before: Record | None, after: Record) -> None:
    """C: a rotation begins when the calendar lets it, between the read of its journal and now; else it has a reason."""
    began = (before is None or before.phase is Phase.SETTLED) and after.phase is Phase.REQUESTED
    thread = checks.world.running
    process = thread.owner if thread else None
    if not began or before is None or thread is None or name not in getattr(process, "begun", {}):
        return
    credential = process.begun[name]
    if credential.calendar is ALWAYS or after.emergency or not _works(before):
        return
    skew, at = checks.vault.skew, thread.read.get(name, checks.world.now) - SLACK
    while at <= checks.world.now + SLACK:
        date = checks.world.date(at - checks.world.now + skew)
        if _open(credential.calendar, date) or _dying(credential, before, date):
            return
        at += _STEP
    checks.broken("C", f"{name} begins a rotation ({after.why}) while its calendar is closed")


def _works(record: Record) -> bool:
    return record.current is not None and record.refused_at is None and record.lost is None


def _open(calendar: Calendar, at: datetime) -> bool:
    inside = calendar.window is None or calendar.window.opened_at(at) is not None
    return inside and not any(each.begins <= at < each.until for each in calendar.freezes)


def _dying(credential: Credential, record: Record, at: datetime) -> bool:
    """Whether so little of the value's life is left that its successor is not to wait."""
    current = record.current
    end = current.token.expires_at if current else None
    if current is None or end is None:
        return False
    life, retire = end - min(current.at, current.token.issued_at or current.at), credential.retire
    grace = max(retire.after, retire.deadline or timedelta(0)) if retire.quiet else retire.after
    return end - at <= min(life / 10, timedelta(hours=1)) + min(life / 100, timedelta(minutes=5)) + grace


def outlived(checks: Checks, name: str, published: str) -> None:
    """C: in fair weather no value expires on its path because its successor waited for the calendar."""
    token = checks.target.by_value.get(published)
    credential = checks.wanted.get(name)
    if token and credential and credential.calendar is not ALWAYS and checks.target.expired(token):
        checks.broken("C", f"{token.id} has expired, which consumers of {name} read: its successor has waited")
