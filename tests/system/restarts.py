"""Daemons that are killed every so often with rotations in flight, and how long each takes to recover.

`python -m tests.system.restarts --kills 20 --every 30`: as a supervisor would, each is started again at once.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.sandbox.environment import World
from tests.system.daemon import Daemon
from tests.system.outcome import percentiles
from tests.system.quick import quick
from tests.system.truth import journal

_LOOK = 0.2  # seconds between two looks at the journals
_IN_FLIGHT = ("requested", "staged", "installed", "verified", "condemned", "published", "rejected")


@dataclass(slots=True)
class Restarts:
    """One run. `recovered`: seconds from the first kill that hit a rotation in flight to its end, one each."""

    world: World
    path: Path
    names: tuple[str, ...]
    chance: random.Random = field(default_factory=lambda: random.Random(14))
    recovered: list[float] = field(default_factory=list)
    hit: int = 0  # rotations in flight at a kill; one at two kills counts once
    _open: dict[str, tuple[int, float]] = field(default_factory=dict)

    def run(self, kills: int, every: float, last: float) -> None:
        """Kill `kills` times, and wait up to `last` seconds for what is open then."""
        for _ in range(kills):
            with Daemon(self.path) as daemon:
                self._live(daemon, every)
                self._note(time.monotonic())
                daemon.kill()
                daemon.process.wait(10)
        with Daemon(self.path):
            end = time.monotonic() + last
            while self._open and time.monotonic() < end:
                self._look()
        assert not self._open, f"not recovered within {last:g} s: {self._open}"

    def _live(self, daemon: Daemon, seconds: float) -> None:
        """Until the next kill: somebody asks for rotations shortly before it."""
        kill, ask = time.monotonic() + seconds, seconds - min(2.0, seconds / 3) * (0.5 + self.chance.random())
        asked = False
        while time.monotonic() < kill:
            self._look()
            if not asked and time.monotonic() > kill - seconds + ask and daemon.heard("daemon.readied"):
                asked = True
                daemon.begin(*self.names)

    def _look(self) -> None:
        now = time.monotonic()
        for name, (rotation, since) in list(self._open.items()):
            record = journal(self.world, name)
            over = record.get("phase") == "settled" and int(record["rotation"]) >= rotation
            if over or int(record.get("rotation", 0)) > rotation:
                self.recovered.append(now - since)
                del self._open[name]
        time.sleep(_LOOK)

    def _note(self, now: float) -> None:
        for name in self.names:
            record = journal(self.world, name)
            if record.get("phase") in _IN_FLIGHT and name not in self._open:
                self.hit += 1
                self._open[name] = int(record["rotation"]), now

    def said(self) -> str:
        """The figures in a line."""
        return f"{self.hit} rotations in flight at a kill, recovered after s: {percentiles(self.recovered)}"


def main() -> None:
    """See above."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kills", type=int, default=20)
    words.add_argument("--every", type=float, default=30.0)
    given = words.parse_args()
    with World() as world:
        names = tuple(f"bot-{number}" for number in range(6))
        for name in names:
            world.add(name)
        world.halo.fault(kind="slow", method="POST", path="personalaccesstokens", delay=0.8, times=None)
        made = Restarts(world, quick(world, daemon={"lease": "30s"}, target={"timeout": "3s", "deadline": "5s"}), names)
        made.run(given.kills, given.every, 120.0)
        sys.stdout.write(f"{given.kills} kills, one every {given.every:g} s, lease 30 s: {made.said()}\n")


if __name__ == "__main__":
    main()
