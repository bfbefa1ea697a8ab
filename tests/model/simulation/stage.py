"""Directed schedules: processes moved by hand, beat by beat, over the same models as the random histories."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Fault, Transient
from rotator.rotation.procedures import operators
from rotator.rotation.record import Record
from rotator.rotation.rotation_request import RotationRequest
from tests.kit.kinds import Kind
from tests.model.simulation.actors import SWEEP, TTL, Process
from tests.model.simulation.history import History
from tests.model.simulation.journal import place_of
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.target import Live
from tests.model.simulation.wire import TIMEOUT
from tests.model.simulation.world import Thread

NAME = "c0"
TAKE_OVER = 1.25 * TTL + 1  # seconds


@dataclass
class Visit:
    """One visit under way. `end`: what it came to."""

    process: Process
    thread: Thread
    end: ReconcileResult | Fault | None = None


@dataclass
class Stage:
    """A small world in fair weather: nothing moves but what the test moves."""

    actors: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(0, Swarm(actors=self.actors, **{"interval": 600.0, **self.options}))
        self.world, self.people = self.history.world, self.history.people
        self.vault, self.target, self.checks = self.history.vault, self.history.target, self.history.checks
        for process in self.history.processes:
            process.start()
            process.close()

    def __getitem__(self, host: str) -> Process:
        return next(x for x in self.history.processes if x.host == host)

    @property
    def record(self) -> Record:
        """The newest in the journal."""
        latest = self.checks.ledgers[NAME].latest
        assert latest is not None
        return latest

    def begin(self, host: str, *, ask: bool = False, emergency: bool = False) -> Visit:
        """Start a visit; nothing happens before its first step."""
        process = self[host]
        wish = RotationRequest(process.clock.now(), "person", emergency) if ask or emergency else None
        visit = Visit(process, Thread(process, NAME, None))
        visit.thread.coro = self._run(visit, wish)
        return visit

    async def _run(self, visit: Visit, wish: RotationRequest | None) -> None:
        process = visit.process
        credential = process.begun[NAME] = process.config[NAME]
        try:
            dependencies = process.edges_of(NAME, process.clock)
            visit.end = await process.reconciler.reconcile(
                credential, dependencies, wish, process.supplied.pop(NAME, None)
            )
        except Fault as fault:
            visit.end = fault

    def step(self, visit: Visit) -> bool:
        """One beat; False when the visit has ended."""
        self.world.running = visit.thread
        try:
            seconds, visit.thread.label = visit.thread.coro.send(None)
        except StopIteration:
            return False
        finally:
            self.world.running = None
        self.world.now += seconds
        return True

    def until(self, visit: Visit, label: str) -> Visit:
        """Move it until its request `label` is on the wire."""
        while self.step(visit):
            if visit.thread.label == f"{label} sent":
                return visit
        raise AssertionError(f"the visit ended before {label}: {visit.end}")

    def finish(self, visit: Visit) -> ReconcileResult | Fault | None:
        """Let it come to its end."""
        while self.step(visit):
            pass
        return visit.end

    def lose(self, visit: Visit) -> None:
        """The answer to its request never comes; whether there is an effect is up to the test."""
        self.world.now += TIMEOUT
        self.fail(visit, Transient("no answer"))

    def fail(self, visit: Visit, fault: Fault) -> None:
        """Its request comes to this, without an effect."""
        self.world.running = visit.thread
        try:
            _, visit.thread.label = visit.thread.coro.throw(fault)
        finally:
            self.world.running = None

    def cut_off(self, visit: Visit) -> None:
        """Nothing that it asks comes through any more, to its end."""
        with suppress(StopIteration):
            while True:
                self.fail(visit, Transient("no network"))

    def reconcile(self, host: str, *, ask: bool = False, emergency: bool = False) -> ReconcileResult | Fault | None:
        """A whole visit, uninterrupted."""
        return self.finish(self.begin(host, ask=ask, emergency=emergency))

    def take_over(self, host: str) -> ReconcileResult | Fault | None:
        """See the lease, wait it out, visit."""
        self.reconcile(host)
        self.sleep(TAKE_OVER)
        return self.reconcile(host)

    def adopt(self, host: str) -> None:
        """A person puts a value of their own on the consumer path, and has it adopted."""
        self.finish(self.adoption(host))

    def adoption(self, host: str) -> Visit:
        """The same, to be moved by hand."""
        place, live = self.checks.live_path[NAME], self.people.operators.by_hand(NAME)
        top = self.vault.top(place)
        self.vault.overwrite(place, {**(top.values or {}), "token": live.value} if top else {})
        return self._saying(host, operators.adopt("person"))

    def say(self, host: str, word: operators.RecordChange) -> None:
        """A person's word, uninterrupted."""
        self.finish(self._saying(host, word))

    def _saying(self, host: str, word: operators.RecordChange) -> Visit:
        process = self[host]
        visit = Visit(process, Thread(process, NAME, None))
        dependencies = process.edges_of(NAME, process.clock)
        visit.thread.coro = process.reconciler.obey(process.config[NAME], dependencies, word)
        return visit

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.world.run(self.world.now + seconds)

    def settle(self, host: str = "A") -> None:
        """Visit until the record is settled and its predecessor dead."""
        for _ in range(20):
            self.reconcile(host)
            if self.record.phase == "settled" and not self.record.predecessor:
                return
            self.sleep(SWEEP)
        raise AssertionError(f"does not settle: {self.record}")

    def sweep(self, host: str) -> Visit:
        """The search for strays, as a visit that can be moved by hand."""
        process = self[host]
        return Visit(process, Thread(process, "*", process.sweep_once()))

    def alive(self) -> set[str]:
        """Our tokens that the target accepts, by id."""
        return {x.id for x in self.target.tokens.values() if self.target.alive(x) and x.minter != "person"}

    def published(self) -> Live | None:
        """The token whose value consumers read."""
        top = self.vault.top(self.checks.live_path[NAME])
        return self.target.by_value.get(str((top.values or {}).get("token"))) if top and not top.deleted else None

    def forget_journal(self) -> None:
        """Somebody deletes the journal's metadata."""
        del self.vault.docs[place_of(NAME)]
        self.checks.ledgers[NAME].latest = None
        self.checks.lost_journals.add(NAME)


def overtaken_before_it_tells() -> Stage:
    """One slot: A is stopped right before it tells the target; B finds the candidate gone and makes another."""
    stage = Stage(options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "target.mint")
    stage.step(stage.until(stage.until(paused, "vault.read staged"), "vault.read consumer"))  # it may: it has looked
    stage.people.slot_metadata(NAME)
    stage.take_over("B")
    stage.sleep(11)  # until nothing that A told may land any more
    stage.reconcile("B")
    assert (stage.record.phase, stage.record.attempt) == ("settled", 2)
    stage.finish(paused)
    return stage


def rejected_after_the_cut_over(**options) -> Stage:
    """One slot: the target was told the candidate, and then somebody overwrote it there."""
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,), **options})
    stage.settle()
    visit = stage.until(stage.begin("A", ask=True), "target.verify")
    stage.target.end(stage.target.tokens[stage.record.candidate.token.id], "person")
    stage.finish(visit)
    assert stage.record.phase == "installed"
    return stage
