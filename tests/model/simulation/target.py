"""The model of a target: what it was told and what it accepts; the provider edge on it is provider.py's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from rotator.ports import Duplicate, Inspection, NeedsPerson, Outcome, Refused
from rotator.rotation.record import Token
from tests.kit.kinds import DATED, INSTALLED, KEY_SETS, LISTED, SLOTS, Kind
from tests.model.simulation.world import EPOCH, World


@dataclass(slots=True)
class Live:
    """A token as the target keeps it. Times are true seconds."""

    id: str
    name: str
    value: str
    valid_from: float
    expires: datetime | None
    minter: str
    minted_at: float = 0.0
    credential: str = ""
    slot: str = ""
    there: bool = True  # the target was told of it ...
    told: str = ""  # ... by whom, if it was not made there
    ended_at: float = 0.0
    ended: str = ""  # who revoked it, or overwrote it: a process, "person", or "family": another one's end
    lingers: float = 0.0  # until then a removed key is still believed
    deleted: bool = False
    last_used: float | None = None  # as it is told: to the minute
    used_at: float = -1e9
    proven: bool = False
    ends: float = field(init=False)  # `expires` as true time

    def __post_init__(self) -> None:
        # a date is true time rounded to microseconds
        self.ends = inf if self.expires is None else (self.expires - EPOCH).total_seconds() - 5e-7

    @property
    def token(self) -> Token:
        """As the target tells of it."""
        return Token(self.id, self.name, self.slot or f"s{self.id}", _date(self.minted_at), self.expires)


@dataclass(slots=True)
class Registration:
    """The token in whose name a client's key set is changed, by its number: each change replaces it."""

    valid: int = 0  # what the server takes
    held: int = 0  # what Vault has
    changing: float = -inf  # since when somebody waits for the answer to a change
    unwritten: int = 0  # changes whose answer nobody has written down

    def change(self, spent: int) -> int:
        """Spend a token on a change. Raises NeedsPerson when it is not the valid one."""
        if spent != self.valid:
            raise NeedsPerson("get another registration access token")
        self.valid, self.unwritten = self.valid + 1, self.unwritten + 1
        return self.valid

    def keep(self, spent: int, fresh: int) -> None:
        """Write the next token, over the one that was spent for it and over no other."""
        if self.held == spent:
            self.held, self.unwritten = fresh, self.unwritten - 1

    def renew(self) -> None:
        """A person gets another one, if what Vault has is spent."""
        if self.held != self.valid:
            self.valid = self.held = self.valid + 1
            self.unwritten = 0


def _date(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


@dataclass
class Target:
    """Every token there ever was, by id and by value. The callbacks hear of effects at the moment they land."""

    world: World
    minted: Callable[[Live], None]
    revoked: Callable[[Live], None]
    installed: Callable[[Live, Live | None, str], None]  # what, in the place of what, by whom
    tokens: dict[str, Live] = field(default_factory=dict)
    by_value: dict[str, Live] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    by_hand: dict[str, str] = field(default_factory=dict)  # credential -> what only a person can do for it
    slots: dict[tuple[str, str], Live] = field(default_factory=dict)
    minter_refused: bool = False
    registrations: dict[str, Registration] = field(default_factory=lambda: defaultdict(Registration))
    took: Callable[[Live, Live], None] = lambda live, ended: None  # hears of what ended along with another one

    def kind(self, credential: str) -> Kind:
        """How the values of this credential are kept."""
        return self.kinds.get(credential, Kind.TOKENS)

    def accepts(self, value: str) -> bool:
        """Whether a consumer who presents this value gets in."""
        token = self.by_value.get(value)
        return token is not None and self.alive(token) and token.valid_from <= self.world.now

    def alive(self, token: Live) -> bool:
        """Known, and neither revoked nor expired; a key lives on in copies of the set."""
        return token.there and not self.expired(token) and (not token.ended or self.world.now < token.lingers)

    def tells(self, token: Live) -> Inspection:
        """What it says of a token of which something is left."""
        used = None if token.last_used is None else _date(token.last_used)
        return Inspection(True, bool(token.ended), used, token.expires, _date(token.ended_at) if token.ended else None)

    def lists(self, token: Live) -> bool:
        """Whether a listing shows it."""
        listed = self.kind(token.credential) in LISTED
        return listed and token.there and not token.ended and not self.expired(token)

    def expired(self, token: Live) -> bool:
        """Over by its own lifetime."""
        return token.ends <= self.world.now

    def add(self, name: str, expires: datetime | None, minter: str, credential: str = "") -> Live:
        """Mint. Raises Duplicate when names are chosen by the client and this one is taken."""
        world = self.world
        named = world.swarm.named and self.kind(credential) is Kind.TOKENS
        if named and any(x.name == name and not x.deleted for x in self.tokens.values()):
            raise Duplicate("duplicate name")
        live = self._make(name, name if named else "", expires, minter, credential)
        live.valid_from = self._settled(world.swarm.settle)
        world.tell(minter, f"minted {live.id}", name)
        self.minted(live)
        return live

    def make(
        self, name: str, expires: datetime | None, minter: str, credential: str, slot: str, value: str = ""
    ) -> Live:
        """A value that the target is to be told later, made here or brought."""
        live = self._make(name, "", expires, minter, credential, value)
        live.slot, live.there = slot, False
        self.world.tell(minter, f"made {live.id}", name)
        if not value:
            self.minted(live)
        return live

    def _make(
        self, name: str, key: str, expires: datetime | None, minter: str, credential: str, value: str = ""
    ) -> Live:
        number = len(self.by_value) + 1
        live = Live(
            id=key or f"t{number}",
            name=name,
            value=value or f"sek-{number}-{self.world.word()}",
            valid_from=0.0,
            expires=expires,
            minter=minter,
            minted_at=self.world.now,
            credential=credential,
        )
        self.tokens[live.id] = self.by_value[live.value] = live
        return live

    def install(self, live: Live, by: str) -> None:
        """Be told a value: it takes its slot, or joins the set."""
        if live.there and not live.ended:
            return
        before = self.slots.get((live.credential, live.slot)) if live.slot else None
        live.there, live.told, live.ended, live.deleted = True, by, "", False
        live.valid_from = self._settled(self.world.swarm.settle if live.slot else self.world.swarm.cache)
        if live.slot:
            self.slots[live.credential, live.slot] = live
        if before:
            before.ended = by
        self.world.tell(by, f"told {live.id}, in the place of {before.id if before else 'nothing'}", live.credential)
        self.installed(live, before, by)

    def free_slot(self, credential: str, keep: frozenset[str]) -> str | None:
        """An empty slot, or else the one unused for longest; never one that is spared, unless its value is over."""
        free = []
        for slot in SLOTS[self.kind(credential)]:
            held = self.slots.get((credential, slot))
            if held is None or self.expired(held):
                return slot
            if held.id not in keep:
                free.append((held.last_used or 0.0, held.minted_at, slot))
        return min(free)[-1] if free else None

    def restore(self, token: Live, by: str) -> Outcome:
        """Take a revocation back. Raises Refused when nothing is left of the token."""
        if token.deleted or self.kind(token.credential) in INSTALLED | DATED:
            raise Refused("the record is gone")
        if not token.ended:
            return Outcome.ALREADY
        token.ended = ""
        self.world.tell(by, f"restored {token.id}")
        return Outcome.DONE

    def end(self, token: Live, by: str) -> Outcome:
        """Revoke, or remove from the set."""
        if token.ended:
            return Outcome.ALREADY
        token.ended, token.ended_at = by, self.world.now
        if self.kind(token.credential) in KEY_SETS:
            token.lingers = self._settled(self.world.swarm.cache)
        if self.world.swarm.families and self.kind(token.credential) is Kind.BY_VALUE:
            self._end_family(token, by)
        if token.slot:
            self.slots.pop((token.credential, token.slot), None)
        self.world.tell(by, f"revoked {token.id}")
        if by != "person":
            self.revoked(token)
        if self.world.swarm.purge:
            self.world.later(self.world.rng.uniform(5, 60), lambda: self._purge(token))
        return Outcome.DONE

    def _end_family(self, token: Live, by: str) -> None:
        """Every token of one authorisation ends together (as RFC 7009, section 2.1, allows)."""
        for each in self.tokens.values():
            if each.credential == token.credential and self.alive(each):
                each.ended, each.ended_at = "family", self.world.now
                if by != "person":
                    self.took(each, token)

    def _purge(self, token: Live) -> None:
        """Nothing is left of it, unless it was restored meanwhile."""
        token.deleted = bool(token.ended)

    def _settled(self, within: float) -> float:
        return self.world.now + (0.0 if self.world.calm else self.world.rng.uniform(0, within))
