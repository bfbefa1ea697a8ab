"""Where the promises are held in a walk: on every state, every call that leaves, and every record that is saved."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from rotator.engine.lease import LEAVE
from rotator.rotation.ownership import is_stray
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import parse
from tests.kit import promises
from tests.kit.kinds import Kind
from tests.kit.ledger import Ledger
from tests.kit.promises import Violation, hold
from tests.model.walk.actor import INSTALLATION, TTL, Call, Node
from tests.model.walk.target import Family, Live, Tokens
from tests.model.walk.values import NOW, kept

LONGEST = 100  # calls in one look
GUARDED = ("install", "restore", "revoke", "write")  # what others may have undone since: not without the lease


class Book:
    """The ledger as a value: what is entered makes another one."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._next: dict[Any, Book] = {}

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """All that is in it but times and the newest record, which are the world's to know."""
        ledger = self.ledger
        parts = (getattr(ledger, each.name) for each in fields(ledger) if each.name not in ("latest", "begun"))
        return tuple(
            tuple(sorted(x.items()))
            if isinstance(x, Counter)
            else tuple(sorted(x))
            if isinstance(x, dict)
            else frozenset(x)
            for x in parts
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Book) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def saved(self, before: Record | None, after: Record) -> Book:
        """A record became the newest."""
        return self._then((id(before), id(after)), before, lambda ledger: ledger.landed(after, 0.0))

    def minted(self, name: str) -> Book:
        """A mint request has left."""
        return self._then(name, None, lambda ledger: ledger.sends(name))

    def _then(self, key: Any, latest: Record | None, entry: Any) -> Book:
        found = self._next.get(key)
        if found is None:
            ledger = replace(self.ledger, latest=latest)
            for each in fields(ledger):
                if isinstance(part := getattr(ledger, each.name), set | dict):
                    setattr(ledger, each.name, part.copy())
            entry(ledger)
            found = self._next[key] = kept(Book(ledger))
        return found

    def at(self, record: Record | None) -> Ledger:
        """The ledger, with the newest record."""
        self.ledger.latest = record
        return self.ledger


NOTHING = Book(Ledger())


# --- what leaves ----------------------------------------------------------------------------------------------------


def leaves(family: Family, world: Any, node: Node, call: Call) -> Any:
    """The world in which a call has been sent. Raises Violation."""
    ledger, verb, args = world.book.at(world.record), call.verb, call.args
    if verb in ("mint", "receive"):
        hold(promises.named(ledger, args[0]))
        if verb == "mint" and not family.by_hand:
            book = world.book.minted(args[0])
            hold(promises.counted(book.ledger, args[0]))
            return world.but(book=book)
    elif verb == "install":
        hold(promises.tells(ledger, args[0].id, durable=True))
    elif verb == "revoke":
        live = by_value(world.tokens, args[1]) if args[1] else by_id(world.tokens, args[0].id)
        call = call._replace(args=(Token(live.id, live.name) if live else args[0], *args[1:]))
        args = call.args
        if family.together and live and live.alive and not _urgent(ledger, live):
            _learnt(world, live)
        hold(promises.estranges(args[0].id, stranger=live is not None and live.stranger))
        hold(promises.spares(world.record, args[0]))
        hold(promises.revokes(ledger, args[0]))
    elif verb == "restore":
        hold(promises.restores(ledger, args[0]))
    elif verb == "write":
        _written(ledger, *args)
    final = verb == "revoke" and args[0].id not in ledger.condemned
    if verb in GUARDED and not final and args[0] != "slot":
        hold(promises.acts(node.silent, LEAVE * TTL))
    return world


def _learnt(world: Any, ended: Live) -> None:
    """What ends along with another one is published."""
    record = world.record
    current = by_id(world.tokens, record.current.token.id) if record and record.current else None
    if current and current.alive:
        hold(promises.learns(record, ended.id))


def _written(ledger: Ledger, document: str, values: tuple[tuple[str, Any], ...], cas: int) -> None:
    held = dict(values)
    if document == "slot":
        hold(promises.stages(ledger, dict(held["token"])["name"]))
    else:
        mark = Secret(held.get("token") or "none").fingerprint(INSTALLATION.fingerprint_key)
        hold(promises.writes(ledger, mark, cas))


def lost(world: Any) -> None:
    """I3, when a person gets another registration access token: the answer that had it never arrived, or is not
    written yet."""
    coming = [each.node.next for each in world.actors if isinstance(getattr(each, "node", None), Node)]
    keeps = [each for each in (*coming, *(x.call for x in world.late)) if getattr(each, "verb", "") == "keep"]
    hold(promises.loses("the registration access token", answers=world.registration.lost + len(keeps)))


def told(node: Node) -> None:
    """Transitions of a look. L: it ends."""
    if node.depth > LONGEST:
        raise Violation("L: a look has no end")
    for each in node.told:
        hold(promises.secretless(type(each.event).__name__, f"{each.event} {each.after} {each.told}"))


# --- what is saved --------------------------------------------------------------------------------------------------


def saved(family: Family, world: Any, after: Record) -> Book:
    """A record lands: the book with it in. Raises Violation when it claims what is not so."""
    before, parts = world.record, (id(world.book), id(world.tokens), id(world.record), id(after))
    if parts not in family.sound:
        hold(promises.claims(world.book.at(before), after, _seen(family, world.tokens)))
        family.sound.add(parts)
    return world.book.saved(before, after)


def _seen(family: Family, tokens: Tokens) -> Any:
    """The tokens as the ledger asks about them; the model of the simulation's target has the same questions."""
    lives = [
        SimpleNamespace(**x._asdict(), deleted=False, minted_at=1.0 if x.late else -1.0, credential="") for x in tokens
    ]
    return SimpleNamespace(
        tokens={x.id: x for x in lives},
        kind=lambda _: family.kind,
        alive=lambda x: Live.alive.fget(x),
        expired=lambda x: x.expires is not None and x.expires <= NOW,
    )


# --- every state ----------------------------------------------------------------------------------------------------


def broken(family: Family, world: Any) -> str:
    """The promise that this state breaks, and how; empty when it breaks none."""
    parts = (id(world.record), id(world.tokens), id(world.consumer), id(world.book))
    if parts in family.sound:
        return ""
    for promise, text in _broken(family, world):
        return f"{promise}: {text}"
    family.sound.add(parts)
    return ""


def _broken(family: Family, world: Any) -> promises.Broken:
    tokens, consumer = world.tokens, world.consumer
    ledger = world.book.at(world.record)
    newest = consumer[-1] if consumer else None
    live = by_value(tokens, newest.value) if newest else None
    if newest and newest.author == "us" and newest.value:  # a fence may be empty
        if live is None:
            yield "I1", "what is published was never made"
        else:
            yield from _published(family, world.record, ledger, live)
    for before, after in pairwise(consumer):
        if after.author == "us":
            yield from promises.numbers(before.number, after.number)
            yield from promises.overwrites({}, {}, foreign=before.author == "person")
    for each in tokens:
        yield from promises.graces(each.id, early=each.early and not _urgent(ledger, each))
        yield from promises.estranges(each.id, stranger=each.stranger and bool(each.ended))
    made = Counter(name.rotation for x in tokens if not x.stranger and (name := parse(x.name)))
    for rotation, number in made.items() if not family.by_hand else ():
        yield from promises.minted(number, family.mints, rotation)


def _urgent(ledger: Ledger, live: Live) -> bool:
    """Whether a rotation that came after it was an emergency, for which there is no grace."""
    name = parse(live.name)
    return any(name is None or rotation > name.rotation for _, rotation in ledger.emergencies)


def _published(family: Family, record: Record, ledger: Ledger, live: Live) -> promises.Broken:
    yield from promises.publishes(live.id, proven=live.proven, accepted=True, barred=ledger.barred)
    cut_over = family.kind is Kind.ONE_SLOT and record.phase in promises.UNDER_WAY
    over = live.ended in ("person", "family") or (live.expires and live.expires <= NOW)
    excused = cut_over or live.id in ledger.not_taken_back or over
    yield from promises.reads("consumers", live.id, accepted=live.alive or bool(excused))


def by_value(tokens: Tokens, value: str) -> Live | None:
    """The token that has this value."""
    return next((x for x in tokens if x.value == value), None)


def by_id(tokens: Tokens, token: str) -> Live | None:
    """The token of this id."""
    return next((x for x in tokens if x.id == token), None)


def restless(family: Family, world: Any) -> str:
    """I2 and I3, for a world in which nothing is left to do: what lives there besides what is published."""
    record = world.record
    if record is None or record.phase in (Phase.HELD, Phase.AWAITING):
        return ""
    seen = _seen(family, world.tokens)
    ours = (x for x in seen.tokens.values() if not x.stranger)
    left = (x for x in ours if not (x.late and is_stray(record, Token(x.id, x.name))))
    current = by_id(world.tokens, record.current.token.id) if record.current else None
    taken = current is not None and current.ended == "family" and not record.refused_at
    read = promises.reads("consumers", "what ended with its predecessor", accepted=not taken)
    broken = (*promises.lingers(record, NOW), *promises.strays(record, left, seen), *read)
    return next((f"{promise}: {text}" for promise, text in broken), "")
