"""One small world: Vault, a target, one credential, processes that visit it with the real engine, and people."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rotator.engine import strays
from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, ReconcileResult, Transition
from rotator.engine.strays import sweep
from rotator.ports import Conflict, Fault, Installation, Transient
from rotator.rotation.credential import Credential, Limits, OnForeign, Retirement, VaultPath
from rotator.rotation.phases import AwaitingState
from rotator.rotation.procedures import operators
from rotator.rotation.record import Held, HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer
from rotator.rotation.schedule import Every
from rotator.rotation.secret import Secret
from tests.kit.journal import Kept, QuickJournal
from tests.kit.store import FakeStore, FakeVault
from tests.model.matrix.clocks import HostClock, Time
from tests.model.matrix.judge import CONSUMER, ELSEWHERE, JOURNAL, KEY, SLACK, SLOT, Judge
from tests.model.matrix.kinds import GRACED, Kind, Truth
from tests.model.matrix.registered import KEY as REGISTRATION_KEY
from tests.model.matrix.registered import REGISTRATION, WiredRegistration
from tests.model.matrix.wire import Call, Point, Wire, WiredProvider, WiredStore, drive

TOKEN_LOST = "a person gets another registration access token"
TTL = 30.0
TRIES = 4  # of a person to end a hold
PATIENCE = 1.25 * TTL + 1
GRACE = 300.0
RETRY = 2.0  # seconds until a visit that ended in a fault of the journal is made again
RECONCILE = 45.0  # seconds, the default: every record is read again so often, whatever the last visit said
MOST_VISITS, LONGEST = 700, 8 * 3600.0  # until a world that does not come to rest is a finding


class Stuck(Exception):  # noqa: N818 (it is not an error of ours to mend)
    """The same hold again and again: what its text asks for does not end it."""


class Crash(BaseException):
    """The process is gone: nothing may catch it."""


@dataclass
class Actor:
    """One process on a host of its own."""

    world: World
    holder: str
    clock: HostClock
    told: list[Transition] = field(default_factory=list)
    stopping: bool = False
    hushed: bool = False  # the target has told this very process to wait
    visits: int = 0

    def __post_init__(self) -> None:
        world = self.world
        store = WiredStore(world.wire, FakeStore(world.vault), world.time.now, self)
        provider = WiredProvider(world.wire, world.truth.provider, self)
        if world.kind is Kind.REGISTERED:
            provider = WiredRegistration(
                world.wire, world.truth.provider, self, store=FakeStore(world.vault), clock=self.clock
            )
        installation = Installation("home", KEY)
        self.dependencies = Dependencies(
            store, provider, self.clock, installation, SLOT, lambda: f"nonce-{next(world.numbers)}"
        )
        self.reconciler = Reconciler(
            QuickJournal(store, world.kept),
            Leases(self.holder, TTL, self.clock.monotonic),
            lambda: f"l{next(world.numbers)}",
            self.hears,
            stopping=lambda: self.stopping,
        )

    def ends(self) -> None:
        """What only this process knew is lost."""
        if isinstance(self.dependencies.provider, WiredRegistration):
            self.dependencies.provider.ends()

    def hears(self, transition: Transition) -> None:
        """A transition."""
        self.told.append(transition)
        self.world.told.append(transition)
        self.world.judge.told(transition)

    def calls(self, verb: str, args: tuple[Any, ...]) -> None:
        """A call to the target leaves. None may while it wants us to wait, see providers/http/rate_limit.py."""
        rest = self.world.busy_until - SLACK - self.world.time.seconds
        if rest > 0 and self.world.knows_better:
            self.world.judge.broken("429", f"{verb} leaves before the time that Retry-After asked for")
        if rest > 0 and self.hushed:
            raise Transient("not sent: this target's request budget is spent", retry_after=rest)
        self.world.judge.calls(verb, args)

    def did(self, verb: str, args: tuple[Any, ...], result: Any) -> Any:
        """The target has done it."""
        if verb == "mint" and self.world.spoils:
            self.world.spoils = False
            self.world.truth.spoil()
        return self.world.judge.did(verb, args, result)

    def leaves(self, place: VaultPath, values: Mapping[str, object], cas: int) -> None:
        """A write is about to leave."""
        self.world.judge.leaves(place, values, cas)

    def landed(self, place: VaultPath, version: int) -> int:
        """A write is in Vault."""
        if place == JOURNAL and self.hushed:
            self.world.busy_written = True
        return self.world.judge.landed(place, version)


async def _reap(actor: Actor, credential: Credential, token: Token) -> bool:
    return await strays.reap(actor.reconciler, credential, actor.dependencies, token)


Word = Callable[[Actor], None]
Strike = Callable[["World", Actor, Point, Call], Any]


def _nothing(world: World, actor: Actor, point: Point, call: Call) -> Any:
    """Nothing goes wrong."""
    return call.effect()


@dataclass
class World:
    """Everything of one run. `strike` stands at every call; `ends`: how visits ended that did not come to a rest."""

    kind: Kind
    limits: Limits
    strike: Strike = _nothing
    time: Time = field(default_factory=Time)
    vault: FakeVault = field(default_factory=FakeVault)
    told: list[Transition] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)  # what people say between two visits
    ask: RotationRequest | None = None
    busy_until: float = 0.0  # true seconds: before, the target wants no call
    busy_written: bool = False  # whoever it said that to has written the journal since
    woken: bool = False  # there is something new to look at
    spoils: bool = False  # the target will not accept what it mints next
    crashed: Callable[[], object] = lambda: None  # what happens when a process dies
    reading: list[Callable[[], None]] = field(default_factory=list)  # what mends an unreadable journal, last first

    def __post_init__(self) -> None:
        self.numbers = itertools.count(1)
        self.hosts = iter("abcdefghijklmnopqrstuvwxyz")
        self.truth = Truth(self.kind, self.time)
        self.grace = GRACE if self.kind in GRACED else 0.0
        self.kept = Kept()
        self.judge = Judge(self.vault, self.truth, self.time, self.kept.read, lambda: self.grace)
        self.time.struck = self.judge.look
        self.wire = Wire(lambda actor, point, call: self.strike(self, actor, point, call))
        quiet = timedelta(minutes=1) if self.kind is Kind.NAMED else None
        lifetimes = {
            Kind.NAMED: timedelta(days=90),
            Kind.EXPIRING: timedelta(hours=2),
            Kind.BY_VALUE: timedelta(hours=2),
        }
        self.credential = Credential(
            "blog/bot",
            "halo-cms",
            "blog",
            CONSUMER,
            schedule=Every(timedelta(days=30), jitter=0),
            lifetime=lifetimes.get(self.kind),
            retire=Retirement(
                timedelta(seconds=self.grace),
                quiet,
                timedelta(hours=1) if quiet else None,
                gives_way=self.kind is Kind.BY_VALUE,
            ),
            limits=self.limits,
        )
        if self.kind is Kind.REGISTERED:
            self.vault.overwrite(REGISTRATION, {REGISTRATION_KEY: self.truth.client.token})
        self.actor = self.host()

    def host(self) -> Actor:
        """One more process, on a new host."""
        return Actor(self, f"host-{next(self.hosts)}", HostClock(self.time))

    def replace(self) -> Actor:
        """The process is gone for good: another one goes on."""
        self.actor.ends()
        self.actor = self.host()
        return self.actor

    def stop(self) -> None:
        """The process has ended in good order."""
        self.ends.append("stopped")
        self.replace()

    @property
    def record(self) -> Record:
        """The newest record."""
        assert self.judge.latest
        return self.judge.latest

    @property
    def knows_better(self) -> bool:
        """Whether the journal was to say how long the target is to be left alone, and nobody has asked anew since."""
        failure = self.judge.latest and self.judge.latest.failure
        asked = self.ask is not None and failure is not None and self.ask.at > failure.at
        return self.busy_written and not asked

    # --- people -----------------------------------------------------------------------------------------------------

    def wish(self, *, emergency: bool = False) -> None:
        """`rotate now`."""
        self.time.move(1)
        self.woken = True
        self.ask = RotationRequest(max(self.actor.clock.now(), self.time.now()), "ada", emergency)

    def say(self, word: operators.RecordChange) -> None:
        """`rotate pause`, `resume` or `undo`: heard when nobody works on it."""
        self.woken = True
        self.words.append(lambda actor: drive(actor.reconciler.obey(self.credential, actor.dependencies, word)))

    def settings(self, **changes: Any) -> None:
        """New settings, from the next visit on."""
        self.woken = True
        self.credential = replace(self.credential, **changes)
        self.grace = min(self.grace, self.credential.retire.after.total_seconds())

    def move_path(self) -> None:
        """Settings name another path, and half the grace."""
        shorter = replace(self.credential.retire, after=self.credential.retire.after / 2)
        self.settings(place=ELSEWHERE, retire=shorter)

    def clear_up(self) -> None:
        """A person does what a hold asks for: our value is to be there; then releases."""
        held, current = self.record.held, self.record.current
        if current and held:
            self._put_right(current, held)
        self.settings(on_foreign=OnForeign.OVERWRITE)
        self.judge.overwrites = True
        self.say(operators.release("ada"))

    def _put_right(self, current: PublishedValue, held: Held) -> None:
        place = current.place
        if held.reason is HoldReason.PERSON:
            self.truth.slots.kept["1"] = Secret(self.judge.read_now())
        if self.vault.get(place).deleted:
            self.vault.undelete(place, self.vault.get(place).version)
        ours = self.vault.get(place, current.version).values
        if ours and held.state.phase in (Phase.PUBLISHED, Phase.CONDEMNED):
            self.vault.overwrite(place, ours)

    def paste(self) -> None:
        """The person whose hands are needed reads the staged value and enters it."""
        if value := self.judge.staged_value():
            self.truth.slots.kept["1"] = Secret(value.reveal())

    def renew(self) -> None:
        """A person writes a registration access token that the server takes, another one if it was lost."""
        client = self.truth.client
        if not self.judge.has_registration:
            self.ends.append(TOKEN_LOST)
            self.judge.loses()
            client.lost.clear()
            client.another()
        self.vault.overwrite(REGISTRATION, {REGISTRATION_KEY: client.token})
        self.judge.lost.discard("registration")

    def free_slot(self, record: Record) -> None:
        """Both slots hold what must live on: a person ends the older one, as they are told."""
        if record.predecessor and "a person frees a slot" not in self.ends:
            self.ends.append("a person frees a slot")
            self.truth.slots.kept[record.predecessor.token.serial] = Secret("discarded-by-a-person")
            self.judge.replaced.clear()

    # --- the daemon -------------------------------------------------------------------------------------------------

    def reconcile(self, actor: Actor | None = None) -> float:
        """One visit and what people say after it. Returns in how many seconds to come again."""
        actor = actor or self.actor
        actor.visits += 1
        self.wire.between()
        try:
            seen = drive(actor.reconciler.reconcile(self.credential, actor.dependencies, self.ask))
        except Crash:
            self.ends.append("killed")
            self.crashed()
            self.crashed = lambda: None
            self.wire.between()
            self.replace()
            return 0.0
        except Fault as fault:
            self.wire.between()
            self.ends.append("overtaken" if isinstance(fault, Conflict) else type(fault).__name__.lower())
            return RETRY
        finally:
            actor.stopping = False
        if self._hear(actor):
            return 0.0
        return self._again(actor, seen)

    def _hear(self, actor: Actor) -> bool:
        """People say what they have to say."""
        words, self.words = self.words, []
        with self.fair_weather():
            for word in words:
                try:
                    word(actor)
                except Fault:
                    self.words.append(word)  # somebody works on it, or Vault is out of reach: later
        return bool(words) and not self.words

    @contextmanager
    def fair_weather(self) -> Iterator[None]:
        """Faults strike visits, not what people and jobs do between them."""
        strike, self.strike = self.strike, _nothing
        try:
            yield
        finally:
            self.strike = strike

    def _again(self, actor: Actor, seen: ReconcileResult) -> float:
        if seen.refused:
            return 60.0  # the target is left alone for a while
        until = seen.wait.until
        seconds = RECONCILE if until is None else (until - actor.clock.now()).total_seconds()
        if self.ask and seen.record:
            said = answer(seen.record, self.ask)
            if said is RequestAnswer.DONE:
                self.ask = None
            if said in (
                RequestAnswer.FAILED,
                RequestAnswer.PAUSED,
            ):  # a verdict: who still wants it asks again when it is over
                self.ends.append(f"{said}, asked again")
                self.time.move(_left(seen.record, said, actor.clock.now()) + 1)
                self.wish(emergency=self.ask.emergency)
        if self.woken:
            self.woken = False
            return 0.0
        return min(RECONCILE, seconds)

    def settle(self) -> None:
        """Visit until nothing is left to do but what the schedule says; people do what they are asked to."""
        self._rest()
        for _ in range(2):  # a second fault may strike the rotation that notices the first
            if self.judge.unnoticed:  # after our last look at the consumer path: the next rotation sees it
                self.ends.append("seen at the next look")
                self.wish()
                self._rest()
        if not self.judge.may_change:
            self.ends.append("seen at the next rotation")
            self.wish()
            self._rest()
        self.sweep()
        if self.judge.staged_value() and not self.record.slot_full:  # by an actor that nobody waited for
            self.ends.append("the slot is emptied at the next rotation")
            self.wish()
            self._rest()
            self.sweep()

    def _rest(self) -> None:
        begun, visits = self.time.seconds, 0
        while not self.resting:
            visits += 1
            if visits > MOST_VISITS or self.time.seconds - begun > LONGEST:
                record = self.judge.latest
                self.judge.broken("L1", f"no rest after {visits} visits: {record and (record.phase, record.failure)}")
            seconds = self.reconcile()
            if not self._person() and not self.resting:
                self.time.move(max(seconds, 0.05))

    def sweep(self) -> None:
        """The daemon's search for strays, over the whole target."""
        actor = self.actor
        if actor.dependencies.provider.capabilities.can_list:
            wanted = {self.credential.name: self.credential}
            with self.fair_weather():
                reap = partial(_reap, actor)
                strays = drive(actor.dependencies.provider.find("rotator-home-"))
                drive(sweep(strays, wanted, actor.reconciler.journal, remembered={}, reap=reap))

    def _person(self) -> bool:
        """Whether a person had to act, and did."""
        record = self.judge.latest
        if self.reading and self.ends[-2:] == ["refused", "refused"]:
            self.reading.pop()()
            return True
        if record is None or self.words:
            return False
        if record.phase is Phase.HELD:
            self.ends.append(f"held: {record.held.reason}" if record.held else "held")
            if self.ends.count(self.ends[-1]) > TRIES:
                raise Stuck(self.ends[-1])
            self.time.move(60)
            self.clear_up()
            return True
        if record.phase is Phase.SETTLED and record.failure and record.failure.reason == "no slot is free":
            self.free_slot(record)
        if self.kind is Kind.REGISTERED:
            return self._asked_for_a_token(record)
        if record.phase is Phase.AWAITING:
            self.time.move(90)
            self.paste()
        return False

    def _asked_for_a_token(self, record: Record) -> bool:
        """Whether a person was asked for a registration access token, or for the right to use it, and helped."""
        said = record.state.awaiting if isinstance(record.state, AwaitingState) else ""
        said = said or (record.failure.reason if record.failure else "")
        if record.phase is not Phase.AWAITING and "get another one" not in said:
            return False
        self.time.move(90)
        if "get another one" in said:
            self.renew()
        if record.phase is Phase.AWAITING and record.candidate is None:
            self.wish()
        return False

    @property
    def resting(self) -> bool:
        """Nothing in flight, nothing to tidy up, nothing asked for."""
        record = self.judge.latest
        if record is None or record.phase is not Phase.SETTLED or record.current is None:
            return False
        tidy = not (record.slot_full or record.strays or record.refused_at or record.predecessor or record.left)
        as_wanted = record.current.place == self.credential.place
        return tidy and as_wanted and self.ask is None and not self.words and self.time.quiet

    def session(self, actor: Actor) -> None:
        """Another process finds a lease, waits it out, and does what there is to do within a minute."""
        step, seen = self.wire.step, dict(self.wire._seen)
        for _ in range(12):
            seconds = self.reconcile(actor)
            if seconds > PATIENCE + 1:
                break
            self.time.move(max(seconds, 0.05))
        self.wire.step = step
        self.wire._seen.clear()
        self.wire._seen.update(seen)


def _left(record: Record, said: RequestAnswer, now: datetime) -> float:
    """Seconds that the failure's or the operator's pause lasts: the former's length is known, whatever clocks say."""
    if said is RequestAnswer.FAILED and record.retry_at and record.retry_from:
        return (record.retry_at - record.retry_from).total_seconds()
    return (record.paused.until - now).total_seconds() if record.paused and record.paused.until else 0.0
