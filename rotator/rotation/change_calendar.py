"""When a rotation may begin by the calendar: windows, freezes, and the last safe moment of a published value.

A window and a freeze keep rotations from beginning, nothing else: what has begun goes on, and predecessors end when
their grace is over, as promised to consumers. For windows of the week see host/windows.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


class Window(Hashable, Protocol):
    """A pure rule that says when rotations may begin. `str` of it names its times. It opens again and again."""

    def opened_at(self, now: datetime) -> datetime | None:
        """Since when it is open (UTC); None: it is closed."""
        ...

    def next_open(self, now: datetime) -> datetime:
        """When it is open next; `now`, if it is."""
        ...

    def longest_gap(self) -> timedelta:
        """The longest time that it is closed."""
        ...

    def shortest_opening(self) -> timedelta:
        """The shortest time that it is open."""
        ...


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing begins for credentials that carry all of `labels`; none: for every credential. UTC."""

    name: str
    begins: datetime
    until: datetime
    why: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether it covers a credential with these labels."""
        return all(labels.get(key) == value for key, value in self.labels.items())

    def __str__(self) -> str:
        return f"freeze {self.name} from {self.begins:%F %T}Z until {self.until:%F %T}Z: {self.why}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """The window of one credential, None if it has none, and the freezes that cover it."""

    window: Window | None = None
    freezes: tuple[Freeze, ...] = ()

    def closed(self, now: datetime) -> str:
        """Why nothing may begin at `now`, in words; empty: it may."""
        if freeze := self.frozen(now):
            return f"freeze {freeze.name} until {freeze.until:%F %T}Z: {freeze.why}"
        if self.window is None or self.window.opened_at(now):
            return ""
        return f"outside its window {self.window}"

    def next_open(self, now: datetime) -> datetime:
        """The first moment from `now` on that is inside the window and outside every freeze."""
        at = self._window_from(now)
        while freeze := self.frozen(at):  # at most once for each of them: its end is behind us then
            at = self._window_from(freeze.until)
        return at

    def opened_at(self, now: datetime) -> datetime | None:
        """Since when rotations may begin, if they may at `now`; None: for ever, or they may not."""
        ends = [each.until for each in self.freezes if each.until <= now]
        opened = self.window.opened_at(now) if self.window else None
        return None if self.closed(now) else max((x for x in (*ends, opened) if x), default=None)

    def frozen(self, now: datetime) -> Freeze | None:
        """The freeze that is on; of several, the one that ends last."""
        on = (each for each in self.freezes if each.begins <= now < each.until)
        return max(on, key=lambda each: each.until, default=None)

    def _window_from(self, at: datetime) -> datetime:
        return self.window.next_open(at) if self.window else at


ALWAYS = Calendar()
