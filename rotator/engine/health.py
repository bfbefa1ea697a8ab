"""Owns whether Vault and each target may be called: a bad neighbour is paused, so that it costs the others nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

MINTER_PAUSE = 900.0  # seconds: a target that refuses our minter may ban us for trying on
_PATIENCE = 3  # faults in a row before a pause
_PAUSE_CAP = 30.0


@dataclass(slots=True)
class Breaker:
    """One neighbour. Times are monotonic seconds."""

    faults: int = 0
    until: float = 0.0
    reason: str = ""

    def faulted(self, now: float, reason: str, *, patience: int = _PATIENCE) -> None:
        """One more failure in a row; past the patience each one doubles the pause, up to 30 s."""
        self.faults += 1
        self.reason = reason
        if self.faults >= patience:
            self.until = now + min(_PAUSE_CAP, 2.0 ** (self.faults - patience))

    def refused(self, now: float, reason: str) -> None:
        """The target refuses the identity that mints: no call for a quarter of an hour, or until a reload."""
        self.until, self.reason = now + MINTER_PAUSE, reason

    def worked(self) -> None:
        """It answered."""
        self.faults, self.until, self.reason = 0, 0.0, ""

    def left(self, now: float) -> float:
        """Seconds until it may be called again."""
        return max(0.0, self.until - now)


@dataclass(slots=True)
class Health:
    """Every neighbour's breaker."""

    vault: Breaker = field(default_factory=Breaker)
    targets: dict[str, Breaker] = field(default_factory=dict)

    def target(self, name: str) -> Breaker:
        """The target's breaker."""
        return self.targets.setdefault(name, Breaker())

    def pause(self, target: str, now: float) -> tuple[float, str]:
        """Seconds to wait before anything may be done there, and why; zero when nothing is in the way."""
        worst = max((self.vault, self.target(target)), key=lambda breaker: breaker.left(now))
        return worst.left(now), worst.reason
