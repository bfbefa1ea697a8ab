"""What a process weighs, hour by hour, and whether it grows."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

STEPS = 8
STUDENT = 2.447  # 95 %, two-sided, of the seven changes between eight steps: six degrees of freedom
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def weight() -> int:
    """The bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@dataclass(frozen=True, slots=True)
class Sample:
    """One weighing. `rss` in bytes; `objects`: those that Python's collector knows."""

    hour: float
    rss: int
    objects: int
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth per 24 hours, with the ends of its 95 % interval."""

    slope: float
    low: float
    high: float


@dataclass
class Meter:
    """All weighings of one run."""

    samples: list[Sample] = field(default_factory=list)

    def weigh(self, hour: float) -> None:
        """Look at ourselves, after a full collection."""
        gc.collect()
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        objects = len(gc.get_objects()) - len(self.samples)  # our own weighings are no leak
        self.samples.append(Sample(hour, weight(), objects, descriptors, len(asyncio.all_tasks())))

    def trend(self, what: str) -> Trend:
        """Of `rss` or `objects`."""
        return trend([each.hour for each in self.samples], [getattr(each, what) for each in self.samples])

    def spread(self, what: str) -> int:
        """The largest less the smallest of `descriptors` or `tasks`."""
        values = [getattr(each, what) for each in self.samples]
        return max(values) - min(values)


def trend(hours: Sequence[float], values: Sequence[float]) -> Trend:
    """The growth from step to step, each step the mean of an eighth of the run.

    Not a line through the points: what a process weighs moves in jumps and keeps them, so neighbouring points are no
    independent witnesses, and one early jump would pass for a steady rise with a narrow interval.
    """
    size = len(values) / STEPS
    parts = [range(int(step * size), int((step + 1) * size)) for step in range(STEPS)]
    means = [(fmean(hours[i] for i in part), fmean(values[i] for i in part)) for part in parts]
    slopes = [(after[1] - before[1]) / (after[0] - before[0]) * 24 for before, after in pairwise(means)]
    half = STUDENT * stdev(slopes) / sqrt(len(slopes))
    return Trend(fmean(slopes), fmean(slopes) - half, fmean(slopes) + half)
