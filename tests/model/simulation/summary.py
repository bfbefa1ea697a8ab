"""What many seeds come to: violations, the coverage of (phase, fault) pairs, and how both are told to people."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.model.simulation.coverage import reachable


@dataclass
class Summary:
    """What came out of some seeds."""

    seeds: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    apart: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # seconds, by whose doing
    seconds: float = 0.0

    def add(self, other: Summary) -> None:
        """Take another summary in."""
        self.seeds += other.seeds
        self.failed += other.failed
        self.pairs += other.pairs
        self.counts += other.counts
        for whose, seconds in other.apart.items():
            self.apart[whose] += seconds

    def unvisited(self) -> list[tuple[str, str]]:
        """Reachable pairs that no seed has visited."""
        return sorted(pair for pair in reachable() if pair not in self.pairs)

    def pace(self) -> str:
        """How far it came, and how fast."""
        pace = self.seeds / self.seconds * 60 if self.seconds else 0
        return f"{self.seeds} seeds in {self.seconds:.1f} s ({pace:.0f} a minute), {len(self.failed)} violations"

    def text(self) -> str:
        """For people."""
        universe, missing = reachable(), self.unvisited()
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        lines = [
            self.pace(),
            f"(phase, fault) pairs visited: {len(universe) - len(missing)} of {len(universe)} "
            f"({100 * (1 - len(missing) / len(universe)):.1f} %), {sum(self.pairs.values())} faults in all; {counts}",
        ]
        lines += [_spread(whose, seconds) for whose, seconds in sorted(self.apart.items())]
        if missing:
            lines.append("not visited: " + ", ".join(f"{phase}/{fault}" for phase, fault in missing))
        lines += [f"seed {seed}: {text}" for seed, text in sorted(self.failed)[:20]]
        return "\n".join(lines)


def _spread(whose: str, seconds: list[float]) -> str:
    """How long Vault and target disagreed in one-slot cut-overs."""
    ranked = sorted(seconds)
    at = {share: ranked[min(len(ranked) - 1, int(share * len(ranked)))] for share in (0.5, 0.95, 0.99)}
    spread = ", ".join(f"p{100 * share:.0f} {value:.2f} s" for share, value in at.items())
    return f"Vault and target disagreed, {whose}: {len(ranked)} times, {spread}, at most {ranked[-1]:.2f} s"
