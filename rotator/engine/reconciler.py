"""One visit: load the record, decide, perform, advance, save, tell, until there is nothing to do but wait.

What a person or a sweep wants done to a record goes the same way: nothing else saves the journal.

It awaits nothing but ports, so a simulation can step it by hand and kill it anywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Protocol

from rotator.engine.context import Dependencies, RotationContext, SuppliedValue
from rotator.engine.lease import Leases
from rotator.engine.procedure_driver import perform, run
from rotator.ports import (
    Conflict,
    Entry,
    Fault,
    Journal,
    MinterRefused,
    NoRequests,
    OnlyLooks,
    Refused,
    Requests,
    Transient,
)
from rotator.ports.purpose import calls_for
from rotator.rotation import events as ev
from rotator.rotation.ahead import waits_otherwise
from rotator.rotation.credential import Credential
from rotator.rotation.decide import next_step
from rotator.rotation.messages import Message, describe
from rotator.rotation.operator_request import RequestVerb
from rotator.rotation.procedures import without_minter
from rotator.rotation.procedures.consumer_path import watch
from rotator.rotation.procedures.operators import RecordChange, take_up
from rotator.rotation.purpose import purpose_of
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest, as_rotation_request, foremost, hurried, unless_declined
from rotator.rotation.steps import Act, Escalate, Hold, Poll, Request, Step, Wait
from rotator.rotation.transitions import advance

_BARRED = timedelta(seconds=30)  # between two looks whether a rotation may begin again


@dataclass(frozen=True)  # without slots, which leave no room for the words
class Transition:
    """One transition, as observers are told: logs, progress, metrics, receipts. `seconds` is how long the step took."""

    credential: Credential
    before: Record
    event: ev.Event
    after: Record
    seconds: float
    holder: str

    @cached_property
    def told(self) -> Message:
        """In words, which are the same for every observer."""
        return describe(self.before, self.event, self.after)


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What a visit found last, and when to come again."""

    record: Record | None
    wait: Wait
    refused: MinterRefused | None = None  # the target refuses our minter: stop calling it
    held_by: str = ""  # the other actor that has the lease
    unfit: str = ""  # why Vault would not keep its documents, so that no rotation begins


Tell = Callable[[Transition], None]


class Gate(Protocol):
    """What stands between a record and its target."""

    async def closed(self) -> Wait | None:
        """Until when the target may not be asked, and why; None: it may."""

    def objection(self, record: Record) -> Hold | None:
        """Why nothing may be done with the record, whatever it says."""


async def _nothing() -> None:
    pass


async def _fit(credential: Credential) -> str:
    return ""


@dataclass(slots=True)
class Reconciler:
    """Visits credentials for one actor. Faults of Vault pass through: a visit without a journal does nothing."""

    journal: Journal
    leases: Leases
    lineage: Callable[[], str]
    tell: Tell
    stopping: Callable[[], bool] = bool  # a stop ends the visit at the next boundary between two steps
    barred: Callable[[], str] = str  # why no rotation may begin just now; what is under way goes on
    requests: Requests = field(default_factory=NoRequests)  # of operators, which wait in Vault
    only_looks: str = ""  # why this actor never acts
    unfit: Callable[[Credential], Awaitable[str]] = _fit  # why Vault would not keep the documents of a credential
    recorded: Callable[[], Awaitable[None]] = _nothing  # what was told is written down, as far as that goes
    brief: set[str] = field(default_factory=set)  # names whose next look leaves out the consumer path, if they rest
    _looks: dict[tuple[str, str], tuple[ev.NotEnded, float]] = field(default_factory=dict)  # see `_looked`
    _heard: dict[str, RotationRequest] = field(default_factory=dict)  # what somebody waits for here, once it was heeded
    _asked: dict[str, tuple[RotationRequest, datetime]] = field(default_factory=dict)  # and since when, see `_next`

    async def reconcile(
        self,
        credential: Credential,
        dependencies: Dependencies,
        ask: RotationRequest | None = None,
        supplied: SuppliedValue | None = None,
        gate: Gate | None = None,
    ) -> ReconcileResult:
        """Do all there is to do now; `supplied` is a person's value for the next mint. `gate` is asked before the first
        step that needs the target: what Vault knows is read whether or not the target can be asked.

        Raises Conflict when overtaken, Transient, Refused.
        """
        entry = await self.journal.load(credential.name)
        context = RotationContext(
            dependencies, credential, told=entry.server_time, begun=dependencies.clock.monotonic(), supplied=supplied
        )
        blocked = self.leases.blocked(entry)
        if blocked is not None:
            return left_to_holder(entry, dependencies.clock.now() + timedelta(seconds=blocked))
        record, entry, asked = await self._requested(context, entry, self.taken_up(entry, context))
        ask = foremost(unless_declined(record, ask), asked)
        record = record if ask is None or self._heard.get(credential.name) == ask else hurried(record, ask)
        (record, rested), looked = self._looked(entry, record), self._briefly(credential.name)  # at the consumer path
        objects = gate.objection if gate else None
        while True:
            step = (objects and objects(record)) or _supplied(record, context)
            step = step or self._next(context, record, ask, rested)
            if isinstance(step, Wait):
                entry = await self._let_go(entry, record, keep=self._lasting(entry, record, context))
                lost = None if looked or self.only_looks else await run(context, watch(context.observed(), record))
                looked = True
                if lost is None:
                    until = context.on_our_clock(step.until) if step.until else None
                    return ReconcileResult(record, Wait(until, step.reason))
                since = context.dependencies.clock.monotonic()
                record, entry = await self._happened(context, entry, record, lost, ask, since)
                continue
            with calls_for(purpose_of(record, step)):
                stop = await self._stops(context, step, gate)
            if stop:
                await self._let_go(entry, record)
                return replace(stop, record=record)
            gate = gate if isinstance(step, Hold | Escalate) else None
            if step.effect and self.leases.needs_write(entry):
                entry = await self._save(entry, record, release=False)
            record, entry, refused = await self._act(context, entry, record, step, ask)
            rested, looked = timedelta(), True
            if refused:
                return ReconcileResult(record, Wait(record.retry_at, refused.reason), refused)

    def _next(
        self, context: RotationContext, record: Record, ask: RotationRequest | None, rested: timedelta = timedelta()
    ) -> Step:
        """The next step. That a person has acted is heard once: a request is no later than when it was first seen here,
        even if the clock of who asked was ahead.
        """
        seen, name = context.observed(), context.credential.name
        if ask and record.phase is Phase.AWAITING:
            known = self._asked.get(name)
            since = known[1] if known and known[0] == ask else seen.at
            self._asked[name] = ask, since
            ask = replace(ask, at=min(ask.at, since))
        return next_step(context.credential, record, seen.now, ask, seen.shared, rested)

    def _briefly(self, name: str) -> bool:
        brief = name in self.brief
        self.brief.discard(name)
        return brief

    def _looked(self, entry: Entry, record: Record) -> tuple[Record, timedelta]:
        """The record with the looks of this process that found nothing ended, and how long it has rested since.

        Such a look is no transition: nobody is told, and the next change of the record writes it down. Another process
        looks for itself.
        """
        rested = timedelta(seconds=self.leases.known(entry))
        for each in record.lasting:
            event, at = self._looks.get((entry.name, each.value.token.id), (None, 0.0))
            if event and event.at > each.looked_at:
                record = advance(record, event)
                rested = min(rested, timedelta(seconds=self.leases.monotonic() - at))
        return record, rested

    async def _stops(self, context: RotationContext, step: Act, gate: Gate | None) -> ReconcileResult | None:
        """Why a step is not taken now, and until when."""
        if self.only_looks:
            return ReconcileResult(None, Wait(context.now + _BARRED, self.only_looks))
        if self.stopping():
            return ReconcileResult(None, Wait(context.now, "stopping"))
        if isinstance(step, Request):
            await self.recorded()
            if bar := self.barred():
                return ReconcileResult(None, Wait(context.now + _BARRED, bar))
            # A leak does not wait for a better mount.
            if not step.emergency and (unfit := await self.unfit(context.credential)):
                return ReconcileResult(None, Wait(context.now + _BARRED, unfit), unfit=unfit)
        closed = await gate.closed() if gate and not isinstance(step, Hold | Escalate) else None
        return ReconcileResult(None, closed) if closed else None

    def taken_up(self, entry: Entry, context: RotationContext) -> Record:
        """The record, and what may have been done since it was written."""
        untraced, rested = context.shared if entry.lease.holder else None, timedelta(seconds=self.leases.known(entry))
        return advance(entry.record or Record(self.lineage()), ev.Resumed(context.at, untraced, rested))

    def _lasting(self, entry: Entry, record: Record, context: RotationContext) -> bool:
        """Whether what was found at taking up is written although nothing is done: who is started next would find it
        later, and wait anew. Vault would delete the record by itself; somebody has left it; a clock was ahead.
        """
        left = bool(entry.lease.holder) and entry.record is not None
        ahead = entry.record is not None and waits_otherwise(entry.record, record)
        return not self.only_looks and (entry.is_fading(context.shared) or left or ahead)

    async def obey(
        self, credential: Credential, dependencies: Dependencies, change: RecordChange, *, effect: bool = False
    ) -> Record:
        """Change the record. Returns it, as it was when there is nothing to change.

        `effect`: something outside changes, too, so the lease is claimed before. Raises Refused with the reason
        against the change, Conflict when somebody works on the record just now.
        """
        await self._unbarred()
        entry = await self.journal.load(credential.name)
        blocked = self.leases.blocked(entry)
        if blocked is not None:
            raise Conflict(held_by(entry.lease.holder, dependencies.clock.now() + timedelta(seconds=blocked)))
        context = RotationContext(
            dependencies, credential, told=entry.server_time, begun=dependencies.clock.monotonic()
        )
        record = self.taken_up(entry, context)
        if effect and self.leases.needs_write(entry):
            entry = await self._save(entry, record, release=False)
        try:
            event = await run(context, change(context.observed(), record))
        except Fault:
            await self._let_go(entry, record)
            raise
        if event is None:
            await self._let_go(entry, record)
            return record
        after = advance(record, event)
        await self._save(entry, after, release=True)
        await self._tell(context, record, event, after)
        return after

    async def obey_unrecorded(self, credential: Credential, dependencies: Dependencies, change: RecordChange) -> None:
        """Do what concerns no record that there is: nothing is saved, observers are told."""
        await self._unbarred()
        context, record = (
            RotationContext(dependencies, credential, begun=dependencies.clock.monotonic()),
            Record(self.lineage()),
        )
        if event := await run(context, change(context.observed(), record)):
            await self._tell(context, record, event, record)

    async def _unbarred(self) -> None:
        if self.only_looks:
            raise OnlyLooks(self.only_looks)
        await self.recorded()
        if bar := self.barred():
            raise Refused(f"{bar}; [audit] required = true, so nothing is begun")

    async def _tell(
        self, context: RotationContext, before: Record, event: ev.Event, after: Record, since: float | None = None
    ) -> None:
        took = context.dependencies.clock.monotonic() - (context.begun if since is None else since)
        self.tell(Transition(context.credential, before, event, after, took, self.leases.holder))
        await self.recorded()

    async def take_up(self, credential: Credential, dependencies: Dependencies) -> Record | None:
        """Take up what operators asked for, and do nothing else. None: nothing waited. Raises as `obey` does."""
        record = None
        for request in await self.requests.waiting(credential.name):
            record = await self.obey(credential, dependencies, partial(take_up, request=request))
            with suppress(Fault):
                await self.requests.remove(credential.name, request)
        return record

    async def _requested(
        self, context: RotationContext, entry: Entry, record: Record
    ) -> tuple[Record, Entry, RotationRequest | None]:
        """Take up what operators asked for, the oldest first. One that cannot be decided just now waits, others too.

        Returns the ask that was taken up.
        """
        asked, name = None, context.credential.name
        waiting = () if self.only_looks or self.barred() else await self.requests.waiting(name)
        for request in waiting:
            try:
                event = await run(context, take_up(context.observed(), record, request))
            except Transient:
                break
            if event:
                after = advance(record, event)
                entry = await self._save(entry, after, release=False)
                await self._tell(context, record, event, after)
                record = after
            if isinstance(event, ev.RequestTaken) and request.verb is RequestVerb.ROTATE:
                asked = foremost(asked, as_rotation_request(request))
            with suppress(Fault):  # the record knows it: it is removed the next time
                await self.requests.remove(name, request)
        return record, entry, asked

    async def _act(
        self, context: RotationContext, entry: Entry, record: Record, step: Act, ask: RotationRequest | None
    ) -> tuple[Record, Entry, MinterRefused | None]:
        started, refused = context.dependencies.clock.monotonic(), None
        self._heard |= {context.credential.name: ask} if ask else {}
        context.lapses = self.leases.lapses(entry)
        try:
            with calls_for(purpose_of(record, step)):
                event = await perform(context, record, step)
            if isinstance(event, ev.NotEnded):
                self._looks[context.credential.name, event.token] = event, self.leases.monotonic()
                return advance(record, event), entry, None
        except MinterRefused as fault:
            event, refused = without_minter(context.observed(), step, fault), fault
        after, entry = await self._happened(context, entry, record, event, ask, started)
        return after, entry, refused

    async def _happened(
        self,
        context: RotationContext,
        entry: Entry,
        record: Record,
        event: ev.Event,
        ask: RotationRequest | None,
        started: float,
    ) -> tuple[Record, Entry]:
        """Advance, save, tell."""
        after = advance(record, event)
        if (after.rotation, after.attempt) > (record.rotation, record.attempt):
            context.seen.begun_here = (after.rotation, after.attempt)
        resting = isinstance(self._next(context, after, ask), Wait)
        entry = await self._save(entry, after, release=resting)
        await self._tell(context, record, event, after, started)
        return after, entry

    async def _save(self, entry: Entry, record: Record, *, release: bool) -> Entry:
        sent = self.leases.monotonic()
        entry = await self.journal.save(entry, record, self.leases.stamp(entry, release=release))
        self.leases.acknowledged(entry, sent)
        return entry

    async def _let_go(self, entry: Entry, record: Record, *, keep: bool = False) -> Entry:
        """Give the lease back. `keep`: the record is written in any case."""
        if keep or entry.lease.holder == self.leases.holder:
            entry = await self._save(entry, record, release=True)
        return entry


def left_to_holder(entry: Entry, until: datetime) -> ReconcileResult:
    """Wait for another actor, which has the lease."""
    return ReconcileResult(entry.record, Wait(until, held_by(entry.lease.holder, until)), held_by=entry.lease.holder)


def held_by(holder: str, until: datetime) -> str:
    """Whom a record waits for, and for how long. `until`: when it is taken over without another sign."""
    return f"worked on by {holder}, which is followed at {until:%T}Z unless it gives a sign"


def _supplied(record: Record, context: RotationContext) -> Step | None:
    """Who waits for a value that was brought need not wait any longer."""
    waits = record.phase is Phase.AWAITING and record.candidate is None
    return Poll(remind=False) if waits and context.brings else None
