"""Owns the work of one process: has due names visited, a few at once, fewer per target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
from anyio.abc import TaskGroup

from rotator.engine.agenda import Agenda
from rotator.engine.bench import Edges
from rotator.engine.health import Health
from rotator.engine.visit import Seen, Visitor
from rotator.ports import Clock, Conflict, Fault, StoreRefused, Transient
from rotator.rotation import events as ev
from rotator.rotation.ask import Answer, Ask, answer
from rotator.rotation.credential import Credential
from rotator.rotation.record import Record
from rotator.rotation.steps import Wait

_SOON = timedelta(seconds=1)
_BUG_PAUSE = timedelta(minutes=1)


@dataclass(slots=True)
class Asked:
    """A pending `rotate now`, joined by all who ask while it is open. `patient`: until the predecessor is dead."""

    ask: Ask
    patient: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: Answer = Answer.OPEN
    record: Record | None = None

    def hears(self, record: Record) -> bool:
        """Whether the record settles it."""
        said = answer(record, self.ask)
        self.record, self.answer = record, said
        return said not in (Answer.OPEN,) and not (said is Answer.PUBLISHED and (self.patient or self.ask.emergency))


@dataclass(slots=True)
class Crew:
    """Workers of one process. `workers`: visits at once; `per_target`: of them on one target."""

    visitor: Visitor
    edges: Callable[[Credential], Edges]
    clock: Clock
    credentials: Mapping[str, Credential]
    per_target: Mapping[str, int]
    workers: int
    unforeseen: Callable[[str, BaseException], None]
    control: Callable[[Credential], Awaitable[None]]  # the target's negative control, once before its first visit
    agenda: Agenda = field(default_factory=Agenda)
    health: Health = field(default_factory=Health)
    asks: dict[str, Asked] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    moved: float = 0.0  # monotonic time of the last finished visit
    _ready: dict[str, None] = field(default_factory=dict)
    _busy: dict[str, str] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)
    _controlled: set[str] = field(default_factory=set)
    _wake: anyio.Event = field(default_factory=anyio.Event)
    stopping: bool = False

    def look_at(self, *names: str) -> None:
        """Put names at the head of the agenda; a name being visited is looked at again afterwards."""
        for name in names:
            if name in self._busy:
                self._again.add(name)
            elif name in self.credentials:
                self._ready.setdefault(name)
        self.tick()

    def ask(self, name: str, ask: Ask, *, patient: bool) -> Asked:
        """Ask for a new value; joins an open ask unless this one is more urgent."""
        pending = self.asks.get(name)
        if pending and not pending.done.is_set() and pending.ask.emergency >= ask.emergency:
            pending.patient = pending.patient or patient
        else:
            pending = self.asks[name] = Asked(ask, patient)
        self.look_at(name)
        return pending

    def tick(self) -> None:
        """Time has passed, or something changed: look at the agenda."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no further visit; those under way end at their next rest."""
        self.stopping = True
        self.tick()

    async def run(self) -> None:
        """Work until stopped; returns when the last visit has ended."""
        async with anyio.create_task_group() as group:
            while not self.stopping:
                self._wake = anyio.Event()
                self._ready.update(dict.fromkeys(self.agenda.due(self.clock.now(), self.clock.monotonic())))
                self._dispatch(group)
                await self._wake.wait()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or waiting for a worker."""
        return not self._busy and not self._ready

    def _dispatch(self, group: TaskGroup) -> None:
        load = Counter(self._busy.values())
        for name in tuple(self._ready):
            if len(self._busy) >= self.workers:
                return
            credential = self.credentials.get(name)
            if credential is None or name in self._busy:
                del self._ready[name]
            elif load[credential.target] < self.per_target.get(credential.target, self.workers):
                del self._ready[name]
                self._busy[name] = credential.target
                load[credential.target] += 1
                group.start_soon(self._work, credential)

    async def _work(self, credential: Credential) -> None:
        name = credential.name
        try:
            pause, reason = self.health.pause(credential.target, self.clock.monotonic())
            if not pause and credential.target not in self._controlled:
                pause, reason = await self._controls(credential)
            self._note(credential, self._paused(name, pause, reason) if pause else await self._visit(credential))
        finally:
            self._busy.pop(name, None)
            self.moved = self.clock.monotonic()
            if name in self._again:
                self._again.discard(name)
                self._ready.setdefault(name)
            self.tick()

    async def _controls(self, credential: Credential) -> tuple[float, str]:
        """A probe that accepts a broken secret proves nothing: such a target is not worked on."""
        breaker, now = self.health.target(credential.target), self.clock.monotonic()
        try:
            await self.control(credential)
        except Transient as fault:
            breaker.faulted(now, fault.reason, patience=1)
        except Fault as fault:
            breaker.refused(now, fault.reason)
        else:
            self._controlled.add(credential.target)
        return self.health.pause(credential.target, self.clock.monotonic())

    def recontrol(self, target: str) -> None:
        """The target's settings changed: control it again before the next visit."""
        self._controlled.discard(target)
        self.health.target(target).worked()

    def _paused(self, name: str, pause: float, reason: str) -> Seen:
        record = self.seen[name].record if name in self.seen else None
        return Seen(record, Wait(self.clock.now() + timedelta(seconds=pause), reason))

    async def _visit(self, credential: Credential) -> Seen:
        asked = self.asks.get(credential.name)
        try:
            seen = await self.visitor.visit(credential, self.edges(credential), asked.ask if asked else None)
        except Conflict:
            return Seen(None, Wait(self.clock.now() + _SOON, "another actor wrote the record"))
        except (Transient, StoreRefused) as fault:
            self.health.vault.faulted(self.clock.monotonic(), fault.reason, patience=1)
            return Seen(None, Wait(self.clock.now() + _SOON, fault.reason))
        except Fault as fault:
            return Seen(None, Wait(self.clock.now() + _BUG_PAUSE, fault.reason))
        except Exception as bug:  # noqa: BLE001 (one credential's bug must not end the daemon)
            self.unforeseen(credential.name, bug)
            return Seen(None, Wait(self.clock.now() + _BUG_PAUSE, f"a bug: {type(bug).__name__}"))
        self.health.vault.worked()
        if seen.refused:
            self.health.target(credential.target).refused(self.clock.monotonic(), seen.refused.reason)
        return seen

    def observe(self, credential: Credential, event: ev.Event) -> None:
        """Learn from a transition how the target is doing."""
        breaker = self.health.target(credential.target)
        if isinstance(event, ev.Faulted):
            breaker.faulted(self.clock.monotonic(), event.reason)
        elif isinstance(event, ev.Staged | ev.Verified | ev.Retired | ev.Burned):
            breaker.worked()

    def _note(self, credential: Credential, seen: Seen) -> None:
        name = credential.name
        previous = self.seen.get(name)
        self.seen[name] = Seen(seen.record or (previous.record if previous else None), seen.wait, seen.refused)
        self.agenda.put(name, seen.wait.until, self.clock.now(), self.clock.monotonic())
        asked = self.asks.get(name)
        if asked and seen.record and asked.hears(seen.record):
            asked.done.set()
            del self.asks[name]
