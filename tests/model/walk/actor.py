"""An actor between two calls: the engine's own reconciler, replayed by the answers that it had.

A coroutine cannot be copied, so an actor in the middle of a reconcile is the list of the answers that it was given.
Such lists are branches of a tree: each node is reached once, whoever comes there, and knows the next call or the end.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from rotator.engine.context import Dependencies, SuppliedValue
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, ReconcileResult, Transition
from rotator.ports import (
    Conflict,
    Document,
    Entry,
    Fault,
    Installation,
    Lease,
    Minted,
    NeedsPerson,
    Outcome,
    Refused,
    Transient,
)
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.procedures import operators
from rotator.rotation.record import Record, Token
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Wait
from tests.kit.every_verb import EveryVerb
from tests.model.walk.values import NOW, abstract, frozen, kept, thawed

NAME, LINEAGE, ME, OTHER = "w", "aaaa", "me", "other"
TTL = 30.0  # seconds
SOON = 1.0  # seconds until a look that met a fault is made again, as circuit_breakers.py has it
SLOT = VaultPath("kv", f"rotator/staged/{NAME}")
INSTALLATION = Installation("inst", b"0123456789abcdef0123456789abcdef")


class Call(NamedTuple):
    """One call to Vault or to the target, as a value."""

    verb: str
    args: tuple[Any, ...] = ()

    def __await__(self) -> Generator[Call, Any, Any]:
        answer = yield self
        if isinstance(answer, Failed):
            raise answer.kind(answer.reason)
        return answer


class Failed(NamedTuple):
    """The answer that is a fault."""

    kind: type[Fault]
    reason: str = "no answer"


class Start(NamedTuple):
    """How a look began: what the process knew of the record, and what it was told to do."""

    seen: float | None  # seconds for which the record is known as it is
    acked: float  # seconds since our last acknowledged write
    verb: str = ""  # of an operator; empty: a look of the daemon
    value: str = ""  # that a person brings
    skew: float = 0.0  # seconds by which the wall clock is ahead


class End(NamedTuple):
    """How it ended."""

    wake: float | None  # seconds from now until the next look; None: nothing is waited for
    seen: float | None
    acked: float
    fault: str = ""


# --- the ports, each a call -----------------------------------------------------------------------------------------


@dataclass
class Clock:
    """The actor's own: seconds since it began to look, and how far ahead its wall clock is."""

    age: float = 0.0
    skew: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.age + self.skew)

    def monotonic(self) -> float:
        return self.age


@dataclass
class Journal:
    """Versions count from the look's beginning: only whether they moved on is ever asked."""

    clock: Clock
    leases: Leases
    seen: float | None
    moved: bool = False

    async def load(self, name: str) -> Entry:
        record, holder = await Call("load")
        if self.seen is not None:
            self.leases._seen[name] = ((record.lineage if record else "", 1), -self.seen)
        return Entry(name, 1, record, Lease(holder), NOW + timedelta(seconds=self.clock.age))

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        await Call("save", (abstract(record), lease.holder))
        self.moved = True
        return Entry(over.name, over.version + 1, record, lease, NOW + timedelta(seconds=self.clock.age))


class Store:
    """Two documents: what consumers read, and the staged slot."""

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        newest, values, deleted = await Call("read", (_document(place), version, strong))
        return Document(newest, None if values is None else thawed(values), deleted)

    async def write(self, place: VaultPath, values: Any, *, cas: int) -> int:
        return await Call("write", (_document(place), frozen(values), cas))

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        await Call("destroy", (versions,))


def _document(place: VaultPath) -> str:
    return "slot" if place == SLOT else "consumer"


@dataclass
class Provider(EveryVerb):
    """The target."""

    capabilities: Any

    async def call(self, verb: str, *args: Any) -> Any:
        return await Call(verb, tuple(each.reveal() if isinstance(each, Secret) else each for each in args))

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        token, value = await Call("mint", (name, expires_at))
        return Minted(token, Secret(value))

    async def receive(self, name: str, value: Secret, expires_at: Any, keep: tuple[Token, ...] = ()) -> Minted:
        token, text = await Call("receive", (name, value.reveal(), expires_at))
        return Minted(token, Secret(text))

    async def install(self, minted: Minted) -> Token:
        return await Call("install", (minted.token, minted.secret.reveal()))


class Registrant(Provider):
    """A target whose key set is changed in the name of a token that each change replaces (RFC 7592)."""

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        await Call("ready")
        return await super().mint(name, expires_at, keep)

    async def install(self, minted: Minted) -> Token:
        return await self._change("install", minted.token, minted.secret.reveal())

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        try:
            return await self._change("revoke", token, None)
        except NeedsPerson as fault:  # it is no end of the key, whatever they do
            raise Refused(fault.reason) from None

    async def _change(self, verb: str, *args: Any) -> Any:
        spent = await Call("begin")
        answer, fresh = await Call(verb, (*args, spent))
        await self.keep(spent, fresh)
        return answer

    async def keep(self, spent: int, fresh: int) -> None:
        """Write the next token, at once and until it is written: nobody else has it."""
        while True:
            with suppress(Transient):
                return await Call("keep", (spent, fresh))


# --- a look, live and as a tree -------------------------------------------------------------------------------------


@dataclass
class Look:
    """A reconciler at work, until it asks for a call."""

    credential: Credential
    capabilities: Any
    start: Start
    provider: type[Provider] = Provider
    told: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock(0.0, self.start.skew)
        self.leases = Leases(ME, TTL, self.clock.monotonic, _acked={NAME: -self.start.acked})
        self.journal = Journal(self.clock, self.leases, self.start.seen)
        reconciler = Reconciler(self.journal, self.leases, lambda: LINEAGE, self.told.append)
        nonces = iter(range(99))
        edges = Dependencies(
            Store(), self.provider(self.capabilities), self.clock, INSTALLATION, SLOT, lambda: f"n{next(nonces)}"
        )
        self.work: Coroutine[Call, Any, Any] = self._work(reconciler, edges)

    def _work(self, reconciler: Reconciler, edges: Dependencies) -> Coroutine[Call, Any, Any]:
        look = partial(reconciler.reconcile, self.credential, edges)
        match self.start.verb:
            case "":
                return look()
            case "emergency":
                return look(RotationRequest(self.clock.now(), "op", emergency=True))
            case "now":
                return look(RotationRequest(self.clock.now(), "op"))
            case "supply":
                return look(supplied=SuppliedValue(Secret(self.start.value)))
            case "undo":
                return reconciler.obey(self.credential, edges, operators.undo("op", emergency=False), effect=True)
            case _:
                return reconciler.obey(self.credential, edges, operators.release("op"))

    def go_on(self, answer: Any, age: float, skew: float) -> Call | End:
        """The next call, or how it ended."""
        self.clock.age, self.clock.skew = age, skew
        try:
            return self.work.send(answer)
        except StopIteration as stop:
            until = stop.value.wait.until if isinstance(stop.value, ReconcileResult) else self.clock.now()
            return self._end(None if until is None else max(0.2, (until - self.clock.now()).total_seconds()))
        except Fault as fault:
            return self._end(0.2 if isinstance(fault, Conflict) else SOON, type(fault).__name__)

    @property
    def step_acts(self) -> bool:
        """Whether the step that is under way may have an effect."""
        step = self.work.cr_frame.f_locals.get("step")  # of the reconciler's loop; a command has none
        return step is None or isinstance(step, Wait) or step.effect

    def _end(self, wake: float | None, fault: str = "") -> End:
        age, seen = self.clock.age, self.leases._seen.get(NAME)
        known = None if self.journal.moved or seen is None else age - seen[1]
        return End(wake, known, age - self.leases._acked[NAME], fault)


@dataclass(slots=True, eq=False)
class Node:
    """An actor after so many answers. `told`: the transitions that it has told since the answer before."""

    tree: Tree
    start: Start
    before: Node | None
    answer: Any
    age: float
    skew: float
    depth: int = 0  # answers before this one
    next: Call | End = field(init=False)
    told: tuple[Transition, ...] = ()
    silent: float = 0.0  # seconds since our last acknowledged write of the record
    harmless: bool = False  # nothing has an effect before the record is saved
    after: dict[Any, Node] = field(default_factory=dict)
    look: Look | None = None  # while nobody has taken it further

    def answered(self, answer: Any, age: float, skew: float) -> Node:
        """The actor that was given this answer, at this age."""
        key = (id(answer), age, skew)  # answers are kept values
        node = self.after.get(key)
        if node is None:
            node = self.after[key] = Node(self.tree, self.start, self, answer, age, skew, depth=self.depth + 1)
            look, self.look = self.look or self._replayed(), None
            node.run(look)
        return node

    def run(self, look: Look) -> None:
        look.told.clear()
        self.next = kept(look.go_on(self.answer, self.age, self.skew))
        self.told, self.silent = tuple(look.told), self.age - look.leases._acked[NAME]
        self.look = look if isinstance(self.next, Call) else None
        self.harmless = self.look is not None and (self.next.verb == "save" or not look.step_acts)

    def _replayed(self) -> Look:
        path, node = [], self
        while node:
            path.append(node)
            node = node.before
        look = self.tree.look(self.start)
        for each in reversed(path):
            look.go_on(each.answer, each.age, each.skew)
        return look

    def __repr__(self) -> str:
        return f"Node({self.next})"


@dataclass(eq=False)
class Tree:
    """All looks of one sort of credential, by how they began."""

    credential: Credential
    capabilities: Any
    provider: type[Provider] = Provider
    roots: dict[Start, Node] = field(default_factory=dict)

    def look(self, start: Start) -> Look:
        """A look that has not begun."""
        return Look(self.credential, self.capabilities, start, self.provider)

    def began(self, start: Start) -> Node:
        """An actor that begins to look; its first call is the load of the record."""
        node = self.roots.get(start)
        if node is None:
            node = self.roots[start] = Node(self, start, None, None, 0.0, start.skew)
            node.run(self.look(start))
        return node
