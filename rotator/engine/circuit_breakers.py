"""Guards around one reconcile: circuit breakers, back-off, the negative control, and the meaning of faults.

worker_pool.py decides when to reconcile, and how many at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.engine.context import Dependencies
from rotator.engine.foreign_journals import ForeignJournals
from rotator.engine.reconciler import Reconciler, ReconcileResult
from rotator.ports import Clock, Conflict, Fault, OwnTokenRefused, StoreRefused, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.procedures.operators import disprove
from rotator.rotation.record import Record, Token
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.steps import Hold, Wait

_SOON = timedelta(seconds=1)
_UNCONTROLLED = timedelta(seconds=5)  # between tries of a negative control that got no answer
_BROKEN = timedelta(minutes=1)
_PATIENCE = 3  # credentials with faults, before the fault counts as the target's
_UNGUARDED = timedelta(minutes=15)  # between tries of a negative control that accepted an invalid secret


# The neighbour, the reason, and the seconds for which it is not called; zero when it works again.
Tell = Callable[[str, str, float], None]


def _quietly(neighbour: str, reason: str, pause: float) -> None:
    pass


@dataclass(slots=True)
class CircuitBreaker:
    """The breaker of one neighbour. It opens after faults of `patience` different names in a row, for `first` seconds.

    Each further time it opens for twice as long. The names must differ, because one broken credential has a back-off of
    its own and must not stop others. Times are monotonic seconds.
    """

    name: str
    tell: Tell = _quietly
    patience: int = 3
    first: float = 1.0
    cap: float = 30.0
    until: float = 0.0
    reason: str = ""
    trips: int = 0
    outages: int = 0  # times that it ceased to work
    _who: set[str] = field(default_factory=set)

    def faulted(self, now: float, who: str, reason: str, *, patience: int | None = None) -> None:
        """Count a fault. Faults during a pause do not count: they are of calls that were already under way."""
        if now < self.until:
            return
        patience = patience or self.patience
        if len(self._who) < patience:
            self._who.add(who)
        if len(self._who) >= patience:
            self._trip(now, reason)

    def _trip(self, now: float, reason: str) -> None:
        pause = min(self.cap, self.first * 2.0 ** min(self.trips, 10))
        news = not self.trips or reason != self.reason
        self.outages += not self.trips
        self.until, self.reason, self.trips = now + pause, reason, self.trips + 1
        if news:
            self.tell(self.name, reason, pause)

    def worked(self, now: float) -> None:
        """Note an answer. During a pause it proves nothing: the call may have begun before the trouble."""
        if now >= self.until:
            if self.trips:
                self.tell(self.name, "", 0.0)
            self.forgive()

    def forgive(self) -> None:
        """Close the breaker."""
        self.until, self.reason, self.trips = 0.0, "", 0
        self._who.clear()

    def left(self, now: float) -> float:
        """Seconds until it may be called again."""
        return max(0.0, self.until - now)


@dataclass(slots=True)
class CircuitBreakers:
    """Every neighbour's breaker."""

    tell: Tell = _quietly
    vault: CircuitBreaker = field(init=False)
    targets: dict[str, CircuitBreaker] = field(default_factory=dict)
    minters: dict[str, CircuitBreaker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vault = CircuitBreaker("vault", self.tell)

    def target(self, name: str) -> CircuitBreaker:
        """The target's breaker."""
        return self.targets.setdefault(name, CircuitBreaker(f"target {name}", self.tell))

    def minter(self, name: str) -> CircuitBreaker:
        """The minter's breaker, open for 1 to 15 minutes: a target may ban clients that repeat a refused login."""
        return self.minters.setdefault(
            name, CircuitBreaker(f"minter of {name}", self.tell, patience=1, first=60.0, cap=900.0)
        )

    def pause(self, target: str, minter: str, now: float) -> tuple[float, str]:
        """The seconds for which nothing may be done there, and why; zero if nothing prevents it."""
        worst = max((self.vault, self.target(target), self.minter(minter)), key=lambda breaker: breaker.left(now))
        return worst.left(now), worst.reason

    def forgive(self) -> None:
        """Close every breaker of targets and minters, because a person says that they work again."""
        for breaker in (*self.targets.values(), *self.minters.values()):
            breaker.forgive()


def proof(credential: Credential) -> str:
    """How a credential is proven: credentials of one target with the same proof share one negative control."""
    return repr((credential.kind, credential.options))


@dataclass(slots=True)
class Guard:
    """Reconciles credentials, and learns from the results whether Vault, target and minter work."""

    reconciler: Reconciler
    dependencies: Callable[[Credential], Dependencies]
    clock: Clock
    unforeseen: Callable[[str, BaseException], None]  # a bug ended a reconcile
    troubled: Callable[[Credential, str], None]  # a credential cannot be reconciled, for a new reason
    control: Callable[[Credential], Awaitable[None]]  # the negative control of the credential's proof
    minter: Callable[[Credential], str]  # the minter's name; its refusal stops every credential with it
    health: CircuitBreakers = field(default_factory=CircuitBreakers)
    broken: dict[str, str] = field(default_factory=dict)  # names that cannot be reconciled, and why
    put_off: set[str] = field(default_factory=set)  # names whose last reconcile ended with a pause
    accepted: dict[str, datetime] = field(default_factory=dict)  # when the target last accepted the published value
    doubted: dict[str, datetime] = field(default_factory=dict)  # when the target refused the published value once
    unproven: dict[str, datetime] = field(default_factory=dict)  # since when its acceptance is unknown
    reverted: bool = False  # Vault went back to an older state, and the probe has not begun again yet
    neighbours: Callable[[str], int] = lambda target: 3  # the number of credentials at a target
    listing: Callable[[Credential], Awaitable[Iterable[Token]]] | None = None  # lists our tokens at its target
    others: ForeignJournals = field(init=False)
    _shown: dict[str, str] = field(default_factory=dict)  # the published token that `accepted` is about
    _causes: dict[str, tuple[str, str]] = field(default_factory=dict)  # for each broken name: target and reason
    _controlled: set[tuple[str, str]] = field(default_factory=set)
    _unguarded: set[str] = field(default_factory=set)  # reasons of negative controls that accepted an invalid secret
    _unanswered: set[str] = field(default_factory=set)  # questions to Vault whose latest try got no answer

    def __post_init__(self) -> None:
        self.others = ForeignJournals(self.clock.monotonic)

    async def attend(self, credential: Credential, ask: RotationRequest | None) -> ReconcileResult:
        """Reconcile one credential as far as is allowed now. Raises nothing: after a fault or bug it is tried again."""
        self.put_off.discard(credential.name)
        try:
            return await self._attend(credential, ask)
        except Exception as bug:  # noqa: BLE001 (one credential's bug must not end the daemon)
            self.unforeseen(credential.name, bug)
            return self._broken(credential, f"a bug: {type(bug).__name__}")

    def pause(self, credential: Credential) -> tuple[float, str]:
        """The seconds for which it may not be reconciled, and why."""
        return self.health.pause(credential.target, self.minter(credential), self.clock.monotonic())

    def refused(self, credential: Credential, reason: str) -> None:
        """Note that the target refuses the minter."""
        self.health.minter(self.minter(credential)).faulted(self.clock.monotonic(), credential.name, reason)

    def unreached(self, credential: Credential, reason: str) -> None:
        """Note that the target did not answer a call outside a rotation."""
        breaker = self.health.target(credential.target)
        breaker.faulted(self.clock.monotonic(), credential.name, reason, patience=self._patience(credential))

    def unanswered(self, credential: Credential) -> None:
        """Repeat the negative control at the next look, because the target did not say whether it accepts a value."""
        self._controlled.discard((credential.target, proof(credential)))

    @contextmanager
    def asking_vault(self, what: str) -> Iterator[None]:
        """Report to Vault's breaker how a question beside the reconciles ends, which may be rare. Swallows its fault.

        An answer counts only after the same question got none: other documents may be denied meanwhile.
        """
        vault = self.health.vault
        try:
            yield
        except Transient as fault:
            self._unanswered.add(what)
            vault.faulted(self.clock.monotonic(), what, fault.reason, patience=1)
        except StoreRefused as fault:
            vault.faulted(self.clock.monotonic(), what, fault.reason)
        except Fault:
            return
        else:
            if what in self._unanswered and not vault.left(self.clock.monotonic()):
                self._unanswered.discard(what)
                vault.worked(self.clock.monotonic())

    def _patience(self, credential: Credential) -> int:
        """How many credentials must have faults before the target counts as faulty; it may have fewer credentials."""
        return max(1, min(_PATIENCE, self.neighbours(credential.target)))

    def observe(self, credential: Credential, event: ev.Event) -> None:
        """Learn from a transition whether target and minter work."""
        now, breaker = self.clock.monotonic(), self.health.target(credential.target)
        if isinstance(event, ev.Faulted) and event.of_target:
            breaker.faulted(now, credential.name, event.reason, patience=self._patience(credential))
        elif isinstance(event, ev.Staged | ev.Verified | ev.Condemned | ev.Retired | ev.Ended | ev.Burned):
            breaker.worked(now)
        if isinstance(event, ev.Published | ev.Condemned | ev.Adopted):
            self.accepted[credential.name] = event.at
            self._shown.pop(credential.name, None)
        if isinstance(event, ev.Published | ev.Condemned | ev.Adopted | ev.Disproved):
            self.doubted.pop(credential.name, None)
            self.unproven.pop(credential.name, None)
        if isinstance(event, ev.Staged | ev.Retired | ev.Burned):
            self.health.minter(self.minter(credential)).worked(now)

    def shown(self, name: str, token: str) -> None:
        """Note that another process saw the published value accepted now."""
        if token and self._shown.get(name) == token:
            self.accepted[name] = self.clock.now()
            self.doubted.pop(name, None)
            self.unproven.pop(name, None)

    def went_back(self, credential: Credential, numbers: str) -> None:
        """Note that a record is older than the one read before."""
        self.reverted = True
        said = f"its record went back from rotation {numbers}: was Vault restored? All published values are shown anew"
        self.troubled(credential, said)

    def mended(self, changed: Collection[str]) -> set[str]:
        """Try again what was refused, after new settings. `changed`: targets. Returns the names to reconcile now."""
        self._controlled = {each for each in self._controlled if each[0] not in changed}
        self.health.forgive()
        return self.put_off | self.broken.keys()

    def forget(self, name: str) -> None:
        """Forget a credential that left the settings."""
        self.reconciler.leases.forget(name)
        self.broken.pop(name, None)
        self._causes.pop(name, None)
        self.accepted.pop(name, None)
        self._shown.pop(name, None)
        self.doubted.pop(name, None)
        self.unproven.pop(name, None)
        self.put_off.discard(name)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _attend(self, credential: Credential, ask: RotationRequest | None) -> ReconcileResult:
        """Read the record first, so that it is known even if the target may not be called."""
        if pause := self.health.vault.left(self.clock.monotonic()):
            return self._put_off(credential, timedelta(seconds=pause), self.health.vault.reason)
        listed = self.others.listed(credential.target)
        seen = await self._visit(credential, ask)
        if not listed and self.others.listed(credential.target):  # the record must be read after the listing
            seen = await self._visit(credential, ask)
        if seen.record is not None:
            self._noted(credential.name, seen.record)
        if seen.record is None or credential.name in self.put_off or self.pause(credential)[0]:
            return seen
        closed = await self.closed(credential)
        return ReconcileResult(seen.record, closed) if closed else seen

    def _noted(self, name: str, record: Record) -> None:
        """If the published token is another one than before, what was known of its acceptance is dropped."""
        token = record.current.token.id if record.current else ""
        if self._shown.setdefault(name, token) != token:
            self._shown[name] = token
            self.accepted.pop(name, None)
            self.doubted.pop(name, None)

    async def closed(self, credential: Credential) -> Wait | None:
        """Until when its target may not be called, and why; None: it may. Raises no faults."""
        pause, reason = self.pause(credential)
        if pause:
            return self._put_off(credential, timedelta(seconds=pause), reason).wait
        if closed := await self._controls(credential):
            return closed
        if self.listing is None or self.others.listed(credential.target):
            return None
        self.others.take(credential.target, await self.listing(credential))
        return Wait(self.clock.now(), "the target's tokens were listed first; the record is read again")

    async def _controls(self, credential: Credential) -> Wait | None:
        """Run the negative control: a proof that accepts an invalid secret proves nothing. Returns a pause, or None."""
        probe = (credential.target, proof(credential))
        if probe in self._controlled:
            return None
        try:
            await self.control(credential)
        except Transient as fault:
            self.unreached(credential, fault.reason)
            return self._put_off(credential, _UNCONTROLLED, fault.reason).wait
        except Fault as fault:
            self._unguarded.add(fault.reason)
            return self._broken(credential, fault.reason, _UNGUARDED).wait
        self._controlled.add(probe)
        self.health.target(credential.target).worked(self.clock.monotonic())
        if self.broken.get(credential.name, "") in self._unguarded:
            del self.broken[credential.name]
        return None

    async def _visit(self, credential: Credential, ask: RotationRequest | None) -> ReconcileResult:
        name, vault = credential.name, self.health.vault
        try:
            seen = await self.reconciler.reconcile(
                credential, self.dependencies(credential), ask, gate=_Gate(self, credential, self.clock.monotonic())
            )
        except Conflict:
            return self._wait(_SOON, "another actor wrote the record")
        except Transient as fault:
            vault.faulted(self.clock.monotonic(), name, fault.reason, patience=1)
            return self._wait(_SOON, fault.reason)
        except StoreRefused as fault:
            # One document may be denied, or our login may be dead: the number of names with this fault decides.
            vault.faulted(self.clock.monotonic(), name, fault.reason)
            return self._broken(credential, fault.reason)
        except Fault as fault:
            return self._broken(credential, fault.reason)
        vault.worked(self.clock.monotonic())
        if seen.unfit:
            return replace(self._broken(credential, seen.unfit), record=seen.record)
        if self.broken.get(name, "") not in self._unguarded:
            self.broken.pop(name, None)
            self._causes.pop(name, None)
        if isinstance(seen.refused, OwnTokenRefused):
            seen = await self._disproved(credential, seen, seen.refused)
        return self._without_minter(credential, seen) if seen.refused else seen

    async def _disproved(
        self, credential: Credential, seen: ReconcileResult, fault: OwnTokenRefused
    ) -> ReconcileResult:
        """The refused minter is the published token itself, so the published value is disproved.

        While a predecessor is alive, the minter may be that one; then nothing is concluded.
        """
        record = seen.record
        if record and record.current and not record.predecessor:
            word = disprove(record.current.token.id, fault.reason)
            with suppress(Fault):  # the probe finds it later
                record = await self.reconciler.obey(credential, self.dependencies(credential), word)
        return ReconcileResult(record, seen.wait, fault)

    def _without_minter(self, credential: Credential, seen: ReconcileResult) -> ReconcileResult:
        self.refused(credential, seen.wait.reason)
        paused = self._put_off(credential, timedelta(seconds=self.pause(credential)[0]), seen.wait.reason)
        return ReconcileResult(seen.record, paused.wait, seen.refused)

    def _broken(self, credential: Credential, reason: str, pause: timedelta = _BROKEN) -> ReconcileResult:
        cause = (credential.target, reason)
        if self.broken.get(credential.name) != reason:
            if cause not in self._causes.values():  # of many credentials with one cause, only the first is reported
                self.troubled(credential, reason)
            self.broken[credential.name] = reason
            self._causes[credential.name] = cause
        return self._put_off(credential, pause, reason)

    def _put_off(self, credential: Credential, pause: timedelta, reason: str) -> ReconcileResult:
        self.put_off.add(credential.name)
        return self._wait(pause, reason)

    def _wait(self, pause: timedelta, reason: str) -> ReconcileResult:
        return ReconcileResult(None, Wait(self.clock.now() + pause, reason))


@dataclass(frozen=True, slots=True)
class _Gate:
    """The gate of one reconcile. `read_at`: monotonic time just before its record was read."""

    guard: Guard
    credential: Credential
    read_at: float

    async def closed(self) -> Wait | None:
        return await self.guard.closed(self.credential)

    def objection(self, record: Record) -> Hold | None:
        return self.guard.others.objection(self.credential, record, self.read_at)
