"""What a call site is: how it is set up, what it asks, and which results it may come back with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rotator.ports import Rejected, Unknown
from tests.hostile.server import Hostile

DEADLINE = 0.6  # seconds for one call
MARGIN = 3.0  # seconds more: two cores, many cells at once
Cell = TypeVar("Cell")


@dataclass(frozen=True)
class Site(Generic[Cell]):
    """One verb at one place. A fault of ours, or a verdict of Unknown, is always an honest end.

    `fair`: whether any other result agrees with the truth, whoever answered. `proof`: a result other than a fault is
    a proof, and no spoilt answer may give one. `calls`: how many calls it makes at most, each with its deadline;
    `patience`: seconds of trying again on top of that.
    """

    setup: Callable[[Hostile, str], AbstractAsyncContextManager[Cell]]
    ask: Callable[[Cell], Awaitable[object]]
    fair: Callable[[Cell, Any], object] = lambda cell, got: True
    proof: bool = False
    calls: int = 1
    patience: float = 0.0
    memory: int = 96  # MiB by which the process may grow meanwhile; the bad server's own two copies are 62 of them

    @property
    def bound(self) -> float:
        """Seconds after which it hangs."""
        return self.calls * DEADLINE + self.patience + MARGIN

    def judge(self, cell: Cell, got: object, *, spoilt: bool, honest: bool) -> str:
        """What is wrong with a result, or nothing."""
        if isinstance(got, Unknown):
            return f"honest, and yet: {got.reason}" if honest else ""
        if self.proof and honest and isinstance(got, Rejected):
            return f"honest, and yet: {got.reason}"
        if self.proof and spoilt and not isinstance(got, Rejected):
            return f"garbage was taken for a proof: {type(got).__name__}"
        return "" if self.fair(cell, got) else f"against the truth: {got!r:.80}"
