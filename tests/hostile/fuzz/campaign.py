"""The list of everything that is fuzzed, and a run of it: by examples in tests, by minutes in a campaign."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.control import CONTROL
from tests.hostile.fuzz.documents import DOCUMENTS
from tests.hostile.fuzz.files import FILES
from tests.hostile.fuzz.listeners import LISTENERS

Fuzz = tuple[st.SearchStrategy[Any], Callable[[Any], None]]
FUZZ: dict[str, Fuzz] = {**FILES, **DOCUMENTS, **CONTROL, **LISTENERS}
CHUNK = 200  # examples between two looks at the clock
_SHORT = (Phase.explicit, Phase.generate, Phase.shrink)


def run(fuzz: Fuzz, examples: int, number: int | None = None) -> int:
    """So many examples, decided by the number, or always the same ones. Raises what the check raises, shrunk.

    Returns how many there were.
    """
    strategy, check = fuzz
    count = 0

    def counted(case: Any) -> None:
        nonlocal count
        count += 1
        check(case)

    test = given(strategy)(counted)
    fixed = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=number is None,
        phases=_SHORT,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    fixed(test if number is None else seed(number)(test))()
    return count


@dataclass
class Summary:
    """What came out."""

    seed: int
    examples: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def text(self) -> str:
        """For people."""
        lines = [
            f"seed {self.seed}: {self.examples.total()} examples in {self.seconds:.0f} s, {len(self.failed)} violations"
        ]
        lines += [f"  {count:7} {name}" for name, count in sorted(self.examples.items())]
        return "\n".join(lines + [f"violation: {name}: {text}" for name, text in self.failed.items()])


def campaign(first: int, minutes: float) -> Summary:
    """Chunk after chunk, each with the next number, until the time is over or everything has failed."""
    summary, began, number = Summary(first), time.monotonic(), first
    while time.monotonic() - began < minutes * 60 and len(summary.failed) < len(FUZZ):
        for name, fuzz in FUZZ.items():
            if name not in summary.failed:
                try:
                    summary.examples[name] += run(fuzz, CHUNK, number)
                except Exception as broken:  # noqa: BLE001 (that is what is looked for)
                    notes = " ".join(getattr(broken, "__notes__", ()))
                    summary.failed[name] = f"chunk {number}: {type(broken).__name__}: {broken} {notes}"[:2000]
        number += 1
    summary.seconds = time.monotonic() - began
    return summary
