"""I1 to I11 as predicates: on every state, on every call that leaves, and on every record that is saved.

What a journal has authorised, and what it may not claim, is stated in the simulation's ledger, and not again here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from rotator.engine.lease import LEAVE
from rotator.rotation.ownership import is_stray, known
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import parse
from tests.model.simulation.cutover import UNDER_WAY
from tests.model.simulation.kinds import Kind
from tests.model.simulation.ledger import Ledger, ends
from tests.model.walk.actor import INSTALLATION, TTL, Call, Node
from tests.model.walk.target import Family, Live, Tokens
from tests.model.walk.values import NOW, kept

LONGEST = 100  # calls in one look
GUARDED = ("install", "restore", "revoke", "write")  # what others may have undone since: not without the lease


class Violation(Exception):  # noqa: N818 (the promise is what is broken)
    """A promise is broken; its number, and how."""


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
        parsed = parse(name)
        assert parsed is not None

        def count(ledger: Ledger) -> None:
            ledger.sends_left[parsed.stem, parsed.rotation] += 1

        return self._then(name, None, count)

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
        name = parse(args[0])
        if args[0] not in ledger.mint_names or name is None:
            raise Violation(f"I4: mints {args[0]}, which no record names")
        if verb == "mint" and not family.by_hand:
            return world.but(book=_minted(world.book, args[0], (name.stem, name.rotation)))
    elif verb == "install" and args[0].id not in ledger.installable | ledger.put_back:
        raise Violation(f"I4: tells the target {args[0].id}, which no record names")
    elif verb == "revoke":
        _revoked(world, ledger, args[0])
    elif verb == "restore" and args[0].id not in ledger.restorable:
        raise Violation(f"I7: restores {args[0].id}, which nobody wants back")
    elif verb == "write":
        _written(ledger, *args)
    final = verb == "revoke" and args[0].id not in ledger.condemned
    if verb in GUARDED and not final and args[0] != "slot" and node.silent > LEAVE * TTL:
        raise Violation(f"I11: sends {verb} {node.silent:.0f} s after the journal was last heard of")
    return world


def _minted(book: Book, name: str, rotation: tuple[str, int]) -> Book:
    after = book.minted(name)
    if after.ledger.sends_left[rotation] > book.ledger.sends_allowed[rotation]:
        raise Violation(f"I4: more mint requests of rotation {rotation[1]} than the journal authorised")
    return after


def _revoked(world: Any, ledger: Ledger, token: Token) -> None:
    live, current = by_id(world.tokens, token.id), world.record.current
    if live and live.stranger:
        raise Violation(f"I9: revokes the stranger {token.id}")
    if current and current.token.id == token.id:
        raise Violation(f"I9: revokes {token.id}, which is current")
    if not world.record.ends_at and not ledger.may_revoke(token):
        raise Violation(f"I4: revokes {token.id}, which no record condemns")


def _written(ledger: Ledger, document: str, values: tuple[tuple[str, Any], ...], cas: int) -> None:
    held = dict(values)
    if document == "slot":
        if dict(held["token"])["name"] not in ledger.mint_names:
            raise Violation("I4: stages what no record names")
        return
    mark = Secret(held.get("token") or "none").fingerprint(INSTALLATION.fingerprint_key)
    if (mark, cas) not in ledger.publications and cas not in ledger.fences:
        raise Violation(f"I4: writes over version {cas} without a `verified` record that says so")


def told(node: Node) -> None:
    """I5: no secret in an event, nor in a record. L: a look ends."""
    if node.depth > LONGEST:
        raise Violation("L: a look has no end")
    for each in node.told:
        if "sek-" in f"{each.event} {each.after} {each.told}":
            raise Violation(f"I5: {type(each.event).__name__} tells a secret")


# --- what is saved --------------------------------------------------------------------------------------------------


def saved(family: Family, world: Any, after: Record) -> Book:
    """A record lands: the book with it in. Raises Violation when it claims what is not so."""
    before, parts = world.record, (id(world.book), id(world.tokens), id(world.record), id(after))
    if parts not in family.sound:
        for promise, text in world.book.at(before).contradictions(after, _seen(family, world.tokens)):
            raise Violation(f"{promise}: {text}")
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
    text = next(_broken(family, world), "")
    if not text:
        family.sound.add(parts)
    return text


def _broken(family: Family, world: Any) -> Iterator[str]:
    record, tokens, consumer = world.record, world.tokens, world.consumer
    ledger = world.book.at(record)
    newest = consumer[-1] if consumer else None
    live = by_value(tokens, newest.value) if newest else None
    if newest and newest.author == "us" and newest.value:  # a fence may be empty
        if live is None:
            yield "I1: what is published was never made"
        else:
            yield from _published(family, record, ledger, live)
    yield from _numbers(consumer)
    for each in tokens:
        if each.early and not _urgent(ledger, each):
            yield f"I10: {each.id} is ended in its grace"
        if each.stranger and each.ended:
            yield f"I9: the stranger {each.id} is ended"
    made = Counter(name.rotation for x in tokens if not x.stranger and (name := parse(x.name)))
    if made and not family.by_hand and max(made.values()) > family.mints:
        yield f"I6: {max(made.values())} mints of one rotation"


def _urgent(ledger: Ledger, live: Live) -> bool:
    """Whether a rotation that came after it was an emergency, for which there is no grace."""
    name = parse(live.name)
    return any(name is None or rotation > name.rotation for _, rotation in ledger.emergencies)


def _published(family: Family, record: Record, ledger: Ledger, live: Live) -> Iterator[str]:
    if not live.proven:
        yield f"I1: {live.id} is published and was never proven"
    if live.id in (ledger.condemned | ledger.doomed) - ledger.restorable:
        yield f"I7: {live.id} is published, and is condemned or rejected"
    cut_over = family.kind is Kind.ONE_SLOT and record.phase in UNDER_WAY
    given_up = live.id in ledger.not_taken_back
    if not live.alive and live.ended != "person" and not live.expires and not cut_over and not given_up:
        yield f"I1: consumers read {live.id}, which the target refuses"


def _numbers(consumer: tuple[Any, ...]) -> Iterator[str]:
    for before, after in pairwise(consumer):
        if after.author == "us" and after.number < before.number:
            yield f"I8: the rotation number goes from {before.number} to {after.number}"
        if before.author == "person" and after.author == "us":
            yield "I8: what a person wrote is written over"


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
    if record.predecessor and not record.refused_at and not record.ends_at:
        return f"I2: the predecessor {record.predecessor.token.id} lives on"
    seen = _seen(family, world.tokens)
    ours = (x for x in seen.tokens.values() if seen.alive(x) and not x.stranger and ends(x, record, seen))
    lost = (x for x in ours if x.id not in known(record) and not (x.late and is_stray(record, Token(x.id, x.name))))
    return next((f"I3: {x.id} lives, and nobody knows it" for x in lost), "")
