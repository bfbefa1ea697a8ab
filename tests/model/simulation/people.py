"""What people do to a running system: foreign writes, deletions, asks, settings, clocks; and what consumers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rotator.engine.lease import TAKE_OVER
from rotator.ports import Entry, Lease
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, OnForeign, VaultPath
from rotator.rotation.operator_request import RequestVerb
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.rotation.schedule import Every
from rotator.rotation.transitions import advance
from rotator.vault import journal_codec
from tests.kit.kinds import NO_GRACE, Kind
from tests.model.simulation.actors import TTL, Process
from tests.model.simulation.calendars import draw_calendar
from tests.model.simulation.days import Days
from tests.model.simulation.hands import Hands
from tests.model.simulation.inbox import ODD, Inbox
from tests.model.simulation.invariants import COPY, Checks
from tests.model.simulation.journal import SimJournal, place_of
from tests.model.simulation.operators import Operators
from tests.model.simulation.world import World


@dataclass
class People:
    """The operator. Each act is a method named like the swarm's word."""

    world: World
    checks: Checks
    journal: SimJournal
    wanted: dict[str, Credential]
    processes: list[Process]
    hands: Hands = field(init=False)
    operators: Operators = field(init=False)
    days: Days = field(init=False)
    inbox: Inbox = field(init=False)
    looks: Callable[[str], None] = field(init=False)
    _skews: list[float] = field(default_factory=lambda: [0.0])

    def __post_init__(self) -> None:
        self.hands = Hands(self.world, self.checks, self.wanted, self.processes)
        self.operators = Operators(self.world, self.checks, self.journal, self.wanted, self.processes)

    def widest_skew(self) -> float:
        """How far apart clocks have been, in seconds."""
        skews = [*self._skews, *(process.clock.skew for process in self.processes)]
        return max(skews) - min(skews)

    def begin(self) -> None:
        """Act now and then, as the swarm says."""
        if self.world.swarm.acts or self.world.swarm.day:
            self.world.later(self.world.rng.uniform(3, 40), self._act)

    def _act(self) -> None:
        if self.world.calm:
            return
        name = self.world.rng.choice(sorted(self.wanted))
        chosen = self.world.rng.choice(self.world.swarm.acts + self.world.swarm.day)
        if chosen == "look":
            self.begin()
            self.looks(name)
            return
        act: Callable[[str], bool | None] = getattr(self.days if hasattr(self.days, chosen) else self, chosen)
        phase = self.world.phase_of(name)
        if act(name) is not False:
            self.world.fault(act.__name__, name, phase)
        self.begin()

    def pause(self, name: str) -> bool | None:
        """Nothing is to begin or to end."""
        return self.operators.pause(name)

    def resume(self, name: str) -> bool | None:
        """It goes on."""
        return self.operators.resume(name)

    def undo(self, name: str) -> bool | None:
        """The last rotation is taken back."""
        return self.operators.undo(name)

    def adopt(self, name: str) -> bool | None:
        """Somebody's own value is taken over."""
        return self.operators.adopt(name)

    # --- the consumer path ------------------------------------------------------------------------------------------

    def foreign_write(self, name: str) -> bool | None:
        """Somebody writes a value of their own."""
        return self._rewrite(name, {"token": f"foreign-{self.world.word()}"})

    def foreign_key(self, name: str) -> bool | None:
        """Somebody adds a key and leaves ours alone."""
        return self._rewrite(name, {f"theirs-{self.world.rng.randrange(3)}": self.world.word()})

    def rollback(self, name: str) -> bool | None:
        """Somebody writes an older version back."""
        doc = self.checks.vault.docs.get(self._path(name))
        older = [x for x in doc.versions.values() if x.values and not x.deleted] if doc else []
        if not older:
            return False
        return self._rewrite(name, dict(self.world.rng.choice(older).values or {}))

    def soft_delete(self, name: str) -> bool | None:
        """Somebody deletes the newest version."""
        if not self.checks.vault.delete(self._path(name)):
            return False
        self.checks.erased.add(name)
        return None

    def consumer_metadata(self, name: str) -> bool | None:
        """Somebody deletes all versions and the metadata: numbers start anew."""
        place = self._path(name)
        self.checks.forgotten(place)
        return None if self.checks.vault.forget(place) else False

    def slot_metadata(self, name: str) -> bool | None:
        """The same for the staged slot."""
        self.checks.lost_slots.add(name)
        return None if self.checks.vault.forget(VaultPath("kv", f"rotator/staged/{name}")) else False

    def journal_metadata(self, name: str) -> bool | None:
        """The journal is lost. Not while a process is at work on it, or a request of one that was is under way:
        check-and-set knows versions, not lineages."""
        busy = any(t.name == name and t.label != "idle" for p in self.processes for t in p.threads if not p.dead)
        busy = busy or self.world.landing.get(name, -1.0) >= self.world.now
        if busy or not self.checks.vault.forget(place_of(name)):
            return False
        self.checks.lost_journals.add(name)
        self.checks.ledgers[name].latest = None
        return None

    # --- the target -------------------------------------------------------------------------------------------------

    def person_revokes(self, name: str) -> bool | None:
        """Somebody revokes one of our tokens."""
        target = self.checks.target
        alive = [x for x in target.tokens.values() if target.alive(x) and f"-{name}-" in x.name]
        if not alive or target.kind(name) is Kind.EXPIRING:
            return False
        target.end(self.world.rng.choice(alive), "person")
        return None

    def minter_refused(self, name: str) -> None:
        """The minter's right is gone for a while."""
        self.checks.target.minter_refused = True
        self.world.later(self.world.rng.uniform(5, 60), lambda: setattr(self.checks.target, "minter_refused", False))

    # --- Vault and clocks -------------------------------------------------------------------------------------------

    def seal(self, name: str) -> None:
        """Vault is sealed for a while."""
        self._unsure("sealed", self.checks.vault)

    def newer_schema(self, name: str) -> None:
        """A newer rotator took over the journals, and was rolled back later."""
        self._unsure("newer", self.journal)

    def _unsure(self, switch: str, where: object) -> None:
        checks = self.checks
        setattr(where, switch, True)
        checks.unsure_since = self.world.now if checks.unsure_since is None else checks.unsure_since

        def over() -> None:
            setattr(where, switch, False)
            checks.unsealed = self.world.now if switch == "sealed" else checks.unsealed
            if not (checks.vault.sealed or self.journal.newer):
                checks.unsure_since = None

        self.world.later(self.world.rng.uniform(5, 200), over)

    def clock_jump(self, name: str) -> None:
        """One host's wall clock jumps."""
        clock = self.world.rng.choice(self.processes).clock
        self._skews.append(clock.skew)
        clock.skew = self.world.rng.choice((-3600.0, -5.0, 0.0, 5.0, 3600.0))

    def vault_clock(self, name: str) -> bool | None:
        """Vault's clock jumps; not in histories in which our own clocks are wrong, too: one of both must be right."""
        if any(p.clock.skew for p in self.processes) or "clock_jump" in self.world.swarm.acts:
            return False
        self.checks.vault.skew = self.world.rng.choice((-3600.0, -30.0, 0.0, 30.0, 3600.0))
        self._skews.append(self.checks.vault.skew)
        return None

    def allow(self, name: str) -> bool | None:
        """Settings let the daemon do what a person had to."""
        return self.hands.allow(name)

    def forbid(self, name: str) -> bool | None:
        """Settings want a person again."""
        return self.hands.forbid(name)

    # --- wishes and settings ----------------------------------------------------------------------------------------

    def ask(self, name: str) -> None:
        """`rotate now`."""
        self._wish(name, emergency=False)

    def emergency(self, name: str) -> None:
        """`rotate now --emergency`."""
        self._wish(name, emergency=True)

    def _wish(self, name: str, *, emergency: bool) -> None:
        process = self.world.rng.choice(self.processes)
        if self.world.swarm.day and not process.dead:
            patient = self.world.chance(0.7)
            self.inbox.ask(process, name, RequestVerb.ROTATE, emergency=emergency, patient=patient)
        else:
            process.ask(name, emergency=emergency)

    def request(self, name: str) -> bool | None:
        """Any verb that is kept in Vault before it is acknowledged, with any arguments; who typed it may be gone."""
        process = self.world.rng.choice(self.processes)
        if process.dead:
            return False
        verb, patient = self.world.rng.choice((*ODD, RequestVerb.ROTATE)), self.world.chance(0.5)
        self.inbox.ask(process, name, verb, emergency=self.world.chance(0.3), patient=patient)
        return None

    def schedule(self, name: str) -> None:
        """Another interval."""
        interval = timedelta(seconds=self.world.rng.choice((45, 120, 400)))
        self.settings(name, schedule=Every(interval))

    def policy(self, name: str) -> None:
        """Other roles: what is published is due."""
        self.settings(name, rotating_options={"roles": self.world.word()})

    def window(self, name: str) -> None:
        """Another window, or another freeze."""
        self.settings(name, calendar=draw_calendar(self.world.rng, self.world.swarm.active))

    def path(self, name: str) -> None:
        """Another consumer path, where nothing is yet."""
        place = VaultPath("kv", f"apps/{name}-{self.world.word()[:4]}")
        self.checks.owner[place] = name
        self.settings(name, place=place)

    def grace(self, name: str) -> bool | None:
        """Another grace."""
        if self.checks.target.kind(name) in NO_GRACE:
            return False
        after = timedelta(seconds=self.world.rng.choice((5, 30, 100)))
        self.settings(name, retire=replace(self.wanted[name].retire, after=after))
        self.checks.graces[name].append((self.world.now, after.total_seconds()))
        return None

    def settings(self, name: str, **changes: object) -> None:
        """Change the settings; each process reloads when it gets to it."""
        if name not in self.wanted:
            return
        self.wanted[name] = self.checks.ever[name] = replace(self.wanted[name], **changes)
        for process in self.processes:
            if process.host != COPY:  # which has settings of its own
                self.world.later(self.world.rng.uniform(0, 5), lambda p=process: self._reload(p, name))

    def _reload(self, process: Process, name: str) -> None:
        process.configure(name, self.wanted.get(name))

    # --- holds ------------------------------------------------------------------------------------------------------

    def release(self, name: str) -> bool | None:
        """Lift a hold, with or without having mended anything."""
        entry = self.entry(name)
        if entry is None or entry.record is None or entry.record.phase is not Phase.HELD:
            return False
        if entry.record.held and entry.record.held.reason is HoldReason.MINT_BUDGET:
            self.checks.budgets.pop(name, None)  # the person grants a new budget
        self._write(name, entry, advance(entry.record, ev.Released(self.world.date(), "person")))
        return None

    def resume_soon(self, name: str, waited: float = 0.0) -> None:
        """The pause is over, as soon as nobody is at work on it, or whoever was has been silent for long."""
        entry = self.entry(name)
        if entry is None or entry.record is None or not entry.record.paused:
            return
        if entry.lease.holder and waited < TAKE_OVER * TTL:
            self.world.later(5.0, self.resume_soon, name, waited + 5.0)
            return
        date = self.world.date()
        untraced = self.world.date(self.checks.vault.skew) if entry.lease.holder else None
        record = advance(entry.record, ev.Resumed(date, untraced))
        self._write(name, entry, advance(record, ev.Unpaused(date, "person")))
        if up := [process for process in self.processes if not process.dead]:
            up[0].wake(name)  # over its control socket

    def _write(self, name: str, entry: Entry, record: Record) -> None:
        lease = replace(entry.lease, holder="", seq=entry.lease.seq + 1)
        values: dict[str, object] = {"nonce": self.world.word(), "record": record, "lease": lease}
        if self.world.swarm.codec:
            values = journal_codec.encode(record, lease, self.world.word(), {})
        self.checks.vault.overwrite(place_of(name), values)

    def mend(self, name: str) -> bool | None:
        """Settle a hold the way its text says: allow overwriting for a while, then release."""
        if self.release(name) is False:
            return False
        self.settings(name, on_foreign=OnForeign.OVERWRITE)
        self.world.later(60, lambda: self.settings(name, on_foreign=OnForeign.HOLD))
        return None

    def entry(self, name: str) -> Entry | None:
        """The journal as it stands."""
        read = self.checks.vault.get(place_of(name))
        if read.values is None:
            return None
        if self.world.swarm.codec:
            return journal_codec.decode(name, read.version, read.values)
        record, lease = read.values["record"], read.values["lease"]
        assert isinstance(record, Record)
        assert isinstance(lease, Lease)
        return Entry(name, read.version, record, lease)

    def _path(self, name: str) -> VaultPath:
        return self.checks.live_path.get(name, self.wanted[name].place)

    def _rewrite(self, name: str, changes: dict[str, object]) -> bool | None:
        place = self._path(name)
        top = self.checks.vault.top(place)
        old = dict(top.values or {}) if top and not top.deleted else {}
        self.checks.vault.overwrite(place, {**old, **changes})
        return None
