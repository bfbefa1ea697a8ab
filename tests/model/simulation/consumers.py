"""Those who read the published value and use it; they know nothing of rotations."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.simulation.invariants import Checks
from tests.model.simulation.world import World

READS = 4.0  # seconds between reads of Vault; below the shortest grace
USES = 2.0


@dataclass
class Consumer:
    """A consumer that refreshes its copy now and then and presents it in between."""

    world: World
    checks: Checks
    name: str
    value: str = ""
    read_at: float = -1e9
    reads: float = READS  # a longer time than a grace: it is refused one day, but not while the target is asked

    def begin(self) -> None:
        """Start to read and use."""
        self.checks.consumers.append(self)
        self.world.later(self.world.rng.uniform(0, USES), self._turn)

    def _turn(self) -> None:
        if self.world.now - self.read_at >= self.reads:
            self._read()
        if self.value:
            if self.reads == READS:
                self.checks.used(self.name, self.value, self.read_at)
            if token := self.checks.target.by_value.get(self.value):
                token.last_used, token.used_at = self.world.now // 60 * 60, self.world.now
        self.world.later(USES if not self.world.calm else 30 * USES, self._turn)

    def _read(self) -> None:
        place = self.checks.live_path.get(self.name)
        top = self.checks.vault.top(place) if place else None
        self.read_at = self.world.now
        ours = top is not None and not top.deleted and top.author != "person"
        value = (top.values or {}).get("token") if top and ours else None
        self.value = value if isinstance(value, str) else ""
