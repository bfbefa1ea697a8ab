"""Owns one history: builds the world of a seed, lets trouble run its time, then calm, and judges the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from rotator.engine.bench import Edges
from rotator.engine.visit import Happened
from rotator.ports import Installation
from rotator.rotation import why
from rotator.rotation.credential import Credential, Limits, OnForeign, Place, Retirement
from rotator.rotation.record import Phase, Record
from rotator.rotation.schedule import Every
from rotator.rotation.strays import known
from tests.simulation.actors import TTL, Process, SimClock
from tests.simulation.consumers import Consumer
from tests.simulation.invariants import KEY, Checks
from tests.simulation.journal import SimJournal
from tests.simulation.people import People
from tests.simulation.swarm import Swarm, draw
from tests.simulation.target import Live, SimProvider, Target
from tests.simulation.vault import KvClient, SimStore, Vault
from tests.simulation.world import World

CONVERGED = 1.25 * TTL + 60  # seconds: the liveness promise
OVERLAP = 300.0  # seconds beyond grace: the overlap promise


@dataclass
class History:
    """Everything of one seed."""

    seed: int
    swarm: Swarm | None = None
    world: World = field(init=False)
    checks: Checks = field(init=False)
    processes: list[Process] = field(default_factory=list)
    people: People = field(init=False)
    wanted: dict[str, Credential] = field(default_factory=dict)

    def __post_init__(self) -> None:
        swarm = self.swarm or draw(Random(self.seed))
        self.world = World(self.seed, swarm)
        names = [f"c{number}" for number in range(swarm.credentials)]
        self.wanted.update({name: _credential(name, swarm) for name in names})
        self.checks = Checks(self.world, self.wanted)
        self.checks.owner = {x.place: x.name for x in self.wanted.values()}
        self.vault = self.checks.vault = Vault(self.world, self.checks.written)
        self.target = self.checks.target = Target(self.world, self.checks.minted, self.checks.revoked)
        self.world.phase_of = self._phase
        self.journal = SimJournal(self.world, self.vault)
        self.installation = Installation("inst01", KEY)
        self.processes += [self._process(host) for host in "ABCD"[: swarm.actors]]
        self.people = People(self.world, self.checks, self.journal, self.wanted, self.processes)
        self._strangers(names[0])

    def run(self) -> None:
        """Trouble, calm, the end. Raises Violation."""
        world = self.world
        for process in self.processes:
            process.start()
        self.people.begin()
        for name in self.wanted:
            Consumer(world, self.checks, name).begin()
        world.run(world.swarm.active)
        self._calm()
        leftover = self._leftover()
        world.run(world.now + CONVERGED + leftover)
        world.run(world.now + self._paused())
        for name in self.wanted:
            self._converged(name)
        for name, credential in list(self.wanted.items()):
            self.people.settings(name, schedule=Every(timedelta(days=900)), lifetime=None)
            leftover = max(leftover, self._leftover() + credential.retire.after.total_seconds())
        world.run(world.now + 300 + OVERLAP + leftover + 2 * self._skew())
        for name in self.wanted:
            self._at_rest(name)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        world = self.world
        world.calm = True
        world.tell("*", "faults are off")
        self.vault.sealed = self.journal.newer = self.target.minter_refused = False
        self.checks.unsure_since = None
        for process in self.processes:
            process.config.update(self.wanted)
            process.thaw()
            if process.dead:
                process.start()

    def _paused(self) -> float:
        """A rotation that trouble had used up the mints of was given up in the calm: it comes back after its pause."""
        records = [x.latest for x in self.checks.ledgers.values() if x.latest]
        pauses = [(x.retry_at - self.world.date()).total_seconds() for x in records if x.retry_at and x.failure]
        return max((0.0, *pauses)) + CONVERGED if max((0.0, *pauses)) else 0.0

    def _skew(self) -> float:
        """The widest that clocks have been apart."""
        return self.people.widest_skew()

    def _leftover(self) -> float:
        """Seconds that stored pauses may still last."""
        retries = [x.latest.retry_at for x in self.checks.ledgers.values() if x.latest and x.latest.retry_at]
        return max([0.0, *((at - self.world.date()).total_seconds() for at in retries)]) + self._skew()

    def _converged(self, name: str) -> None:
        """Liveness: every rotation that was due has come through, or waits for a person; every ask has its answer."""
        record, credential = self._record(name), self.wanted[name]
        if record is None:
            return self.checks.broken("L1", f"{name} has no record")
        if record.phase is Phase.HELD:
            return None
        ago = self.world.date(-CONVERGED - self._skew())
        if record.phase is Phase.SETTLED and (hit := why.due(credential, record, ago)):
            return self.checks.broken("L1", f"{name} is due and not rotated: {hit[1]}")
        young = record.requested_at and record.requested_at > ago
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED) and not young:
            return self.checks.broken("L1", f"{name} is stuck in {record.phase}: {record.failure}")
        if open_ones := [x.holder for x in self.processes if name in x.asks]:
            return self.checks.broken("L1", f"an ask for {name} at {open_ones} has no answer")
        return None

    def _at_rest(self, name: str) -> None:
        """I2 and I3: predecessors are dead, every live token of ours is known, the slot is empty."""
        record = self._record(name)
        assert record is not None
        held = record.phase is Phase.HELD
        began = record.current.at if record.phase is Phase.PUBLISHED and record.current else record.requested_at
        ago = self.world.date(-OVERLAP - self._skew()) - self.wanted[name].retire.after
        resting = record.phase is Phase.SETTLED and not record.predecessor
        if not held and not resting and (began is None or began < ago):
            self.checks.broken("I2", f"{name} is still {record.phase}, predecessor {record.predecessor is not None}")
        alive = [
            x for x in self.target.tokens.values() if self.target.alive(x) and x.name.startswith(f"{record.stem}-r")
        ]
        uncertain = {record.mint_name} if held else set()
        for token in alive:
            if token.minter != "person" and token.id not in known(record) and token.name not in uncertain:
                self.checks.broken("I3", f"{token.id} ({token.name}) lives and nobody knows it")

    # --- building ---------------------------------------------------------------------------------------------------

    def _process(self, host: str) -> Process:
        swarm, rng = self.world.swarm, self.world.rng
        clock = SimClock(self.world, rng.choice((-1, 0, 1)) * swarm.skew, -rng.uniform(0, 1e6))
        return Process(self.world, host, clock, self.journal, self._edges, dict(self.wanted), self._told)

    def _edges(self, name: str, clock: SimClock) -> Edges:
        kv = KvClient(self.world, self.vault, name)
        provider = SimProvider(self.world, self.target, name, self.checks)
        slot = Place("kv", f"rotator/staged/{name}")
        return Edges(SimStore(kv, self.checks), provider, clock, self.installation, slot, self.world.word)

    def _told(self, happened: Happened) -> None:
        event = happened.event
        self.world.tell(happened.holder, type(event).__name__ + getattr(event, "reason", ""), happened.credential.name)
        if self.world.swarm.codec and "sek-" in f"{event} {happened.after}":
            self.checks.broken("I5", "an event holds a secret")

    def _strangers(self, name: str) -> None:
        """Tokens of others whose names are as close to ours as people can make them."""
        for number, title in enumerate((f"rotator-inst01-{name}", "backup", f"rotator-other-{name}-aaaa-r1-a1")):
            live = Live(f"s{number}", title, f"stranger-{number}", 0.0, None, "person")
            self.target.tokens[live.id] = self.target.by_value[live.value] = live

    def _record(self, name: str) -> Record | None:
        return self.checks.ledgers[name].latest

    def _phase(self, name: str) -> str:
        record = self._record(name) if name in self.checks.ledgers else None
        return str(record.phase) if record else "new"


def _credential(name: str, swarm: Swarm) -> Credential:
    def span(seconds: float | None) -> timedelta | None:
        return None if seconds is None else timedelta(seconds=seconds)

    quiet = span(swarm.quiet)
    return Credential(
        name=name,
        kind="sim",
        target="sim",
        place=Place("kv", f"apps/{name}"),
        schedule=Every(timedelta(seconds=swarm.interval)),
        lifetime=span(swarm.lifetime),
        retire=Retirement(timedelta(seconds=swarm.grace), quiet, span(swarm.grace + 120) if quiet else None),
        limits=Limits(mints_per_day=swarm.mints_per_day),
        on_foreign=OnForeign.OVERWRITE if swarm.overwrite else OnForeign.HOLD,
    )
