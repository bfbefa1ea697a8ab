"""The workers of one process: reconciles due credentials, a few at once and fewer per target, and answers requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from rotator.engine.circuit_breakers import CircuitBreakers, Guard
from rotator.engine.queues import TimerQueue, WorkQueue
from rotator.engine.reconciler import ReconcileResult
from rotator.engine.replicas import Replicas
from rotator.ports import Clock
from rotator.rotation.admission import not_now
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.pause import on_at
from rotator.rotation.record import Phase, Record, Trigger
from rotator.rotation.rotation_request import (
    AT_REST,
    RequestAnswer,
    RotationRequest,
    answer,
    find,
    foremost,
    left_to_person,
)
from rotator.rotation.schedule import share
from rotator.rotation.steps import Wait

_AT_ONCE = timedelta(milliseconds=200)  # the shortest time between two reconciles of one name
_IDLE_LOOKS = 50  # reconciles per second that find nothing to do; each costs about 3 ms of CPU, here and in Vault
_ASKED = timedelta(seconds=2)  # between reconciles while a request waits
_OTHERS = 15  # rounds between two looks at what another replica looks at first
_HELD = 4  # rounds, while that replica works on it
_SPARE = 0.05  # of a value's life may pass until what another replica has not done is done
_SLOW = 1.0  # seconds; a longer reconcile waits for its target and no longer counts as a busy worker
STOPPING = "the daemon is stopping"


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that waits for its answer. `patient`: until the predecessor is dead.

    Every caller has one of its own, with its own time and patience. One rotation answers all requests that were made
    before its value was published.
    """

    ask: RotationRequest
    patient: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: RequestAnswer = RequestAnswer.OPEN
    record: Record | None = None
    latest: Record | None = None  # after the last transition that the caller was told of
    refused: str = ""  # why it was declined
    wait: Wait | None = None  # until when it cannot be answered
    closed: str = ""  # why it gets no answer from this process
    hopeless: bool = False  # closed because the credential cannot be reconciled
    barred: bool = False  # it is taken up, and its rotation may not begin now

    def hears(self, record: Record, paused: Pause | None = None, *, barred: bool = False) -> bool:
        """Take the record; returns whether it answers the request. `paused`: a pause of many credentials. `barred`:
        no rotation may begin now."""
        said, taken_up = answer(record, self.ask, paused), find(record, self.ask.id)
        if self.ask.id and taken_up is None and said not in (RequestAnswer.DONE, RequestAnswer.PUBLISHED):
            said = RequestAnswer.OPEN
        waits = said is RequestAnswer.PUBLISHED and (self.patient or self.ask.emergency)
        if waits and record.phase is Phase.SETTLED and left_to_person(record, self.ask):
            said = RequestAnswer.AWAITING
        if record.hampered and (waits or (said is RequestAnswer.OPEN and (taken_up or not self.ask.id))):
            said = RequestAnswer.AWAITING
        self.refused = taken_up.refused if taken_up else ""
        if self.refused and said is RequestAnswer.OPEN:
            said = RequestAnswer.IN_GRACE if record.phase is Phase.PUBLISHED else RequestAnswer.NOT_OPEN
        self.record, self.answer, self.barred = record, said, bool(barred and taken_up and not self.ask.emergency)
        return self.answer is not RequestAnswer.OPEN and not self.in_grace

    @property
    def in_grace(self) -> bool:
        """Whether the new value is published and the request waits for the predecessor's end."""
        return self.answer is RequestAnswer.PUBLISHED and (self.patient or self.ask.emergency)

    @property
    def waits(self) -> bool:
        """Whether it cannot be answered before a grace is over, its own or an earlier one, or before it may begin."""
        before = self.record is not None and self.record.phase is Phase.PUBLISHED
        before = (before and not self.ask.emergency) or self.barred
        return self.in_grace or (before and self.answer is RequestAnswer.OPEN)

    def close(self, reason: str, *, hopeless: bool = False) -> None:
        """Close it without an answer."""
        self.closed, self.hopeless = reason, hopeless
        self.done.set()


@dataclass(slots=True, eq=False)
class RunningReconcile:
    """A reconcile under way. `began`: monotonic seconds."""

    target: str
    began: float
    over: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class WorkerPool:
    """The workers. `workers`: reconciles at once, without slow ones. `per_target`: reconciles at once for each target.

    Every credential is reconciled again within `reconcile`, whatever the last result, so that none is ever forgotten
    and a change of its record by others is seen.
    """

    guard: Guard
    clock: Clock
    credentials: Mapping[str, Credential]
    per_target: Mapping[str, int]
    workers: int
    reconcile: timedelta = timedelta(seconds=45)
    timers: TimerQueue = field(default_factory=TimerQueue)
    asks: dict[str, list[PendingRequest]] = field(default_factory=dict)
    seen: dict[str, ReconcileResult] = field(default_factory=dict)
    read_at: dict[str, datetime] = field(default_factory=dict)  # when each record was last read
    moved: float = 0.0  # monotonic time of the last finished reconcile
    stopping: str = ""  # why no further reconcile begins
    left: Mapping[str, Record] = field(default_factory=dict)  # records of credentials that left the settings
    replicas: Replicas = field(default_factory=Replicas)
    later: timedelta = timedelta(seconds=30)  # what is due is left to that replica for so long
    unread: set[str] = field(init=False)  # names whose records were not read yet
    _queue: WorkQueue = field(default_factory=WorkQueue)
    _busy: dict[str, RunningReconcile] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)
    _wake: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.unread = set(self.credentials)

    def look_at(self, *names: str) -> None:
        """Reconcile these names now, requested ones first; again afterwards if one is being reconciled."""
        for name in names:
            if name in self._busy:
                self._again.add(name)
            elif name in self.credentials:
                self._queue.join(name, self.credentials[name].target, asked=name in self.asks)
        self.tick()

    def meet(self, names: Collection[str]) -> None:
        """Look at names that are new here: those of other replicas come last, and their consumer paths another time."""
        ours = {name for name in names if self.replicas.looks_first(name)}
        theirs = [name for name in names if name not in ours]
        self.guard.reconciler.brief.update(theirs)
        self.look_at(*sorted(ours), *theirs)

    def ask(self, name: str, ask: RotationRequest, *, patient: bool) -> PendingRequest:
        """Request a new value. The returned object gets the answer."""
        asked = PendingRequest(ask, patient)
        if self.stopping or name not in self.credentials:
            asked.close(self.stopping or "it is not in the settings")
            return asked
        self.asks.setdefault(name, []).append(asked)
        self.look_at(name)
        return asked

    def tick(self) -> None:
        """Look at the timers again, because time passed or something changed."""
        self._wake.set()

    def stop(self, reason: str = STOPPING) -> None:
        """Begin no further reconcile. Those under way end after their current step. Waiting requests are answered."""
        self.stopping = self.stopping or reason
        self._queue.empty()
        for name in self.asks.keys() - self._busy.keys():
            self._dismiss(name, self.stopping)
        self.tick()

    def take(self, credentials: Mapping[str, Credential], changed: Collection[str]) -> None:
        """Take new settings. `changed`: targets with other settings. Affected credentials are reconciled at once."""
        before, self.credentials = self.credentials, credentials
        for name in before.keys() - credentials.keys():
            self.timers.drop(name)
            self.seen.pop(name, None)
            self.unread.discard(name)
            self.read_at.pop(name, None)
            self.guard.forget(name)
            self._dismiss(name, "it left the settings")
        self.unread |= credentials.keys() - before.keys()
        fresh = {name for name, each in credentials.items() if each != before.get(name) or each.target in changed}
        self.look_at(*self._queue.empty())
        self.meet(sorted(fresh | self.guard.mended(changed)))

    @asynccontextmanager
    async def aside(self, name: str) -> AsyncIterator[None]:
        """Keep workers away from a credential while an operator's command changes it; reconcile it afterwards."""
        while visit := self._busy.get(name):
            await visit.over.wait()
        visit = self._busy[name] = RunningReconcile("", self.clock.monotonic())
        try:
            yield
        finally:
            del self._busy[name]
            visit.over.set()
            self._again.discard(name)
            self.look_at(name)

    async def finished(self, targets: Collection[str]) -> None:
        """Wait for the reconciles that are under way at these targets now."""
        for visit in [each for each in self._busy.values() if each.target in targets]:
            await visit.over.wait()

    @property
    def health(self) -> CircuitBreakers:
        """The circuit breakers of Vault, targets and minters."""
        return self.guard.health

    @property
    def broken(self) -> Mapping[str, str]:
        """Names that cannot be reconciled, and why."""
        return self.guard.broken

    @property
    def accepted(self) -> Mapping[str, datetime]:
        """When this process last saw each published value accepted."""
        return self.guard.accepted

    @property
    def doubted(self) -> Mapping[str, datetime]:
        """When a published value was refused once; only a second refusal counts."""
        return self.guard.doubted

    @property
    def unproven(self) -> Mapping[str, datetime]:
        """Since when the acceptance of a published value is unknown: since the start, or since Vault was away."""
        return self.guard.unproven

    def pause(self, credential: Credential) -> tuple[float, str]:
        """The seconds for which a credential may not be reconciled, and why."""
        return self.guard.pause(credential)

    def visits(self, name: str) -> bool:
        """Whether the credential is being reconciled now."""
        return name in self._busy

    @property
    def busy(self) -> Collection[str]:
        """The names that are being reconciled."""
        return self._busy.keys()

    @property
    def idle(self) -> bool:
        """Whether nothing is being reconciled or waits for a worker."""
        return not self._busy and not len(self._queue)

    async def run(self) -> None:
        """Work until stopped. Returns after the last reconcile."""
        async with anyio.create_task_group() as group:
            while not self.stopping:
                self._wake = anyio.Event()
                for name in self.timers.due(self.clock.now(), self.clock.monotonic()):
                    if name not in self._busy and name in self.credentials:
                        self._queue.join(name, self.credentials[name].target)
                self._dispatch(group)
                await self._wake.wait()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _dispatch(self, group: TaskGroup) -> None:
        now = self.clock.monotonic()
        load = Counter(visit.target for visit in self._busy.values())
        places = self.workers - sum(visit.began > now - _SLOW for visit in self._busy.values())

        def room(target: str) -> bool:
            return load[target] < self.per_target.get(target, self.workers)

        while places > 0 and (name := self._queue.take(load, room)):
            if name in self._busy:
                self._again.add(name)
                continue
            visit = self._busy[name] = RunningReconcile(self.credentials[name].target, now)
            load[visit.target] += 1
            places -= 1
            group.start_soon(self._work, name, visit)

    async def _work(self, name: str, visit: RunningReconcile) -> None:
        try:
            if credential := self.credentials.get(name):
                ask = foremost(*(each.ask for each in self.asks.get(name, ())))
                self._note(name, await self.guard.attend(credential, ask))
        finally:
            del self._busy[name]
            visit.over.set()
            self.moved = self.clock.monotonic()
            if self.stopping:
                self._dismiss(name, self.stopping)
            elif name in self._again:
                self._again.discard(name)
                self.look_at(name)
            self.tick()

    def vault_went_back(self) -> None:
        """Read every record again after a new listing of each target, because Vault went back to an older state."""
        self.guard.reverted = True
        self.guard.others.forget()
        self.look_at(*self.credentials)

    def _note(self, name: str, seen: ReconcileResult) -> None:
        if name not in self.credentials:
            return
        before = self.seen[name].record if name in self.seen else None
        record = seen.record or before
        if record and before and older(record, before):
            self.guard.went_back(self.credentials[name], f"{before.rotation} to {record.rotation}")
        self.seen[name] = ReconcileResult(record, seen.wait, seen.refused)
        if record is not None:
            self.unread.discard(name)
        now = self.clock.now()
        if seen.record is not None:
            self.read_at[name] = now
        asked = name in self.asks
        longest = _ASKED if self._answer(name, seen) else self._round * (0.75 + share(name) / 4)
        due, latest = seen.wait.until, now + longest
        if not asked and not self.replicas.looks_first(name):
            due, latest = self._after_others(name, seen, now, longest)
        self.timers.put(name, max(now + _AT_ONCE, min(due or latest, latest)), now, self.clock.monotonic())

    def _after_others(
        self, name: str, seen: ReconcileResult, now: datetime, longest: timedelta
    ) -> tuple[datetime | None, datetime]:
        """When to look again at what another replica looks at first: when it is due, and at the latest."""
        if self.replicas.works(seen.held_by):
            return None, now + longest * _HELD
        if seen.record is not None and seen.record.phase not in AT_REST:
            return seen.wait.until, now + longest
        life = self.credentials[name].lifetime
        later = min(self.later, life * _SPARE) if life else self.later
        return max(seen.wait.until, now) + later if seen.wait.until else None, now + longest * _OTHERS

    def look_within_round(self, names: Iterable[str]) -> None:
        """Look at these names within one round, spread over it, unless a look is due sooner."""
        now, monotonic = self.clock.now(), self.clock.monotonic()
        for name in names:
            self.timers.hasten(name, now + self._round * share(name), now, monotonic)

    @property
    def _round(self) -> timedelta:
        """The time within which each credential is reconciled again; longer in a large fleet, to bound the load."""
        return max(self.reconcile, timedelta(seconds=len(self.credentials) / _IDLE_LOOKS))

    def _answer(self, name: str, seen: ReconcileResult) -> bool:
        """Answer requests. Returns whether one still waits for something that may happen at any time."""
        asks, put_off = self.asks.pop(name, []), name in self.guard.put_off
        credential, record, now = self.credentials[name], seen.record, self.clock.now()
        paused = on_at(credential.paused, now)
        rests = asks and record is not None and record.phase is Phase.SETTLED
        barred = bool(record and rests and not_now(credential, record, now, Trigger.ASKED))
        left = [asked for asked in asks if not (record and asked.hears(record, paused, barred=barred))]
        for asked in asks:
            asked.wait = seen.wait if put_off or asked.waits else None
            if asked not in left:
                asked.done.set()
        if left:
            self.asks[name] = left
        if reason := self.guard.broken.get(name):
            self._dismiss(name, reason, hopeless=True)
            return False
        if left and len(left) < len(asks):
            self._again.add(name)  # this reconcile was for another request
        return not put_off and any(asked.answer is RequestAnswer.OPEN and not asked.waits for asked in left)

    def _dismiss(self, name: str, reason: str, *, hopeless: bool = False) -> None:
        for asked in self.asks.pop(name, ()):
            asked.close(reason, hopeless=hopeless)


def older(record: Record, before: Record) -> bool:
    """Whether a record is older than one read before. In one Vault, numbers never go back."""
    return (record.rotation, record.attempt) < (before.rotation, before.attempt)
