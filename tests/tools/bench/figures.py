"""The figures: CPU of each side, calls at the target, and the table of medians and ratios."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from tests.sandbox.environment import World

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """Per rotation: milliseconds of wall time, of CPU of the contestant and of both servers, and calls at Halo."""

    wall: float
    cpu: float
    vault_cpu: float
    halo_cpu: float
    halo_calls: float

    def rounded(self) -> dict[str, float]:
        return {key: round(value, 2) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Own:
    """What a contestant says of itself: seconds for the whole round."""

    wall: float
    cpu: float


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads included."""
    fields_after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields_after_name[11]) + int(fields_after_name[12])) / _TICKS


class Meter:
    """Reads both servers before and after a round."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._halo_pid = world.halo._process.pid  # type: ignore[union-attr]  # it runs
        self._vault, self._halo, self._calls = self._now()

    def _now(self) -> tuple[float, float, int]:
        feed = self._world.halo.call("GET", "/_sandbox/calls")[1]
        self._world.halo.call("DELETE", "/_sandbox/calls")
        return cpu_of(self._world.bao.pid), cpu_of(self._halo_pid), len(feed)

    def read(self, own: Own, rotations: int) -> Measured:
        halo = cpu_of(self._halo_pid)  # before the feed is fetched, which costs CPU as well
        vault, _, calls = self._now()
        figures = (own.wall, own.cpu, vault - self._vault, halo - self._halo)
        return Measured(*(figure * 1000 / rotations for figure in figures), halo_calls=calls / rotations)


def table(seen: Mapping[str, list[Measured]]) -> Iterator[str]:
    """Medians per rotation in milliseconds, then how many times the first contestant each one needs."""
    names = [field.name for field in fields(Measured)]
    yield ""
    yield "| per rotation, ms (median) | " + " | ".join(name.replace("_", " ") for name in names) + " |"
    yield "| --- |" + " ---: |" * len(names)
    middle = {who: [median(getattr(each, name) for each in rounds) for name in names] for who, rounds in seen.items()}
    for who, figures in middle.items():
        yield f"| {who} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"
    yield ""
    first, *others = seen
    for who in others:
        pairs = list(zip(seen[who], seen[first], strict=True))
        walls = sorted(theirs.wall / ours.wall for theirs, ours in pairs)
        cpus = sorted(theirs.cpu / ours.cpu for theirs, ours in pairs)
        yield (
            f"{who}: {median(walls):.2f} times the wall time of the {first} ({walls[0]:.2f} to {walls[-1]:.2f}), "
            f"{median(cpus):.2f} times its CPU ({cpus[0]:.2f} to {cpus[-1]:.2f})"
        )
