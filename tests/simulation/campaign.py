"""Owns runs of many seeds over two processes, their summary, and the coverage of (phase, fault) pairs."""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.coverage import reachable
from tests.simulation.history import History
from tests.simulation.swarm import Swarm

WORKERS = 2
CHUNK = 50


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

    def text(self) -> str:
        """For people."""
        universe, missing = reachable(), self.unvisited()
        pace = self.seeds / self.seconds * 60 if self.seconds else 0
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        lines = [
            f"{self.seeds} seeds in {self.seconds:.1f} s ({pace:.0f} a minute), {len(self.failed)} violations",
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


def run_seed(seed: int, swarm: Swarm | None = None) -> tuple[History, str]:
    """One history and what broke in it, if anything. Without a swarm the seed draws its own."""
    history = History(seed, swarm)
    try:
        history.run()
    except Exception as broken:  # noqa: BLE001 (a bug in the engine is a finding like any other)
        return history, f"{type(broken).__name__}: {broken}"
    finally:
        for process in history.processes:
            process.close()
    return history, ""


def digest(seed: int) -> str:
    """The hash of one history's trace."""
    return run_seed(seed)[0].world.digest()


def run_chunk(seeds: Iterable[int]) -> Summary:
    """Some seeds, one after the other."""
    summary = Summary()
    gc.freeze()
    gc.disable()  # a chunk's garbage fits into memory; looking for it all the time costs a tenth
    for seed in seeds:
        history, text = run_seed(seed)
        summary.seeds += 1
        summary.pairs += history.world.pairs
        summary.counts += history.world.counts
        for window in history.checks.cut_over.windows:
            summary.apart[window.whose].append(window.seconds)
        if text:
            summary.failed.append((seed, text))
    gc.enable()
    gc.collect()
    return summary


def campaign(first: int, seeds: int, workers: int = WORKERS) -> Summary:
    """Seeds `first` and following, over `workers` processes."""
    began, summary = time.perf_counter(), Summary()
    chunks = [range(at, min(at + CHUNK, first + seeds)) for at in range(first, first + seeds, CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for part in pool.map(run_chunk, chunks):
            summary.add(part)
    summary.seconds = time.perf_counter() - began
    return summary
