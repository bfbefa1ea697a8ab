"""What is told while a campaign goes on: each violation when it occurs, and once a minute how far it has come.

The verdict over the whole is outcome.py's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from tests.system.outcome import Crash

Tell = Callable[[str], None]
MINUTE = 60.0  # seconds between two lines
_LOOK = 1.0  # seconds until a violation is told, at most


class Progress:
    """Tells while the block lasts. `violations` is whoever's finds one; `crashes` are the kills made so far."""

    def __init__(self, what: str, planned: int, tell: Tell) -> None:
        self.crashes: list[Crash] = []
        self.violations: list[str] = []
        self._what = what
        self._planned = planned
        self._tell = tell
        self._told = 0
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        self._look()

    def add(self, crash: Crash) -> None:
        """One more kill is judged. Any thread may say so."""
        self.violations.extend(crash.faults)
        self.crashes.append(crash)

    def line(self) -> str:
        """How far it is."""
        made, minutes = len(self.crashes), (time.monotonic() - self._began) / MINUTE
        text = f"{self._what}: {made} of {self._planned} kills, {len(self.violations)} violations"
        if made and minutes:
            text += f", {made / minutes:.0f} a minute, {(self._planned - made) * minutes / made:.0f} min to go"
        return text

    def _look(self) -> None:
        for text in self.violations[self._told :]:
            self._told += 1
            self._tell(f"violation: {text}")

    def _work(self) -> None:
        due = self._began + MINUTE
        while not self._over.wait(_LOOK):
            self._look()
            if time.monotonic() >= due:
                due += MINUTE
                self._tell(self.line())
