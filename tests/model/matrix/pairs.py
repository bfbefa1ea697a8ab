"""The long campaign: pairs of faults in one story; no outcome is foretold, but promises hold and it converges."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.model.matrix.faults import Cell
from tests.model.matrix.run import cells, outcome, perform
from tests.model.matrix.stories import STORIES, Story

Pair = tuple[Story, Cell, Cell]


@dataclass
class Summary:
    """What came of it."""

    seed: int
    pairs: int = 0
    both: int = 0  # pairs of which the second fault found its point after the first
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For people."""
        pace = self.pairs / self.seconds if self.seconds else 0
        lines = [
            f"seed {self.seed}: {self.pairs} of {universe()} pairs in {self.seconds:.1f} s ({pace:.0f} a second), both"
            f" faults struck in {self.both}; {len(self.broken)} violations",
            ", ".join(f"{word} {count}" for word, count in self.outcomes.most_common()),
        ]
        return "\n".join(lines + self.broken[:40])


def universe() -> int:
    """How many ordered pairs there are."""
    return sum(len(cells(story)) ** 2 for story in STORIES)


def drawn(seed: int) -> Iterator[Pair]:
    """Pairs in the order of a seed, for ever."""
    rng = Random(seed)
    stories = list(STORIES)
    weights = [len(cells(story)) ** 2 for story in stories]
    while True:
        story = rng.choices(stories, weights)[0]
        yield story, rng.choice(cells(story)), rng.choice(cells(story))


def campaign(seed: int, limit: int, minutes: float) -> Summary:
    """So many pairs, or as many as fit into the time."""
    summary, began = Summary(seed), time.perf_counter()
    for story, first, second in drawn(seed):
        summary.seconds = time.perf_counter() - began
        if summary.pairs >= limit or summary.seconds > minutes * 60:
            return summary
        done = perform(story, first, second)
        summary.pairs += 1
        summary.both += done.struck == 2
        word = outcome(done)
        summary.outcomes[word.partition(":")[0] if done.broken else word] += 1
        if done.broken:
            summary.broken.append(f"{story.kind.value}, {story.name}: {first}, then {second}: {done.broken}")
    return summary
