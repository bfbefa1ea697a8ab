"""The person who does by hand what a credential waits for: at once or late, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from rotator.rotation.credential import Credential
from rotator.rotation.record import HoldReason, Phase
from tests.kit.kinds import INSTALLED
from tests.model.simulation.actors import Process
from tests.model.simulation.invariants import Checks
from tests.model.simulation.target import Live
from tests.model.simulation.world import World

CALM = 30.0  # seconds: how soon it is done once faults are off


@dataclass
class Hands:
    """Looks at what waits now and then. `done`: when the last one was done right, by credential."""

    world: World
    checks: Checks
    wanted: dict[str, Credential]
    processes: list[Process]
    done: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Look again in a while."""
        if self.world.swarm.by_hand:
            self.world.later(CALM if self.world.calm else self.world.rng.uniform(5, 150), self._turn)

    def _turn(self) -> None:
        for name in sorted(self.wanted):
            self.look(name)
        self.begin()

    def look(self, name: str) -> None:
        """Do what this credential waits for, if it does."""
        record = self.checks.ledgers[name].latest
        if record is None:
            return
        if record.phase is Phase.AWAITING and record.candidate:
            self._act(name, self.checks.target.tokens[record.candidate.token.id])
        elif record.phase is Phase.AWAITING:
            self._bring(name)
        elif record.held and record.held.reason is HoldReason.PERSON and record.current:
            self._act(name, self.checks.target.tokens[record.current.token.id])

    def _bring(self, name: str) -> None:
        """Hand a value to one process."""
        running = [process for process in self.processes if not process.dead]
        if running:
            self.world.fault("value_brought", name)
            self.world.rng.choice(running).bring(name)
            self.done[name] = self.world.now

    def _act(self, name: str, live: Live) -> None:
        if live.there and not live.ended:
            return
        if self.world.chance(self.world.swarm.careless):
            self.world.fault("done_wrongly", name)
            self._wrongly(live)
            return
        self.world.fault("done_by_hand", name)
        self.checks.target.install(live, "person")
        self.done[name] = self.world.now

    def _wrongly(self, live: Live) -> None:
        """Another value goes into the slot; nobody knows which."""
        held = self.checks.target.slots.pop((live.credential, live.slot), None) if live.slot else None
        if held:
            held.ended = "person"
            self.checks.cut_over.look(live.credential)

    def allow(self, name: str) -> bool | None:
        """Settings let the daemon do it from now on."""
        return None if self.checks.target.by_hand.pop(name, None) else False

    def forbid(self, name: str) -> bool | None:
        """Settings ask for a person again."""
        swarm, kind = self.world.swarm, self.checks.target.kind(name)
        if not swarm.by_hand or kind not in INSTALLED or name in self.checks.target.by_hand:
            return False
        self.checks.target.by_hand[name] = swarm.by_hand
        return None
