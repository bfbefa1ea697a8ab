"""The sorts of target that the matrix has, on the fakes, and the truth that its promises ask them for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit import kinds
from tests.kit.provider import ByValueProvider, ExpiringProvider, FakeProvider, Target
from tests.kit.slots import SlotProvider, Slots
from tests.model.matrix.clocks import EPOCH, Time
from tests.model.matrix.registered import Client, KeyProvider


class Kind(StrEnum):
    """How a target keeps the values of the credential."""

    NAMED = "named, overlapping"
    EXPIRING = "expiring"
    ONE_SLOT = "one slot"
    TWO_SLOTS = "two slots"
    BY_VALUE = "ended by its value"
    REGISTERED = "a key set, registered"
    PERSON = "one slot, a person installs"


CUT_OVER = frozenset({Kind.ONE_SLOT, Kind.PERSON})
SLOTTED = frozenset({*CUT_OVER, Kind.TWO_SLOTS})
GRACED = frozenset({Kind.NAMED, Kind.TWO_SLOTS, Kind.BY_VALUE, Kind.REGISTERED})
KINDS = dict.fromkeys(Kind, kinds.Kind.ONE_SLOT) | {
    Kind.NAMED: kinds.Kind.TOKENS,
    Kind.EXPIRING: kinds.Kind.EXPIRING,
    Kind.TWO_SLOTS: kinds.Kind.TWO_SLOTS,
    Kind.BY_VALUE: kinds.Kind.BY_VALUE,
    Kind.REGISTERED: kinds.Kind.REGISTERED,
}
PROVIDERS = {Kind.NAMED: FakeProvider, Kind.EXPIRING: ExpiringProvider, Kind.BY_VALUE: ByValueProvider}


class Seen(NamedTuple):
    """A token as the promises ask about it."""

    id: str
    name: str
    minted_at: float = 0.0
    expires_at: datetime | None = None
    credential: str = ""
    deleted: bool = False


@dataclass
class Truth:
    """The target of one world. `provider` is one credential's view of it."""

    sort: Kind
    time: Time

    def __post_init__(self) -> None:
        if self.sort in SLOTTED:
            self.slots = Slots(self.time.now, 2 if self.sort is Kind.TWO_SLOTS else 1)
            self.provider: Any = SlotProvider(self.slots)
        elif self.sort is Kind.REGISTERED:
            self.client = Client(self.time.now)
            self.provider = KeyProvider(self.client)
        else:
            self.target = Target(self.time.now, named=self.sort is Kind.NAMED, seed="canary")
            self.stranger = self.target.mint("rotator-home-blog-bot-other-r1-a1", None).token
            self.provider = PROVIDERS[self.sort](self.target)

    def accepts(self, value: str) -> bool:
        """Whether consumers who present it get in."""
        return self._holder.accepts(Secret(value))

    @property
    def _holder(self) -> Any:
        if self.sort is Kind.REGISTERED:
            return self.client
        return self.slots if self.sort in SLOTTED else self.target

    def of(self, token: Token, secret: Secret | None) -> Token:
        """The token that is ended by who shows this value; without one, the token that they name."""
        found = self.target.shown(secret) if secret and self.sort is Kind.BY_VALUE else None
        return found.token if found else token

    def ends_published(self, token: Token) -> bool:
        """Whether more ends with this one."""
        return self.sort is Kind.BY_VALUE and self.target.together and self.alive(Seen(token.id, token.name))

    @property
    def tokens(self) -> dict[str, Seen]:
        """Ours, by id."""
        if self.sort in SLOTTED:
            return {name: Seen(name, name) for name in self.slots.known}
        if self.sort is Kind.REGISTERED:
            return {x.id: Seen(x.id, x.name, _seconds(x.issued_at)) for x in self.client.made.values()}
        issued = (each.token for each in self.target.issued if each.token != self.stranger and each.token.issued_at)
        return {x.id: Seen(x.id, x.name, _seconds(x.issued_at), x.expires_at) for x in issued}

    def kind(self, credential: str) -> kinds.Kind:
        """How values are kept, as the promises call it."""
        return KINDS[self.sort]

    def alive(self, token: Seen) -> bool:
        """Whether the target holds it, or what it made of it."""
        if self.sort in SLOTTED:
            return any(self.slots.holds(Token(token.id, token.name, slot)) for slot in self.slots.kept)
        if self.sort is Kind.REGISTERED:
            return self.client.has(token.id)
        return any(each.id == token.id for each in self.target.living())

    def expired(self, token: Seen) -> bool:
        """Whether it is over by its own date."""
        return token.expires_at is not None and token.expires_at <= self.time.now()

    def spoil(self) -> None:
        """The next candidate will not be accepted."""
        if self.sort in SLOTTED:
            self.slots.refuses = True
        else:
            self.target.issued[-1].revoked_at = self.time.now()


def _seconds(date: datetime | None) -> float:
    return (date - EPOCH).total_seconds() if date else 0.0
