"""The continuous probe: checks whether each target accepts the value that Vault has now.

A round over all values begins at the start, and after Vault was away or showed an older record, because a restored
Vault has values that are long dead. Later each value is probed at the configured interval. A target is asked about one
value at a time, within its rate limit, and only about credentials at rest. A refusal counts if it is final, or if it is
repeated after the target's time to settle; then a rotation is due at once. No answer proves nothing. The time of the
last acceptance is kept in memory only.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from rotator.engine.context import Dependencies
from rotator.engine.queues import TimerQueue
from rotator.engine.worker_pool import WorkerPool
from rotator.ports import Accepted, Fault, Rejected, Unknown, Verdict
from rotator.rotation.credential import Credential
from rotator.rotation.procedures import operators
from rotator.rotation.record import Phase, PublishedValue, Record
from rotator.rotation.schedule import share
from rotator.rotation.secret import Secret

_SOON = timedelta(minutes=1)  # until the next try, if a value cannot be probed now
_UNSEEN = timedelta(seconds=2)  # the same, if its record was not read yet
_UNREST = timedelta(seconds=5)  # the same, if it is not known whether the value is accepted
_STRETCH = 5.0  # seconds for one target in one turn
_ROUND = 60.0  # seconds between two rounds that begin because Vault was away
_RESTS = frozenset({Phase.SETTLED, Phase.PUBLISHED})


@dataclass(slots=True)
class Prober:
    """The probe of one process. `every`: the interval; None: no probe. `told`: gets target and verdict, for metrics."""

    worker_pool: WorkerPool
    every: Callable[[], timedelta | None]
    told: Callable[[str, str], None]
    _timers: TimerQueue = field(default_factory=TimerQueue)
    _ready: defaultdict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))  # by target
    _known: Mapping[str, Credential] = field(default_factory=dict)
    _doubted: dict[str, str] = field(default_factory=dict)  # name -> the token that was refused once
    _unclear: dict[str, str] = field(default_factory=dict)  # by target: why it does not say whether it accepts a value
    _outages: int = 0  # outages of Vault before the latest round
    _round: float = float("-inf")  # monotonic time at which the latest round began

    async def turn(self) -> None:
        """Probe the values that are due, for a limited time at each target. Raises no faults."""
        every = self.every()
        if every is None:
            self._begin_again()
            self.worker_pool.guard.unproven.clear()
            return
        async with anyio.create_task_group() as group:
            for names in self.due():
                group.start_soon(self.stretch, names, every)

    def due(self) -> list[deque[str]]:
        """The names that are due, by target."""
        clock = self.worker_pool.clock
        self._enrol()
        self._begin_again()
        for name in self._timers.due(clock.now(), clock.monotonic()):
            if credential := self.worker_pool.credentials.get(name):
                self._ready[credential.target].append(name)
        return [each for each in self._ready.values() if each]

    def ask_soon(self, names: Iterable[str]) -> None:
        """Probe these values at the next turn."""
        for name in names:
            self._put(name, timedelta())

    async def stretch(self, names: deque[str], every: timedelta) -> None:
        """Probe values of one target for a limited time; the rest is first at the next turn."""
        end = self.worker_pool.clock.monotonic() + _STRETCH
        while names and self.worker_pool.clock.monotonic() < end:
            name = names.popleft()
            if credential := self.worker_pool.credentials.get(name):
                first = name in self.worker_pool.guard.unproven
                wait = await self._ask(credential, every)
                # Values probed in one round are spread over the interval afterwards.
                self._put(name, wait * (0.5 + share(f"{name}/probe") / 2) if first and wait == every else wait)

    def _enrol(self) -> None:
        credentials = self.worker_pool.credentials
        if credentials is self._known:
            return
        self._doubt(credentials.keys() - self._known.keys())
        self._known = credentials

    def _begin_again(self) -> None:
        """Begin a round over all values if Vault may have gone back to an older state."""
        now, guard, vault = self.worker_pool.clock.monotonic(), self.worker_pool.guard, self.worker_pool.health.vault
        if vault.trips or now < self._round + _ROUND:
            return
        if guard.reverted or vault.outages != self._outages:
            guard.reverted = False
            self._round, self._outages = now, vault.outages
            guard.others.forget()
            self._doubt(self.worker_pool.credentials)

    def _doubt(self, names: Iterable[str]) -> None:
        """Mark values as not proven, and probe them soon."""
        for name in names:
            self.worker_pool.guard.unproven[name] = self.worker_pool.clock.now()
        self.ask_soon(names)

    def _put(self, name: str, wait: timedelta) -> None:
        now = self.worker_pool.clock.now()
        self._timers.put(name, now + wait, now, self.worker_pool.clock.monotonic())

    async def _ask(self, credential: Credential, every: timedelta) -> timedelta:
        """Probe one value. Returns the time until its next probe."""
        seen = self.worker_pool.seen.get(credential.name)
        if seen is None or seen.record is None:
            return min(every, _UNSEEN)
        current = self._at_rest(credential)
        pause = _UNREST if credential.name in self.worker_pool.guard.unproven else _SOON
        if current is None:
            return min(every, pause)
        if await self.worker_pool.guard.closed(credential):
            return min(every, pause)
        dependencies = self.worker_pool.guard.dependencies(credential)
        try:
            secret = await _published(credential, dependencies, current)
        except Fault:
            self.told(credential.target, _WORDS[Unknown])
            return min(every, pause)
        if secret is None:  # consumers find something else: a reconcile deals with that
            self.worker_pool.look_at(credential.name)
            return min(every, _SOON)
        verdict = await _verdict(dependencies, current, secret)
        self.told(credential.target, _WORDS[type(verdict)])
        if isinstance(verdict, Rejected):
            return await self._refused(credential, dependencies, current, verdict, every)
        self._doubted.pop(credential.name, None)
        self.worker_pool.guard.doubted.pop(credential.name, None)
        if isinstance(verdict, Unknown):
            self.worker_pool.guard.unanswered(credential)
            if await self.worker_pool.guard.closed(credential):
                return min(every, _SOON)
            self._unsure(credential, verdict.reason)
            return every
        if isinstance(verdict, Accepted):
            self.worker_pool.guard.accepted[credential.name] = self.worker_pool.clock.now()
            self.worker_pool.guard.unproven.pop(credential.name, None)
            self._unclear.pop(credential.target, None)
        return every

    def _unsure(self, credential: Credential, reason: str) -> None:
        """Report once that the target answers but does not say whether it accepts the value."""
        if self._unclear.get(credential.target) != reason:
            self._unclear[credential.target] = reason
            self.worker_pool.guard.troubled(credential, f"whether the published value works is not known: {reason}")

    def _at_rest(self, credential: Credential) -> PublishedValue | None:
        seen = self.worker_pool.seen.get(credential.name)
        current = at_rest(credential, seen.record if seen else None, self.worker_pool.clock.now())
        return None if self.worker_pool.pause(credential)[0] else current

    async def _refused(
        self,
        credential: Credential,
        dependencies: Dependencies,
        current: PublishedValue,
        verdict: Rejected,
        every: timedelta,
    ) -> timedelta:
        name = credential.name
        if not verdict.final and self._doubted.get(name) != current.token.id:
            self._doubted[name] = current.token.id
            self.worker_pool.guard.doubted[name] = self.worker_pool.clock.now()
            return credential.limits.settle
        try:
            await note_refusal(self.worker_pool, credential, dependencies, current, verdict)
        except Fault:
            return credential.limits.settle  # Vault failed, or another process has the lease
        self._doubted.pop(name, None)
        return every


_WORDS: dict[type[Verdict], str] = {Accepted: "accepted", Rejected: "refused", Unknown: "unknown"}


def at_rest(credential: Credential, record: Record | None, now: datetime) -> PublishedValue | None:
    """The published value, if no rotation is under way or due already; else None."""
    if record is None or record.phase not in _RESTS or record.refused_at or record.current is None:
        return None
    current = record.current
    as_wanted = (current.policy, current.place) == (credential.policy, credential.place)
    return None if current.token.has_expired(now) or not as_wanted else current


async def note_refusal(
    worker_pool: WorkerPool,
    credential: Credential,
    dependencies: Dependencies,
    current: PublishedValue,
    verdict: Rejected,
) -> Record:
    """Write to the record that a refusal counts. Raises Fault: Vault failed, or another process has the lease."""
    word = operators.disprove(current.token.id, f"the probe was refused: {verdict.reason}")
    async with worker_pool.aside(credential.name):
        return await worker_pool.guard.reconciler.obey(credential, dependencies, word)


async def _published(credential: Credential, dependencies: Dependencies, current: PublishedValue) -> Secret | None:
    """The value in Vault; None if it is not the one that we published. Raises Fault."""
    doc = await dependencies.store.read(current.place)
    secret = doc.secret(current.key or credential.key)
    if secret is None or secret.fingerprint(dependencies.installation.fingerprint_key) != current.fingerprint:
        return None
    return secret


async def _verdict(dependencies: Dependencies, current: PublishedValue, secret: Secret) -> Verdict:
    """The target's verdict about the value."""
    try:
        return await dependencies.provider.verify(current.token, secret)
    except Fault as fault:
        return Unknown(fault.reason)
