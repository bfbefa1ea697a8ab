"""The states that follow a state, all that can be reached, and what settles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from rotator.engine.lease import TAKE_OVER
from rotator.ports import Conflict, MinterRefused, Refused, Rejected, Transient, Unknown
from rotator.rotation.record import Phase, Record
from rotator.rotation.undo import before
from tests.kit.kinds import Kind
from tests.kit.promises import Violation
from tests.model.walk import judge
from tests.model.walk import world as worlds
from tests.model.walk.actor import TTL, Call, Failed, Start
from tests.model.walk.target import STRANGER, Family
from tests.model.walk.values import NOW, kept, moved
from tests.model.walk.world import GONE, LATEST, TIMEOUT, Busy, Idle, Late, World

ROTATIONS = 2
EFFECTS = frozenset({"save", "write", "destroy", "mint", "install", "revoke", "restore", "keep"})
REFUSABLE = frozenset({"mint", "install", "revoke", "restore", "verify"})
TIMELY = frozenset({"install", "revoke", "begin"})  # a client does not send what its deadline is over for
JUMPS = {"an hour ahead": 3600.0, "a minute back": -60.0}  # no further back: what is long ago is so by every clock
TAKEN_OVER = timedelta(seconds=TTL * TAKE_OVER)
MINTERS = frozenset({"mint", "find", "revoke"})  # calls in the minter's name
KINDS = ("crash", "lost", "late", "stale", "refused", "minter", "jump", "stall", "verb", "foreign")
WHO = ("A", "B")
REST, CUT = -1, -2  # instead of a state that follows: nothing is left to do; it was not walked
Doing = tuple[Any, ...]  # words, a function of the world, its arguments

_TARGET = frozenset({"mint", "receive", "install", "find", "verify", "inspect", "revoke", "restore", "is_dead"})
_MEETS = {  # late requests, and the calls whose order with them matters: to Vault, to the target, or to the judge
    **dict.fromkeys(("mint", "install", "revoke", "restore"), _TARGET | {"write", "save", "ready", "begin", "keep"}),
    "keep": frozenset({"ready", "begin", "keep", "install", "revoke"}),
    "save": EFFECTS,
    "write": _TARGET | {"read", "write", "save", "destroy"},
    "destroy": frozenset({"read", "write", "save", "destroy"}),
}


class Step(NamedTuple):
    """One transition, in words, and where it leads; None: it would begin a rotation too many, or breaks a promise."""

    words: str
    after: World | None
    violation: str = ""


# --- what may come next ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """Which transitions there are. `kinds`: of faults."""

    family: Family
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", self.family.tree())

    def fair(self, world: World) -> list[Step]:
        """Without a fault; a calm run takes the first."""
        steps = [self._step(*each) for each in (*self._calls(world), *self._looks(world))]
        if not any(isinstance(each, Busy) or due(each) for each in world.actors) and not rests(world):
            steps += self._person(world) or self._time(world)
        landing = [each for each in world.late if _matters(world, each.call.verb)]
        return [self._step(*self._lands(world, each)) for each in landing] + steps

    def faulty(self, world: World) -> Iterator[Step]:
        """With one fault more."""
        world = world._replace(faults=world.faults - 1)
        for who, actor in enumerate(world.actors):
            if isinstance(actor, Busy):
                yield from self._troubles(world, who, actor)
            elif due(actor) and "jump" in self.kinds and not actor.skew:
                for far, skew in JUMPS.items():
                    words = f"{WHO[who]}'s clock jumps {far}; it looks"
                    yield self._step(words, self._begun, world, who, "", "", skew)
        if "stall" in self.kinds and any(isinstance(each, Busy) for each in world.actors):
            yield from self._stall(world)
        yield from self._people(world)

    # --- fair weather -----------------------------------------------------------------------------------------------

    def _calls(self, world: World) -> Iterator[Doing]:
        for who, actor in enumerate(world.actors):
            if isinstance(actor, Busy):
                yield f"{WHO[who]} {said(actor.node.next)}", self._called, world, who, actor

    def _looks(self, world: World) -> Iterator[Doing]:
        """Those who are due; whoever would only be told to wait may as well look when the record is written next."""
        others = [each for each in world.actors if isinstance(each, Busy) and each.node.next.verb != "save"]
        for who, actor in enumerate(world.actors):
            if due(actor) and not (others and isinstance(self._begun(world, who).actors[who], Idle)):
                yield f"{WHO[who]} looks", self._begun, world, who

    def _lands(self, world: World, late: Late) -> Doing:
        who = "a dead process" if late.who == GONE else WHO[late.who]
        return f"what {who} sent lands ({said(late.call)})", worlds.landed, self.family, world, late

    def _called(self, world: World, who: int, actor: Busy) -> World:
        """The next call, and its answer."""
        call = actor.node.next
        if call.verb in TIMELY and actor.waited > TIMEOUT:
            return worlds.answered(world, who, Failed(Transient))
        if call.verb == "save" and not actor.fresh:
            return worlds.answered(world, who, Failed(Conflict))
        world = judge.leaves(self.family, world, actor.node, call)
        world, answer = worlds.effect(self.family, world, who, call, actor.age)
        return worlds.answered(world, who, answer)

    def _begun(self, world: World, who: int, verb: str = "", value: str = "", skew: float | None = None) -> World:
        """A look begins, and reads the record."""
        actor = world.actors[who]
        skew = actor.skew if skew is None else skew
        seen = None if actor.seen is None else (NOW - actor.seen).total_seconds()
        start = Start(seen, (NOW - actor.acked).total_seconds(), verb, value, skew)
        busy = Busy(self.tree.began(kept(start)), skew=skew)
        world, answer = worlds.effect(self.family, world, who, busy.node.next)
        return worlds.answered(world.acts(who, busy), who, answer)

    def _person(self, world: World) -> list[Step]:
        """What a person does who was asked to."""
        record, actor = world.record, world.actors[0]
        heard = world.holder in ("", 0) or (actor.seen is not None and actor.seen + TAKEN_OVER <= NOW)
        if record is not None and self.family.kind is Kind.REGISTERED:
            return self._renewal(world, record, heard=heard)
        if not self.family.by_hand or record is None or not heard:
            return []  # or told to wait
        if record.phase is Phase.AWAITING and record.candidate is None:
            value = f"sek-{len(world.tokens)}"
            return [self._step("a person brings a value to A", self._begun, world, 0, "supply", value)]
        waiting = {each.value.token.id for each in record.unended}
        for old in world.tokens:
            if old.id in waiting and old.alive:
                tokens = tuple(x._replace(ended="person") if x is old else x for x in world.tokens)
                return [Step(f"a person ends {old.id}", world.but(tokens=tokens))]
        return []

    def _renewal(self, world: World, record: Record, *, heard: bool) -> list[Step]:
        """A person was asked for another registration access token, and says so where only that goes on."""
        asked = record.phase is Phase.AWAITING or record.failure is not None
        if asked and world.registration.held != world.registration.valid and worlds.spent(world):
            return [self._step("a person gets another registration access token", worlds.renewed, world)]
        if record.phase is Phase.AWAITING and record.candidate is None and heard and not world.late:
            then = worlds.passed(world, worlds.TICK.total_seconds())  # what is asked for after the reminder counts
            return [self._step("a person says so to A", self._begun, then, 0, "now")]
        return []

    def _time(self, world: World, more: str = "") -> list[Step]:
        """The next moment at which an idle process looks again, no late request coming later than it may."""
        wakes = [each.wake for each in world.actors if isinstance(each, Idle) and each.wake and each.wake > NOW]
        if not wakes or any(each.sent + LATEST < min(wakes) for each in world.late):
            return []
        seconds = (min(wakes) - NOW).total_seconds()
        return [Step(f"{seconds:.4g} s pass{more}", worlds.passed(world, seconds))]

    # --- faults -----------------------------------------------------------------------------------------------------

    def _troubles(self, world: World, who: int, actor: Busy) -> Iterator[Step]:
        call, name = actor.node.next, f"{WHO[who]} {said(actor.node.next)}"
        writes = call.verb in EFFECTS and not (call.verb == "mint" and self.family.can.needs_install)
        try:
            sent = judge.leaves(self.family, world, actor.node, call)
        except Violation:
            return  # told of in fair weather
        if "lost" in self.kinds:
            answer = Unknown("no answer") if call.verb == "verify" else Failed(Transient)
            yield self._step(f"{name}, which is lost", worlds.answered, sent, who, answer)
        if writes and (call.verb != "save" or actor.fresh):
            late = Late(who, Call(call.verb, moved(kept(call.args), -actor.age)))
            flying = sent.but(late=(*world.late, kept(late)))
            if "late" in self.kinds:
                yield self._step(f"{name}, which is late", worlds.answered, flying, who, Failed(Transient))
            if "crash" in self.kinds:
                yield self._step(f"{name} and is killed", worlds.killed, flying, who)
        if call.verb in REFUSABLE and "refused" in self.kinds:
            answer = Rejected("not today", final=True) if call.verb == "verify" else Failed(Refused, "not today")
            yield self._step(f"{name}, which is refused", worlds.answered, sent, who, answer)
        if call.verb in MINTERS and "minter" in self.kinds and not self.family.by_hand:
            yield self._step(f"{name}, whose minter is refused", worlds.answered, sent, who, Failed(MinterRefused))
        if call.verb == "read" and not call.args[2] and "stale" in self.kinds:
            version = call.args[1]
            old = (0, None, False) if version else worlds.shown(world.consumer[:-1])
            yield self._step(f"{name}, of a standby that lags", worlds.answered, sent, who, old)

    def _stall(self, world: World) -> list[Step]:
        """Who is busy stands still; who is due looks before."""
        for who, actor in enumerate(world.actors):
            if due(actor):
                world = self._begun(world, who)
                if isinstance(world.actors[who], Busy):
                    return []
        return self._time(world, "; who is busy stands still")

    def _people(self, world: World) -> Iterator[Step]:
        """What an operator may do at any time."""
        record, newest = world.record, world.consumer[-1] if world.consumer else None
        who = next((at for at, each in enumerate(world.actors) if isinstance(each, Idle)), None)
        if record and who is not None and "verb" in self.kinds:
            for verb in self.family.verbs:
                if _sensible(verb, record) and isinstance(self._begun(world, who, verb).actors[who], Busy):
                    yield self._step(f"an operator says {verb} to {WHO[who]}", self._begun, world, who, verb)
        if newest and newest.author == "us" and "foreign" in self.kinds:
            yield Step(
                "somebody writes over the consumer path", worlds.published(world, (("token", "theirs"),), "person")
            )

    # --- small things -----------------------------------------------------------------------------------------------

    def _step(self, words: str, doing: Any, *args: Any) -> Step:
        try:
            after = doing(*args)
        except Violation as violation:
            return Step(words, None, str(violation))
        record = after.record
        many = record is not None and record.phase is Phase.REQUESTED and record.rotation > ROTATIONS
        return Step(words, None if many else after)


def _matters(world: World, verb: str) -> bool:
    """Whether a late request may as well land now, by what comes next; else it lands later, to the same end."""
    coming = {each.node.next.verb for each in world.actors if isinstance(each, Busy)}
    return not coming or bool(coming & _MEETS[verb]) or (verb == "save" and any(map(due, world.actors)))


def due(actor: Idle | Busy) -> bool:
    """Whether it is to look now."""
    return isinstance(actor, Idle) and actor.wake is not None and actor.wake <= NOW


def _sensible(verb: str, record: Record) -> bool:
    """Whether the verb is more than words just now."""
    if verb == "release":
        return record.phase is Phase.HELD
    return not record.emergency if verb == "emergency" else record.undo is None and before(record) is not None


def rests(world: World) -> bool:
    """Whether both rotations are over and nothing is left to do."""
    record = world.record
    if record is None or record.phase is not Phase.SETTLED or record.current is None or world.late:
        return False
    left = record.older or record.slot_full or record.strays or record.refused_at or record.lost
    return not left and record.current.rotation >= ROTATIONS


def said(call: Call) -> str:
    """A call in words."""
    match call.verb, call.args:
        case "save", (record, holder):
            lease = "" if holder else ", and lets go"
            return f"saves {record.phase.value} (rotation {record.rotation}, attempt {record.attempt}{lease})"
        case ("read", (document, version, strong)):
            return f"reads {document}{f' version {version}' if version else ''}{'' if strong else ' plainly'}"
        case ("write", (document, _, cas)):
            return f"writes {document} over version {cas}"
        case (("mint" | "receive" | "find") as verb, (name, *_)):
            return f"{verb}s {name}"
        case (verb, args):
            return f"calls {verb} {args[0].id if args and hasattr(args[0], 'id') else ''}".rstrip()


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """All states that can be reached with so many faults, breadth first."""

    rules: Rules
    faults: int
    most: int = 10**9  # states
    until_first: bool = False  # stop at the first violation
    states: list[World | None] = field(default_factory=list)  # None: it was walked on from
    came: list[tuple[int, str]] = field(default_factory=list)  # from which state, by which step
    calm: list[int] = field(default_factory=list)  # what follows without a fault
    depth: int = 0
    transitions: int = 0
    cut: int = 0  # transitions that would begin a rotation too many
    unwalked: int = 0  # states that were reached, and not walked on from
    violations: dict[str, list[str]] = field(default_factory=dict)  # the shortest history of each

    def run(self) -> Walk:
        """Walk. Returns itself."""
        self._index: dict[int, int] = {}  # by the hashes of their keys
        idle = kept(Idle())
        self._reached(World(faults=self.faults).but(tokens=(STRANGER,), actors=(idle, idle)), REST, "")
        at, level = 0, 1
        while at < len(self.states) and len(self.states) < self.most:
            if at == level:
                self.depth, level = self.depth + 1, len(self.states)
            self._walk_on(at)
            at += 1
            if self.violations and self.until_first:
                return self
        self.unwalked = len(self.states) - at
        self.calm[at:] = [CUT] * self.unwalked
        self._settle()
        return self

    def _walk_on(self, at: int) -> None:
        world, self.states[at] = self.states[at], None
        assert world is not None
        fair = [self._taken(at, step) for step in self.rules.fair(world)]
        if fair:
            self.calm[at] = fair[0]
        elif text := _unrest(self.rules.family, world):
            self._violated(text, at)
        if world.faults:
            for step in self.rules.faulty(world):
                self._taken(at, step)

    def _taken(self, at: int, step: Step) -> int:
        self.transitions += 1
        if step.violation:
            self._violated(step.violation, at, step.words)
        if step.after is None:
            self.cut += not step.violation
            return CUT
        found = self._index.get(hash(step.after.key))
        return self._reached(step.after, at, step.words) if found is None else found

    def _reached(self, world: World, source: int, words: str) -> int:
        found = self._index[hash(world.key)] = len(self.states)
        self.states.append(world)
        self.came.append((source, words))
        self.calm.append(REST)
        if text := judge.broken(self.rules.family, world):
            self._violated(text, found)
        return found

    def _settle(self) -> None:
        """L: from every state a run without faults comes to rest."""
        settles = bytearray(len(self.states))
        for begun in range(len(self.states)):
            path, at = [], begun
            while at >= 0 and not settles[at]:
                settles[at] = 1
                path.append(at)
                at = self.calm[at]
            if at >= 0 and at in path:
                round_ = [self.came[each][1] for each in path[path.index(at) :]]
                self._violated("L: it goes round for ever", begun, "and from there on, without a fault:", *round_)

    def _violated(self, text: str, at: int, *more: str) -> None:
        if text not in self.violations:
            self.violations[text] = [*self.history(at), *filter(None, more)]

    def history(self, at: int) -> list[str]:
        """How a state was reached."""
        words = []
        while at >= 0:
            at, each = self.came[at]
            words.append(each)
        return [each for each in reversed(words) if each]


def _unrest(family: Family, world: World) -> str:
    """Why a world in which nothing is left to do is not at rest."""
    record = world.record
    if record is None or record.phase not in (Phase.SETTLED, Phase.HELD, Phase.AWAITING):
        return f"L: nothing is waited for in phase {record and record.phase.value}"
    return judge.restless(family, world)
