"""The operator's verbs in a history: somebody at a shell who pauses, resumes, undoes and adopts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, Transition
from rotator.ports import Conflict, Refused, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.procedures import operators
from tests.kit.kinds import Kind
from tests.model.simulation.actors import TTL, Process
from tests.model.simulation.invariants import Checks
from tests.model.simulation.journal import SimJournal
from tests.model.simulation.target import Live
from tests.model.simulation.world import World, beat

TRIES = 6


@dataclass
class Operators:
    """Each word is a shell of its own, on the host of some process; it has no lease unless nobody else has it."""

    world: World
    checks: Checks
    journal: SimJournal
    wanted: dict[str, Credential]
    processes: list[Process]
    shells: int = 0
    heard: list[str] = field(default_factory=list)  # what became of each word
    hears: Callable[[Transition], None] = lambda transition: None  # who is told of every transition, too

    def say(self, name: str, word: operators.RecordChange, *, calm: bool = False) -> bool | None:
        """Somebody types it; False when no host is up. `calm`: also when faults are off."""
        hosts = [process for process in self.processes if not process.dead]
        if not hosts:
            return False
        host = self.world.rng.choice(hosts)
        host.errand(name, self._shell(host, name, word, calm))
        return None

    async def _shell(self, host: Process, name: str, word: operators.RecordChange, calm: bool) -> None:
        self.shells += 1
        name_of = f"shell{self.shells}"
        leases = Leases(name_of, TTL, host.clock.monotonic, *host.proof(name_of))
        reconciler = Reconciler(self.journal, leases, self.world.lineage, self._told)
        for _ in range(TRIES):
            if (self.world.calm and not calm) or name not in host.config:
                break
            try:
                await reconciler.obey(host.config[name], host.edges_of(name, host.clock), word)
            except (Conflict, Transient):
                await beat(self.world.rng.uniform(1, 8), "shell")
                continue
            except Refused as refusal:
                self.heard.append(refusal.reason)
                self.world.tell("shell", f"refused: {refusal.reason}", name)
            host.wake(name)
            break
        if name_of in self.world.locks:
            self.world.freed[name_of] = self.world.locks.pop(name_of)
        while True:
            await beat(1e6, "idle")

    def claim(self, name: str) -> bool | None:
        """This Vault is the only one."""
        return self.say(name, operators.claim("person", self.world.lineage()), calm=True)

    def _told(self, transition: Transition) -> None:
        name, event = transition.credential.name, transition.event
        self.hears(transition)
        self.heard.append(type(event).__name__)
        self.world.tell("shell", type(event).__name__, name)

    # --- words ------------------------------------------------------------------------------------------------------

    def pause(self, name: str) -> bool | None:
        """For ever, or for a while."""
        length = self.world.rng.choice((None, timedelta(seconds=60), timedelta(seconds=300)))
        return self.say(name, operators.pause("person", "", length))

    def resume(self, name: str) -> bool | None:
        """Lift a pause, if there is one."""
        return self.say(name, operators.resume("person"))

    def undo(self, name: str) -> bool | None:
        """Take the last rotation back, whatever it is doing."""
        return self.say(name, operators.undo("person", emergency=self.world.chance(0.2)))

    def adopt(self, name: str) -> bool | None:
        """Adopt what is on the consumer path, which a person may have put there a moment ago."""
        place = self.checks.live_path.get(name, self.wanted[name].place)
        if self.checks.target.kind(name) is Kind.TOKENS and self.world.chance(0.7):
            top = self.checks.vault.top(place)
            old = dict(top.values or {}) if top and not top.deleted else {}
            self.checks.vault.overwrite(place, {**old, "token": self.by_hand(name).value})
        return self.say(name, operators.adopt("person"))

    def by_hand(self, name: str) -> Live:
        """A value that somebody has made at the target."""
        number = len(self.checks.target.by_value) + 1
        live = Live(f"hand{number}", "by hand", f"sek-hand-{number}", self.world.now, None, "person")
        live.credential, live.minted_at = name, self.world.now
        self.checks.target.tokens[live.id] = self.checks.target.by_value[live.value] = live
        return live
