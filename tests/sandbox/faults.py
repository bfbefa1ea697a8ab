"""The rules by which a sandbox misbehaves on request.

Performing them on the wire is left to `http`; their HTTP face to `panel`.
"""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

from anyio import Event


class Kind(StrEnum):
    """What goes wrong."""

    SLOW = "slow"  # nothing but the delay
    DROP = "drop"  # the connection closes without an answer
    RESET = "reset"  # the same with a TCP reset
    STATUS = "status"  # another status: 409, 429, any 5xx
    TRUNCATE = "truncate"  # a longer body is declared than sent
    HOLD = "hold"  # everything stops here until released


class When(StrEnum):
    """On which side of the call's effect it goes wrong."""

    BEFORE = "before"
    AFTER = "after"
    EITHER = "either"  # even odds, drawn for each call from the panel's seed


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of trouble for the calls that match.

    `method` and `path` are regular expressions; `path` is searched in path and query as sent. The first `skip`
    matching calls pass; then `times` calls are struck (None: until cleared). `delay` is in seconds, before the effect.
    As with a real Halo CMS (2.26.0: a socket closed within 5 ms of sending left nothing behind), a client that leaves
    before the effect cancels it, unless `lands` says that it happens all the same.
    """

    kind: Kind
    method: str = ".*"
    path: str = ""
    when: When = When.BEFORE
    times: int | None = 1
    skip: int = 0
    delay: float = 0.0
    status: int = 503
    retry_after: str | int | None = None
    lands: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError or re.error when the rule makes no sense."""
        re.compile(self.method)
        re.compile(self.path)
        if self.kind is Kind.TRUNCATE and self.when is not When.AFTER:
            raise ValueError("an answer can be cut off only after the effect")
        if self.kind is Kind.STATUS and not 400 <= self.status <= 599:
            raise ValueError("a status fault is a 4xx or 5xx")
        if self.delay < 0 or self.skip < 0 or (self.times or 0) < 0:
            raise ValueError("delay, skip and times are not negative")

    def matches(self, method: str, target: str) -> bool:
        """Whether the rule is about this call."""
        return bool(re.fullmatch(self.method, method) and re.search(self.path, target))


@dataclass(slots=True, eq=False)
class Armed:
    """A rule in force, with what it has seen so far."""

    number: int
    rule: Rule
    seen: int = 0
    struck: int = 0
    reached: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)

    @property
    def spent(self) -> bool:
        """Whether it will strike no more."""
        return self.rule.times is not None and self.struck >= self.rule.times

    def release(self) -> None:
        """Let held calls go on, and later ones pass."""
        self.released.set()

    async def wait_reached(self) -> None:
        """Wait until a call stands at this rule's hold."""
        await self.reached.wait()

    def document(self) -> dict[str, Any]:
        """The rule and its counts, as JSON."""
        return {"number": self.number, **asdict(self.rule), "seen": self.seen, "struck": self.struck}


@dataclass(frozen=True, slots=True)
class Strike:
    """A rule that hit one call, with the side of the effect decided."""

    armed: Armed
    when: When


class FaultPanel:
    """The rules in force; the oldest that still strikes wins."""

    def __init__(self, seed: int = 0) -> None:
        """`seed` decides the draws of `either`."""
        self._random = random.Random(seed)
        self._numbers = count(1)
        self._armed: list[Armed] = []

    def add(self, kind: Kind | str, *, when: When | str | None = None, **details: Any) -> Armed:
        """Put a rule in force. `details` are the fields of `Rule`; raises ValueError, TypeError or re.error for bad
        ones. Truncating and holding are after the effect unless said otherwise.
        """
        kind = Kind(kind)
        usual = When.AFTER if kind in (Kind.TRUNCATE, Kind.HOLD) else When.BEFORE
        armed = Armed(next(self._numbers), Rule(kind=kind, when=When(when or usual), **details))
        self._armed.append(armed)
        return armed

    def rules(self) -> tuple[Armed, ...]:
        """All rules, spent ones included."""
        return tuple(self._armed)

    def find(self, number: int) -> Armed | None:
        """A rule by its number."""
        return next((armed for armed in self._armed if armed.number == number), None)

    def clear(self, armed: Armed | None = None) -> None:
        """Take one rule, or all, out of force; whoever is held goes on."""
        for each in [armed] if armed else self.rules():
            each.release()
            self._armed.remove(each)

    def strike(self, method: str, target: str) -> Strike | None:
        """The rule that hits this call, if any; counts it."""
        for armed in self._armed:
            if armed.spent or not armed.rule.matches(method, target):
                continue
            armed.seen += 1
            if armed.seen <= armed.rule.skip:
                continue
            armed.struck += 1
            return Strike(armed, self._side(armed.rule))
        return None

    def _side(self, rule: Rule) -> When:
        if rule.when is When.EITHER:
            return self._random.choice((When.BEFORE, When.AFTER))
        return rule.when
