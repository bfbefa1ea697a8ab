"""Ordinary days: each thing that people do and that once broke a promise is found by the model, and soon.

A line whose mend has not landed is expected to fail, strictly: the table OPEN in swarm.py knows them by their items.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.simulation.campaign import run_seed
from tests.simulation.kinds import Kind
from tests.simulation.swarm import OPEN, Swarm


@dataclass(frozen=True)
class Line:
    """What people do, the rules that see it, and how many seeds it may take."""

    does: Swarm
    rules: tuple[str, ...]
    seeds: int = 60

    @property
    def opens(self) -> str:
        """The item that is not mended yet, if there is one."""
        return next((OPEN[word] for word in (*self.does.day, *self.rules) if word in OPEN), "")

    def first(self, start: int = 0) -> tuple[int, str]:
        """The first seed that breaks a promise, counted from 1, and what it broke; 0 when none does."""
        for number in range(self.seeds):
            if text := run_seed(start + number, self.does)[1]:
                return number + 1, text
        return 0, ""


def day(*acts: str, judged: tuple[str, ...] = (), **more) -> Swarm:
    """Fair weather but for what people do; the schedule asks for a rotation every two minutes."""
    return Swarm(
        **{"interval": 120.0, "active": 400.0, "grace": 30.0, "day": ("look", *acts), "judged": judged, **more}
    )


LINES = {
    "a kill between a wish and its rotation": Line(
        day(acts=("ask", "emergency"), judged=("W1",), kill=0.04, interval=1e6), ("W1",)
    ),
    "a restart every half minute": Line(day(judged=("W2 gone",), restarts=30.0, actors=1, slow=0.5), ("W2 gone",)),
    "what has expired": Line(
        day("broken_file", judged=("W2 expired",), acts=("pause",), lifetime=150.0), ("W2 expired",)
    ),
    "nothing was ever published": Line(day(judged=("W2 nothing",), refused=1.0), ("W2 nothing",)),
    "the consumer path is deleted or overwritten": Line(
        day(acts=("soft_delete", "foreign_write"), judged=("W2 path",), interval=1e6), ("W2 path",)
    ),
    "a Vault is restored": Line(
        day("restore", judged=("W2 leftovers", "W2 refused"), active=800.0), ("W2 leftovers", "W2 refused")
    ),
    "a Vault is copied": Line(
        day("copy", judged=("W2 leftovers",), acts=("ask",), active=1500.0), ("I9", "W2 leftovers")
    ),
    "a rename, and what is proposed is typed": Line(day("rename", "tidy", judged=("W3",)), ("W3",)),
    "a lost journal, and what is proposed is typed": Line(
        day("tidy", judged=("W3",), acts=("journal_metadata",)), ("W3",)
    ),
    "two targets that are one, and what is proposed is typed": Line(
        day("tidy", judged=("W3",), credentials=2, kinds=(Kind.TOKENS, Kind.TOKENS), two_targets=True), ("W3",)
    ),
}
CASES = [
    pytest.param(line, id=name, marks=[pytest.mark.xfail(strict=True, reason=f"item {line.opens}")] * bool(line.opens))
    for name, line in LINES.items()
]


@pytest.mark.parametrize("line", CASES)
def test_an_ordinary_day_breaks_no_promise(line: Line) -> None:
    number, text = line.first()
    assert not number, f"seed {number - 1}: {text}"
