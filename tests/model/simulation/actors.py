"""The processes: each visits the credentials with the real engine, is killed, stopped, started again.

The loop around a visit is a lean stand-in for the real crew, which needs an event loop.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from rotator.commands.requests import give_up
from rotator.engine import strays
from rotator.engine.context import Dependencies, SuppliedValue
from rotator.engine.foreign_journals import ForeignJournals
from rotator.engine.lease import Leases
from rotator.engine.probe import Prober
from rotator.engine.reconciler import Reconciler, Transition
from rotator.engine.strays import sweep
from rotator.engine.worker_pool import older
from rotator.ports import Conflict, Fault, NoRequests, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.pause import FleetPauses, covered
from rotator.rotation.record import Record, Token
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Hold, Wait
from tests.kit.promises import Violation
from tests.model.simulation.journal import SimJournal
from tests.model.simulation.wire import attempt
from tests.model.simulation.world import Thread, World, beat

TTL = 30.0
POLL = 20.0  # seconds until a name is looked at again, whatever the last visit said ...
CALM_POLL = 600.0  # ... and when faults are off, which is long beside the 45 s of the product, and fast to run
SWEEP = 240.0
PROBE = timedelta(seconds=200)
EdgesOf = Callable[[str, "SimClock"], Dependencies]


@dataclass(slots=True, eq=False)
class SimClock:
    """One process's clocks. `skew`: seconds its wall clock is ahead."""

    world: World
    skew: float
    boot: float
    _read: tuple[float, float, datetime | None] = (0.0, 0.0, None)  # true time, skew, and what was shown then

    def now(self) -> datetime:
        """See `Clock.now`."""
        at, skew, date = self._read
        if date is None or at != self.world.now or skew != self.skew:
            date = self.world.date(self.skew)
            self._read = (self.world.now, self.skew, date)
        return date

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.world.now - self.boot

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await beat(seconds, "sleep")


@dataclass
class Process:
    """One process on one host. A restart forgets everything but the host's clock."""

    world: World
    host: str
    clock: SimClock
    journal: SimJournal
    edges_of: EdgesOf
    config: dict[str, Credential]
    told: Callable[[Transition], None]
    inbox: Callable[[], Any] = NoRequests  # makes the requests of a life
    fleet: Any = None  # the document about the whole installation, where the day has one
    pauses: FleetPauses | None = None  # what it said last; None: not read in this life
    gave_up: Callable[[str], None] = lambda said: None  # hears of requests that nobody carries out any more
    read_only: bool = False  # settings say that this Vault is a copy
    logged_out: float = 0.0  # since when Vault refuses its login; 0: it does not
    admitted: float = 0.0  # when it had a login again, or was started
    requests: Any = field(default_factory=NoRequests)
    holder: str = ""  # who it is in this life
    life: int = 0
    dead: bool = False
    died: float = 0.0
    guard: Any = None  # what the probe notes
    frozen_until: float = 0.0
    thawed: float = 0.0
    wrote: float = 0.0  # when its latest write to a journal was acknowledged
    asks: dict[str, RotationRequest] = field(default_factory=dict)
    supplied: dict[str, SuppliedValue] = field(default_factory=dict)  # what a person has brought for the next mint
    begun: dict[str, Credential] = field(default_factory=dict)  # settings that the latest visit was begun with
    answers: list[RequestAnswer] = field(default_factory=list)
    seen: dict[str, Record] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)  # names that something happened to while they were looked at
    threads: list[Thread] = field(default_factory=list)
    tending: dict[str, Thread] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)  # names that are spoken about with the target just now
    reconciler: Reconciler = field(init=False)

    def start(self) -> None:
        """Begin a new life, unless settings cannot be read: then the service manager tries again."""
        if self.world.broken_file:
            self.world.later(5.0, lambda: self.start() if self.dead else None)
            return
        self.life += 1
        self.holder, self.dead = f"{self.host}{self.life}", False
        self.asks, self.seen, self.supplied = {}, {}, {}
        self.pauses, self.logged_out = None if self.fleet else (), 0.0
        self.thawed = self.world.now
        leases = Leases(self.holder, TTL, self.clock.monotonic, *self.proof(self.holder))
        self.requests = self.inbox()
        noted = {"accepted": {}, "doubted": {}, "unproven": {}, "reverted": False, "unanswered": lambda _: None}
        noted |= {"others": ForeignJournals(self.clock.monotonic), "troubled": lambda credential, reason: None}
        self.reconciler = Reconciler(self.journal, leases, self.world.lineage, self.told, requests=self.requests)
        self.reconciler.only_looks = "this is a copy" if self.read_only else ""
        dependencies = lambda x: self.edges_of(x.name, self.clock)  # noqa: E731 (one of two names of it)
        self.guard = SimpleNamespace(dependencies=dependencies, reconciler=self.reconciler, closed=_never, **noted)
        self.tending = {name: self._thread(name, self._tend(name)) for name in self.config}
        self.threads = [*self.tending.values(), self._thread("*", self._sweeping())]
        if self.world.swarm.day:
            self.apart = set()
            self.threads += [self._thread("*", self._probing()), self._thread("*", self._listening())]
        for thread in self.threads:
            self._alarm(thread, self.world.rng.uniform(0, 2))

    def proof(self, lock: str) -> tuple[str, Callable[[str], bool]]:
        """What the leases of a process of this host carry, and how it sees that another one's has ended."""
        if not self.world.swarm.followed:
            return "", lambda _: False
        self.world.locks.setdefault(lock, self.host)
        return lock, lambda other: self.world.freed.get(other) == self.host

    def kill(self) -> None:
        """SIGKILL: no coroutine may await on the way out. A request on the wire may still take effect."""
        self.dead, self.died = True, self.world.now
        self.world.deaths.append(self.world.now)
        for lock in [lock for lock, host in self.world.locks.items() if host == self.host]:
            self.world.freed[lock] = self.world.locks.pop(lock)
        for thread in self.threads:
            if thread.wire is not None:
                landed = self.world.rng.random() < 0.5
                self.world.fault("kill_landed" if landed else "kill_unsent", thread.name)
                if landed:
                    self.world.lands(self.world.rng.uniform(0, 3), thread.name, attempt, thread.wire)
            elif thread.label != "idle":
                self.world.fault("kill_reading" if thread.label.endswith("sent") else "kill_answered", thread.name)
            thread.coro.close()
        self.world.tell(self.holder, "killed")
        if not self.world.calm:
            self.world.later(self.world.rng.uniform(0.5, 60), lambda: self.start() if self.dead else None)

    def close(self) -> None:
        """Drop every coroutine."""
        for thread in self.threads:
            thread.coro.close()
        self.threads.clear()

    def freeze(self, seconds: float, name: str) -> None:
        """SIGSTOP, then SIGCONT."""
        self.frozen_until = self.world.now + seconds
        self.world.fault("pause_long" if seconds > 1.25 * TTL else "pause_short", name)

    def thaw(self) -> None:
        """SIGCONT now."""
        if self.frozen_until > self.world.now:
            self.frozen_until = self.world.now
            for thread in self.threads:
                self._alarm(thread, 0.0)

    def ask(self, name: str, *, emergency: bool) -> None:
        """`rotate now` arrives on the control socket."""
        urgent = emergency or bool((before := self.asks.get(name)) and before.emergency)
        self.asks[name] = RotationRequest(self.clock.now(), "person", urgent)
        self.wake(name)

    def configure(self, name: str, credential: Credential | None) -> None:
        """Reload: what settings say of one credential now; None: nothing any more."""
        if credential is None:
            self.config.pop(name, None)
            self.asks.pop(name, None)
            return
        self.config[name] = credential
        if not self.dead and name not in self.tending:
            thread = self.tending[name] = self._thread(name, self._tend(name))
            self.threads.append(thread)
            self._alarm(thread, 0.01)
        self.wake(name)

    def bring(self, name: str) -> None:
        """`rotate supply` arrives on the control socket."""
        self.supplied[name] = SuppliedValue(Secret(f"sek-brought-{self.world.word()}"))
        self.wake(name)

    def wake(self, name: str) -> None:
        """Look at the name at once, or once more after the look that is under way."""
        for thread in self.threads:
            if thread.name == name and not self.dead:
                self.again.add(name)
                if thread.label == "idle":
                    self._alarm(thread, 0.01)

    def log_in(self) -> None:
        """Somebody gives it a login again."""
        if self.logged_out:
            self.logged_out, self.admitted = 0.0, self.world.now

    def wake_all(self) -> None:
        """Look at every name."""
        for name in tuple(self.config):
            self.wake(name)

    def vault_went_back(self, life: int) -> None:
        """The heartbeat of this life found its own document older than it was."""
        if not self.dead and self.life == life:
            self.guard.reverted = True
            self.guard.others.forget()
            self.wake_all()

    def errand(self, name: str, coro: Coroutine[Any, Any, None]) -> None:
        """Somebody starts another program on this host; it ends with the host's next kill."""
        thread = self._thread(name, coro)
        self.threads.append(thread)
        self._alarm(thread, 0.01)

    # --- stepping ---------------------------------------------------------------------------------------------------

    def _alarm(self, thread: Thread, seconds: float) -> None:
        thread.wake += 1
        self.world.later(seconds, self._rung, thread, thread.wake)

    def _rung(self, thread: Thread, wake: int) -> None:
        """Move one coroutine from beat to beat until something else comes first, unless this alarm is void."""
        world = self.world
        if self.dead or wake != thread.wake or thread not in self.threads:
            return
        if world.now < self.frozen_until:
            self.thawed = self.frozen_until
            self._alarm(thread, self.frozen_until - world.now)
            return
        while True:
            world.running = thread
            try:
                seconds, thread.label = thread.coro.send(None)
            finally:
                world.running = None
            struck = thread.label != "idle" and not world.calm and self._hazard(thread)
            if struck or not world.idles(seconds):
                break
            thread.wake += 1
        if not self.dead:
            self._alarm(thread, seconds)

    def _hazard(self, thread: Thread) -> bool:
        """Whether the process is killed or stopped here."""
        rng, swarm = self.world.rng, self.world.swarm
        if swarm.kill and rng.random() < swarm.kill:
            self.kill()
        elif swarm.pause and rng.random() < swarm.pause:
            self.freeze(rng.choice((rng.uniform(0.3, 10), rng.uniform(38, 120))), thread.name)
        else:
            return False
        return True

    def _thread(self, name: str, coro: Coroutine[Any, Any, None]) -> Thread:
        return Thread(self, name, coro)

    # --- what it does -----------------------------------------------------------------------------------------------

    async def _tend(self, name: str) -> None:
        while True:
            while name in self.apart or name not in self.config or self.pauses is None:
                await beat(0.5, "apart" if name in self.apart and name in self.config else "idle")
            self.again.discard(name)
            pause = await self._visit(name)
            pause = 0.0 if name in self.again else pause
            await beat(min(CALM_POLL if self.world.calm else POLL, max(0.05, pause)), "idle")

    async def _visit(self, name: str) -> float:
        world, ask, supplied = self.world, self.asks.get(name), self.supplied.get(name)
        credential = self.begun[name] = covered(self.config[name], self.pauses or ())
        try:
            gate = Gate(self, credential, self.clock.monotonic()) if world.swarm.day else None
            seen = await self.reconciler.reconcile(
                credential, self.edges_of(name, self.clock), ask, supplied, gate=gate
            )
        except Violation:
            raise
        except Conflict:
            world.fault("overtaken", name)
            return world.rng.uniform(0.2, 2)
        except Fault as fault:
            world.tell(self.holder, f"visit ends: {fault.reason}", name)
            return world.rng.uniform(0.5, 3) if isinstance(fault, Transient) else POLL
        if supplied and supplied.taken:
            self.supplied.pop(name, None)
        if seen.record:
            if (before := self.seen.get(name)) and older(seen.record, before):
                self.guard.reverted = True
            self.seen[name] = seen.record
            if ask and (said := answer(seen.record, ask)) is not RequestAnswer.OPEN:
                self.answers.append(said)
                self.asks.pop(name, None)
        if seen.refused:
            return 20.0
        return (seen.wait.until - self.clock.now()).total_seconds() if seen.wait.until else POLL

    async def _sweeping(self) -> None:
        for turn in itertools.count():
            if turn:
                await self.sweep_once()
            await beat(self.world.rng.uniform(0.5, 1) * SWEEP, "idle")

    async def sweep_once(self) -> None:
        """List the whole target, judge it by the records, revoke strays."""
        try:
            for target in sorted({each.target for each in self.config.values()}):
                tokens = await self.edges_of("*", self.clock).provider.find("rotator-")
                self.guard.others.take(target, tokens)
                ours = {name: each for name, each in self.config.items() if each.target == target}
                await sweep(tokens, ours, self.journal, remembered=self.seen, reap=self._reap)
        except Fault as fault:
            self.world.tell(self.holder, f"sweep ends: {fault.reason}")

    async def _reap(self, credential: Credential, token: Token) -> bool:
        return await strays.reap(self.reconciler, credential, self.edges_of(credential.name, self.clock), token)

    async def _probing(self) -> None:
        """The product's own probe of published values, with what it wants of a crew."""
        worker_pool = SimpleNamespace(
            credentials=self.config,
            seen={},
            clock=self.clock,
            guard=self.guard,
            health=SimpleNamespace(vault=SimpleNamespace(trips=0, outages=0)),
            pause=lambda credential: (0.0, ""),
            aside=self._aside,
            look_at=self.wake,
        )
        prober = Prober(worker_pool, lambda: PROBE, lambda target, verdict: None)  # type: ignore[arg-type] # what it wants of one
        while True:
            worker_pool.credentials = dict(self.config)
            worker_pool.seen = {name: SimpleNamespace(record=record) for name, record in self.seen.items()}
            try:
                for names in prober.due():
                    await prober.stretch(names, PROBE)
            except Fault as fault:
                self.world.tell(self.holder, f"probe ends: {fault.reason}")
            await beat(120.0 if self.world.calm else 30.0, "idle")

    async def _listening(self) -> None:
        """Whether anybody asked for anything, anywhere."""
        while True:
            try:
                for name in await self.requests.look():
                    self.wake(name)
                await give_up(self._app())
                if self.fleet:
                    before, self.pauses = self.pauses, await self.fleet.pauses()
                    if self.pauses != before:
                        self.wake_all()
            except Fault as fault:
                self.world.tell(self.holder, f"look for requests ends: {fault.reason}")
            await beat(120.0 if self.world.calm else 15.0, "idle")

    def _app(self) -> Any:
        """What is asked of an App for requests of credentials that left the settings."""

        async def record_fleet(at: datetime, what: str, by: str, said: str) -> None:
            self.gave_up(said)

        settings = SimpleNamespace(credentials=self.config, daemon=SimpleNamespace(read_only=self.read_only))
        return SimpleNamespace(requests=self.requests, settings=settings, clock=self.clock, record_fleet=record_fleet)

    @asynccontextmanager
    async def _aside(self, name: str) -> AsyncIterator[None]:
        """Nobody visits the name meanwhile."""
        while name in self.apart or self.tending[name].label != "idle":
            await beat(0.5, "apart")
        self.apart.add(name)
        try:
            yield
        finally:
            self.apart.discard(name)
            self.wake(name)


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands between a record and its target, see engine/circuit_breakers.py: our names are listed first."""

    process: Process
    credential: Credential
    read_at: float

    async def closed(self) -> Wait | None:
        """Once for each target and life."""
        others, target = self.process.guard.others, self.credential.target
        if others.listed(target):
            return None
        others.take(target, await self.process.edges_of("*", self.process.clock).provider.find("rotator-"))
        return Wait(self.process.clock.now(), "the record is read again")

    def objection(self, record: Record) -> Hold | None:
        """Whether another journal mints under our names."""
        found: Hold | None = self.process.guard.others.objection(self.credential, record, self.read_at)
        return found


async def _never(credential: Credential) -> bool:
    return False
