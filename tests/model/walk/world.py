"""One state of everything, and what a call does to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rotator.ports import Conflict, NeedsPerson, Transient
from rotator.rotation.record import Phase, Record
from tests.kit.kinds import Kind
from tests.model.walk import judge, target
from tests.model.walk.actor import ME, OTHER, Call, End, Failed, Node
from tests.model.walk.judge import Book
from tests.model.walk.target import Family, Tokens
from tests.model.walk.values import LONG_AGO, NOW, kept, moved

GONE = "gone"  # holds what a dead process held
TIMEOUT = 10.0  # seconds until a client gives up: some requests do not leave later
ANOTHER = "get another registration access token"
UNDER_WAY = timedelta(seconds=40)  # so long the answer to another process's change is waited for
TICK = timedelta(seconds=5)
AT_ONCE = timedelta(seconds=0.2)  # until a look that was overtaken is made again
LATEST = timedelta(seconds=9)  # after that no request has its effect any more: before the target counts as settled


class Version(NamedTuple):
    """A version of the consumer document."""

    author: str  # us, or person
    values: tuple[tuple[str, Any], ...]
    deleted: bool = False

    @property
    def value(self) -> str:
        """What consumers read."""
        return dict(self.values).get("token", "")

    @property
    def number(self) -> int:
        """The rotation it is of."""
        return int(dict(self.values).get("rotation", 0))


class Idle(NamedTuple):
    """A process that does nothing just now. `wake`: when it looks again; None: when it is told to."""

    wake: datetime | None = NOW
    seen: datetime | None = None  # since when it knows the record as it is
    acked: datetime = LONG_AGO  # its last acknowledged write
    skew: float = 0.0  # seconds by which its wall clock is ahead


class Busy(NamedTuple):
    """A process in the middle of a look. `fresh`: nobody has written the record since it was read or written here."""

    node: Node
    fresh: bool = True
    age: float = 0.0  # seconds since it began to look
    waited: float = 0.0  # seconds for which it was stopped before the call that is next
    skew: float = 0.0


class Late(NamedTuple):
    """A request that may have its effect yet, though nobody waits for the answer."""

    who: int | str
    call: Call
    sent: datetime = NOW


class Registration(NamedTuple):
    """The token in whose name a key set is changed, by its number: each change replaces it."""

    valid: int = 0  # what the server takes
    held: int = 0  # what Vault has
    sent: datetime | None = None  # when a change was noted in Vault whose answer was not written yet
    lost: bool = False  # the answer that had the valid one never arrived


class World(NamedTuple):
    """Everything. All parts are kept values."""

    record: Record | None = None
    holder: int | str = ""  # of the lease
    consumer: tuple[Version, ...] = ()
    slot: tuple[Any, ...] = ()  # its versions; None: destroyed
    tokens: Tokens = ()
    registration: Registration = Registration()
    changes: int | str = ""  # who noted the change
    book: Book = judge.NOTHING
    late: tuple[Late, ...] = ()
    actors: tuple[Idle | Busy, ...] = (Idle(), Idle())
    faults: int = 0  # that may come yet

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this state from others; which of the two actors is called A does not."""
        parts = (self.record, self.consumer, self.slot, self.tokens, self.registration, self.book)
        actors = sorted(self._whose(who, id(actor)) for who, actor in enumerate(self.actors))
        return (self.faults, *map(id, parts), *actors, self._whose(GONE, 0))

    def _whose(self, who: int | str, actor: int) -> tuple[Any, ...]:
        sent = sorted(id(kept((each.call, each.sent))) for each in self.late if each.who == who) if self.late else ()
        return (actor, self.holder == who, self.changes == who, *sent)

    def but(self, **parts: Any) -> World:
        """The world with other parts."""
        return self._replace(**{name: each if name in _PLAIN else kept(each) for name, each in parts.items()})

    def acts(self, who: int, actor: Idle | Busy) -> World:
        """The world in which this actor is so."""
        actor = kept(actor)
        return self._replace(actors=tuple(actor if at == who else each for at, each in enumerate(self.actors)))


_PLAIN = frozenset({"holder", "faults", "actors", "changes"})


# --- what a call does -----------------------------------------------------------------------------------------------


def effect(family: Family, world: World, who: int | str, call: Call, age: float = 0.0) -> tuple[World, Any]:
    """Its effect, and its answer, in the time of who asked. Raises Violation."""
    verb, args = call
    if verb in _VAULT:
        world, answer = _VAULT[verb](family, world, who, *moved(args, -age))
    elif family.kind is Kind.REGISTERED and verb in ("install", "revoke"):
        world, answer = _registered(family, world, verb, moved(args, -age))
    else:
        record = world.record
        minting = record.mint_name if record and record.phase is Phase.REQUESTED else ""
        tokens, answer = target.called(family, world.tokens, verb, moved(args, -age), minting)
        world = world.but(tokens=tokens)
    return world, kept(moved(kept(answer), age)) if age else kept(answer)


def landed(family: Family, world: World, late: Late) -> World:
    """The world in which a late request has had its effect. Raises Violation."""
    left, before = tuple(each for each in world.late if each is not late), world.registration.valid
    world, _ = effect(family, world.but(late=left), late.who, late.call)
    if late.call.verb in ("install", "revoke"):  # nobody hears the answer
        lost = world.registration.lost or world.registration.valid != before
        return world.but(registration=world.registration._replace(lost=lost))
    if late.call.verb != "save":
        return world
    return world._replace(actors=tuple(kept(_overtaken(each)) for each in world.actors))


def _load(family: Family, world: World, who: int | str) -> tuple[World, Any]:
    holder = ME if world.holder == who else OTHER if world.holder != "" else ""
    return world, (world.record, holder)


def _save(family: Family, world: World, who: int | str, record: Record, holder: str) -> tuple[World, Any]:
    """Check-and-set is the caller's to ask about: whoever is not fresh has lost."""
    record = kept(record)
    if record is not world.record:
        world = world.but(book=judge.saved(family, world, record), record=record)
    late = tuple(each for each in world.late if each.call.verb != "save")
    actors = tuple(each if at == who else kept(_overtaken(each)) for at, each in enumerate(world.actors))
    return world.but(holder=who if holder else "", late=late, actors=actors), None


def _overtaken(actor: Idle | Busy) -> Idle | Busy:
    """Somebody else has written the record: whoever would only have saved it has lost, whatever it reads until then."""
    if isinstance(actor, Idle):
        return actor._replace(seen=None)
    return Idle(later(NOW + AT_ONCE), skew=actor.skew) if actor.node.harmless else actor._replace(fresh=False)


def _read(family: Family, world: World, who: int | str, document: str, version: int | None, strong: bool) -> Any:
    return world, shown(world.slot if document == "slot" else world.consumer, version)


def shown(versions: tuple[Any, ...], version: int | None = None) -> tuple[int, Any, bool]:
    """A version as a reader gets it: number, values, whether it was deleted."""
    number = version or len(versions)
    if not 0 < number <= len(versions):
        return 0, None, False
    found = versions[number - 1]
    if found is None or (isinstance(found, Version) and found.deleted):
        return number, None, True
    return number, found.values if isinstance(found, Version) else found, False


def _write(family: Family, world: World, who: int | str, document: str, values: Any, cas: int) -> tuple[World, Any]:
    if document == "slot":
        if cas != len(world.slot):
            return world, Failed(Conflict)
        return _fenced(
            world.but(slot=(*(None for _ in world.slot), values)), document, cas
        ), cas + 1  # keeps one version
    if cas != len(world.consumer):
        return world, Failed(Conflict)
    return _fenced(published(world, values, "us"), document, cas), cas + 1


def _fenced(world: World, document: str, cas: int) -> World:
    """Requests that were to write over this version never will."""
    void = ("write", document, cas)
    return world.but(late=tuple(x for x in world.late if (x.call.verb, x.call.args[0], x.call.args[-1]) != void))


def published(world: World, values: Any, author: str) -> World:
    """The world in which consumers read this."""
    before = world.consumer[-1] if world.consumer else None
    if before and before.values == values:
        author = before.author  # a fence
    after = Version(author, values)
    tokens = world.tokens
    if before and before.value != after.value and author == "us":
        tokens = tuple(_replaced(each, before.value, after.value) for each in tokens)
    return world.but(consumer=(*world.consumer, after), tokens=tokens)


def _replaced(live: target.Live, before: str, after: str) -> target.Live:
    if live.value == before:
        return live._replace(replaced=NOW)
    return live._replace(replaced=None) if live.value == after else live


def _destroy(family: Family, world: World, who: int | str, versions: tuple[int, ...]) -> tuple[World, Any]:
    slot = tuple(None if at + 1 in versions else each for at, each in enumerate(world.slot))
    return world.but(slot=slot), None


def _registered(family: Family, world: World, verb: str, args: tuple[Any, ...]) -> tuple[World, Any]:
    """A change of the set, which replaces the token that allows it."""
    registration = world.registration
    *args, spent = args
    if spent != registration.valid:
        return world, Failed(NeedsPerson, ANOTHER)
    tokens, answer = target.called(family, world.tokens, verb, tuple(args), "")
    if isinstance(answer, Failed):
        return world, answer
    return world.but(tokens=tokens, registration=registration._replace(valid=spent + 1)), (answer, spent + 1)


def _unfit(world: World, who: int | str) -> Failed | None:
    """Why the token in Vault changes nothing: another process has spent it, or its successor was lost."""
    registration = world.registration
    if registration.held == registration.valid:
        return None
    theirs = registration.sent is not None and world.changes != who and registration.sent + UNDER_WAY > NOW
    return Failed(Transient, "another process changes the client") if theirs else Failed(NeedsPerson, ANOTHER)


def _ready(family: Family, world: World, who: int | str) -> tuple[World, Any]:
    """No key is made that could not be registered."""
    return world, _unfit(world, who)


def _begin(family: Family, world: World, who: int | str) -> tuple[World, Any]:
    """Note a change before it is sent."""
    if trouble := _unfit(world, who):
        return world, trouble
    held = world.registration.held
    return world.but(registration=world.registration._replace(sent=NOW), changes=who), held


def _keep(family: Family, world: World, who: int | str, spent: int, fresh: int) -> tuple[World, Any]:
    """Write the next token, over the one that was spent for it and over no other."""
    if world.registration.held != spent:
        return world, None
    return world.but(registration=world.registration._replace(held=fresh, sent=None), changes=""), None


def spent(world: World) -> bool:
    """Whether nobody is waited for any more who may write the next token."""
    return isinstance(trouble := _unfit(world, "a person"), Failed) and trouble.kind is NeedsPerson


def renewed(world: World) -> World:
    """The world in which a person got another token. Raises Violation where none was lost."""
    judge.lost(world)
    number = world.registration.valid + 1
    return world.but(registration=Registration(number, number), changes="")


_VAULT = {
    "ready": _ready,
    "begin": _begin,
    "keep": _keep,
    "load": _load,
    "save": _save,
    "read": _read,
    "write": _write,
    "destroy": _destroy,
}


# --- actors ---------------------------------------------------------------------------------------------------------


def answered(world: World, who: int, answer: Any) -> World:
    """The world in which this actor has its answer, and what it asks for next. Raises Violation."""
    actor = world.actors[who]
    assert isinstance(actor, Busy)
    return taken_on(world, who, actor, actor.node.answered(kept(answer), actor.age, actor.skew))


def taken_on(world: World, who: int, actor: Busy, node: Node) -> World:
    """The world in which this actor has come so far. Raises Violation."""
    judge.told(node)
    if not isinstance(node.next, End):
        return world.acts(who, Busy(node, actor.fresh, actor.age, 0.0, actor.skew))
    end = node.next
    seen = end.seen if actor.fresh else None
    wake = None if end.wake is None else later(NOW + timedelta(seconds=end.wake))
    acked = _ago(end.acked) if world.holder == who else LONG_AGO  # of a lease that is not ours it is not asked
    return world.acts(who, Idle(wake, None if seen is None else _ago(seen), acked, actor.skew))


def later(wake: datetime) -> datetime:
    """The tick at which a process looks again: never before its time, and, as any process, a little late."""
    return NOW + max(timedelta(0), -((NOW - wake) // TICK) * TICK)


def _ago(seconds: float) -> datetime:
    return max(LONG_AGO, NOW - timedelta(seconds=seconds))


def killed(world: World, who: int) -> World:
    """The world in which this process was killed; another takes its place, and looks at once."""
    holder = GONE if world.holder == who else world.holder
    late = tuple(each._replace(who=GONE) if each.who == who else each for each in world.late)
    changes = GONE if world.changes == who else world.changes
    return world.but(holder=holder, changes=changes, late=late).acts(who, Idle(skew=world.actors[who].skew))


def passed(world: World, seconds: float) -> World:
    """The world so much later."""
    by = -seconds
    actors = tuple(kept(_passed(each, seconds)) for each in world.actors)
    parts = {
        name: moved(getattr(world, name), by)
        for name in ("record", "consumer", "slot", "tokens", "late", "registration")
    }
    return world._replace(actors=actors, **parts)


def _passed(actor: Idle | Busy, seconds: float) -> Idle | Busy:
    if isinstance(actor, Idle):
        actor = moved(kept(actor), -seconds)
        return actor._replace(wake=actor.wake and later(actor.wake))
    return actor._replace(age=actor.age + seconds, waited=actor.waited + seconds)
