"""One history: builds the world of a seed, lets trouble run its time, then calm, and judges the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import zip_longest
from random import Random

from rotator.engine.context import Dependencies
from rotator.engine.reconciler import Transition
from rotator.engine.strays import survey
from rotator.ports import Installation, NoRequests
from rotator.rotation import events as ev
from rotator.rotation import triggers
from rotator.rotation.change_calendar import ALWAYS, Calendar
from rotator.rotation.credential import Credential, Limits, OnForeign, Retirement, VaultPath
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.rotation.schedule import Every
from tests.kit import promises
from tests.kit.kinds import CAN, DATED, INSTALLED, NO_GRACE, Kind
from tests.model.simulation.actors import CALM_POLL, SWEEP, TTL, Process, SimClock
from tests.model.simulation.calendars import draw_calendar
from tests.model.simulation.consumers import Consumer
from tests.model.simulation.days import Days, held_for_two
from tests.model.simulation.inbox import Inbox, fleet, requests
from tests.model.simulation.invariants import COPY, KEY, Checks
from tests.model.simulation.journal import SimJournal
from tests.model.simulation.ordinary import Ordinary, ended_by
from tests.model.simulation.people import People
from tests.model.simulation.provider import SimProvider
from tests.model.simulation.swarm import Swarm, draw
from tests.model.simulation.target import Live, Target
from tests.model.simulation.vault import KvClient, SimStore, Vault
from tests.model.simulation.wishes import Wishes
from tests.model.simulation.world import EPOCH, World, in_turn

CONVERGED = 1.25 * TTL + 60  # seconds: the liveness promise
FIGHTS = 6
LAZY = 150.0  # seconds: longer than a grace, and shorter than the deadline of a predecessor in use
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
    wishes: Wishes = field(default_factory=Wishes)
    twin: Checks | None = None  # of an installation that came up on a copy of this Vault
    fought: int = 0  # how often one of two installations has ended what the other one made
    restarting: bool = True
    told_ends: set[str] = field(default_factory=set)  # tokens whose end some transition has told
    ended_at: dict[str, float] = field(default_factory=dict)  # token -> when one of ours ended it

    def __post_init__(self) -> None:
        swarm = self.swarm or draw(Random(self.seed))
        self.world = World(self.seed, swarm)
        names = [f"c{number}" for number in range(swarm.credentials)]
        self.wanted.update(
            {
                name: _credential(name, swarm, kind)
                for name, kind in zip_longest(names, swarm.kinds[: len(names)], fillvalue=Kind.TOKENS)
            }
        )
        if swarm.calendars:
            self.wanted.update({name: replace(self.wanted[name], calendar=self._calendar()) for name in names})
        if swarm.two_targets:
            self.wanted.update({name: replace(self.wanted[name], target="sim2") for name in names[1:]})
        self.checks = Checks(self.world, self.wanted)
        for name in names:
            self.checks.graces[name].append((0.0, self.wanted[name].retire.after.total_seconds()))
        self.checks.owner = {x.place: x.name for x in self.wanted.values()}
        self.vault = self.checks.vault = Vault(self.world, self.checks.written)
        self.target = self.checks.target = Target(
            self.world,
            lambda live: self._judge(live.minter).minted(live),
            self._revoked,
            self.checks.installed,
        )
        self.target.kinds.update(zip(names, swarm.kinds, strict=False))
        self.target.by_hand.update({name: swarm.by_hand for name in names if self.target.kind(name) in INSTALLED})
        self.target.took = self.checks.took
        self.world.phase_of = self._phase
        self.journal = SimJournal(self.world, self.vault)
        self.installation = Installation("inst01", KEY)
        self._shared = cache(self._edges)  # edges remember nothing: all visits of a process may have the same
        self.checks.dependencies = self._shared
        self.processes += [self._process(host) for host in "ABCD"[: swarm.actors]]
        self.people = People(self.world, self.checks, self.journal, self.wanted, self.processes)
        self.ordinary = Ordinary(self)
        self.days = Days(
            self.world, self.checks, self.journal, self.wanted, self.processes, self.people, self.ordinary.copied
        )
        self.people.days, self.people.looks = self.days, self.ordinary.look
        self.people.operators.hears = self._told
        self.people.inbox = Inbox(self.world, self.checks, self.wishes)
        self._strangers(names[0])

    def run(self) -> None:
        """Trouble, calm, the end. Raises Violation."""
        world = self.world
        for process in self.processes:
            process.start()
            if self.world.swarm.restarts:
                self._restarts(process)
        self.people.begin()
        self.people.hands.begin()
        for name in self.wanted:
            Consumer(world, self.checks, name).begin()
            if world.swarm.lazy:
                Consumer(world, self.checks, name, reads=LAZY).begin()
        world.run(world.swarm.active)
        self._calm()
        if self.checks.disputed:
            self._until(lambda name: "held" if held_for_two(self._record(name)) else "", 5 * CONVERGED)
        self._until(self._late, CONVERGED + self._leftover())
        self._until(self._late, self._paused())
        self.restarting = False
        for name in self.wanted:
            if text := self._late(name):
                self.checks.broken("L1", text)
        for name in self.wanted:
            lives = timedelta(days=2000) if self.target.kind(name) in DATED else None
            self.people.settings(name, schedule=Every(timedelta(days=900)), lifetime=lives)
        self._until(self._restless, OVERLAP + self._ends_in() + CONVERGED + self._leftover())
        world.run(world.now + SWEEP)
        # A pause by a wrong clock is seen to be over at the next look: that of a failed step, and of what is given up.
        self._until(self._apart, 2 * CALM_POLL + CONVERGED)
        for name in self.wanted:
            if text := self._apart(name):
                self.checks.broken("I1", text)
            if text := self._restless(name):
                self.checks.broken("I2", text)
            self._no_strays(name)
            if self.world.swarm.day:
                self.ordinary.rest(name)
        self.ordinary.unclaimed()
        self.ordinary.receipts()

    def _restarts(self, process: Process) -> None:
        """Something restarts it twice a minute, faults or not."""
        if self.restarting:
            if not process.dead:
                process.kill()
            self.world.later(1.0, lambda: process.start() if process.dead else None)
            self.world.later(self.world.rng.uniform(0.6, 1) * self.world.swarm.restarts, self._restarts, process)

    def _revoked(self, live: Live) -> None:
        """I9: once may be before anybody can know; for ever is what a copy must not come to."""
        self._judge(live.ended).revoked(live)
        self.ended_at[live.id] = self.world.now
        if self.twin and self._judge(live.ended) is not self._judge(live.minter):
            self.fought += 1
            if self.fought > FIGHTS:
                self.checks.broken("I9", f"{live.ended} ends {live.id}, which {live.minter} made: as ever")

    def _judge(self, by: str) -> Checks:
        """Who judges what this process does."""
        return self.twin if self.twin and by.startswith(COPY) else self.checks

    def _until(self, unready: Callable[[str], str], seconds: float) -> None:
        """Let time pass until nothing is unready any more, `seconds` at most."""
        end = self.world.now + seconds
        while self.world.now < end and any(unready(name) for name in self.wanted):
            self.world.run(min(end, self.world.now + 10))

    def _apart(self, name: str) -> str:
        """I1: no cut-over is left half done, unless it waits for a person."""
        window = self.checks.cut_over.open.get(name)
        if window is None or self.world.now - window.began < CONVERGED:
            return ""
        record, live = self._record(name), self.checks.cut_over.read_now(name)
        rests = record is None or record.phase in (Phase.HELD, Phase.AWAITING) or name in self.checks.lost_journals
        excused = rests or not live or live.ended == "person"
        return "" if excused else f"{name}: Vault and target disagree since {window.began:.3f}"

    def _ends_in(self) -> float:
        """Seconds that a predecessor may live on: its grace, or its own lifetime where nobody can revoke it."""
        grace = max(after for graces in self.checks.graces.values() for _, after in graces)
        expiring = DATED.intersection(self.target.kinds.values())
        return grace + (2.5 * self.world.swarm.interval + self._skew() if expiring else 0.0)

    def _waits(self, name: str) -> bool:
        """Whether it rests with a person: what they have done is seen soon after."""
        done = self.people.hands.done.get(name)
        return done is None or self.world.now - done < CONVERGED + self.wanted[name].limits.poll.total_seconds()

    # --- the end ----------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        world = self.world
        world.calm = True
        self.days.clocks_agree()
        world.tell("*", "faults are off")
        self.vault.sealed = self.journal.newer = self.target.minter_refused = self.world.broken_file = False
        for process in [each for each in self.processes if each.host == COPY]:
            process.kill()
        self.processes[:] = [each for each in self.processes if each.host != COPY]
        for name in self.checks.ever.keys() - self.checks.renamed:
            self.days.put_back(name)
        self.checks.unsure_since = None
        for name in self.wanted if world.swarm.calendars else ():
            self.people.settings(name, calendar=ALWAYS)
        for process in self.processes:
            for name in process.config.keys() - self.wanted.keys():
                process.configure(name, None)
            for name, credential in self.wanted.items():
                process.configure(name, credential)
            process.thaw()
            process.logged_out = 0.0
            if process.dead:
                process.start()
        for soon in (0.0, 20.0, 150.0):  # a shell may be typing still
            world.later(soon, self.days.resume_all)
        for name in self.wanted:
            self.people.resume_soon(name)
            self.days.claim_soon(name)
            world.later(20.0, partial(self.people.resume_soon, name))  # a shell may be typing still
            world.later(150.0, partial(self.people.resume_soon, name))  # or a request be waiting

    def _paused(self) -> float:
        """A rotation that trouble had used up the mints of was given up in the calm: it comes back after its pause."""
        return CONVERGED + self._leftover() if any(self._late(name) for name in self.wanted) else 0.0

    def _skew(self) -> float:
        """The widest that clocks have been apart."""
        return self.people.widest_skew()

    def _leftover(self) -> float:
        """Seconds that stored pauses may still last; each of a few may be stamped by the latest of all clocks.

        No pause of ours is as long as a day: one that is has mixed two clocks, and whoever waits for it is stuck.
        """
        records = [x.latest for x in self.checks.ledgers.values() if x.latest]
        lefts = [self._left(x.retry_from, x.retry_at) for x in records if x.retry_at]
        return min(max([0.0, *lefts]), 86400.0) + 4 * self._skew()

    def _left(self, began: datetime | None, until: datetime) -> float:
        """Seconds that a pause may last; where a clock was ahead, it is watched for its length."""
        now = self.world.date()
        return (until - (began if began and began > now else now)).total_seconds()

    def _long_ago(self, at: datetime) -> datetime:
        """A time by a clock that was days ahead is long ago: none is so at the end."""
        return at if at < self.world.date(86400.0) else EPOCH

    def _late(self, name: str) -> str:
        """Liveness: every rotation that was due has come through, or waits for a person; every ask has its answer."""
        record, credential = self._record(name), self.wanted[name]
        if record is None:
            return f"{name} has no record"
        if record.phase is Phase.HELD or (record.phase is Phase.AWAITING and self._waits(name)):
            return ""
        ago = self.world.date(-CONVERGED - self._skew())
        if record.phase is Phase.SETTLED and (hit := triggers.due(credential, record, ago)):
            return f"{name} is due and not rotated: {hit[1]}"
        young = record.requested_at and self._long_ago(_under_way(record, record.requested_at)) > ago
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED) and not young:
            return f"{name} is stuck in {record.phase}: {record.failure}"
        open_ones = [x.holder for x in self.processes if name in x.asks]
        return f"an ask for {name} at {open_ones} has no answer" if open_ones else ""

    def _restless(self, name: str) -> str:
        """I2: predecessors are dead, long after publication."""
        record = self._record(name)
        assert record is not None
        began = record.current.at if record.phase is Phase.PUBLISHED and record.current else record.requested_at
        began = began and self._long_ago(_under_way(record, began))
        ago = self.world.date(-OVERLAP - self._skew()) - self.wanted[name].retire.after
        kept = not list(promises.lingers(record, ago))
        resting = record.phase in (Phase.HELD, Phase.AWAITING) or (record.phase is Phase.SETTLED and kept)
        young = began is not None and began > ago and record.phase is not Phase.SETTLED
        return "" if resting or young else f"{name} is {record.phase}, predecessor {record.predecessor is not None}"

    def _no_strays(self, name: str) -> None:
        """No token of a rotation that is over lives unknown."""
        record = self._record(name)
        assert record is not None
        if self.checks.disputed:
            return  # W2 sees to it that they are told
        lost = record.current is not None and record.current.token.id in self.checks.ledgers[name].not_taken_back
        if self.target.kind(name) is Kind.ONE_SLOT and lost:
            return  # a slot cannot be emptied, and what it holds was destroyed in Vault
        uncertain = record.mint_name if record.phase is not Phase.SETTLED else ""
        made = (x for x in self.target.tokens.values() if x.minter != "person" and x.name != uncertain)
        ours = (x for x in made if x.name.startswith(f"{record.stem}-r"))
        self.checks.hold(promises.strays(record, ours, self.target))

    def _calendar(self) -> Calendar:
        return draw_calendar(self.world.rng, self.world.swarm.active)

    # --- building ---------------------------------------------------------------------------------------------------

    def _process(self, host: str) -> Process:
        swarm, rng = self.world.swarm, self.world.rng
        clock = SimClock(self.world, rng.choice((-1, 0, 1)) * swarm.skew, -rng.uniform(0, 1e6))
        inbox = partial(requests, self.world, self.vault) if swarm.day else NoRequests
        process = Process(self.world, host, clock, self.journal, self._shared, dict(self.wanted), self._told, inbox)
        process.fleet = fleet(self.world, self.vault) if "fleet" in swarm.day else None
        process.gave_up = self.wishes.given_up.add
        return process

    def _edges(self, name: str, clock: SimClock, checks: Checks | None = None) -> Dependencies:
        checks = checks or self.checks
        kv = KvClient(self.world, checks.vault, name)
        provider = SimProvider(self.world, self.target, name, checks)
        slot = VaultPath("kv", f"rotator/staged/{name}")
        store = SimStore(kv, checks)

        async def owners() -> TokenOwners:
            return await survey(SimJournal(self.world, checks.vault), store, self.installation, self.wanted, in_turn)

        return Dependencies(store, provider, clock, self.installation, slot, self.world.word, owners=owners)

    def _told(self, transition: Transition) -> None:
        event = transition.event
        self.wishes.heard(event)
        self.told_ends |= ended_by(transition)
        held = transition.before.held
        if isinstance(event, ev.Released) and held and held.reason is HoldReason.MINT_BUDGET:
            self.checks.budgets.pop(transition.credential.name, None)  # the person grants a new budget
        self.world.tell(
            transition.holder, type(event).__name__ + getattr(event, "reason", ""), transition.credential.name
        )
        if self.world.swarm.codec:
            self.checks.hold(promises.secretless(type(event).__name__, f"{event} {transition.after}"))

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


def _credential(name: str, swarm: Swarm, kind: Kind) -> Credential:
    def span(seconds: float | None) -> timedelta | None:
        return None if seconds is None else timedelta(seconds=seconds)

    after = 0.0 if kind in NO_GRACE else swarm.grace
    quiet = None if kind in NO_GRACE else span(swarm.quiet)
    if kind is Kind.BY_VALUE:
        after, quiet = min(after, swarm.interval / 4), None
    lifetime = swarm.lifetime if kind not in DATED else 2.5 * swarm.interval
    return Credential(
        name=name,
        kind="sim",
        target="sim",
        place=VaultPath("kv", f"apps/{name}"),
        schedule=Every(timedelta(seconds=swarm.interval)),
        lifetime=span(lifetime),
        retire=Retirement(
            timedelta(seconds=after),
            quiet,
            span(swarm.grace + 120) if quiet else None,
            gives_way=CAN[kind].revokes_by_value,
        ),
        limits=Limits(mints_per_day=swarm.mints_per_day),
        on_foreign=OnForeign.OVERWRITE if swarm.overwrite else OnForeign.HOLD,
    )


def _under_way(record: Record, began: datetime) -> datetime:
    """Since when a rotation goes on by itself: not while it waited for a person."""
    return max(began, record.installed_at or began)
