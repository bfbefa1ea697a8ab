"""Circuit breakers for Vault, for each target and for each minter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

# The neighbour, the reason, and the seconds for which it is not called; zero when it works again.
Tell = Callable[[str, str, float], None]


def _quietly(neighbour: str, reason: str, pause: float) -> None:
    pass


@dataclass(slots=True)
class CircuitBreaker:
    """The breaker of one neighbour. It opens after faults of `patience` different names in a row, for `first` seconds.

    Each further time it opens for twice as long. The names must differ, because one broken credential has a back-off of
    its own and must not stop others. Times are monotonic seconds.
    """

    name: str
    tell: Tell = _quietly
    patience: int = 3
    first: float = 1.0
    cap: float = 30.0
    until: float = 0.0
    reason: str = ""
    trips: int = 0
    outages: int = 0  # times that it ceased to work
    _who: set[str] = field(default_factory=set)

    def faulted(self, now: float, who: str, reason: str, *, patience: int | None = None) -> None:
        """Count a fault. Faults during a pause do not count: they are of calls that were already under way."""
        if now < self.until:
            return
        patience = patience or self.patience
        if len(self._who) < patience:
            self._who.add(who)
        if len(self._who) >= patience:
            self._trip(now, reason)

    def _trip(self, now: float, reason: str) -> None:
        pause = min(self.cap, self.first * 2.0 ** min(self.trips, 10))
        news = not self.trips or reason != self.reason
        self.outages += not self.trips
        self.until, self.reason, self.trips = now + pause, reason, self.trips + 1
        if news:
            self.tell(self.name, reason, pause)

    def worked(self, now: float) -> None:
        """Note an answer. During a pause it proves nothing: the call may have begun before the trouble."""
        if now >= self.until:
            if self.trips:
                self.tell(self.name, "", 0.0)
            self.forgive()

    def forgive(self) -> None:
        """Close the breaker."""
        self.until, self.reason, self.trips = 0.0, "", 0
        self._who.clear()

    def left(self, now: float) -> float:
        """Seconds until it may be called again."""
        return max(0.0, self.until - now)


@dataclass(slots=True)
class CircuitBreakers:
    """Every neighbour's breaker."""

    tell: Tell = _quietly
    vault: CircuitBreaker = field(init=False)
    targets: dict[str, CircuitBreaker] = field(default_factory=dict)
    minters: dict[str, CircuitBreaker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vault = CircuitBreaker("vault", self.tell)

    def target(self, name: str) -> CircuitBreaker:
        """The target's breaker."""
        return self.targets.setdefault(name, CircuitBreaker(f"target {name}", self.tell))

    def minter(self, name: str) -> CircuitBreaker:
        """The minter's breaker, open for 1 to 15 minutes: a target may ban clients that repeat a refused login."""
        return self.minters.setdefault(
            name, CircuitBreaker(f"minter of {name}", self.tell, patience=1, first=60.0, cap=900.0)
        )

    def pause(self, target: str, minter: str, now: float) -> tuple[float, str]:
        """The seconds for which nothing may be done there, and why; zero if nothing prevents it."""
        worst = max((self.vault, self.target(target), self.minter(minter)), key=lambda breaker: breaker.left(now))
        return worst.left(now), worst.reason

    def forgive(self) -> None:
        """Close every breaker of targets and minters, because a person says that they work again."""
        for breaker in (*self.targets.values(), *self.minters.values()):
            breaker.forgive()
